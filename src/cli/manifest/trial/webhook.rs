//! `tributary manifest try webhook`.

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args;

use super::super::{Error, FAILED};
use super::{described, given};
use crate::cli::Common;
use crate::config;
use tributary_domain::ProviderName;
use tributary_manifest::{Call, Webhook};

#[derive(Args)]
#[command(after_help = "Examples:
  tributary manifest try webhook acme call.http           a call as it came: headers, an empty line, the body
  tributary manifest try webhook acme call.http --at 2026-03-01T12:00:00Z
  tributary manifest try webhook acme --body body.json    a body that is signed for you, by the secret of the file

A call may begin with its request line (`POST /webhooks/acme HTTP/1.1`). Only the variables of `webhook` have to
be set. Nothing is read and no secret is printed; the codes of `--body` are, so that they can be sent. `--body`
proves the file, and not the secret: whether that is the provider's, only a call shows that the provider sent.
Exit code: 0 it proves itself, 1 it does not, 2 it could not be tried.")]
pub struct WebhookArgs {
    /// The provider, as its file names it.
    provider: ProviderName,
    /// The call; standard input without it.
    #[arg(conflicts_with = "body")]
    file: Option<PathBuf>,
    /// The body of a call that is to be signed.
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// A header of that call, as in `--header 'webhook-id: msg_1'`.
    #[arg(long, value_name = "NAME: VALUE", requires = "body")]
    header: Vec<String>,
    /// When the call came; now, if not given.
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
}

/// A call as it came.
struct Came {
    query: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Came {
    /// Takes the text of a request: a request line, if there is one, headers, an empty line, the body.
    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let ends = [&b"\r\n\r\n"[..], b"\n\n"].map(|end| {
            let at = bytes.windows(end.len()).position(|window| window == end);
            at.map(|at| (at, at + end.len()))
        });
        let (head, body) = ends.into_iter().flatten().min().unwrap_or((bytes.len(), bytes.len()));
        let head = std::str::from_utf8(&bytes[..head]).map_err(|_| "the headers are no text")?;
        let mut came = Self { query: None, headers: Vec::new(), body: bytes[body..].to_vec() };
        for (n, line) in head.lines().enumerate() {
            match line.split_once(':') {
                _ if n == 0 && line.contains(" /") => {
                    let target = line.split(' ').nth(1).unwrap_or_default();
                    came.query = target.split_once('?').map(|(_, query)| query.to_owned());
                }
                Some((name, value)) => {
                    came.headers.push((name.trim().to_lowercase(), value.trim().to_owned()))
                }
                None => return Err(format!("line {} is no header: write `Name: value`", n + 1).into()),
            }
        }
        Ok(came)
    }

    fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    }

    fn with<T>(&self, use_it: impl FnOnce(&Call<'_>) -> T) -> T {
        let header = |name: &str| self.header(name);
        use_it(&self.call(&header))
    }

    fn call<'a>(&'a self, header: &'a (dyn Fn(&str) -> Option<String> + Sync)) -> Call<'a> {
        let hidden = ["authorization", "cookie", "proxy-authorization"];
        let shown = self.headers.iter().filter(|(name, _)| !hidden.contains(&name.as_str()));
        Call { body: &self.body, header, query: self.query.as_deref(), headers: shown.cloned().collect() }
    }
}

pub async fn run(common: &Common, args: &WebhookArgs) -> Result<ExitCode, Error> {
    let api = described(common, &args.provider)?;
    let lookup = api.variables(&config::environment)?;
    let webhook = api.manifest.webhook_alone(lookup)?;
    let webhook = webhook.ok_or_else(|| format!("the file of {} has no `webhook`", args.provider))?;
    let at = args.at.unwrap_or_else(Utc::now);
    let came = match &args.body {
        Some(body) => signed(&webhook, given(Some(body))?, &args.header, at)?,
        None => Came::parse(&given(args.file.as_deref())?)?,
    };
    if let Err(why) = came.with(|call| webhook.prove(call, at)) {
        println!("401: {why}");
        if came.with_body_cut().is_some_and(|cut| cut.with(|call| webhook.prove(call, at)).is_ok()) {
            println!(
                "  without the line break at the end of the body it proves itself: the file has one too many"
            );
        }
        return Ok(ExitCode::from(FAILED));
    }
    let header = |name: &str| came.header(name);
    let call = came.call(&header);
    if let Some(challenge) = webhook.echo_of(&call).await {
        println!("200, with the challenge as its text: {challenge}\nreads nothing");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}, without a body", webhook.answer());
    let triggered = webhook.triggered(&call).await;
    if triggered.is_empty() {
        println!("reads nothing: no `where` of `reads` holds");
    }
    for read in triggered {
        let of = read.partition.map(|partition| format!(", partition {partition}")).unwrap_or_default();
        println!("reads {}{of}", read.stream);
    }
    if args.body.is_some() {
        println!(
            "This shows that the file fits the body, and nothing of the secret, by which it was signed here: a call \
             that the provider sent proves that, in the place of --body"
        );
    }
    Ok(ExitCode::SUCCESS)
}

impl Came {
    /// The call without a line break that an editor put at its end.
    fn with_body_cut(&self) -> Option<Self> {
        let body = self.body.strip_suffix(b"\n")?;
        let body = body.strip_suffix(b"\r").unwrap_or(body).to_vec();
        Some(Self { query: self.query.clone(), headers: self.headers.clone(), body })
    }
}

/// A call of `body` that proves itself, with what proves it printed.
fn signed(webhook: &Webhook, body: Vec<u8>, headers: &[String], at: DateTime<Utc>) -> Result<Came, Error> {
    let mut came = Came { query: None, headers: Vec::new(), body };
    for header in headers {
        let (name, value) =
            header.split_once(':').ok_or_else(|| format!("{header:?} is no header: write 'Name: value'"))?;
        came.headers.push((name.trim().to_lowercase(), value.trim().to_owned()));
    }
    let made = came.with(|call| webhook.sign(call, at))?;
    for (name, value) in made {
        // a code can be shown, a secret cannot
        if webhook.signs() {
            println!("{name}: {value}");
        }
        came.headers.push((name.to_lowercase(), value));
    }
    Ok(came)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_read_as_it_came_with_or_without_its_request_line() {
        for (text, query, body) in [
            (
                "POST /webhooks/acme?a=1 HTTP/1.1\r\nX-Sig: a: b\r\n\r\n{\"a\":\n\n1}",
                Some("a=1"),
                "{\"a\":\n\n1}",
            ),
            ("X-Sig: a: b\n\nbody\n", None, "body\n"),
            ("X-Sig: a: b", None, ""),
        ] {
            let came = Came::parse(text.as_bytes()).unwrap();
            assert_eq!((came.query.as_deref(), came.header("x-sig").as_deref()), (query, Some("a: b")));
            assert_eq!(came.body, body.as_bytes());
        }
        assert!(Came::parse(b"nonsense\n\n").is_err());
    }
}
