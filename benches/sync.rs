//! What a manifest costs: records a second through jq alone, and rows a second from a provider's
//! stand-in to the tables, first and again. Prints; asserts nothing but that the work was done.
//!
//! cargo bench --bench sync -- --records 50000

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

mod baseline;

use baseline::Baseline;
use private_pg::PrivatePostgres;
use sqlx::PgPool;
use tributary::config::{Provider, Source};
use tributary::store;
use tributary::sync::{RunOutcome, run_once};
use tributary_domain::Origin;
use tributary_manifest::{CompiledProvider, EachPage, Manifest, Period, RecordPage};
use tributary_standin::kit::{self, Fsp, Standin, StandinConfig};
use tributary_standin::{mercury::Mercury, square::Square};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const TOKEN: &str = "the-token-of-the-bench";

#[tokio::main]
async fn main() -> Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut args = std::env::args().skip_while(|arg| arg != "--records");
    let records = args.nth(1).and_then(|count| count.parse().ok()).unwrap_or(50_000);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-sync-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let private = PrivatePostgres::open(&folder).await?;
    let pool = PgPool::connect(&private.url()).await?;
    store::migrate(&pool).await?;
    let mut baseline = Baseline::read()?;
    let mercury = ("mercury", include_str!("../providers/mercury.yaml"), &Mercury as &'static dyn Fsp);
    let square = ("square", include_str!("../providers/square.yaml"), &Square as &'static dyn Fsp);
    for (name, file, fsp) in [mercury, square] {
        let provider = (name, file, fsp);
        measure(&pool, provider, records, &mut baseline).await?;
    }
    pool.close().await;
    private.close().await?;
    std::fs::remove_dir_all(folder)?;
    baseline.save_if_asked()
}

async fn measure(
    pool: &PgPool,
    (name, file, fsp): (&str, &str, &'static dyn Fsp),
    records: usize,
    baseline: &mut Baseline,
) -> Result<()> {
    let mut config = StandinConfig::new(7, TOKEN);
    config.items = records;
    let running = kit::start(Arc::new(Standin::new(fsp, config)?)).await?;
    let variables = HashMap::from([
        (format!("{}_URL", name.to_uppercase()), running.url.clone()),
        (format!("{}_TOKEN", name.to_uppercase()), TOKEN.to_owned()),
    ]);
    let provider = Provider::parse(file, &|name| variables.get(name).cloned())?;
    let Source::Pull(manifest) = provider.source else { return Err("it is pulled".into()) };
    let manifest = Manifest {
        rate_limit: serde_json::from_str(r#"{"per_second": 1000, "burst": 1000}"#)?,
        keep_raw: Some(Period::from_seconds(3600)),
        ..*manifest
    };
    let mapped = jq(&CompiledProvider::new(&provider.name, &manifest)?).await?;
    let compiled = CompiledProvider::new(&provider.name, &Manifest { keep_raw: None, ..manifest })?;
    let compiled = Arc::new(compiled);
    let mut speeds = Vec::new();
    let mut asked = 0;
    for _ in 0..2 {
        let begun = Instant::now();
        let outcome = run_once(pool, &provider.name, &compiled, &Arc::default()).await?;
        let RunOutcome::Succeeded { tally, requests, .. } = outcome else {
            return Err(format!("{outcome:?}").into());
        };
        let rows = tally.created + tally.updated + tally.unchanged;
        speeds.push(rows as f64 / begun.elapsed().as_secs_f64());
        asked += requests;
    }
    for (what, speed) in [
        ("jq alone, records/s", mapped),
        ("first sync, rows/s", speeds[0]),
        ("sync again, rows/s", speeds[1]),
    ] {
        let ratio = baseline.compare(&format!("sync.rs: {name}, {what}"), records, speed);
        println!("{name}: {what}: {speed:.0} ({ratio})");
    }
    println!("{name}: both syncs: {asked} requests");
    Ok(())
}

/// Records a second that the mapping of transactions alone takes.
async fn jq(compiled: &CompiledProvider) -> Result<f64> {
    let mut kept: HashMap<String, Vec<Origin>> = HashMap::new();
    let mut keep = EachPage(|page: RecordPage| {
        kept.entry(page.stream).or_default().extend(page.raw.into_iter().map(|raw| raw.origin));
    });
    compiled.run(&mut keep).await.map_err(|error| error.to_string())?;
    let raw = kept.into_values().max_by_key(Vec::len).ok_or("the stand-in has no records")?;
    let count = raw.len();
    let begun = Instant::now();
    for piece in raw.chunks(1_000) {
        compiled.map_again(piece.to_vec()).await?;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}
