//! Formance as it polls a running application: both forms of the connector's loop.

use std::time::Duration;

use sqlx::PgPool;
use tributary_formance::{CallError, Client, En1095State, GoTime, Kind, Row, State, Stopped};

use super::TestApp;

/// Which form of the loop polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loop {
    /// As released, v3.4.
    Released,
    /// The rewrite EN-1095.
    En1095,
}

impl Loop {
    pub const BOTH: [Self; 2] = [Self::Released, Self::En1095];
}

/// A consumer of one feed, and all that it ever got.
pub struct Consumer {
    client: Client,
    kind: Kind,
    form: Loop,
    released: State,
    en1095: En1095State,
    pub rows: Vec<Row>,
}

impl Consumer {
    /// A consumer that has seen nothing yet, with Formance's own page size.
    pub async fn new(app: &TestApp, kind: Kind, form: Loop) -> Self {
        Self::with_page_size(app, kind, form, 100).await
    }

    /// Of a server at `endpoint`.
    pub fn at(endpoint: &str, key: &str, kind: Kind, form: Loop) -> Self {
        let client = Client::new(endpoint, key);
        Self::over(client, kind, form)
    }

    fn over(client: Client, kind: Kind, form: Loop) -> Self {
        Self {
            client,
            kind,
            form,
            released: State::default(),
            en1095: En1095State::default(),
            rows: Vec::new(),
        }
    }

    async fn drain(&mut self) -> Result<Vec<Row>, Stopped> {
        match self.form {
            Loop::Released => self.client.drain(self.kind, &mut self.released).await,
            Loop::En1095 => self.client.drain(self.kind, &mut self.en1095).await,
        }
    }

    /// Goes on at another address of the same service.
    pub fn move_to(&mut self, endpoint: &str, key: &str) {
        self.client = Client::new(endpoint, key);
    }

    /// As [`Consumer::move_to`], with less patience than Formance's 10 s.
    pub fn move_to_within(&mut self, endpoint: &str, key: &str, timeout: Duration) {
        self.client = Client::new(endpoint, key).with_timeout(timeout);
    }

    /// One poll, which may fail half-way: what came before the failure is kept, as Formance does.
    pub async fn try_poll(&mut self) -> bool {
        self.poll_until_refused().await.is_none()
    }

    /// As [`Consumer::try_poll`]; gives what the poll failed with, `None` if it came to the end.
    pub async fn poll_until_refused(&mut self) -> Option<CallError> {
        match self.drain().await {
            Ok(rows) => {
                self.rows.extend(rows);
                None
            }
            Err(stopped) => {
                self.rows.extend(stopped.rows);
                Some(stopped.error)
            }
        }
    }

    /// With another page size.
    pub async fn with_page_size(app: &TestApp, kind: Kind, form: Loop, page_size: usize) -> Self {
        let client = Client::new(&app.listen().await, &app.connector_key).with_page_size(page_size);
        Self::over(client, kind, form)
    }

    /// One poll, to the end of what there is; gives how many rows came.
    pub async fn poll(&mut self) -> usize {
        let rows = self.drain().await.expect("a poll that Formance accepts");
        let count = rows.len();
        self.rows.extend(rows);
        count
    }

    /// One call of the loop, up to a page of rows; gives whether there is more.
    pub async fn step(&mut self) -> bool {
        let (rows, more) = match self.form {
            Loop::Released => {
                let fetched = self
                    .client
                    .fetch_next(self.kind, &self.released)
                    .await
                    .expect("a call that Formance accepts");
                self.released = fetched.state;
                (fetched.rows, fetched.has_more)
            }
            Loop::En1095 => {
                let fetched = self
                    .client
                    .fetch_next(self.kind, &self.en1095)
                    .await
                    .expect("a call that Formance accepts");
                self.en1095 = fetched.state;
                (fetched.rows, fetched.has_more)
            }
        };
        self.rows.extend(rows);
        more
    }

    /// Puts all that it has seen `seconds` further back, as if that much time had passed.
    pub fn age(&mut self, seconds: i64) {
        let watermarks = [&mut self.released.watermark, &mut self.en1095.watermark];
        let rows = self.rows.iter_mut().map(|row| &mut row.watermark);
        for time in watermarks.into_iter().chain(rows).filter(|time| !time.is_zero()) {
            let nanos = time.unix_nanos().rem_euclid(1_000_000_000) as u32;
            *time = GoTime::from_unix(time.unix_seconds() - seconds, nanos);
        }
    }

    /// Requests sent so far.
    pub fn requests(&self) -> u64 {
        self.client.requests()
    }

    /// The ids in the order in which they came.
    pub fn ids(&self) -> Vec<&str> {
        self.rows.iter().map(|row| row.reference.as_str()).collect()
    }

    /// Nothing lost, nothing twice, in order: what came is exactly the feed, which in turn is
    /// what the tables went through; and the last version of each record is the database's.
    pub async fn check(&self, app: &TestApp) {
        self.check_against(&app.pool, app.name().as_str()).await;
    }

    /// As [`Consumer::check`], of any provider in any database.
    pub async fn check_against(&self, pool: &PgPool, provider: &str) {
        assert!(
            self.rows.windows(2).all(|pair| pair[0].watermark.unix_nanos() < pair[1].watermark.unix_nanos()),
            "timestamps ascend strictly"
        );
        let published: Vec<String> = feed_ids(pool, provider, self.kind.as_str()).await;
        assert_eq!(self.ids(), published, "what came ({:?}) is the feed", self.form);
        if self.kind == Kind::Transactions {
            self.check_last_versions(pool, provider).await;
        }
    }

    async fn check_last_versions(&self, pool: &PgPool, provider: &str) {
        let stored: Vec<(String, String, String)> = sqlx::query_as(
            "select id, status, amount::text from transactions where provider = $1 order by id collate \"C\"",
        )
        .bind(provider)
        .fetch_all(pool)
        .await
        .unwrap();
        let mut last = std::collections::BTreeMap::new();
        for row in &self.rows {
            let payment = row.payment();
            last.insert(
                row.reference.clone(),
                (payment.status.as_wire().to_owned(), payment.amount.as_str().to_owned()),
            );
        }
        let delivered: Vec<(String, String, String)> =
            last.into_iter().map(|(id, (status, amount))| (id, status, amount)).collect();
        assert_eq!(delivered, stored, "the last version of each record is the database's");
    }
}

async fn feed_ids(pool: &PgPool, provider: &str, resource: &str) -> Vec<String> {
    sqlx::query_scalar("select id from feed where provider = $1 and resource = $2 order by position")
        .bind(provider)
        .bind(resource)
        .fetch_all(pool)
        .await
        .unwrap()
}
