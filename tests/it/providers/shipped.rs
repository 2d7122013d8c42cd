//! The providers that ship, and what a test has to know of each.

use std::sync::{Arc, LazyLock};

use regex::Regex;
use sqlx::PgPool;
use tributary::config::{Provider, Source};
use tributary::sync::DatabaseShared;
use tributary_domain::{Status, TransactionType};
use tributary_manifest::CompiledProvider;
use tributary_standin::airwallex::Airwallex;
use tributary_standin::kit::{Expected, Fsp, Limit, OAuth, StandinConfig};
use tributary_standin::paypal::PayPal;
use tributary_standin::stripe::Stripe;
use tributary_standin::{gocardless::GoCardless, mercury::Mercury, mollie::Mollie, obie::Obie};
use tributary_standin::{paystack::Paystack, revolut::Revolut, square::Square, starling::Starling};
use tributary_standin::{wise::Wise, xendit::Xendit};

pub const TOKEN: &str = "the-token-of-the-test";

/// A key for signing only: what signs with it is a test.
const PRIVATE_KEY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/crates/tributary-manifest/src/auth/testdata/assertion-rsa.pem");

/// Rows of a page in tests: few, so that ledgers have many pages.
const PAGE_ROWS: usize = 25;

/// A provider that ships.
#[derive(Clone, Copy)]
pub struct Shipped {
    pub manifest: &'static str,
    pub fsp: &'static dyn Fsp,
    /// The variable of its manifest that tells where the API is.
    pub url: &'static str,
    /// The others, and what they are in tests.
    pub variables: &'static [(&'static str, &'static str)],
    /// Whether clients fetch their tokens.
    pub has_oauth: bool,
    /// Whether the API shows what accounts hold, and beneficiaries.
    pub has_balances: bool,
    pub has_beneficiaries: bool,
    /// What the manifest makes of a status of the ledger.
    pub shown: fn(Status) -> Status,
    /// What the manifest makes of an id of the ledger; `None` where ids do not last, and a payment
    /// is known by nothing but what it is.
    pub id: Option<fn(&str, &Expected) -> String>,
    /// The faults that cannot happen to this API, by their names in `Fired`, each for a reason.
    pub spared: &'static [&'static str],
    /// What clients may send, in the place of what the manifest says.
    pub limit: Limit,
}

/// Any pace that a machine keeps up: what is declared is shortened for tests.
const USUAL_LIMIT: Limit = Limit { requests: 100, seconds: 5 };

pub const AIRWALLEX: Shipped = Shipped {
    manifest: include_str!("../../../providers/airwallex.yaml"),
    fsp: &Airwallex,
    url: "AIRWALLEX_URL",
    variables: &[
        ("AIRWALLEX_CLIENT_ID", "client-of-the-test"),
        ("AIRWALLEX_API_KEY", "key-of-the-test"),
        ("AIRWALLEX_WEBHOOK_SECRET", "secret-of-the-test"),
    ],
    has_oauth: true,
    has_balances: true,
    has_beneficiaries: true,
    shown: |status| status,
    id: Some(|id, _| id.to_owned()),
    // no answer names the next page, and one past the last is never asked for
    spared: &["errors_in_200", "short_pages", "last_pages_again"],
    limit: USUAL_LIMIT,
};

pub const MERCURY: Shipped = Shipped {
    manifest: include_str!("../../../providers/mercury.yaml"),
    fsp: &Mercury,
    url: "MERCURY_URL",
    variables: &[("MERCURY_TOKEN", TOKEN)],
    has_oauth: false,
    has_balances: true,
    has_beneficiaries: true,
    shown: |status| status,
    id: Some(|id, _| id.to_owned()),
    spared: &["errors_in_200"],
    limit: USUAL_LIMIT,
};

pub const MOLLIE: Shipped = Shipped {
    manifest: include_str!("../../../providers/mollie.yaml"),
    fsp: &Mollie,
    url: "MOLLIE_URL",
    variables: &[("MOLLIE_KEY", TOKEN)],
    has_oauth: false,
    has_balances: true,
    has_beneficiaries: false,
    shown: without_authorisation,
    id: Some(|id, _| id.to_owned()),
    spared: &["errors_in_200"],
    limit: USUAL_LIMIT,
};

pub const SQUARE: Shipped = Shipped {
    manifest: include_str!("../../../providers/square.yaml"),
    fsp: &Square,
    url: "SQUARE_URL",
    variables: &[("SQUARE_TOKEN", TOKEN)],
    has_oauth: false,
    has_balances: false,
    has_beneficiaries: true,
    shown: without_authorisation,
    id: Some(|id, _| id.to_owned()),
    spared: &[],
    limit: USUAL_LIMIT,
};

