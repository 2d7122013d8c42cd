//! A million versions pushed through a real `tributary serve`: what writing, a page near and
//! far, and draining cost, and how much memory the process takes. Prints; asserts nothing but
//! that the work was done.
//!
//! cargo bench --bench feed -- --versions 1000000

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

mod baseline;

use baseline::Baseline;
use private_pg::PrivatePostgres;
use sqlx::PgPool;
use tributary_formance::{Client, Kind, State};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The records of one call to the push API.
const CALL: usize = 10_000;

#[tokio::main]
async fn main() -> Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let versions = versions_asked_for();
    let folder =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("providers"))?;
    std::fs::write(folder.join("providers/acme.yaml"), "provider: acme\npush: all\n")?;
    let bench = Bench::start(&folder).await?;
    let mut baseline = Baseline::read()?;
    let result = bench.measure(versions, &mut baseline).await;
    bench.stop().await?;
    std::fs::remove_dir_all(folder)?;
    result?;
    baseline.save_if_asked()
}

fn versions_asked_for() -> usize {
    let mut args = std::env::args().skip_while(|arg| arg != "--versions");
    args.nth(1).and_then(|count| count.parse().ok()).unwrap_or(1_000_000)
}

struct Bench {
    server: Child,
    endpoint: String,
    connector: String,
    ingest: String,
    private: PrivatePostgres,
    pool: PgPool,
}

