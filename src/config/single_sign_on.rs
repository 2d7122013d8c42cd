//! How persons sign in at the console through an OpenID provider: `TRIBUTARY_OIDC_…` and `TRIBUTARY_CONSOLE_URL`.

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use serde_json::Value;
use url::{Host, Url};

use super::Lookup;
use tributary_domain::Role;

const ISSUER: &str = "TRIBUTARY_OIDC_ISSUER";
const CLIENT_ID: &str = "TRIBUTARY_OIDC_CLIENT_ID";
const CLIENT_SECRET: &str = "TRIBUTARY_OIDC_CLIENT_SECRET";
const CLIENT_SECRET_FILE: &str = "TRIBUTARY_OIDC_CLIENT_SECRET_FILE";
const SCOPES: &str = "TRIBUTARY_OIDC_SCOPES";
const CLAIM: &str = "TRIBUTARY_OIDC_CLAIM";
const ROLES: &str = "TRIBUTARY_OIDC_ROLES";
const NAME: &str = "TRIBUTARY_OIDC_NAME";
const CONSOLE: &str = "TRIBUTARY_CONSOLE_URL";
/// What it takes.
const NEEDED: [&str; 4] = [ISSUER, CLIENT_ID, CONSOLE, ROLES];
/// What may be said besides.
const OPTIONAL: [&str; 5] = [CLIENT_SECRET, CLIENT_SECRET_FILE, SCOPES, CLAIM, NAME];
/// Where the provider sends people back to, at the console's address.
pub const CALLBACK: &str = "/console/sso/callback";

/// An OpenID provider, what this service is to it, and what its groups may.
#[derive(Clone)]
pub struct SingleSignOn {
    /// As the provider writes it, to the letter.
    pub issuer: String,
    pub client_id: String,
    /// None of a public client.
    pub client_secret: Option<SecretString>,
    /// Origin of the console, as browsers reach it.
    pub console: Url,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// What people call the provider.
    pub name: String,
    pub groups: Groups,
}

/// Which group of a person gives which role.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    /// The claim that has them: its name, or a path with dots.
    pub claim: String,
    /// In this order: the first that the person has decides.
    pub roles: Vec<(String, Role)>,
}

impl SingleSignOn {
    /// What the environment says; `None` where it says nothing.
    ///
    /// # Errors
    /// What is wrong and what to do, without the secret.
    pub fn of(lookup: Lookup) -> Result<Option<Self>, String> {
        let set =
            |name: &str| lookup(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        // that the console has an address says nothing yet
        let mut telling = [ISSUER, CLIENT_ID, ROLES].into_iter().chain(OPTIONAL);
        let Some(one) = telling.find(|name| set(name).is_some()) else { return Ok(None) };
        let missing: Vec<&str> = NEEDED.into_iter().filter(|name| set(name).is_none()).collect();
        if !missing.is_empty() {
            let missing = missing.join(" and ");
            return Err(format!(
                "{one} is set, and {missing} is not: single sign-on takes {}",
                NEEDED.join(", ")
            ));
        }
        let needed = |name: &str| set(name).unwrap_or_default();
        let issuer = needed(ISSUER);
        let host = issuer_host(&issuer)?;
        Ok(Some(Self {
            client_id: needed(CLIENT_ID),
            client_secret: secret(set(CLIENT_SECRET), set(CLIENT_SECRET_FILE))?,
            console: console(&needed(CONSOLE))?,
            scopes: scopes(&set(SCOPES).unwrap_or_else(|| "profile email".to_owned())),
            name: set(NAME).unwrap_or(host),
            groups: Groups {
                claim: set(CLAIM).unwrap_or_else(|| "groups".to_owned()),
                roles: roles(&needed(ROLES))?,
            },
            issuer,
        }))
    }

    /// Where the provider sends people back to.
    pub fn callback(&self) -> String {
        format!("{}{CALLBACK}", self.console.as_str().trim_end_matches('/'))
    }
}

impl Groups {
    /// The groups that the claims of a person name; `None` where they have no such claim.
    pub fn named(&self, claims: &Value) -> Option<Vec<String>> {
        // an address anybody can claim to have is nobody's group
        if self.claim == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
            return None;
        }
        // some have dots in their names
        let whole = claims.get(&self.claim);
        let found =
            whole.or_else(|| self.claim.split('.').try_fold(claims, |value, name| value.get(name)))?;
        match found {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(all) => Some(all.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            _ => None,
        }
    }

