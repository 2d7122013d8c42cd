//! The payment secret of this deployment: where it is, and whether it is the one that was used so far.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sqlx::PgPool;

use super::Common;
use crate::config::{self, Provider};
use crate::payments::PaymentSecret;
use crate::store::payment_secrets;
use tributary_domain::PaymentKind;

/// The variable that holds it. Without it, of a private PostgreSQL, a file beside the cluster does.
const VARIABLE: &str = "TRIBUTARY_PAYMENT_SECRET";
/// Its name in the data folder.
const FILE: &str = "payment.secret";
/// How one makes it.
pub const HOW: &str = "openssl rand -base64 32";

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Whether anything may be ordered by any of `providers`.
fn is_needed(providers: &[Provider]) -> bool {
    providers.iter().any(|provider| {
        let pays = |compiled: &std::sync::Arc<tributary_manifest::CompiledProvider>| {
            let apis = compiled.payments();
            PaymentKind::ALL.into_iter().any(|kind| apis.of(kind).is_some())
        };
        provider.payments.is_on() && provider.compiled().is_some_and(pays)
    })
}

/// The secret that `serve` makes keys with, where anything may be ordered: the first start on a private
/// PostgreSQL makes one. The error says what to do where there is none, or another one than before.
pub async fn of_server(
    common: &Common,
    pool: &PgPool,
    providers: &[Provider],
    who: &str,
) -> Result<Option<PaymentSecret>, Error> {
    if !is_needed(providers) {
        return Ok(None);
    }
    let used = payment_secrets::current(pool).await?;
    let place = Place::of(common);
    let secret = match (place.read()?, &place, &used) {
        (Some(secret), ..) => secret,
        (None, Place::File(path), None) => make(path)?,
        (None, Place::File(path), Some(_)) => {
            return Err(format!(
                "the payment secret is gone: {} is not there. Put it back from where it was kept; if it is lost, \
                 read \"The payment secret\" in docs/payouts.md, then `tributary payouts accept-secret` makes \
                 another one",
                path.display()
            )
            .into());
        }
        (None, Place::Variable, _) => {
            return Err(format!(
                "a provider file allows payouts (pay.limits), and {VARIABLE} is not set: give every instance \
                 the same secret of at least 32 bytes, and keep it as long as the database. `{HOW}` makes one"
            )
            .into());
        }
    };
    let fingerprint = secret.fingerprint();
    let used = payment_secrets::begin_with(pool, &fingerprint, who).await?;
    if used != fingerprint {
        return Err(format!(
            "{place} has another payment secret (fingerprint {fingerprint}) than the orders of this database were \
             made with ({used}): the same order would get another key at its FSP, and could be paid twice after a \
             restore. Set the earlier secret; if it is lost, or was changed on purpose, read \"The payment secret\" \
             in docs/payouts.md, then run `tributary payouts accept-secret`"
        )
        .into());
    }
    Ok(Some(secret))
}

/// Takes the secret that is there now as the one in use, whatever was before; of a private PostgreSQL
/// one is made where there is none. Gives its fingerprint, and whether that is news.
pub async fn accept(common: &Common, pool: &PgPool) -> Result<(String, bool), Error> {
    let place = Place::of(common);
    let secret = match (place.read()?, &place) {
        (Some(secret), _) => secret,
        (None, Place::File(path)) => make(path)?,
        (None, Place::Variable) => {
            return Err(format!("{VARIABLE} is not set; `{HOW}` makes a secret").into());
        }
    };
    let fingerprint = secret.fingerprint();
    let news = payment_secrets::accept(pool, &fingerprint).await?;
    Ok((fingerprint, news))
}

/// Where the secret is.
enum Place {
    Variable,
    File(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Variable => f.write_str(VARIABLE),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Place {
    fn of(common: &Common) -> Self {
        let is_set = config::environment(VARIABLE).is_some_and(|value| !value.is_empty());
        match common.database_url {
            None if !is_set => Self::File(common.data.join(FILE)),
            _ => Self::Variable,
        }
    }

    /// The secret, if there is one. The error repeats nothing of it.
    fn read(&self) -> Result<Option<PaymentSecret>, Error> {
        let text = match self {
            Self::Variable => config::environment(VARIABLE).filter(|value| !value.is_empty()),
            Self::File(path) => read_file(path)?,
        };
        let secret = text.map(|text| PaymentSecret::parse(&text)).transpose();
        secret.map_err(|why| format!("{self} holds no payment secret: {why}; `{HOW}` makes one").into())
    }
}

fn read_file(path: &Path) -> Result<Option<String>, Error> {
    let unreadable = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mode = match fs::metadata(path) {
        Ok(metadata) => metadata.permissions().mode(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error).into()),
    };
    if mode & 0o077 != 0 {
        let (path, mode) = (path.display(), mode & 0o777);
        return Err(format!("others may read {path} (mode {mode:03o}): `chmod 600 {path}`").into());
    }
    Ok(Some(fs::read_to_string(path).map_err(unreadable)?))
}

/// Makes a secret at `path`, unless somebody else was faster; gives the one that is there.
fn make(path: &Path) -> Result<PaymentSecret, Error> {
    let failed = |error: std::io::Error| format!("cannot make {}: {error}", path.display());
    let draft = path.with_extension(format!("secret-{:016x}", rand::random::<u64>()));
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
    let written = writeln!(file, "{}", PaymentSecret::generate()).and_then(|()| file.sync_all());
    // a link takes no other's place, and nobody sees half a secret
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    fs::remove_file(&draft).ok();
    linked.map_err(failed)?;
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    }
    tracing::warn!(path = %path.display(), "made a payment secret: keep a copy of it apart from the database");
    Place::File(path.to_owned()).read()?.ok_or_else(|| format!("{} is gone again", path.display()).into())
}
