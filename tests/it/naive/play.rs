//! Plays a workload against a server, with both forms of Formance's loop polling it.

use std::collections::HashMap;

use axum::http::Request as HttpRequest;
use sqlx::{PgPool, Postgres, Transaction};
use tributary_formance::{Answer, En1095State, Request, State, Watermark};

use super::consumer::{Consumer, Outcome};
use super::variants::{Ends, Server, Variant};
use super::workload::{Step, Workload};
use crate::support::TestApp;

const INSERT: &str = "insert into transactions (provider, id, type, status, asset, amount, created_at)
    select 'acme', i, 'PAYIN', 'PENDING', 'EUR/2', 1, '2026-03-01' from generate_series($1, $2) i";
const UPDATE: &str = "update transactions set amount = amount + 1 where id = any ($1)";

/// What is polled.
enum Polled {
    Naive(Server),
    Tributary(Box<TestApp>),
}

/// Plays `workload` against a naive server; gives what v3.4 and EN-1095 got.
pub async fn naive(workload: &Workload, variant: Variant) -> [Outcome; 2] {
    Play::new(Polled::Naive(Server::start(variant).await)).run(workload).await
}

/// Plays `workload` against Tributary.
pub async fn tributary(workload: &Workload, app: TestApp) -> [Outcome; 2] {
    Play::new(Polled::Tributary(Box::new(app))).run(workload).await
}

struct Play {
    polled: Polled,
    released: Consumer<State>,
    en1095: Consumer<En1095State>,
    writers: HashMap<usize, Transaction<'static, Postgres>>,
}

impl Play {
    fn new(polled: Polled) -> Self {
        Self { polled, released: Consumer::new(), en1095: Consumer::new(), writers: HashMap::new() }
    }

    async fn run(mut self, workload: &Workload) -> [Outcome; 2] {
        for step in &workload.steps {
            match step {
                Step::Insert { writer, first, count } => {
                    let writer = self.writer(*writer).await;
                    let (first, last) = (i64::from(*first), i64::from(first + count) - 1);
                    sqlx::query(INSERT).bind(first).bind(last).execute(&mut **writer).await.unwrap();
                }
                Step::Update { writer, records } => {
                    let ids: Vec<String> = records.iter().map(u32::to_string).collect();
                    let writer = self.writer(*writer).await;
                    sqlx::query(UPDATE).bind(ids).execute(&mut **writer).await.unwrap();
                }
                Step::Commit(writer) => self.writers.remove(writer).unwrap().commit().await.unwrap(),
                Step::Rollback(writer) => self.writers.remove(writer).unwrap().rollback().await.unwrap(),
                Step::Page => {
                    if let Polled::Tributary(app) = &self.polled {
                        app.publish().await;
                    }
                    ask(&self.polled, &mut self.released).await;
                    ask(&self.polled, &mut self.en1095).await;
                }
                Step::Drain => {
                    if let Polled::Tributary(app) = &self.polled {
                        app.publish_all().await;
                    }
                    let Self { polled, released, en1095, .. } = &mut self;
                    // nobody writes meanwhile, so neither sees more of it than the other
                    tokio::join!(drain(polled, released), drain(polled, en1095));
                }
            }
        }
        [self.released.outcome(&workload.versions), self.en1095.outcome(&workload.versions)]
    }

    async fn writer(&mut self, number: usize) -> &mut Transaction<'static, Postgres> {
        if !self.writers.contains_key(&number) {
            let transaction = self.polled.pool().begin().await.unwrap();
            self.writers.insert(number, transaction);
        }
        self.writers.get_mut(&number).unwrap()
    }
}

impl Polled {
    fn pool(&self) -> &PgPool {
        match self {
            Self::Naive(server) => &server.pool,
            Self::Tributary(app) => &app.pool,
        }
    }

    async fn answer(&self, request: &Request, ends: &mut Ends) -> Answer {
        match self {
            Self::Naive(server) => server.answer(request, ends).await,
            Self::Tributary(app) => {
                let target = format!("{}?{}", request.path, request.query.as_deref().unwrap_or_default());
                let request: HttpRequest<_> = app.get_request(&target, &app.connector_key);
                let response = app.call(request).await;
                let status = response.status().as_u16();
                let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
                Answer { status, body: body.into() }
            }
        }
    }
}

/// One page for one consumer; gives whether its poll goes on.
async fn ask<S: Watermark + Default>(polled: &Polled, consumer: &mut Consumer<S>) -> bool {
    let request = consumer.request();
    let answer = polled.answer(&request, &mut consumer.memory).await;
    consumer.answer(&answer)
}

async fn drain<S: Watermark + Default>(polled: &Polled, consumer: &mut Consumer<S>) {
    while ask(polled, consumer).await {}
}
