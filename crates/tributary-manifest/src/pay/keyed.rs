//! Whether the requests of a payment can be repeated: each carries a key by which the provider knows it again.

use super::places::{place, step_key};
use crate::manifest::ProviderKeyFormat;
use crate::wire::{Request, Target};

/// A request, by whether it carries one of some texts.
pub type Carries<'a> = Box<dyn Fn(&[String]) -> bool + 'a>;

/// A step, as far as this is about it.
pub struct KeyedStep<'a> {
    pub name: &'a str,
    /// Whether it may be repeated anyway.
    pub again: bool,
    pub carries: Carries<'a>,
}

/// Which request lacks a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Keyless {
    #[error(
        "its request does not carry the key, so that the same request sent again would move the money again: \
         put $key (in a path or a header, {{key}}) where the provider takes its idempotency key, or what a step \
         gave whose request carries it"
    )]
    Payment,
    #[error(
        "the request of its step {0} carries no key, so that it would be made twice where an answer is lost: put $key \
         or $step_key where the provider takes its idempotency key, or say `again: true` where that counts for nothing"
    )]
    Step(String),
}

/// Sees that the payment's request carries the key, or what a step gave that does, and so does each step.
pub fn require_keys(
    key: &str,
    form: ProviderKeyFormat,
    steps: &[KeyedStep<'_>],
    payment: &Carries<'_>,
) -> Result<(), Keyless> {
    if key.is_empty() {
        return Err(Keyless::Payment);
    }
    let mut marks = vec![key.to_owned()];
    for step in steps {
        if (step.carries)(&marks) || (step.carries)(&[step_key(key, step.name, form)]) {
            marks.push(place(key, step.name));
        } else if !step.again {
            return Err(Keyless::Step(step.name.to_owned()));
        }
    }
    if payment(&marks) { Ok(()) } else { Err(Keyless::Payment) }
}

/// Whether one of `marks` is in what `request` sends.
pub fn carries(request: &Request, marks: &[String]) -> bool {
    let marked = |text: &str| marks.iter().any(|mark| text.contains(mark.as_str()));
    let in_headers = request.headers.values().any(|value| value.to_str().is_ok_and(marked));
    let in_target = match &request.target {
        Target::Relative { path, query } => marked(path) || query.iter().any(|(_, value)| marked(value)),
        Target::Absolute(url) => marked(url.as_str()),
    };
    let body = request.body.as_deref().unwrap_or_default();
    let in_body =
        marks.iter().any(|mark| body.windows(mark.len().max(1)).any(|window| window == mark.as_bytes()));
    in_headers || in_target || in_body
}
