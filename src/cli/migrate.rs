//! `tributary migrate`.

use super::database::{Database, Login};
use super::{CommandResult, Common};

pub async fn run(common: &Common) -> CommandResult {
    let database = Database::open(common, Login::Owner, 2).await?;
    crate::store::migrate(&database.pool).await?;
    tracing::info!("the schema is up to date");
    database.close().await;
    Ok(())
}
