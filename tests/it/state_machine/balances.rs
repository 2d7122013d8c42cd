//! Accounts whose balances a provider confirms now and then, late or twice at once, and that Formance asks
//! for at random times. What it keeps has to hold from each answer to the next.

use std::collections::BTreeMap;

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::Value;
use tributary_formance::{Client, GoTime, Kept};

use crate::support::{TestApp, records};

/// How many accounts there are.
const ACCOUNTS: usize = 2;
const ASSETS: [&str; 2] = ["EUR/2", "USD/2"];
/// The provider's time of the first confirmation (Unix time); each further one is a minute later.
const BEGINNING: i64 = 1_772_366_400;

#[derive(Debug, Clone)]
pub enum Step {
    /// The provider is read for an account, of which some amounts have changed.
    Confirm { account: usize, changes: [bool; 2], slow: bool },
    /// A sync that was slow tells what it read long ago.
    TellLate { account: usize },
    /// Formance asks.
    Ask { account: usize },
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..ACCOUNTS, any::<[bool; 2]>(), prop::bool::weighted(0.3))
            .prop_map(|(account, changes, slow)| Step::Confirm { account, changes, slow }),
        1 => (0..ACCOUNTS).prop_map(|account| Step::TellLate { account }),
        4 => (0..ACCOUNTS).prop_map(|account| Step::Ask { account }),
    ]
}

/// Amounts by asset.
type Amounts = BTreeMap<&'static str, u64>;

/// What the provider said of an account at one time of its own, in minutes from the beginning.
#[derive(Clone)]
struct Confirmation {
    minute: i64,
    amounts: Amounts,
}

#[derive(Default)]
struct Account {
    /// The provider's ledger as of now.
    amounts: Amounts,
    minute: i64,
    /// Read by syncs that are slow, and not told yet.
    late: Vec<Confirmation>,
    /// The latest that was told, which is what has to be served.
    told: Option<Confirmation>,
    /// Whether that was told since Formance asked last.
    is_news: bool,
    /// What Formance was answered, and by which amounts.
    heard: Vec<(GoTime, Amounts)>,
}

pub struct Balances {
    client: Client,
    kept: Kept,
    accounts: [Account; ACCOUNTS],
}

fn id(account: usize) -> String {
    format!("acc_{account}")
}

fn record(account: usize, confirmed: &Confirmation) -> Value {
    let at = DateTime::from_timestamp(BEGINNING + 60 * confirmed.minute, 0).unwrap().to_rfc3339();
    let amounts: Vec<(&str, String)> =
        confirmed.amounts.iter().map(|(asset, amount)| (*asset, amount.to_string())).collect();
    let amounts: Vec<(&str, &str)> =
        amounts.iter().map(|(asset, amount)| (*asset, amount.as_str())).collect();
    records::balances(&id(account), &at, &amounts)
}

impl Account {
    fn hear(&mut self, confirmed: &Confirmation) {
        if self.told.as_ref().is_none_or(|told| told.minute < confirmed.minute) {
            (self.told, self.is_news) = (Some(confirmed.clone()), true);
        }
    }
}

impl Balances {
    pub async fn new(app: &TestApp) -> Self {
        let accounts: Vec<Value> =
            (0..ACCOUNTS).map(|account| records::account(&id(account), "2026-01-01T00:00:00Z")).collect();
        app.push("accounts", &accounts).await;
        let client = Client::new(&app.listen().await, &app.connector_key);
        let mut accounts: [Account; ACCOUNTS] = Default::default();
        for account in &mut accounts {
            account.amounts = ASSETS.into_iter().map(|asset| (asset, 100)).collect();
        }
        Self { client, kept: Kept::default(), accounts }
    }

