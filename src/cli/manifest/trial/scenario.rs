//! One order through one mishap, by the rules by which the service goes on with orders
//! (`payments::follow`), but without waiting for `within`.

use futures::FutureExt as _;
use serde_json::{Value, json};

use super::stand_in::{Fate, Says, StandIn};
use tributary_domain::{OrderState, PaymentKind, PaymentState, Progress, ProviderName};
use tributary_manifest::{
    CompiledProvider, Given, LookupOutcome, Manifest, PaymentApi, Prepared, Sent, readable,
};

/// The most requests of a trial: one, one that was not looked at, and one that is repeated.
const MOST_REQUESTS: usize = 3;

/// The mishaps, and what they are called.
pub const MISHAPS: [(&str, &[Fate]); 7] = [
    ("the answer comes", &[Fate::Answered]),
    ("the answer comes twice", &[Fate::AnsweredTwice]),
    ("money moves, and the answer is lost", &[Fate::AnswerLost]),
    ("money moves, and the answer is 500", &[Fate::MovedAnd500]),
    ("money moves, and the answer is no JSON", &[Fate::Nonsense]),
    ("nothing moves, and the answer is 500", &[Fate::Only500]),
    ("nothing moves, and there is no answer", &[Fate::Dropped]),
];

/// What is tried.
pub struct Trial<'a> {
    pub provider: &'a ProviderName,
    pub manifest: &'a Manifest,
    pub kind: PaymentKind,
    pub order: &'a Value,
    pub says: &'a Says,
    /// Whether what `find` is answered was given by hand, and is not made of another answer.
    pub found_given: bool,
}

/// What came of a mishap.
pub struct Came {
    /// The request as it was sent, byte by byte, without what proves who sends it.
    pub sent: String,
    /// What happened, step by step.
    pub steps: Vec<String>,
    pub state: OrderState,
    pub requests: usize,
    /// How often money moved at the stand-in.
    pub moved: usize,
    /// Why it was not seen what becomes of the order.
    pub not_tried: Option<String>,
}

impl Trial<'_> {
    /// Sends the order to a stand-in that treats it as `fates` say, and goes on until it is known what
    /// became of it. The error says why it cannot be sent at all.
    pub async fn run(&self, fates: &[Fate]) -> Result<Came, String> {
        let section = self.kind.section();
        let described = match self.kind {
            PaymentKind::Payout => &self.manifest.payouts,
            PaymentKind::Transfer => &self.manifest.transfers,
        };
        let described = described.as_ref().ok_or_else(|| format!("the file has no pay.{section}"))?;
        let knows_keys = described.key.lifetime.is_some();
        let stand_in = StandIn::start(fates, self.says.clone(), knows_keys);
        let stand_in = stand_in.await.map_err(|error| format!("no port of this machine is free: {error}"))?;
        let manifest = self.manifest.clone().for_stand_in(&stand_in.origin)?;
        let compiled = CompiledProvider::new(self.provider, &manifest).map_err(|error| error.to_string())?;
        let apis = compiled.payments();
        let api = apis.of(self.kind).ok_or_else(|| format!("the file has no pay.{section}"))?;
        let kept = api.prepare(self.order).await.map_err(|error| error.to_string())?;
        let given = given(&kept);
        let prepared = api.thaw(&kept, self.order["key"].as_str().unwrap_or_default(), &given)?;
        let steps =
            given.iter().map(|(name, gave)| format!("the step {name} is taken to give {gave}")).collect();
        let mut path = Path {
            api,
            order: self.order,
            given,
            knows_keys,
            steps,
            stand_in: &stand_in,
            found_given: self.found_given,
            not_tried: None,
        };
        let state = path.walk(&prepared).await;
        let (requests, moved) = stand_in.counted();
        let Path { steps, not_tried, .. } = path;
        Ok(Came { sent: shown(&kept, &stand_in.origin), steps, state, requests, moved, not_tried })
    }
}

/// What the steps before the payment give here, where none is asked for: they move no money.
fn given(kept: &Value) -> Given {
    let names = kept["steps"].as_array().into_iter().flatten().filter_map(|step| step["name"].as_str());
    names.map(|name| (name.to_owned(), json!(format!("a-{name}")))).collect()
}

/// A request as it is kept with its order, without the address of the stand-in.
fn shown(kept: &Value, origin: &str) -> String {
    let text = |value: &Value| readable(kept, value.as_str().unwrap_or_default());
    let headers = kept["headers"].as_array().into_iter().flatten();
    let headers: String =
        headers.map(|header| format!("\n{}: {}", text(&header[0]), text(&header[1]))).collect();
    let url = text(&kept["url"]);
    let target = url.strip_prefix(origin).unwrap_or(&url);
    format!("{} {target}{headers}\n\n{}", text(&kept["method"]), text(&kept["body"]))
}

