//! Table `operator_issuers`: OpenID providers whom the owner of the database trusts to say who somebody is, and about which
//! roles.

use sqlx::{PgConnection, PgExecutor};

use super::StoreError;
use tributary_domain::Role;

/// Trusts the provider of this issuer about these roles, and no others, from now on.
pub async fn trust(connection: &mut PgConnection, issuer: &str, roles: &[Role]) -> Result<(), StoreError> {
    let roles: Vec<String> = roles.iter().map(|role| role.as_str().to_owned()).collect();
    sqlx::query!(
        "insert into operator_issuers (issuer, roles) values ($1, $2)
         on conflict (issuer) do update set roles = excluded.roles, trusted_at = clock_timestamp()",
        issuer,
        &roles
    )
    .execute(&mut *connection)
    .await?;
    end_sessions(connection, issuer).await
}

/// Trusts it no more, and ends the sessions of everybody whom it named; `false` where it was not trusted.
pub async fn distrust(connection: &mut PgConnection, issuer: &str) -> Result<bool, StoreError> {
    let gone = sqlx::query!("delete from operator_issuers where issuer = $1", issuer)
        .execute(&mut *connection)
        .await?;
    end_sessions(connection, issuer).await?;
    Ok(gone.rows_affected() == 1)
}

/// Those of persons whose role it may not give, or not any more.
async fn end_sessions(executor: impl PgExecutor<'_>, issuer: &str) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from operator_sessions s using operators o
         where o.id = s.operator_id and o.issuer = $1
           and not exists (select from operator_issuers i where i.issuer = o.issuer and o.role = any (i.roles))",
        issuer
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// The issuers that are trusted now.
pub async fn list(executor: impl PgExecutor<'_>) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!("select issuer from operator_issuers order by issuer").fetch_all(executor).await?)
}
