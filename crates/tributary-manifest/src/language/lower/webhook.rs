//! What a file says of the provider's calls, as the engine takes it.

use super::Section;
use crate::language::form::webhook::{Challenge, Code, PublicSignature, Reads, Standard, Webhook};
use crate::manifest::{
    ChallengeManifest, CodeEncoding, CodePart, KeysManifest, SignatureManifest, TimestampManifest,
    TriggerManifest, WebhookCheck, WebhookManifest,
};

/// The status of the answer to a call, if the file does not say another.
const ACCEPTED: u16 = 202;

/// What the provider calls.
pub fn webhook(section: &mut Section<'_>, webhook: &Webhook) -> Option<WebhookManifest> {
    let given = [
        webhook.standard.as_ref().map(standard),
        webhook.hmac.as_ref().map(hmac),
        webhook.signature.as_ref().map(signature),
        webhook
            .header
            .as_ref()
            .map(|header| WebhookCheck::Header { name: header.name.clone(), value: header.value.clone() }),
        webhook.basic.as_ref().map(|basic| WebhookCheck::Basic {
            username: basic.user.clone(),
            password: basic.password.clone(),
        }),
    ];
    let mut given = given.into_iter().flatten();
    let (Some(check), None) = (given.next(), given.next()) else {
        let why = "give one of `standard`, `hmac`, `signature`, `header` and `basic`, by which a call proves itself";
        section.wrong("webhook", why);
        return None;
    };
    Some(WebhookManifest {
        check,
        url: webhook.url.clone(),
        challenge: webhook.challenge.as_ref().and_then(|given| challenge(section, given)),
        answer: webhook.answer.unwrap_or(ACCEPTED),
        triggers: triggers(section, &webhook.reads),
    })
}

fn standard(standard: &Standard) -> WebhookCheck {
    let prefix = standard.prefix.as_deref().unwrap_or("webhook");
    WebhookCheck::Signature(SignatureManifest {
        written: "standard",
        keys: KeysManifest::Standard {
            secrets: standard.secret.all().to_vec(),
            as_text: standard.secret_encoding.is_some(),
        },
        header: format!("{prefix}-signature"),
        part: CodePart::Versioned,
        encoding: CodeEncoding::Base64,
        signed: format!("{{header.{prefix}-id}}.{{timestamp}}.{{body}}"),
        timestamp: Some(TimestampManifest {
            header: format!("{prefix}-timestamp"),
            field: None,
            tolerance: standard.tolerance,
        }),
    })
}

fn hmac(code: &Code) -> WebhookCheck {
    WebhookCheck::Signature(SignatureManifest {
        written: "hmac",
        keys: KeysManifest::Hmac {
            algorithm: code.algorithm,
            secrets: code.secret.all().to_vec(),
            encoding: code.secret_encoding,
        },
        header: code.header.clone(),
        part: code.field.clone().map_or(CodePart::Whole, CodePart::Field),
        encoding: code.encoding,
        signed: code.signed.clone(),
        timestamp: code.timestamp.clone(),
    })
}

fn signature(signature: &PublicSignature) -> WebhookCheck {
    WebhookCheck::Signature(SignatureManifest {
        written: "signature",
        keys: KeysManifest::Public { algorithm: signature.algorithm, keys: signature.key.all().to_vec() },
        header: signature.header.clone(),
        part: signature.field.clone().map_or(CodePart::Whole, CodePart::Field),
        encoding: signature.encoding,
        signed: signature.signed.clone(),
        timestamp: signature.timestamp.clone(),
    })
}

fn challenge(section: &mut Section<'_>, challenge: &Challenge) -> Option<ChallengeManifest> {
    match (&challenge.query, &challenge.body) {
        (Some(name), None) => Some(ChallengeManifest::Query(name.clone())),
        (None, Some(code)) => {
            section.jq("webhook.challenge.body", code, &[]);
            Some(ChallengeManifest::Body(code.clone()))
        }
        _ => {
            section.wrong("webhook.challenge", "give one of `query` and `body`: where the challenge is");
            None
        }
    }
}

fn triggers(section: &mut Section<'_>, reads: &Reads) -> Vec<TriggerManifest> {
    let reads = match reads {
        Reads::All(stream) => {
            return vec![TriggerManifest { when: None, stream: stream.clone(), partition: None }];
        }
        Reads::Some(reads) => reads,
    };
    let mut triggers = Vec::new();
    for (n, read) in reads.iter().enumerate() {
        for (name, code) in [("where", &read.holds), ("partition", &read.partition)] {
            if let Some(code) = code {
                section.jq(&format!("webhook.reads[{n}].{name}"), code, &[]);
            }
        }
        triggers.push(TriggerManifest {
            when: read.holds.clone(),
            stream: read.stream.clone(),
            partition: read.partition.clone(),
        });
    }
    triggers
}

/// Refuses what is to be read and is none of the file's streams, whose `names` are given.
pub fn streams_named(section: &mut Section<'_>, webhook: &Webhook, names: &[String]) {
    let named: Vec<(String, &str)> = match &webhook.reads {
        Reads::All(stream) => vec![("webhook.reads".to_owned(), stream.as_str())],
        Reads::Some(reads) => {
            let place = |n: usize| format!("webhook.reads[{n}].stream");
            reads.iter().enumerate().map(|(n, read)| (place(n), read.stream.as_str())).collect()
        }
    };
    for (place, stream) in named {
        if !names.iter().any(|name| name == stream) {
            let near = crate::language::check::nearest(stream, names.iter().map(String::as_str));
            let told = match near {
                Some(near) => format!(": `{near}` is meant?"),
                None => format!("; there are {}", names.join(", ")),
            };
            section.wrong(&place, format!("there is no stream {stream:?}{told}"));
        }
    }
}
