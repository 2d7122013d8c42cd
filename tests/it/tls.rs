//! A database on another machine has to prove who it is; a PostgreSQL of its own, with a certificate
//! that the test made, is that machine. 0.0.0.0 leads to this host and is none of its names.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Instant;

use private_pg::{Options, PrivatePostgres};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sqlx::{Connection, Executor, PgConnection, PgPool};
use tributary::store::{self, StoreError};

use crate::support::process::Place;
use crate::support::proxy::Proxy;

/// A PostgreSQL that is reached by TCP.
struct Remote {
    folder: PathBuf,
    postgres: PrivatePostgres,
    proxy: Proxy,
    authority: Issuer<'static, KeyPair>,
}

impl Remote {
    /// Without TLS.
    async fn start(name: &str) -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        // an address of this process and test alone, as the port is always the same
        let [a, b] = std::process::id().to_be_bytes()[2..] else { unreachable!() };
        let address = format!("127.{a}.{b}.{}", name.len());
        let extra_settings = vec![("listen_addresses".into(), address.clone())];
        let options = Options { fsync: false, extra_settings, ..Options::default() };
        let postgres = PrivatePostgres::open_with(&folder, &options).await.unwrap();
        let hba = folder.join("postgres/pg_hba.conf");
        let rules = format!("host all all 127.0.0.0/8 trust\n{}", std::fs::read_to_string(&hba).unwrap());
        std::fs::write(&hba, rules).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["authority".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let authority = Issuer::new(params, key);
        let remote = Self { folder, postgres, proxy: Proxy::to(&format!("{address}:5432")).await, authority };
        remote.set("select pg_reload_conf()").await;
        remote
    }

    async fn set(&self, sql: &'static str) {
        let mut connection = PgConnection::connect(&self.postgres.url()).await.unwrap();
        connection.execute(sql).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Takes a certificate that is made out to `name`, and offers TLS with it.
    async fn certify(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.authority).unwrap();
        let cluster = self.folder.join("postgres");
        let owner = std::fs::metadata(&cluster).unwrap();
        for (file, text) in [("server.crt", certificate.pem()), ("server.key", key.serialize_pem())] {
            let path = cluster.join(file);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        self.set("alter system set ssl = 'on'").await;
        self.set("select pg_reload_conf()").await;
    }

    fn url(&self, host: &str, query: &str) -> String {
        let port = self.proxy.address().rsplit(':').next().unwrap();
        let query = query.replace("CA", self.folder.join("ca.pem").to_str().unwrap());
        format!("postgres://tributary@{host}:{port}/tributary?{query}")
    }

    async fn connect(&self, host: &str, query: &str) -> Result<PgPool, StoreError> {
        store::connect(&self.url(host, query), 1).await
    }

    /// Whether the connection is encrypted.
    async fn encrypted(&self, host: &str, query: &str) -> bool {
        let pool = self.connect(host, query).await.unwrap_or_else(|error| panic!("{host}, {query}: {error}"));
        let sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
        sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap()
    }

    /// Why nothing is said to it.
    async fn refusal(&self, host: &str, query: &str) -> String {
        match self.connect(host, query).await {
            Err(StoreError::Unprotected(why)) => {
                assert!(why.contains("sslmode=require") && why.contains("sslrootcert="), "{why}");
                assert!(why.contains(host), "{why}");
                why
            }
            other => panic!("{host}, {query}: {other:?}"),
        }
    }

    async fn stop(self) {
        drop(self.proxy);
        self.postgres.close().await.unwrap();
        std::fs::remove_dir_all(self.folder).ok();
    }
}

const OTHER: &str = "0.0.0.0";

#[tokio::test]
async fn a_database_elsewhere_that_offers_no_tls_is_refused_with_what_to_write() {
    let remote = Remote::start("none").await;
    assert!(remote.refusal(OTHER, "").await.contains("does not support TLS"));
    assert!(remote.refusal(OTHER, "sslmode=require").await.contains("does not support TLS"));
    assert!(!remote.encrypted(OTHER, "sslmode=disable").await, "its operator said so");
    assert!(!remote.encrypted("127.0.0.1", "").await, "it is on this machine");
    let place = Place::new("tls-command");
    let begun = Instant::now();
    let output = place.command(&["runs"]).env("DATABASE_URL", remote.url(OTHER, "")).output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("sslmode=require"), "{told}");
    assert!(begun.elapsed().as_secs() < 15, "waiting would change nothing");
    remote.stop().await;
}

#[tokio::test]
async fn a_database_elsewhere_is_known_by_its_name_and_by_who_vouches_for_it() {
    let remote = Remote::start("right").await;
    remote.certify(OTHER).await;
    assert!(remote.encrypted(OTHER, "sslrootcert=CA").await);
    assert!(remote.refusal(OTHER, "").await.contains("UnknownIssuer"), "nobody vouches for it");
    assert!(remote.encrypted(OTHER, "sslmode=require").await, "its operator said so");
    remote.stop().await;
}

#[tokio::test]
async fn a_database_elsewhere_with_the_name_of_another_is_refused() {
    let remote = Remote::start("wrong name").await;
    remote.certify("db.example.com").await;
    let why = remote.refusal(OTHER, "sslrootcert=CA").await;
    assert!(why.contains("name") || why.contains("Name"), "{why}");
    assert!(remote.encrypted(OTHER, "sslmode=verify-ca&sslrootcert=CA").await);
    assert!(remote.encrypted(OTHER, "sslmode=require").await);
    remote.stop().await;
}
