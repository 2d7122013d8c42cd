//! What goes wrong in a history beyond its sessions: terminated backends, clocks that jump.

use std::time::Duration;

use sqlx::PgConnection;

use super::World;

/// What is cut off in the middle.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    Publish,
    Push,
    Poll { consumer: usize },
}

impl Work {
    /// The name of the fault, what the backend's statement looks like, and whether it has to be at work.
    fn victim(self) -> (&'static str, &'static str, bool) {
        match self {
            Self::Publish => ("publisher_terminated", "%from publish(%", false),
            // whatever statement of its transaction it is at: nothing else is under way meanwhile
            Self::Push => ("writer_terminated", "%", true),
            Self::Poll { .. } => ("server_terminated", "%'opens'%", false),
        }
    }
}

/// Terminates a backend of the application, a busy one where there is one (or only such a one), and waits until it is
/// gone. Gives how many there were.
async fn terminate(connection: &mut PgConnection, statement: &str, busy: bool, after: Duration) -> u64 {
    // any moment is as good as another
    tokio::time::sleep(after).await;
    let terminated = sqlx::query(
        "select from (
           select pid from pg_stat_activity
           where datname = current_database() and application_name = 'tributary' and query ilike $1
             and (state <> 'idle' or not $2)
           order by state <> 'idle' desc limit 1) backend
         where pg_terminate_backend(pid, 10000)",
    )
    .bind(statement)
    .bind(busy)
    .execute(connection)
    .await;
    terminated.unwrap().rows_affected()
}

impl World {
    /// Does `work` while a backend of its kind is terminated.
    pub(super) async fn terminate_during(&mut self, work: Work, ids: &[u8], after: Duration) {
        let (kind, statement, busy) = work.victim();
        let body = self.batch(ids);
        let terminating = terminate(&mut self.admin, statement, busy, after);
        let terminated = match work {
            Work::Publish => {
                let mut publisher = self.app.publisher();
                // whatever it did not do is left for the next one
                tokio::join!(terminating, publisher.publish_now()).0
            }
            Work::Push => {
                let (terminated, failed) = tokio::join!(terminating, async {
                    let mut failed = 0;
                    while !super::push_is_taken(&self.app, &body.records, false).await {
                        failed += 1;
                    }
                    failed
                });
                self.counts.fire("push_failed", failed);
                self.acknowledge(body.versions);
                terminated
            }
            Work::Poll { consumer } => {
                let (terminated, polled) = tokio::join!(terminating, self.consumers[consumer].try_poll());
                self.counts.fire("poll_failed", u64::from(!polled));
                terminated
            }
        };
        self.counts.fire(kind, terminated);
    }

    /// The database's clock steps forward by whole seconds. To the feed and its consumers it is
    /// all the same whether the clock went on or all that they have lies further back.
    pub(super) async fn clock_forward(&mut self, seconds: u16) {
        self.check_pages().await;
        let aged = self
            .app
            .rewrite(&format!(
                // by way of a far future, so that no entry meets another on its way
                "update feed set published_at = published_at + interval '1000 years';
                 update feed set published_at = published_at - interval '1000 years {seconds} seconds';
                 update feed set body = (body::jsonb || jsonb_build_object('updatedAt', rfc3339(published_at)))::json;
                 update feeds set last_at = last_at - interval '{seconds} seconds',
                                  floor = floor - interval '{seconds} seconds'
                 where last_position > 0"
            ))
            .await;
        for consumer in &mut self.consumers {
            consumer.age(seconds.into());
        }
        self.counts.fire("clock_forward", u64::from(aged > 0));
    }
}
