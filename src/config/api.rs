//! The section `api:` of a provider file.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::store::feeds::FeedPace;
use tributary_domain::{PaymentLimit, RequestLimit};

/// What each API key of the provider may ask of the API.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSection {
    /// How many requests a second an API key may send in the long run, 1 to 1000000; 1000 if not given.
    max_requests_per_second: Option<u32>,
    /// How many requests an API key may send at once after a pause; ten times the limit of a second if not
    /// given, and never less than one call of Formance's connector may need.
    burst: Option<u32>,
    /// How many payouts and transfers a second a key may order in the long run, 1 to 1000; 5 if not
    /// given.
    max_payments_per_second: Option<u32>,
    /// How many payouts and transfers a key may order at once after a pause, 1 to 10000; twice the limit
    /// of a second if not given.
    payments_burst: Option<u32>,
}

/// Entries that share a second when a backlog hurries the feed, whatever its usual pace.
const HURRIED_PER_SECOND: u32 = 2_000;
/// Formance's page size.
const PAGE_SIZE: u32 = 100;

impl ApiSection {
    /// The limit of a key. One call of the connector walks through the pages of a whole second,
    /// and begins anew if one of them is refused: without room for all of them it would never end.
    pub fn limit(&self, pace: FeedPace) -> Result<RequestLimit, String> {
        let default = RequestLimit::default();
        let per_second = self.max_requests_per_second.unwrap_or(default.per_second.get());
        let per_second = NonZeroU32::new(per_second)
            .filter(|per_second| per_second.get() <= 1_000_000)
            .ok_or_else(|| format!("api.max_requests_per_second: {per_second} is not from 1 to 1000000"))?;
        let one_call = pace.per_second.unsigned_abs().max(HURRIED_PER_SECOND).div_ceil(PAGE_SIZE) + 2;
        let burst = self.burst.unwrap_or_else(|| one_call.max(per_second.get() * 10));
        let burst = NonZeroU32::new(burst)
            .filter(|burst| (one_call..=10_000_000).contains(&burst.get()))
            .ok_or_else(|| {
                format!(
                    "api.burst: {burst} is not from {one_call} to 10000000; one call of Formance's connector \
                     may need {one_call} requests in a row, and begins anew when one of them is refused"
                )
            })?;
        Ok(RequestLimit { per_second, burst })
    }

    /// The limit of the payments that a key orders.
    pub fn payment_limit(&self) -> Result<PaymentLimit, String> {
        let within = |field: &str, number: u32, most: u32| {
            NonZeroU32::new(number)
                .filter(|number| number.get() <= most)
                .ok_or_else(|| format!("api.{field}: {number} is not from 1 to {most}"))
        };
        let default = PaymentLimit::default().0.per_second.get();
        let per_second = self.max_payments_per_second.unwrap_or(default);
        let per_second = within("max_payments_per_second", per_second, 1_000)?;
        let burst = self.payments_burst.unwrap_or(2 * per_second.get());
        Ok(PaymentLimit(RequestLimit { per_second, burst: within("payments_burst", burst, 10_000)? }))
    }
}
