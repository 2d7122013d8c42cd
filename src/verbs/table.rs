//! Every command that there is, and which of the three ways it has: typed, asked for by the admin API, at a page of the
//! console. A test compares it with the commands, the description of the API and the pages.

use tributary_domain::Role;

/// A command.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// As it is typed, without its arguments; with an option that makes another thing of it.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub does: &'static str,
    pub access: Access,
}

/// Which ways it has besides being typed.
#[derive(Debug, Clone, Copy)]
pub enum Access {
    /// It shows something, to every role: by the API, and at this screen of the console.
    Reads { screen: &'static str },
    /// It changes something: by the API, and by a form that this screen leads to.
    Changes {
        roles: &'static [Role],
        screen: &'static str,
        form: &'static [Field],
        /// Whether it cannot be undone, which the form says.
        for_good: bool,
        /// What the page after the form says.
        done: &'static str,
    },
    /// It shows what would come of something that is not done, to these roles: by the API, which is told what by a body,
    /// and at this screen of the console.
    Tries { roles: &'static [Role], screen: &'static str },
    /// It is only typed, for this reason.
    Command(&'static str),
}

/// What a form asks for.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// As the API calls it.
    pub name: &'static str,
    /// As a person does.
    pub label: &'static str,
    pub kind: Kind,
    pub required: bool,
}

/// How it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// One of these.
    Choice(&'static [&'static str]),
    Check,
}

impl Entry {
    /// Which roles may.
    pub fn roles(&self) -> &'static [Role] {
        match self.access {
            Access::Reads { .. } => &Role::ALL,
            Access::Changes { roles, .. } | Access::Tries { roles, .. } => roles,
            Access::Command(_) => &[],
        }
    }

    /// Where the admin API has it.
    pub fn api_path(&self) -> String {
        format!("/admin/v1/{}", self.name.replace(" --", "/").replace(' ', "/"))
    }

    /// Where the console has its form.
    pub fn form_path(&self) -> String {
        format!("/console/do/{}", self.name.replace(' ', "/"))
    }
}

/// The command of this name, which has to be in the table.
pub fn entry(name: &str) -> &'static Entry {
    VERBS.iter().find(|entry| entry.name == name).unwrap_or_else(|| panic!("{name} is in the table of verbs"))
}

/// Whoever operates.
pub const OPERATE: &[Role] = &[Role::Operator, Role::Approver, Role::Admin];
/// Persons who decide about money. Whoever administers keys is none of them.
const DECIDE: &[Role] = &[Role::Approver];
const ADMINISTER: &[Role] = &[Role::Admin];

const fn text(name: &'static str, label: &'static str) -> Field {
    Field { name, label, kind: Kind::Text, required: true }
}

const fn optional(name: &'static str, label: &'static str) -> Field {
    Field { name, label, kind: Kind::Text, required: false }
}

const fn choice(name: &'static str, label: &'static str, of: &'static [&'static str]) -> Field {
    Field { name, label, kind: Kind::Choice(of), required: true }
}

const fn check(name: &'static str, label: &'static str) -> Field {
    Field { name, label, kind: Kind::Check, required: false }
}

const fn reads(name: &'static str, does: &'static str, screen: &'static str) -> Entry {
    Entry { name, does, access: Access::Reads { screen } }
}

const fn command(name: &'static str, does: &'static str, why: &'static str) -> Entry {
    Entry { name, does, access: Access::Command(why) }
}

const ORDER: Field = text("order", "Order: its id or its idempotency key");
const PROVIDER: Field = text("provider", "Provider");
const ITS_PROVIDER: Field = optional("provider", "Provider, where several have a key of this name");
const EXPIRES: Field = optional("expires", "Expires after, as 90d; never, if left empty");
const RECORDS: Field = optional("ids", "Records: their ids");
const GROUP: Field = optional("group", "Or the group that they are");

const OWNER: &str = "it decides who is believed at all, which is for the owner of the database alone";
const FILES: &str = "it works on files of the machine where it is typed";
const HISTORY: &str = "it works on folders of the machine where it is typed: the Statements screen takes single files, and \
                       POST /ingest/files those of a program";
const PROCESS: &str = "it is about a process, or a database before one serves";
const ELSEWHERE: &str = "it asks another server and not the database";
const MANY: &str = "it works through many records, and shows how far it is";

