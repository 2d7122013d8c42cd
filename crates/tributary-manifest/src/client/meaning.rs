//! What an answer leads to: by the rules of its stream, by those of the source, or as usual.

use std::time::Instant;

use jaq_json::Val;
use reqwest::{StatusCode, Url};

use super::Client;
use super::rules::{Decision, Evidence, Rules};
use crate::jq::{self, NotJson};
use crate::manifest::Action;
use crate::wire::{Again, Answer, ClientError, Failed, Incoming, Request, retry};

/// What an answer, or the lack of one, leads to.
pub enum Meaning {
    Answered(Answer),
    Failed(Failed),
    /// Get another token, then send it again; if that was done already, the error stands.
    Renew(ClientError),
}

impl Meaning {
    fn again(again: Again) -> Self {
        Self::Failed(Failed::Again(again))
    }

    fn last(error: ClientError) -> Self {
        Self::Failed(Failed::Final(error))
    }
}

impl Client {
    /// What the answer `incoming` to `request`, which went to `url`, leads to.
    pub(super) async fn judge(
        &self,
        request: &Request,
        url: &Url,
        mut incoming: Incoming,
        rules: &Rules,
    ) -> Result<Meaning, ClientError> {
        let status = incoming.status;
        if status.is_success() && incoming.body.is_none() {
            let limit = self.transport.largest_answer();
            return Ok(Meaning::last(ClientError::TooLarge { request: request.redacted(), limit }));
        }
        let nothing = incoming.body.as_ref().is_some_and(Vec::is_empty);
        let json = self.read_json(request, &mut incoming).await?;
        if let Some(decision) = self.decide(rules, &incoming, &json).await? {
            return Ok(self.decided(request, decision, &incoming));
        }
        let is_empty = nothing && request.empty.contains(&status.as_u16());
        if !status.is_success() && !is_empty {
            return Ok(self.usual(request, &incoming));
        }
        let Incoming { headers, sent_at, .. } = incoming;
        let url = url.clone();
        if is_empty {
            let json = Val::Null;
            return Ok(Meaning::Answered(Answer {
                json,
                status,
                headers,
                url,
                sent_at,
                repaired: None,
                is_empty,
            }));
        }
        Ok(match json {
            Ok((json, repaired)) => {
                Meaning::Answered(Answer { json, status, headers, url, sent_at, repaired, is_empty })
            }
            Err(NotJson::Malformed(_) | NotJson::Other(..)) if nothing => {
                Meaning::again(Again::broken(format!(
                    "the answer is empty; where that is an empty list, say so (`empty: [{}]`)",
                    status.as_u16()
                )))
            }
            Err(why @ (NotJson::Malformed(_) | NotJson::Other(..))) => {
                Meaning::again(Again::broken(format!("the answer cannot be used: {why}")))
            }
            // the same request would be answered with the same
            Err(NotJson::TooCostly(why)) => {
                Meaning::last(ClientError::TooCostly { request: request.redacted(), why })
            }
        })
    }

    /// What the rules of the stream and then those of the source decide.
    async fn decide(
        &self,
        rules: &Rules,
        incoming: &Incoming,
        json: &Result<(Val, Option<String>), NotJson>,
    ) -> Result<Option<Decision>, ClientError> {
        let rules = [rules.clone(), self.rules.clone()];
        let evidence = Evidence {
            status: incoming.status,
            headers: incoming.headers.clone(),
            body: match json {
                Ok((json, _)) => json.clone(),
                // an error may be JSON where a list is not
                Err(NotJson::Other(..)) => self.json_or_text(incoming).await?,
                Err(_) => text(incoming),
            },
            now: self.transport.clock.now(),
        };
        let filters = rules.iter().any(|rules| rules.need_filters(incoming.status));
        let decide = move |deadline| rules.iter().find_map(|rules| rules.decide(&evidence, deadline));
        if !filters {
            return Ok(decide(Instant::now()));
        }
        self.cage.run(move |deadline| Ok(decide(deadline))).await.map_err(ClientError::Rules)
    }

    /// The body of an answer that is not what it should be written in.
    async fn json_or_text(&self, incoming: &Incoming) -> Result<Val, ClientError> {
        let (body, budget) = (incoming.body.clone().unwrap_or_default(), self.budget);
        let read = self.cage.run(move |_| Ok(jq::parse_mended(budget, &body)));
        let json = read.await.map_err(ClientError::Unread)?;
        Ok(json.map_or_else(|_| text(incoming), |(json, _)| json))
    }

    fn decided(&self, request: &Request, decision: Decision, incoming: &Incoming) -> Meaning {
        let status = incoming.status;
        let reason = match decision.reason {
            Some(reason) => reason,
            // records are nothing for a log
            None if status.is_success() => "a rule for errors holds".to_owned(),
            None => self.transport.excerpt(incoming),
        };
        let again = |wait, closes| {
            let why = format!("it was answered with {status}: {reason}");
            Meaning::again(Again { why, wait, closes })
        };
        let shown = request.redacted();
        let refused = |excerpt| ClientError::Refused { request: shown, status: status.as_u16(), excerpt };
        let asked = || self.transport.asked_pause(&incoming.headers);
        match decision.action {
            Action::Retry => again(decision.wait, false),
            Action::RateLimited => again(decision.wait.or_else(asked), true),
            Action::RefreshToken => Meaning::Renew(refused(reason)),
            Action::SkipPartition => {
                Meaning::last(ClientError::SkipPartition { request: request.redacted(), reason })
            }
            Action::ResetPaging => {
                Meaning::last(ClientError::ResetPaging { request: request.redacted(), reason })
            }
            Action::Halve => Meaning::last(ClientError::TooMuch { request: request.redacted(), reason }),
            Action::Fatal => Meaning::last(refused(reason)),
        }
    }

    /// What HTTP says that a refusal means.
    fn usual(&self, request: &Request, incoming: &Incoming) -> Meaning {
        let (status, excerpt) = (incoming.status, self.transport.excerpt(incoming));
        if retry::is_passing(status) {
            let wait = self.transport.asked_pause(&incoming.headers);
            let why = format!("it was answered with {status}: {excerpt}");
            return Meaning::again(Again { why, wait, closes: true });
        }
        let refused = ClientError::Refused { request: request.redacted(), status: status.as_u16(), excerpt };
        if status == StatusCode::UNAUTHORIZED { Meaning::Renew(refused) } else { Meaning::last(refused) }
    }

    /// The JSON of an answer, read in the cage: a large one takes long enough to hold up other tasks,
    /// and as much memory as only a few at a time may take. The body stays for what is no JSON.
    async fn read_json(
        &self,
        request: &Request,
        incoming: &mut Incoming,
    ) -> Result<Result<(Val, Option<String>), NotJson>, ClientError> {
        let body = incoming.body.take().unwrap_or_default();
        if body.is_empty() && incoming.status == StatusCode::NO_CONTENT {
            return Ok(Ok((Val::Null, None)));
        }
        let budget = self.budget;
        let read_as = request.read_as.clone().filter(|_| incoming.status.is_success());
        let read = self.cage.run(move |_| {
            let read = match &read_as {
                Some(read_as) => read_as.read(&body, budget),
                None => jq::parse_mended(budget, &body),
            };
            Ok((read, body))
        });
        let (json, body) = read.await.map_err(ClientError::Unread)?;
        incoming.body = Some(body);
        Ok(json)
    }
}

/// The body of an answer as it came.
fn text(incoming: &Incoming) -> Val {
    let body = incoming.body.as_deref().unwrap_or_default();
    Val::from(String::from_utf8_lossy(body).into_owned())
}