    /// The role that these groups give.
    pub fn role(&self, groups: &[String]) -> Option<Role> {
        self.roles.iter().find(|(group, _)| groups.contains(group)).map(|(_, role)| *role)
    }
}

/// Whether an address is this machine's own.
pub fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether what goes there is read by nobody on the way.
pub fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || url.scheme() == "http" && is_here(url)
}

fn plain(name: &str, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{name} is no address: {error}"))?;
    let nothing_else = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_private(&url) {
        return Err(format!("{name} has to begin with https:// (http:// is for this machine alone)"));
    }
    if nothing_else { Ok(url) } else { Err(format!("{name} is an address without user, query and fragment")) }
}

/// The host of the issuer, for people.
fn issuer_host(text: &str) -> Result<String, String> {
    Ok(plain(ISSUER, text)?.host_str().unwrap_or(text).to_owned())
}

fn console(text: &str) -> Result<Url, String> {
    let url = plain(CONSOLE, text)?;
    if url.path() == "/" {
        return Ok(url);
    }
    Err(format!(
        "{CONSOLE} is an address without a path, as https://tributary.internal: the console is at /console of it"
    ))
}

fn secret(text: Option<String>, file: Option<String>) -> Result<Option<SecretString>, String> {
    let text = match (text, file) {
        (Some(_), Some(_)) => {
            return Err(format!("{CLIENT_SECRET} and {CLIENT_SECRET_FILE} are set: set one of them"));
        }
        (text, None) => text,
        (None, Some(path)) => {
            let read = std::fs::read_to_string(&path)
                .map_err(|error| format!("{CLIENT_SECRET_FILE}: cannot read {path}: {error}"))?;
            let read = read.trim().to_owned();
            if read.is_empty() {
                return Err(format!(
                    "{CLIENT_SECRET_FILE}: {path} is empty: write the client's secret into it"
                ));
            }
            Some(read)
        }
    };
    Ok(text.map(SecretString::from))
}

fn scopes(text: &str) -> Vec<String> {
    let asked = text.split([',', ' ']).filter(|scope| !scope.is_empty() && *scope != "openid");
    asked.map(str::to_owned).collect()
}

