//! How the way to the database is protected: whoever is not on this machine proves who it is.

use std::net::IpAddr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::StoreError;

/// How to connect to `url`. Where neither it (`sslmode`) nor PGSSLMODE says how the connection is
/// protected, a server that is not on this machine is reached with TLS, and its certificate and name
/// are checked.
pub fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options: PgConnectOptions = url.parse()?;
    let said = says_how(url) || std::env::var_os("PGSSLMODE").is_some();
    Ok(if said || is_on_this_machine(&options) { options } else { options.ssl_mode(PgSslMode::VerifyFull) })
}

fn says_how(url: &str) -> bool {
    let url: Option<url::Url> = url.parse().ok();
    url.is_some_and(|url| url.query_pairs().any(|(name, _)| name == "sslmode" || name == "ssl-mode"))
}

fn is_on_this_machine(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    options.get_socket().is_some()
        || host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.is_loopback())
}

/// What a failure to connect with `options` means: what to write, where protection is missing.
pub fn explain(options: &PgConnectOptions, error: sqlx::Error) -> StoreError {
    let why = match &error {
        sqlx::Error::Tls(error) => error.to_string(),
        // what a handshake fails with
        sqlx::Error::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            error.to_string()
        }
        _ => return error.into(),
    };
    StoreError::Unprotected(format!(
        "the connection to the PostgreSQL at {host} is not protected: {why}. Its certificate has to be made out to \
         {host} by an authority that this machine trusts, or by the one whose certificate DATABASE_URL names with \
         `sslrootcert=/path/ca.pem`. Only in a private network of your own, write `sslmode=require` (encrypted, \
         nothing is checked) or `sslmode=disable` into DATABASE_URL",
        host = options.get_host()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> String {
        format!("{:?}", options(url).unwrap().get_ssl_mode())
    }

    #[test]
    fn a_server_on_another_machine_has_to_prove_who_it_is_unless_the_url_says_otherwise() {
        for host in ["db", "db.example.com", "10.0.0.7", "0.0.0.0", "[2001:db8::1]", "localhost.example.com"]
        {
            assert_eq!(mode(&format!("postgres://me:secret@{host}/t")), "VerifyFull", "{host}");
        }
        assert_eq!(mode("postgres://db/t?host=10.0.0.7"), "VerifyFull");
        assert_eq!(mode("postgres://db/t?sslrootcert=/ca.pem"), "VerifyFull");
        assert_eq!(mode("postgres://db/t?sslmode=require"), "Require");
        assert_eq!(mode("postgres://db/t?ssl-mode=disable"), "Disable");
    }

    #[test]
    fn a_server_on_this_machine_need_not() {
        for url in [
            "postgres://localhost/t",
            "postgres://LOCALHOST:5433/t",
            "postgres://127.0.0.1/t",
            "postgres://127.8.9.10/t",
            "postgres://[::1]/t",
            "postgres://db/t?host=/run/postgresql",
            "postgres://%2Frun%2Fpostgresql/t",
        ] {
            assert_ne!(mode(url), "VerifyFull", "{url}");
        }
    }
}