    /// Takes a step; gives how often what really happened.
    pub async fn take(&mut self, app: &TestApp, step: &Step) -> [(&'static str, u64); 3] {
        let (mut together, mut late, mut asked) = (false, false, false);
        match step {
            Step::Confirm { account, changes, slow } => {
                together = self.confirm(app, *account, *changes, *slow).await;
            }
            Step::TellLate { account } => late = self.tell_late(app, *account).await,
            Step::Ask { account } => asked = self.ask(*account).await,
        }
        [("balances_together", together), ("balances_late", late), ("balances_asked", asked)]
            .map(|(what, happened)| (what, u64::from(happened)))
    }

    /// A minute passes, in which some amounts may change, and the provider is read. What a slow sync read is
    /// told later, perhaps together with what is read next: gives whether it was.
    async fn confirm(&mut self, app: &TestApp, account: usize, changes: [bool; 2], slow: bool) -> bool {
        let state = &mut self.accounts[account];
        state.minute += 1;
        for (asset, _) in ASSETS.into_iter().zip(changes).filter(|(_, changes)| *changes) {
            *state.amounts.get_mut(asset).unwrap() += 1;
        }
        let read = Confirmation { minute: state.minute, amounts: state.amounts.clone() };
        if slow {
            state.late.push(read);
            return false;
        }
        let late = state.late.pop();
        match &late {
            None => drop(app.push("balances", &[record(account, &read)]).await),
            // two syncs at once
            Some(late) => {
                let (now, before) = ([record(account, &read)], [record(account, late)]);
                tokio::join!(app.push("balances", &now), app.push("balances", &before));
                state.hear(late);
            }
        }
        state.hear(&read);
        late.is_some()
    }

    /// A sync that was slow tells what it read long ago. Gives whether there was one.
    async fn tell_late(&mut self, app: &TestApp, account: usize) -> bool {
        let state = &mut self.accounts[account];
        let Some(late) = state.late.pop() else { return false };
        app.push("balances", &[record(account, &late)]).await;
        state.hear(&late);
        true
    }

    /// Formance asks, and keeps what it is answered. Gives whether there was anything to answer.
    async fn ask(&mut self, account: usize) -> bool {
        let answer = self.client.balances(&id(account)).await.unwrap();
        // another amount at a time that is kept already would stop Formance for good
        self.kept.take_balances(&answer).unwrap();
        let state = &mut self.accounts[account];
        let Some(told) = &state.told else {
            assert!(answer.is_empty());
            return false;
        };
        let amounts: BTreeMap<&str, String> =
            answer.iter().map(|balance| (balance.asset.as_str(), balance.amount.to_string())).collect();
        let expected: BTreeMap<&str, String> =
            told.amounts.iter().map(|(asset, amount)| (*asset, amount.to_string())).collect();
        assert_eq!(amounts, expected, "the latest that the provider confirmed");
        let at = answer[0].at;
        assert!(at.unix_seconds() >= BEGINNING + 60 * told.minute, "{at:?}: not before it was confirmed");
        if let Some((before, _)) = state.heard.last() {
            let moved = at.unix_nanos() > before.unix_nanos();
            assert_eq!(moved, state.is_news, "`at` moves with a confirmation and with nothing else");
        }
        if state.is_news {
            state.heard.push((at, told.amounts.clone()));
        }
        state.is_news = false;
        true
    }

    /// Whatever time lies between two answers, Formance knows what the account held then. Gives how many
    /// such times were looked at.
    pub async fn finish(mut self, app: &TestApp) -> u64 {
        let mut looked = 0;
        for account in 0..ACCOUNTS {
            while self.tell_late(app, account).await {}
            self.ask(account).await;
            let state = &self.accounts[account];
            let holds = |asset, at| self.kept.balance_at(&id(account), asset, at).map(ToString::to_string);
            for pair in state.heard.windows(2) {
                let [(from, amounts), (to, _)] = pair else { unreachable!("windows are of two") };
                // a second after the one, a second before the other
                for at in [from.unix_seconds() + 1, to.unix_seconds() - 1] {
                    for asset in ASSETS {
                        let held = holds(asset, GoTime::from_unix(at, 0));
                        assert_eq!(held, Some(amounts[asset].to_string()), "{asset} at {at}");
                        looked += 1;
                    }
                }
            }
            if let Some((last, _)) = state.heard.last() {
                let after = GoTime::from_unix(last.unix_seconds() + 1, 0);
                assert_eq!(holds(ASSETS[0], after), None, "nobody confirmed that");
            }
        }
        looked
    }
}
