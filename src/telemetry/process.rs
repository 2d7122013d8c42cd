//! Gauges of the process itself, read when somebody looks.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;
use sqlx::PgPool;

use crate::store::Readers;

/// The gauges of a process that serves.
pub struct ProcessGauges {
    pool: PgPool,
    readers: Readers,
    started: Duration,
}

impl ProcessGauges {
    /// Of a process that begins now, works with `pool` and reads pages with `readers`.
    pub fn new(pool: PgPool, readers: Readers) -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { pool, readers, started }
    }

    /// All of them in the text format of Prometheus. What the system does not tell is left out.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
        write(
            &mut text,
            "tributary_build_info",
            "gauge",
            "1, with the version that runs",
            [(version, Some(1.0))],
        );
        self.connections(&mut text);
        let mut one = |name, kind, help, value| write(&mut text, name, kind, help, [(String::new(), value)]);
        let started = Some(self.started.as_secs_f64());
        one("process_start_time_seconds", "gauge", "When the process began (Unix time)", started);
        one("process_cpu_seconds_total", "counter", "Processor time used", cpu_seconds());
        one("process_resident_memory_bytes", "gauge", "Memory in use", resident_bytes());
        one("process_open_fds", "gauge", "Open files and connections", open_files());
        one("process_max_fds", "gauge", "How many there may be", most_files());
        text
    }

    /// The connections to the database: those of all work, and those that only read pages.
    fn connections(&self, text: &mut String) {
        let (size, idle) = (self.pool.size(), u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX));
        let (reading, waiting) = self.readers.in_use();
        let label = |pool: &str| format!("{{pool=\"{pool}\"}}");
        let of = |work: u32, pages: u32| {
            [(label("work"), Some(f64::from(work))), (label("pages"), Some(f64::from(pages)))]
        };
        let most = of(self.pool.options().get_max_connections(), self.readers.most());
        write(text, "tributary_database_connections_max", "gauge", "Connections that there may be", most);
        let used = of(size.saturating_sub(idle), reading);
        write(text, "tributary_database_connections_in_use", "gauge", "Connections that are at work", used);
        let waiting = [(label("pages"), Some(f64::from(waiting)))];
        write(text, "tributary_database_waiting", "gauge", "Callers that wait for a connection", waiting);
    }
}

fn write(
    text: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    values: impl IntoIterator<Item = (String, Option<f64>)>,
) {
    // a String takes whatever is written
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    for (labels, value) in values {
        if let Some(value) = value {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    }
}

fn cpu_seconds() -> Option<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Some(seconds(usage.user_time()) + seconds(usage.system_time()))
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

fn open_files() -> Option<f64> {
    // without the one that it takes to look
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

fn most_files() -> Option<f64> {
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft as f64)
}
