//! The groups that may do something in the database, and the login of the service in the private
//! PostgreSQL.

use sqlx::{Executor, PgConnection, PgPool};

use super::StoreError;

/// The login of the service in the private PostgreSQL.
const SERVICE: &str = "tributary_service";

/// Grants everything to the groups anew, and makes those that are missing. Gives those that still are,
/// since this login may not make them.
pub async fn grant(connection: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let missing = sqlx::query_scalar!(r#"select grant_roles() as "missing!""#).fetch_one(connection).await?;
    Ok(missing)
}

/// Makes the login of the service where there is none; gives its name. For the private PostgreSQL,
/// whose socket only the server's user and root reach: it has no password.
pub async fn make_service(owner: &PgPool) -> Result<&'static str, StoreError> {
    owner
        .execute(
            "do $$ begin
               create role tributary_service login in role tributary_app;
             exception when duplicate_object or unique_violation then null; end $$",
        )
        .await?;
    Ok(SERVICE)
}
