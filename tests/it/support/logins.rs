//! The logins that the tests use besides the owner of the tables: the service's, which may do what the
//! service needs and no more, and those of persons. They belong to the server, for all its databases.

use sqlx::{Connection, Executor, PgConnection, PgPool};

/// Persons who decide about payments.
pub const ANN: &str = "tributary_test_ann";
pub const BOB: &str = "tributary_test_bob";
/// Somebody who writes records with SQL.
pub const WRITER: &str = "tributary_test_writer";
/// A login that nothing was granted to.
pub const NOBODY: &str = "tributary_test_nobody";
const SERVICE: &str = "tributary_test_service";

/// All logins that tests make.
pub const ALL: [&str; 8] = [
    ANN,
    BOB,
    WRITER,
    NOBODY,
    SERVICE,
    "tributary_test_both",
    "tributary_test_root",
    "tributary_test_like_ann",
];

/// Of all of them.
const PASSWORD: &str = "of-a-test";

/// The URL of the service's login in the database that the owner opens by `url`, whose schema is there.
pub async fn service(url: &str) -> String {
    login(url, SERVICE, "in role tributary_app").await
}

/// The URL of a person's login in the database that the owner opens by `url`.
pub async fn person(url: &str, name: &str) -> String {
    login(url, name, "in role tributary_operator").await
}

/// The URL of an SQL user's login.
pub async fn writer(url: &str) -> String {
    login(url, WRITER, "in role tributary_writer").await
}

/// The URL of a login that is in no group.
pub async fn nobody(url: &str) -> String {
    login(url, NOBODY, "").await
}

/// The URL of the login `name`, which is made with `options` where there is none.
pub async fn login(url: &str, name: &str, options: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let make = format!(
        "do $$ begin
           if to_regrole('{name}') is null then
             create role {name} login password '{PASSWORD}' {options};
           end if;
         exception when duplicate_object or unique_violation then null; end $$"
    );
    connection.execute(sqlx::AssertSqlSafe(make)).await.unwrap();
    connection.close().await.unwrap();
    of(url, name)
}

/// `url` with another login, which is there.
pub fn of(url: &str, name: &str) -> String {
    let mut url: url::Url = url.parse().unwrap();
    url.set_username(name).unwrap();
    url.set_password(Some(PASSWORD)).unwrap();
    url.into()
}

/// Connections of a person to the database that the owner opens by `url`.
pub async fn person_pool(url: &str, name: &str) -> PgPool {
    tributary::store::connect(&person(url, name).await, 2).await.unwrap()
}

/// Whether `url` is that of the server's owner: tests that name another login mean it.
pub fn is_owner(url: &str) -> bool {
    let given = std::env::var("TEST_DATABASE_URL").ok().and_then(|url| url.parse::<url::Url>().ok());
    let owner = given.map_or_else(
        || vec!["postgres".to_owned(), "tributary".to_owned()],
        |url| vec![url.username().to_owned()],
    );
    url.parse::<url::Url>().is_ok_and(|url| owner.iter().any(|owner| owner == url.username()))
}