/// Every command.
pub static VERBS: &[Entry] = &[
    command("serve", "Serve the APIs, pull from providers, publish changes", PROCESS),
    command("migrate", "Bring the schema of the database up to this build", PROCESS),
    reads("doctor", "Say what is wrong, and what to type", "/console"),
    command("encryption status", "Show which keys are in use, by table", "its keys are in the environment"),
    command("encryption rotate", "Encrypt with the first key what is not", "its keys are in the environment"),
    Entry {
        name: "keys create",
        does: "Make an API key",
        access: Access::Changes {
            roles: ADMINISTER,
            screen: "/console/keys",
            form: &[
                PROVIDER,
                text("name", "Name: who has it, or what for"),
                choice("scope", "What it may do", &["connector", "read", "pay", "ingest"]),
                EXPIRES,
            ],
            for_good: false,
            done: "The key was made.",
        },
    },
    reads("keys list", "List API keys, without their secrets", "/console/keys"),
    Entry {
        name: "keys rotate",
        does: "Make a successor of an API key",
        access: Access::Changes {
            roles: ADMINISTER,
            screen: "/console/keys",
            form: &[
                text("name", "Name"),
                ITS_PROVIDER,
                optional("overlap", "Both open the same for, as 24h"),
                EXPIRES,
            ],
            for_good: true,
            done: "The successor was made.",
        },
    },
    Entry {
        name: "keys revoke",
        does: "Revoke an API key, and all that it replaced",
        access: Access::Changes {
            roles: ADMINISTER,
            screen: "/console/keys",
            form: &[text("key", "Key: its name or its id"), ITS_PROVIDER],
            for_good: true,
            done: "The key is revoked, and opens nothing any more.",
        },
    },
    command("manifest new", "Begin a provider file", FILES),
    command("statement check", "What is in bank statement files, without a database", FILES),
    command("statement import", "Take bank statement files of years", HISTORY),
    reads("statement list", "List bank statements, and what is missing of them", "/console/statements"),
    reads("statement files", "List files of bank statements, and what became of each", "/console/statements"),
    reads(
        "statement show",
        "Show a bank statement and the transactions that it tells of",
        "/console/statements/{provider}/{statement}",
    ),
    command("manifest validate", "Check provider files", FILES),
    command("manifest check", "Try the requests of a provider file", FILES),
    command("manifest read", "Read a provider without a database", FILES),
    command("manifest try row", "Try a provider file on a record", FILES),
    command("manifest try filter", "Try a filter", FILES),
    command("manifest try webhook", "Try what a webhook sets off", FILES),
    command("manifest try payout", "Try what a payout sends", FILES),
    command("manifest try transfer", "Try what a transfer sends", FILES),
    command("manifest record", "Record a provider's answers", FILES),
    command("manifest replay", "Map recorded answers", FILES),
    command("manifest schema", "Print the schema of provider files", FILES),
    Entry {
        name: "sync",
        does: "Read a provider now",
        access: Access::Changes {
            roles: OPERATE,
            screen: "/console/providers/{provider}",
            form: &[
                PROVIDER,
                optional("stream", "Only this stream, with those above it"),
                check("full", "Forget the cursors first: read everything that the API goes back to"),
            ],
            for_good: false,
            done: "It is read at the next opportunity.",
        },
    },
    Entry {
        name: "pause",
        does: "Read nothing of a provider for now",
        access: Access::Changes {
            roles: OPERATE,
            screen: "/console/providers/{provider}",
            form: &[PROVIDER, text("why", "Why, in a few words: whoever looks sees it")],
            for_good: false,
            done: "Nothing of it is read until it is resumed.",
        },
    },
    Entry {
        name: "resume",
        does: "Have a provider read again that was paused",
        access: Access::Changes {
            roles: OPERATE,
            screen: "/console/providers/{provider}",
            form: &[PROVIDER],
            for_good: false,
            done: "It is read again; what was due meanwhile, at once.",
        },
    },
    reads("runs", "List what was read, when and how it went", "/console/providers/{provider}"),
    reads("consumers", "List who polls, and how far behind they are", "/console/consumers"),
    Entry {
        name: "consumers forget",
        does: "Forget a consumer that is not to come back",
        access: Access::Changes {
            roles: OPERATE,
            screen: "/console/consumers",
            form: &[PROVIDER, text("key", "Consumer, as the list shows it")],
            for_good: false,
            done: "The consumer is forgotten until it polls again.",
        },
    },
    reads("notifications", "List what waited for a person, and whether that could be told", "/console/audit"),
    reads(
        "limits list",
        "List the requests that providers want none of for now",
        "/console/providers/{provider}",
    ),
    Entry {
        name: "limits lift",
        does: "Send requests again before the time that the provider named",
        access: Access::Changes {
            roles: OPERATE,
            screen: "/console/providers/{provider}",
            form: &[PROVIDER, optional("requests", "Only these; all, if left empty")],
            for_good: false,
            done: "The requests are sent again.",
        },
    },
    Entry {
        name: "remap",
        does: "Map the records that were kept once more, and read statement files again",
        access: Access::Changes {
            roles: OPERATE,
            screen: "/console/providers/{provider}",
            form: &[PROVIDER, optional("stream", "Only this stream")],
            for_good: false,
            done: "What was kept is mapped again in the background.",
        },
    },
    Entry {
        name: "remap --dry-run",
        does: "Show what mapping the kept records again would change",
        access: Access::Tries { roles: OPERATE, screen: "/console/playground" },
    },
    reads("quarantine groups", "List records by their fault", "/console/quarantine"),
    reads(
        "quarantine actions",
        "List who had records replayed or discarded, and how far that is",
        "/console/quarantine/groups/{group}",
    ),
    Entry {
        name: "quarantine preview",
        does: "Show what a replay of a group would do",
        access: Access::Tries { roles: OPERATE, screen: "/console/quarantine/groups/{group}" },
    },
    reads("quarantine list", "List records and why they were refused", "/console/quarantine"),
    reads("quarantine show", "Show a record as it came", "/console/quarantine/{id}"),
    Entry {
        name: "quarantine replay",
        does: "Try records again; what succeeds leaves the quarantine",
        access: Access::Changes {
            roles: OPERATE,
            screen: "/console/quarantine/{id}",
            form: &[RECORDS, GROUP],
            for_good: false,
            done: "The records are tried again. Those that are still here then stay, with the reason of now.",
        },
    },
    Entry {
        name: "quarantine discard",
        does: "Delete records of the quarantine",
        access: Access::Changes {
            roles: OPERATE,
            screen: "/console/quarantine/{id}",
            form: &[RECORDS, GROUP, text("reason", "Why, in a few words: it is kept")],
            for_good: true,
            done: "The records are deleted.",
        },
    },
    reads("records find", "List transactions by their amount and day", "/console/records"),
    reads("records show", "Show the story of a record", "/console/record"),
    reads("audit list", "List what operators did, and who they were", "/console/audit"),
    command("audit verify", "Check that the audit of payments is as it was written", MANY),
    command(
        "erase",
        "Erase the data of a person",
        "it is for the owner of the database, who is shown first how much would go",
    ),
    reads("payouts list", "List payouts and transfers, or requests that were refused", "/console/payments"),
    reads("payouts show", "Show an order and its history", "/console/payments/{id}"),
    Entry {
        name: "payouts approve",
        does: "Approve an order that is held",
        access: Access::Changes {
            roles: DECIDE,
            screen: "/console/payments/{id}",
            form: &[ORDER],
            for_good: true,
            done: "You have approved it.",
        },
    },
    Entry {
        name: "payouts reject",
        does: "Fail an order that is held, or that was never sent",
        access: Access::Changes {
            roles: DECIDE,
            screen: "/console/payments/{id}",
            form: &[ORDER, text("reason", "Why, for the person who ordered it")],
            for_good: true,
            done: "It is rejected.",
        },
    },
    Entry {
        name: "payouts resolve",
        does: "Decide what became of an order that is parked",
        access: Access::Changes {
            roles: DECIDE,
            screen: "/console/payments/{id}",
            form: &[
                ORDER,
                choice("outcome", "What became of it", &["look", "succeeded", "failed"]),
                optional("payment_id", "If it succeeded: the provider's id of the payment"),
                optional("reason", "If it failed: why, for the person who ordered it"),
            ],
            for_good: true,
            done: "What you have said is kept.",
        },
    },
    command(
        "payouts accept-secret",
        "Take the payment secret that is there now as the one in use",
        "the secret is in the environment",
    ),
    command("demo", "Run everything against a stand-in of a bank", PROCESS),
    command("standin", "Run a stand-in of a provider alone", PROCESS),
    command("health", "Ask a running server whether it is up", ELSEWHERE),
    Entry {
        name: "operators create",
        does: "Make an operator",
        access: Access::Changes {
            roles: ADMINISTER,
            screen: "/console/keys",
            form: &[
                text("name", "Name: who it is"),
                choice("role", "What they may do", &["viewer", "operator", "admin"]),
                EXPIRES,
            ],
            for_good: false,
            done: "The operator was made.",
        },
    },
    reads("operators list", "List operators, without the secrets of their keys", "/console/keys"),
    Entry {
        name: "operators link",
        does: "Make a link that signs an operator in once",
        access: Access::Changes {
            roles: ADMINISTER,
            screen: "/console/keys",
            form: &[text("name", "Whom")],
            for_good: false,
            done: "The link was made.",
        },
    },
    Entry {
        name: "operators revoke",
        does: "Revoke an operator, and end their sessions",
        access: Access::Changes {
            roles: ADMINISTER,
            screen: "/console/keys",
            form: &[text("name", "Whom")],
            for_good: true,
            done: "The operator is revoked, and every session of theirs has ended.",
        },
    },
    command("operators restore", "Let a person sign in again who was revoked", OWNER),
    command("operators trust", "Trust an OpenID provider to say who signs in", OWNER),
    command("operators distrust", "Trust an OpenID provider no more, and end its sessions", OWNER),
    command("openapi", "Print the description of the API", "the server has it at /openapi.json"),
    command("completions", "Print what completes these commands in a shell", FILES),
    command("man", "Write man pages of all commands", FILES),
    command("formance verify", "Compare what Formance holds", ELSEWHERE),
    command("formance install-config", "Print what Formance installs", "it is of no secret, and for a file"),
    command("conformance", "Check any server behind the Generic Connector", ELSEWHERE),
    command("conformance serve-naive", "Serve as one does who gets it wrong", PROCESS),
];
