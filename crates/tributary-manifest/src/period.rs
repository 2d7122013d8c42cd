//! Lengths of time as a provider file writes them: `30s`, `5m`, `1h`, `180d`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// A length of time of whole seconds, up to a hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("pattern" = "^[0-9]+(s|m|h|d)$", "examples" = ["30s"]))]
pub struct Period(Duration);

const LONGEST_SECONDS: u64 = 100 * 366 * 86_400;

impl Period {
    /// The longest that there is.
    pub const LONGEST: Self = Self(Duration::from_secs(LONGEST_SECONDS));

    /// A period of `seconds`, for defaults.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(Duration::from_secs(seconds as u64))
    }

    /// A period of `milliseconds`, shorter than one that can be written in a manifest.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// The period as the standard library knows it.
    pub fn as_duration(self) -> Duration {
        self.0
    }

    /// The period as chrono knows it.
    pub fn as_delta(self) -> chrono::TimeDelta {
        chrono::TimeDelta::from_std(self.0).expect("a hundred years fit a TimeDelta")
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let seconds = (|| {
            let (unit_at, unit) = text.char_indices().last()?;
            let unit_seconds = match unit {
                's' => 1,
                'm' => 60,
                'h' => 3_600,
                'd' => 86_400,
                _ => return None,
            };
            let count = &text[..unit_at];
            let digits = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
            let count: u64 = digits.then(|| count.parse().ok())??;
            count.checked_mul(unit_seconds).filter(|seconds| *seconds <= LONGEST_SECONDS)
        })();
        let seconds =
            seconds.ok_or_else(|| format!("{text:?} is no length of time; write 30s, 5m, 1h or 180d"))?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_carry_their_unit() {
        for (text, seconds) in [("30s", 30), ("5m", 300), ("1h", 3_600), ("180d", 15_552_000), ("0s", 0)] {
            assert_eq!(Period::try_from(text.to_owned()).unwrap().as_duration().as_secs(), seconds);
        }
        for text in ["", "5", "m", "-5m", "5 m", "5w", "1.5h", "5µ", "99999999999999999999d", "99999999d"] {
            assert!(Period::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
