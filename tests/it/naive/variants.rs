//! Ways to serve the API that look right, each as a few lines of SQL over the same tables.

use std::collections::HashMap;

use axum::http::StatusCode;
use sqlx::PgPool;
use tributary::store;
use tributary_formance::{Answer, Request};

use crate::support::server::new_database;

/// A way to serve `/transactions`.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    pub name: &'static str,
    /// What a row is stamped with when it is written.
    stamp: &'static str,
    /// How the stamp is printed.
    printed: &'static str,
    /// Every version is kept, under a number that it gets when it is written.
    log: bool,
    /// The rows of a page: `$1` from, `$2` rows before the page, `$3` rows of the page, `$4` the
    /// last stamp of the page before.
    page: &'static str,
    /// The most rows of a page, whatever is asked for.
    page_size_max: i64,
}

const MICROSECONDS: &str = "YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"";
const OFFSET: &str = "at >= $1::timestamptz order by at, id offset $2 limit $3";
const KEYSET: &str = "at >= $1::timestamptz and at > $4::timestamptz order by at, id limit $3";

const USUAL: Variant = Variant {
    name: "",
    stamp: "clock_timestamp()",
    printed: MICROSECONDS,
    log: false,
    page: OFFSET,
    page_size_max: i64::MAX,
};

pub const VARIANTS: [Variant; 8] = [
    Variant { name: "`updated_at = now()`, OFFSET", stamp: "now()", ..USUAL },
    Variant { name: "`updated_at = clock_timestamp()`, OFFSET", ..USUAL },
    Variant {
        name: "whole seconds, `>= from`",
        stamp: "date_trunc('second', clock_timestamp())",
        printed: "YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"",
        ..USUAL
    },
    Variant {
        name: "whole seconds, `> from`",
        stamp: "date_trunc('second', clock_timestamp())",
        printed: "YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"",
        page: "at > $1::timestamptz order by at, id offset $2 limit $3",
        ..USUAL
    },
    Variant { name: "µs stored, ms printed", printed: "YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"", ..USUAL },
    Variant { name: "keyset `> last` on `now()`", stamp: "now()", page: KEYSET, ..USUAL },
    Variant { name: "`pageSize` cut to 50", page_size_max: 50, ..USUAL },
    Variant {
        name: "log, numbered when written",
        log: true,
        page: "at >= $1::timestamptz order by number offset $2 limit $3",
        ..USUAL
    },
];

/// A server of one of them over a database of its own.
pub struct Server {
    pub pool: PgPool,
    variant: Variant,
    page_sql: String,
}

/// Where each page of a walk ended, by (`from`, page), as a keyset server has to remember it.
pub type Ends = HashMap<(String, i64), String>;

impl Server {
    pub async fn start(variant: Variant) -> Self {
        let pool = store::connect(&new_database().await, 5).await.unwrap();
        let Variant { stamp, printed, page, .. } = variant;
        let rows = if variant.log { LOG } else { LIVE };
        let setup = format!(
            "drop trigger transactions_track_new on transactions;
             drop trigger transactions_track_changed on transactions;
             drop trigger transactions_keep_identity on transactions;
             alter table transactions add column body text;
             create function stamp() returns trigger language plpgsql as $$ begin
               new.updated_at := {stamp};
               new.body := transaction_body(new) || jsonb_build_object('createdAt', rfc3339(new.created_at),
                 'updatedAt', to_char(new.updated_at at time zone 'UTC', '{printed}'));
               return new;
             end $$;
             create trigger stamp before insert or update on transactions
               for each row execute function stamp();
             create index on transactions (updated_at, id);
             {rows}"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(setup)).execute(&pool).await.unwrap();
        let page_sql = format!(
            "select '[' || coalesce(string_agg(body, ','), '') || ']', coalesce(max(at), $4::timestamptz)::text
             from (select at, body from served where {page}) page"
        );
        Self { pool, variant, page_sql }
    }

    /// The answer to a request of the connector's.
    pub async fn answer(&self, request: &Request, ends: &mut Ends) -> Answer {
        let query = request.query.as_deref().unwrap_or_default();
        let query: HashMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let from = query.get("updatedAtFrom").map_or("-infinity", String::as_str).to_owned();
        let number = |name: &str| query[name].parse::<i64>().unwrap();
        let (page, size) = (number("page"), number("pageSize").min(self.variant.page_size_max));
        let before = ends.get(&(from.clone(), page - 1)).cloned().unwrap_or("-infinity".into());
        let (body, end): (String, String) = sqlx::query_as(sqlx::AssertSqlSafe(self.page_sql.clone()))
            .bind(&from)
            .bind((page - 1) * size)
            .bind(size)
            .bind(before)
            .fetch_one(&self.pool)
            .await
            .unwrap();
        ends.insert((from, page), end);
        Answer { status: StatusCode::OK.as_u16(), body: body.into() }
    }
}

const LIVE: &str = "create view served as select updated_at as at, id, body from transactions";

const LOG: &str = "
    create table log (number bigint generated always as identity primary key, at timestamptz, body text);
    create function keep() returns trigger language plpgsql as $$ begin
      insert into log (at, body) values (new.updated_at, new.body);
      return null;
    end $$;
    create trigger keep after insert or update on transactions for each row execute function keep();
    create view served as select at, number, body from log";