pub const PAYSTACK: Shipped = Shipped {
    manifest: include_str!("../../../providers/paystack.yaml"),
    fsp: &Paystack,
    url: "PAYSTACK_URL",
    variables: &[("PAYSTACK_SECRET_KEY", TOKEN)],
    has_oauth: false,
    has_balances: true,
    has_beneficiaries: true,
    shown: |status| status,
    // a transfer may have the number of a transaction
    id: Some(|id, expected| match expected.kind {
        TransactionType::Payout => format!("transfer_{id}"),
        _ => id.to_owned(),
    }),
    spared: &["errors_in_200"],
    limit: USUAL_LIMIT,
};

pub const REVOLUT: Shipped = Shipped {
    manifest: include_str!("../../../providers/revolut.yaml"),
    fsp: &Revolut,
    url: "REVOLUT_URL",
    variables: &[
        ("REVOLUT_CLIENT_ID", "client-of-the-test"),
        ("REVOLUT_REFRESH_TOKEN", "refresh-token-of-the-test"),
        ("REVOLUT_PRIVATE_KEY", PRIVATE_KEY),
        ("REVOLUT_ISSUER", "example.com"),
    ],
    has_oauth: true,
    has_balances: true,
    has_beneficiaries: true,
    shown: |status| status,
    id: Some(|id, _| id.to_owned()),
    // the answers name no next page, and a page past the last is never asked for
    spared: &["errors_in_200", "short_pages", "last_pages_again"],
    limit: Limit { requests: 60, seconds: 5 },
};

pub const OBIE: Shipped = Shipped {
    manifest: include_str!("../../../providers/obie.yaml"),
    fsp: &Obie,
    url: "OBIE_URL",
    variables: &[
        ("OBIE_TOKEN_URL", "/as/token"),
        ("OBIE_CLIENT_ID", "client-of-the-test"),
        ("OBIE_REFRESH_TOKEN", "refresh-token-of-the-test"),
    ],
    has_oauth: true,
    has_balances: true,
    has_beneficiaries: true,
    shown: |status| status,
    id: None,
    spared: &["errors_in_200"],
    limit: USUAL_LIMIT,
};

pub const GOCARDLESS: Shipped = Shipped {
    manifest: include_str!("../../../providers/gocardless.yaml"),
    fsp: &GoCardless,
    url: "GOCARDLESS_URL",
    variables: &[("GOCARDLESS_TOKEN", TOKEN)],
    has_oauth: false,
    has_balances: true,
    has_beneficiaries: true,
    shown: |status| status,
    id: Some(|id, _| id.to_owned()),
    spared: &["errors_in_200"],
    limit: USUAL_LIMIT,
};

/// All of them.
pub const ALL: &[Shipped] = &[
    AIRWALLEX, GOCARDLESS, MERCURY, MOLLIE, SQUARE, PAYPAL, PAYSTACK, REVOLUT, OBIE, STARLING, STRIPE, WISE,
    XENDIT,
];

pub const STARLING: Shipped = Shipped {
    manifest: include_str!("../../../providers/starling.yaml"),
    fsp: &Starling,
    url: "STARLING_URL",
    variables: &[("STARLING_TOKEN", TOKEN)],
    has_oauth: false,
    has_balances: true,
    has_beneficiaries: true,
    shown: |status| status,
    id: Some(|id, _| id.to_owned()),
    // there are no pages
    spared: &["errors_in_200", "short_pages", "last_pages_again"],
    limit: USUAL_LIMIT,
};

pub const PAYPAL: Shipped = Shipped {
    manifest: include_str!("../../../providers/paypal.yaml"),
    fsp: &PayPal,
    url: "PAYPAL_URL",
    variables: &[("PAYPAL_CLIENT_ID", "client-of-the-test"), ("PAYPAL_CLIENT_SECRET", "secret-of-the-test")],
    has_oauth: true,
    has_balances: true,
    has_beneficiaries: false,
    shown: |status| status,
    id: Some(|id, _| id.to_owned()),
    // no answer names the next page, and one past the last is never asked for
    spared: &["errors_in_200", "short_pages", "last_pages_again"],
    limit: USUAL_LIMIT,
};

pub const STRIPE: Shipped = Shipped {
    manifest: include_str!("../../../providers/stripe.yaml"),
    fsp: &Stripe,
    url: "STRIPE_URL",
    variables: &[("STRIPE_KEY", TOKEN), ("STRIPE_WEBHOOK_SECRET", "secret-of-the-test")],
    has_oauth: false,
    has_balances: true,
    has_beneficiaries: true,
    shown: |status| status,
    id: Some(|id, _| id.to_owned()),
    spared: &["errors_in_200"],
    limit: USUAL_LIMIT,
};

pub const WISE: Shipped = Shipped {
    manifest: include_str!("../../../providers/wise.yaml"),
    fsp: &Wise,
    url: "WISE_URL",
    variables: &[("WISE_TOKEN", TOKEN)],
    has_oauth: false,
    has_balances: true,
    has_beneficiaries: true,
    shown: |status| status,
    id: Some(|id, _| id.to_owned()),
    // transfers are counted, and all recipients fit on one page
    spared: &["errors_in_200", "short_pages"],
    limit: USUAL_LIMIT,
};

