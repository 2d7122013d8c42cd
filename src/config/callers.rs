//! The section `callers:` of a provider file.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::store::feeds::FeedPace;
use tributary_domain::{PaymentLimit, RequestLimit};
use tributary_manifest::language::Rate;

/// What each API key of the provider may ask of this service.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CallersSection {
    /// How many requests an API key may send in the long run, 1/s to 1000000/s; 1000/s if not given.
    requests: Option<Rate>,
    /// How many requests an API key may send at once after a pause; ten times what it may send in a second
    /// if not given, and never less than one call of Formance's connector may need.
    burst: Option<u32>,
    /// How many payouts and transfers a key may order in the long run, 1/s to 1000/s; 5/s if not given.
    payments: Option<Rate>,
    /// How many payouts and transfers a key may order at once after a pause, 1 to 10000; twice what it may
    /// order in a second if not given.
    payments_burst: Option<u32>,
}

/// Entries that share a second when a backlog hurries the feed, whatever its usual pace.
const HURRIED_PER_SECOND: u32 = 2_000;
/// Formance's page size.
const PAGE_SIZE: u32 = 100;

/// What `rate` is in a second, 1 to `most`; `field` names it.
pub fn per_second(field: &str, rate: Rate, most: u32) -> Result<NonZeroU32, String> {
    let number = rate.per_second().and_then(NonZeroU32::new).filter(|number| number.get() <= most);
    number.ok_or_else(|| format!("{field}: take 1/s to {most}/s"))
}

impl CallersSection {
    /// The limit of a key. One call of the connector walks through the pages of a whole second,
    /// and begins anew if one of them is refused: without room for all of them it would never end.
    pub fn limit(&self, pace: FeedPace) -> Result<RequestLimit, String> {
        let requests = match self.requests {
            Some(rate) => per_second("callers.requests", rate, 1_000_000)?,
            None => RequestLimit::default().per_second,
        };
        let one_call = pace.per_second.unsigned_abs().max(HURRIED_PER_SECOND).div_ceil(PAGE_SIZE) + 2;
        let burst = self.burst.unwrap_or_else(|| one_call.max(requests.get() * 10));
        let burst = NonZeroU32::new(burst)
            .filter(|burst| (one_call..=10_000_000).contains(&burst.get()))
            .ok_or_else(|| {
                format!(
                    "callers.burst: {burst} is not from {one_call} to 10000000; one call of Formance's connector \
                     may need {one_call} requests in a row, and begins anew when one of them is refused"
                )
            })?;
        Ok(RequestLimit { per_second: requests, burst })
    }

    /// The limit of the payments that a key orders.
    pub fn payment_limit(&self) -> Result<PaymentLimit, String> {
        let payments = match self.payments {
            Some(rate) => per_second("callers.payments", rate, 1_000)?,
            None => PaymentLimit::default().0.per_second,
        };
        let burst = self.payments_burst.unwrap_or(2 * payments.get());
        let burst = NonZeroU32::new(burst)
            .filter(|burst| burst.get() <= 10_000)
            .ok_or_else(|| format!("callers.payments_burst: {burst} is not from 1 to 10000"))?;
        Ok(PaymentLimit(RequestLimit { per_second: payments, burst }))
    }
}