/// The way of an order.
struct Path<'a> {
    api: &'a PaymentApi,
    order: &'a Value,
    given: Given,
    knows_keys: bool,
    steps: Vec<String>,
    stand_in: &'a StandIn,
    found_given: bool,
    not_tried: Option<String>,
}

impl Path<'_> {
    async fn walk(&mut self, prepared: &Prepared) -> OrderState {
        let mut doubtful = false;
        for _ in 0..MOST_REQUESTS {
            let sent = self.api.send(prepared, &|| async { Ok(()) }.boxed()).await;
            match sent {
                Sent::Accepted(state) => return self.reported("the answer", &state),
                Sent::Refused(why) if !doubtful => {
                    self.steps.push(format!("refused, so no money moves: {why}"));
                    return OrderState::Failed;
                }
                Sent::Unsent(why) if !doubtful => {
                    self.steps.push(format!("not looked at, so it is sent again: {why}"));
                    continue;
                }
                Sent::Refused(why) | Sent::Unsent(why) | Sent::Unknown(why) => {
                    self.steps.push(format!("unknown: {why}"));
                    doubtful = true;
                }
            }
            if let Some(state) = self.find_out().await {
                return state;
            }
            if !self.knows_keys {
                self.steps.push(
                    "waits for a person: the file does not say that the provider knows keys (`kept`)"
                        .to_owned(),
                );
                return OrderState::Parked;
            }
            self.steps.push("the same request is sent again, under the same key".to_owned());
        }
        OrderState::Unknown
    }

    /// Looks for the payment; `None` where none is found, and the request may be repeated.
    async fn find_out(&mut self) -> Option<OrderState> {
        let found = self.api.look_up(&self.view()).await;
        match found {
            Some(LookupOutcome::Found(state)) => Some(self.reported("a lookup", &state)),
            Some(LookupOutcome::Several(count)) => {
                self.steps.push(format!("waits for a person: a lookup finds {count} payments under the key"));
                Some(OrderState::Parked)
            }
            Some(LookupOutcome::Failed(why)) => {
                self.steps.push(format!("stays unknown until a lookup succeeds: {why}"));
                self.not_tried = Some(format!("give what `find` is answered with {}", self.what_to_give()));
                Some(OrderState::Unknown)
            }
            Some(LookupOutcome::Missing) => {
                self.steps.push("a lookup finds none (it counts after `within`)".to_owned());
                if self.stand_in.counted().1 > 0 && !self.found_given {
                    let why = "money moved, and what `find` was answered, made of the answer to the order, does not hold \
                               the payment by its `where`";
                    self.not_tried = Some(format!("{why}: give it with --found FILE"));
                }
                None
            }
            None => {
                self.steps.push("no `find`: nothing can be looked up".to_owned());
                None
            }
        }
    }

    /// Which answer of `find` has to be given: that with the payment, or the one before.
    fn what_to_give(&self) -> &'static str {
        match self.stand_in.counted() {
            (_, 0) => "while there is no payment, with --missing FILE",
            _ => "once the payment is there, with --found FILE",
        }
    }

    /// What a report leads to.
    fn reported(&mut self, by: &str, state: &PaymentState) -> OrderState {
        let names = [("id", &state.id), ("reference", &state.reference), ("reason", &state.reason)];
        let names =
            names.into_iter().filter_map(|(name, value)| Some(format!(", {name} {}", value.as_ref()?)));
        let names: String = names.collect();
        self.steps.push(format!("{by} reports {}{names}", state.status.as_str()));
        if let Some(why) = differs(self.order, state) {
            self.steps.push(format!("waits for a person: it is another payment: {why}"));
            return OrderState::Parked;
        }
        match Progress::of(state.status) {
            Progress::Open => OrderState::Pending,
            Progress::NotMoved => OrderState::Failed,
            Progress::Moved | Progress::Followed => OrderState::Succeeded,
        }
    }

    /// The order as a lookup sees it.
    fn view(&self) -> Value {
        let now = chrono::Utc::now();
        let hour = chrono::TimeDelta::hours(1);
        let time =
            |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let mut view = self.order.clone();
        view["lookFrom"] = time(now - hour).into();
        view["lookTo"] = time(now + hour).into();
        view["id"] = json!(null);
        view["reference"] = json!(null);
        view["steps"] = json!(self.given);
        view
    }
}

/// How a payment differs from its order.
fn differs(order: &Value, state: &PaymentState) -> Option<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = [
        (state.amount.map(|amount| amount.to_string()), text(&order["amount"])),
        (state.asset.clone(), text(&order["currency"])),
        (state.destination.clone(), text(&order["destination"]["id"])),
    ];
    let differing = told.into_iter().filter_map(|(told, ordered)| Some((told?, ordered)));
    let parts: Vec<String> = differing
        .filter(|(told, ordered)| told != ordered)
        .map(|(told, ordered)| format!("it says {told}, and {ordered} was ordered"))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