pub const XENDIT: Shipped = Shipped {
    manifest: include_str!("../../../providers/xendit.yaml"),
    fsp: &Xendit,
    url: "XENDIT_URL",
    variables: &[
        ("XENDIT_SECRET_KEY", TOKEN),
        ("XENDIT_CURRENCIES", "PHP,VND"),
        ("XENDIT_CALLBACK_TOKEN", "callback-token-of-the-test"),
    ],
    has_oauth: false,
    has_balances: true,
    has_beneficiaries: false,
    shown: |status| status,
    id: Some(|id, _| id.to_owned()),
    spared: &["errors_in_200"],
    limit: USUAL_LIMIT,
};

/// The certificate and the key of a client, in this order: the stand-ins ask for none.
static CLIENT: LazyLock<[String; 2]> = LazyLock::new(|| {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["tributary".to_owned()]).unwrap();
    [certificate.self_signed(&key).unwrap().pem(), key.serialize_pem()]
});

/// A payment that may have been pending before is never shown as authorised: Formance would count
/// its capture twice.
fn without_authorisation(status: Status) -> Status {
    match status {
        Status::Authorisation => Status::Pending,
        Status::Capture => Status::Succeeded,
        other => other,
    }
}

impl Shipped {
    /// The stand-in of the provider.
    pub fn config(&self, seed: u64) -> StandinConfig {
        let mut config = StandinConfig::new(seed, TOKEN);
        // one account of each currency, at least
        config.accounts = config.accounts.max(self.fsp.profile().currencies.len());
        config.items = 400;
        config.history_days = 20;
        config.ties = 3;
        config.limit = Some(self.limit);
        let variable = |name: &str| {
            let given = self.variables.iter().find(|(given, _)| given.ends_with(name));
            given.map(|(_, value)| (*value).to_owned())
        };
        config.oauth = self.has_oauth.then(|| OAuth {
            client_id: variable("_CLIENT_ID").unwrap_or_default(),
            client_secret: variable("_API_KEY").or_else(|| variable("_CLIENT_SECRET")).unwrap_or_default(),
            refresh_token: variable("_REFRESH_TOKEN").unwrap_or_default(),
            lifetime_seconds: 2_400,
            // a new token that is lost on its way, with an answer that breaks off, is lost for good
            rotates: false,
        });
        config
    }

    /// An instance that pulls the API at `url`, and keeps what it shares in `pool`.
    pub fn connect(&self, url: &str, pool: &PgPool) -> CompiledProvider {
        let Limit { requests, seconds } = self.limit;
        let limits = format!("{{ pace: 1000/s, budgets: [{requests}/{seconds}s] }}");
        self.connect_with(url, pool, &limits, PAGE_ROWS, 3)
    }

    /// An instance that asks as often as these `limits` of a file let it, for so many rows a page, and sends
    /// a request so many times at most.
    pub fn connect_with(
        &self,
        url: &str,
        pool: &PgPool,
        limits: &str,
        rows: usize,
        attempts: u32,
    ) -> CompiledProvider {
        let provider = Provider::parse(&self.hurried(limits, rows), &|name| self.lookup(name, url)).unwrap();
        let Source::Pull(mut manifest) = provider.source else { panic!("the manifest is pulled") };
        manifest.retry.attempts = attempts;
        let shared = DatabaseShared::new(pool.clone(), provider.name.clone());
        CompiledProvider::with_shared(&provider.name, &manifest, Arc::new(shared)).unwrap()
    }

    /// The variables of the manifest, for the API at `url`.
    pub fn lookup(&self, name: &str, url: &str) -> Option<String> {
        let others = self.variables.iter().copied();
        let others = others.chain([
            (self.url, url),
            ("OBIE_CERTIFICATE", CLIENT[0].as_str()),
            ("OBIE_PRIVATE_KEY", CLIENT[1].as_str()),
        ]);
        others.into_iter().find(|(given, _)| *given == name).map(|(_, value)| value.to_owned())
    }

    /// The manifest for a test: small pages, what is open is asked for in every run, and other limits
    /// on requests.
    fn hurried(&self, limits: &str, rows: usize) -> String {
        let limit = format!("\nlimits: {limits}\n");
        let replace = |text: &str, pattern: &str, with: &str| {
            Regex::new(pattern).unwrap().replace_all(text, with).into_owned()
        };
        let text = replace(self.manifest, "\nlimits: .*\n", &limit);
        assert!(text.contains(&limit), "the limit is not in the manifest");
        let text = replace(&text, r"size: \{ (\w+): [0-9]+ \}", &format!("size: {{ $1: {rows} }}"));
        // of `refresh`, and not of the file
        replace(&text, r"every: \w+(,?\s+give_up)", "every: 0s$1")
    }
}