impl Bench {
    async fn start(folder: &std::path::Path) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let tributary = |args: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
            command.args(args).current_dir(folder).env_remove("DATABASE_URL").env("TRIBUTARY_LOG", "warn");
            command
        };
        let listen = format!("127.0.0.1:{port}");
        let server = tributary(&["serve", "--listen", &listen, "--operator-listen", "127.0.0.1:0"])
            .stderr(Stdio::inherit())
            .spawn()?;
        while tributary(&["health", "--listen", &listen]).stderr(Stdio::null()).status()?.code() != Some(0) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let key = |scope: &str| -> Result<String> {
            let output =
                tributary(&["keys", "create", "--provider", "acme", "--name", scope, "--scope", scope])
                    .output()?;
            Ok(String::from_utf8(output.stdout)?.trim().to_owned())
        };
        let private = PrivatePostgres::open(&folder.join("data")).await?;
        let pool = PgPool::connect(&private.url()).await?;
        Ok(Self {
            server,
            endpoint: format!("http://{listen}"),
            connector: key("connector")?,
            ingest: key("ingest")?,
            private,
            pool,
        })
    }

    async fn stop(mut self) -> Result<()> {
        self.pool.close().await;
        Command::new("kill").arg(self.server.id().to_string()).status()?;
        self.server.wait()?;
        self.private.close().await?;
        Ok(())
    }

    async fn measure(&self, versions: usize, baseline: &mut Baseline) -> Result<()> {
        let http = reqwest::Client::new();
        self.tell_memory("idle", versions, baseline)?;
        let begun = Instant::now();
        for call in 0..versions.div_ceil(CALL) {
            self.push(&http, call, CALL.min(versions - call * CALL)).await?;
        }
        let pushed = begun.elapsed();
        let speed = versions as f64 / pushed.as_secs_f64();
        let ratio = baseline.compare("feed.rs: push, versions/s", versions, speed);
        println!("push: {versions} versions in {pushed:.1?}, {speed:.0} a second ({ratio})");
        while sqlx::query_scalar::<_, i64>("select count(*) from feed").fetch_one(&self.pool).await?
            < versions as i64
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let speed = versions as f64 / begun.elapsed().as_secs_f64();
        let ratio = baseline.compare("feed.rs: push to published, versions/s", versions, speed);
        println!("all published {:.1?} after the first push, {speed:.0} a second ({ratio})", begun.elapsed());
        sqlx::query("analyze").execute(&self.pool).await?;
        self.tell_memory("after the push", versions, baseline)?;
        for page in [1, versions / 200, versions / 100] {
            self.time_page(&http, page, versions, baseline).await?;
        }
        self.explain(versions as i64 / 100).await?;
        self.drain(versions, baseline).await?;
        self.tell_memory("after the drain", versions, baseline)
    }

    async fn push(&self, http: &reqwest::Client, call: usize, count: usize) -> Result<()> {
        let records: Vec<String> = (0..count)
            .map(|i| {
                // every record goes through two states: half of the versions are updates
                let (id, status) = ((call / 2) * CALL + i, ["PENDING", "SUCCEEDED"][call % 2]);
                format!(
                    r#"{{"id":"tx_{id}","createdAt":"2026-03-01T12:00:00Z","type":"PAYIN","status":"{status}","currency":"EUR/2","amount":"{id}","destinationAccountID":"acc_1","metadata":{{"reference":"invoice {id}"}}}}"#
                )
            })
            .collect();
        let body = format!("[{}]", records.join(","));
        let response = http
            .post(format!("{}/ingest/transactions?backfill=true", self.endpoint))
            .bearer_auth(&self.ingest)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await?;
        assert!(response.status().is_success(), "{}", response.text().await?);
        Ok(())
    }

    async fn time_page(
        &self,
        http: &reqwest::Client,
        page: usize,
        versions: usize,
        baseline: &mut Baseline,
    ) -> Result<()> {
        let url = format!("{}/transactions?page={page}&pageSize=100&sort=updatedAt:asc", self.endpoint);
        let mut times = Vec::new();
        for _ in 0..200 {
            let begun = Instant::now();
            let bytes =
                http.get(&url).bearer_auth(&self.connector).send().await?.error_for_status()?.bytes().await?;
            times.push(begun.elapsed());
            assert!(bytes.len() > 100, "page {page} is full");
        }
        times.sort();
        let median = times[100].as_secs_f64() * 1000.0;
        let ratio = baseline.compare(&format!("feed.rs: page {page}, ms"), versions, median);
        println!(
            "page {page}: median {:.2?}, 99% {:.2?} (HTTP, one connection; {ratio})",
            times[100], times[198]
        );
        Ok(())
    }

    async fn explain(&self, page: i64) -> Result<()> {
        for page in [1, page] {
            let sql = format!(
                "explain (analyze, buffers, costs off, timing off, summary on)
                 select position, body from feed
                 where provider = 'acme' and resource = 'transactions' and position >= {} + (
                   select position from feed
                   where provider = 'acme' and resource = 'transactions' and published_at >= '-infinity'
                   order by published_at limit 1)
                 order by position limit 100",
                (page - 1) * 100
            );
            let plan: Vec<String> =
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_all(&self.pool).await?;
            println!("page {page} in the server:\n  {}", plan.join("\n  "));
        }
        Ok(())
    }

    async fn drain(&self, versions: usize, baseline: &mut Baseline) -> Result<()> {
        let client = Client::new(&self.endpoint, &self.connector);
        let mut state = State::default();
        let begun = Instant::now();
        let mut rows = 0;
        loop {
            let fetched = client.fetch_next(Kind::Transactions, &state).await?;
            rows += fetched.rows.len();
            state = fetched.state;
            if !fetched.has_more {
                break;
            }
        }
        assert_eq!(rows, versions, "every version came");
        let requests = client.requests();
        let took = begun.elapsed();
        let speed = rows as f64 / took.as_secs_f64();
        let ratio = baseline.compare("feed.rs: drain, versions/s", versions, speed);
        println!(
            "drained {rows} versions with Formance's loop in {took:.1?}, {speed:.0} a second ({ratio}): \
             {requests} requests, {:.2} per 100 rows",
            requests as f64 * 100.0 / rows as f64
        );
        Ok(())
    }

    fn tell_memory(&self, when: &str, versions: usize, baseline: &mut Baseline) -> Result<()> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id()))?;
        let mebibytes = |name: &str| -> Result<f64> {
            let field = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
            Ok(field.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
        };
        let (resident, highest) = (mebibytes("VmRSS:")?, mebibytes("VmHWM:")?);
        let ratio = baseline.compare(&format!("feed.rs: memory {when}, MiB"), versions, resident);
        println!("resident memory {when}: {resident:.1} MiB ({ratio}), highest {highest:.1} MiB");
        Ok(())
    }
}