fn roles(text: &str) -> Result<Vec<(String, Role)>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let (group, role) = pair.rsplit_once('=').ok_or_else(|| {
            format!("{ROLES}: {pair:?} is no group=role; %2C in a group is a comma, %25 a per cent sign")
        })?;
        let group = percent_decode_str(group.trim())
            .decode_utf8()
            .map_err(|_| format!("{ROLES}: {group:?} is no text when it is decoded"))?;
        let role = role.trim().parse().map_err(|why| format!("{ROLES}: {why}"))?;
        if group.is_empty() {
            return Err(format!("{ROLES}: {pair:?} names no group"));
        }
        Ok((group.into_owned(), role))
    });
    let pairs: Vec<(String, Role)> = pairs.collect::<Result<_, String>>()?;
    let twice =
        pairs.iter().enumerate().find(|(at, (group, _))| pairs[..*at].iter().any(|(g, _)| g == group));
    match twice {
        Some((_, (group, _))) => Err(format!("{ROLES}: {group:?} is there twice: one group gives one role")),
        None if pairs.is_empty() => Err(format!("{ROLES} names no group: write group=role,…")),
        None => Ok(pairs),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WHOLE: [(&str, &str); 5] = [
        (ISSUER, "https://login.example/realms/staff"),
        (CLIENT_ID, "tributary"),
        (CLIENT_SECRET, "hunter2"),
        (CONSOLE, "https://tributary.internal"),
        (ROLES, "payments=approver, cn=ops%2Cou=it=operator,everybody=viewer"),
    ];

    /// Of [`WHOLE`], with other values; an empty one is as good as none.
    fn with(changes: &[(&str, &str)]) -> Result<Option<SingleSignOn>, String> {
        SingleSignOn::of(&|name| {
            let of = |list: &[(&str, &str)]| {
                list.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            of(changes).or_else(|| of(&WHOLE))
        })
    }

    #[test]
    fn what_is_not_said_is_what_most_providers_do() {
        let read = with(&[]).unwrap().unwrap();
        assert_eq!(read.callback(), "https://tributary.internal/console/sso/callback");
        assert_eq!((read.name.as_str(), read.groups.claim.as_str()), ("login.example", "groups"));
        assert_eq!(read.scopes, ["profile", "email"]);
        let own = [
            (SCOPES, "openid, groups"),
            (NAME, "Staff login"),
            (CLAIM, "realm_access.roles"),
            (CLIENT_SECRET, ""),
        ];
        let read = with(&own).unwrap().unwrap();
        assert_eq!((read.scopes, read.name.as_str()), (vec!["groups".to_owned()], "Staff login"));
        assert!(read.client_secret.is_none());
        assert!(SingleSignOn::of(&|_| None).unwrap().is_none());
        let address =
            SingleSignOn::of(&|name| (name == CONSOLE).then(|| "https://tributary.internal".to_owned()));
        assert!(address.unwrap().is_none(), "the console may have an address without it");
    }

    #[test]
    fn half_of_it_and_mistakes_are_refused_with_what_to_do_and_no_secret() {
        for needed in NEEDED {
            let why = with(&[(needed, "")]).err().unwrap();
            assert!(why.contains(&format!("{needed} is not")), "{why}");
        }
        for (name, value) in [
            (ISSUER, "http://login.example"),
            (ISSUER, "login.example"),
            (ISSUER, "https://me:hunter2@login.example"),
            (CONSOLE, "http://tributary.internal"),
            (CONSOLE, "https://tributary.internal/console"),
            (ROLES, "payments"),
            (ROLES, "payments=boss"),
            (ROLES, "=viewer"),
            (ROLES, ","),
            (ROLES, "a=viewer,a=admin"),
            (CLIENT_SECRET_FILE, "/nowhere"),
        ] {
            let why = with(&[(name, value)]).err().unwrap_or_else(|| panic!("{name}={value}"));
            assert!(why.starts_with("TRIBUTARY_") && !why.contains("hunter2"), "{why}");
        }
        let file = [(CLIENT_SECRET, ""), (CLIENT_SECRET_FILE, "/nowhere")];
        assert!(with(&file).err().unwrap().contains("cannot read /nowhere"));
        let file = [(CLIENT_SECRET, ""), (CLIENT_SECRET_FILE, "/dev/null")];
        assert!(with(&file).err().unwrap().contains("/dev/null is empty"));
    }

    #[test]
    fn the_first_of_the_groups_that_a_person_has_decides() {
        let mut groups = with(&[]).unwrap().unwrap().groups;
        let role = |groups: &Groups, claims: Value| groups.role(&groups.named(&claims).unwrap_or_default());
        for (of, expected) in [
            (json!(["everybody", "payments"]), Some(Role::Approver)),
            (json!(["everybody", "cn=ops,ou=it"]), Some(Role::Operator)),
            (json!("everybody"), Some(Role::Viewer)),
            (json!(["payment", "Payments", 1]), None),
            (json!({"payments": true}), None),
        ] {
            assert_eq!(role(&groups, json!({"groups": of})), expected, "{of}");
        }
        assert_eq!(role(&groups, json!({})), None);
        groups.claim = "realm_access.roles".to_owned();
        assert_eq!(role(&groups, json!({"realm_access": {"roles": ["payments"]}})), Some(Role::Approver));
        assert_eq!(role(&groups, json!({"realm_access.roles": ["everybody"]})), Some(Role::Viewer));
        groups.claim = "email".to_owned();
        groups.roles = vec![("ann@example.com".to_owned(), Role::Admin)];
        assert_eq!(role(&groups, json!({"email": "ann@example.com"})), None, "nobody has checked it");
        let checked = json!({"email": "ann@example.com", "email_verified": true});
        assert_eq!(role(&groups, checked), Some(Role::Admin));
    }
}
