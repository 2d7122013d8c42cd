//! Connections that only read pages. The pool shows that a connection lives whenever it is taken and
//! given back, which is three messages to the server for each page; these are held, and prove
//! themselves by their work. They plan once: a page has one good plan, and planning it costs more than reading it.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::StoreError;
use super::database::{ACQUIRE_LIMIT, BEGIN_SESSION, within};

/// A page is read by its index, in the order of its positions, and by nothing else.
const ONE_PLAN: &str = "
    set plan_cache_mode = force_generic_plan; set max_parallel_workers_per_gather = 0;
    set enable_seqscan = off; set enable_bitmapscan = off";
/// A connection that did nothing for so long shows that it lives before it is relied on.
const TRUSTED_FOR: Duration = Duration::from_secs(5);
/// And has so long for it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// When a connection is renewed, so that an instance comes to see another address or password, and one that nobody
/// needs any more is closed.
const OLDEST: Duration = Duration::from_secs(30 * 60);
const IDLE: Duration = Duration::from_secs(10 * 60);

/// The connections that read pages, at most so many. Clones share them; they are closed with their pool.
#[derive(Clone)]
pub struct Readers(Arc<Shared>);

struct Shared {
    pool: PgPool,
    options: Arc<PgConnectOptions>,
    most: u32,
    turns: Arc<Semaphore>,
    /// How many wait for a turn.
    waiting: AtomicU32,
    /// The one used last is taken first.
    idle: Mutex<Vec<Held>>,
}

struct Held {
    connection: PgConnection,
    opened: Instant,
    used: Instant,
}

/// A connection, until [`Reader::done`]. One that is dropped before that is closed: nobody knows what it is at.
pub struct Reader {
    held: Held,
    /// Whether it has been used before, so that it may be broken without anybody having noticed.
    reused: bool,
    readers: Arc<Shared>,
    _turn: OwnedSemaphorePermit,
}

impl Readers {
    /// At most `most` connections to the database of `pool`, with its login. Has to be called within a runtime.
    pub fn beside(pool: &PgPool, most: u32) -> Self {
        let shared = Arc::new(Shared {
            pool: pool.clone(),
            options: pool.connect_options(),
            most: most.max(1),
            turns: Arc::new(Semaphore::new(most.max(1) as usize)),
            waiting: AtomicU32::new(0),
            idle: Mutex::default(),
        });
        let (closing, ours) = (pool.clone(), Arc::downgrade(&shared));
        tokio::spawn(async move {
            closing.close_event().await;
            if let Some(shared) = ours.upgrade() {
                shared.forget_idle();
            }
        });
        Self(shared)
    }

    /// How many there may be.
    pub fn most(&self) -> u32 {
        self.0.most
    }

    /// How many of them are in use, and how many callers wait for one.
    pub fn in_use(&self) -> (u32, u32) {
        let free = u32::try_from(self.0.turns.available_permits()).unwrap_or(u32::MAX);
        (self.0.most.saturating_sub(free), self.0.waiting.load(Relaxed))
    }

    /// A connection; waits for one as long as for one of the pool.
    pub async fn take(&self) -> Result<Reader, StoreError> {
        let shared = &self.0;
        let turn = match Arc::clone(&shared.turns).try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => shared.turn().await?,
        };
        if shared.pool.is_closed() {
            return Err(sqlx::Error::PoolClosed.into());
        }
        let reused = shared.living().await;
        let (held, reused) = match reused {
            Some(held) => (held, true),
            None => (shared.open().await?, false),
        };
        Ok(Reader { held, reused, readers: Arc::clone(shared), _turn: turn })
    }
}

/// What is counted while somebody waits, however the wait ends.
struct Waiting<'a>(&'a AtomicU32);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Shared {
    /// A turn that has to be waited for.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, sqlx::Error> {
        self.waiting.fetch_add(1, Relaxed);
        let _waiting = Waiting(&self.waiting);
        let turn = tokio::time::timeout(ACQUIRE_LIMIT, Arc::clone(&self.turns).acquire_owned()).await;
        turn.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|_| sqlx::Error::PoolClosed)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Held>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_idle(&self) {
        self.idle().clear();
    }

    /// One that is there, and lives as far as anybody can tell.
    async fn living(&self) -> Option<Held> {
        let mut held = self.idle().pop()?;
        if held.used.elapsed() >= TRUSTED_FOR {
            let ping = async { held.connection.ping().await.map_err(StoreError::from) };
            if within(SIGN_OF_LIFE, ping).await.is_err() {
                // the others have been silent for longer
                self.forget_idle();
                return None;
            }
        }
        Some(held)
    }

    async fn open(&self) -> Result<Held, StoreError> {
        let opening = async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            connection.execute(BEGIN_SESSION).await?;
            connection.execute(ONE_PLAN).await?;
            Ok::<_, StoreError>(connection)
        };
        let connection = within(ACQUIRE_LIMIT, opening).await?;
        let now = Instant::now();
        Ok(Held { connection, opened: now, used: now })
    }
}

impl Reader {
    /// What its one statement runs on.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.held.connection
    }

    /// Gives it back, its statement being over.
    pub fn done(mut self) {
        let now = Instant::now();
        if self.readers.pool.is_closed() || now.duration_since(self.held.opened) >= OLDEST {
            return;
        }
        self.held.used = now;
        let mut idle = self.readers.idle();
        idle.retain(|held| now.duration_since(held.used) < IDLE);
        idle.push(self.held);
    }

    /// Whether the connection was broken before it was taken, as after a restart of the server, so that its work is
    /// worth trying on a new one. It is closed, as are all that wait.
    pub fn was_broken(self, error: &StoreError) -> bool {
        let broken = self.reused && error.lost_connection();
        if broken {
            tracing::info!(%error, "connections that read pages were cut off, and are opened anew");
            self.readers.forget_idle();
        }
        broken
    }
}
