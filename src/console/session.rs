//! Who has signed in. A cookie holds a random text; who shows it is asked of the database with every page, so that a
//! session that was ended is ended on all instances.

use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};

use super::error::PageError;
use crate::http::{SharedState, session};
use crate::store::operators;
use crate::verbs::{Actor, Entry, VERBS};
use tributary_domain::{ApiKeyDigest, Role};

/// After so long a session ends in any case.
pub const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// What the script says with each request of its own.
const FRAGMENT: &str = "tributary-fragment";

/// Somebody who has signed in, and looks at a page.
#[derive(Debug, Clone)]
pub struct Session {
    pub operator: String,
    pub role: Role,
    pub ends_at: DateTime<Utc>,
    /// The database's clock: what the times of the page are relative to.
    pub now: DateTime<Utc>,
    /// Whether the script asks, and only for what changes.
    pub fragment: bool,
    /// What was done just before, if this page follows a form.
    pub done: Option<&'static Entry>,
    proof: ApiKeyDigest,
}

impl Session {
    /// Who acts by a form.
    pub fn actor(&self) -> Actor {
        Actor::Operator { name: self.operator.clone(), role: self.role, proof: self.proof.clone() }
    }
}

impl Session {
    /// Whether their role may do this.
    pub fn may(&self, entry: &Entry) -> bool {
        entry.roles().contains(&self.role)
    }

    /// 403 where it may not.
    pub fn require(&self, entry: &Entry) -> Result<(), PageError> {
        match self.may(entry) {
            true => Ok(()),
            false => Err(PageError::forbidden(&format!(
                "Your role is {}, and may not do this.",
                self.role.as_str()
            ))),
        }
    }
}

impl FromRequestParts<SharedState> for Session {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &SharedState) -> Result<Self, PageError> {
        let fragment = parts.headers.contains_key(FRAGMENT);
        let Some((open, role, proof)) = session(parts, state).await? else {
            let next = parts.uri.path_and_query().map_or("/console", |path| path.as_str());
            return Err(match fragment {
                true => PageError::SignedOut,
                false => PageError::SignIn { next: next.to_owned() },
            });
        };
        // a page that is left open does not keep the session open
        if open.is_used_anew && !fragment {
            note_use(state, &proof).await;
        }
        let done = done(parts.uri.query().unwrap_or_default());
        Ok(Self {
            operator: open.operator,
            role,
            ends_at: open.ends_at,
            now: open.now,
            fragment,
            done,
            proof,
        })
    }
}

/// The verb that a query says was done. What is said of it is ours, whatever the query holds.
fn done(query: &str) -> Option<&'static Entry> {
    let name = query.split('&').find_map(|pair| pair.strip_prefix("done="))?;
    VERBS.iter().find(|entry| entry.name.replace(' ', "-") == name)
}

/// A database that takes no writes now still shows what it has.
async fn note_use(state: &SharedState, proof: &ApiKeyDigest) {
    if let Err(error) = operators::used(&state.pool, proof).await {
        tracing::debug!(%error, "that a session was used could not be noted");
    }
}
