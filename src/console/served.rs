//! The providers that this instance serves.

use super::error::PageError;
use crate::health::{self, Health};
use crate::http::SharedState;
use crate::store::StoreError;
use tributary_domain::ProviderName;

/// Their names, in order.
pub fn providers(state: &SharedState) -> Vec<ProviderName> {
    let mut names: Vec<ProviderName> = state.providers.keys().cloned().collect();
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    names
}

/// The provider that a query names; none where it names none. A name that cannot be one is refused, as a list of all
/// providers would be taken for that of one.
pub fn named(text: &str) -> Result<Option<ProviderName>, PageError> {
    if text.is_empty() {
        return Ok(None);
    }
    let named = text.parse().map_err(|_| PageError::not_found("There is no provider of this name."))?;
    Ok(Some(named))
}

/// How each of `names` does.
pub async fn health(state: &SharedState, names: &[ProviderName]) -> Result<Vec<Health>, StoreError> {
    let groups = |name| state.providers.get(name).map(|served| served.groups.as_slice()).unwrap_or_default();
    let providers: Vec<_> = names.iter().map(|name| (name, groups(name))).collect();
    health::of(&state.pool, &providers).await
}
