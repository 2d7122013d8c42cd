//! What `manifest validate` says of `files.from`.

use super::*;
use crate::config::Provider;

/// The file with `from`, on lines of its own from the fourth on.
fn parse(from: &str) -> Result<Provider, String> {
    let lookup = |name: &str| (name == "SECRET").then(|| "a-secret".to_owned());
    Provider::parse(&format!("provider: acme\nfiles:\n  from:\n{from}"), &lookup)
}

fn place(from: &str) -> FilePlace {
    parse(from).unwrap().file_source.unwrap().place
}

/// A server with a host key and a folder, whose other fields are given.
fn sftp(of_server: &str, of_login: &str) -> String {
    let key = "SHA256:6ICQ2glMQufz3hSAzFd4eeNgF92wpqnnI4ONzqa18Qw";
    let folder = if of_login == "folder: out" { "" } else { "folder: out, " };
    format!("    sftp: {{ {of_server}, host_key: \"{key}\", {folder}{of_login} }}\n")
}

#[test]
fn each_mistake_is_told_with_its_line_and_what_to_write() {
    for (from, told) in [
        (
            "    settle: 1m\n",
            "line 3, column 3: files.from: write where files are: one of `folder`, `s3`, `gcs`, `azure` and `sftp`",
        ),
        (
            "    folder: /in\n    gcs: { bucket: b }\n",
            "line 3, column 3: files.from: write one place: `folder` and `gcs` are several",
        ),
        (
            "    folder: in\n",
            "line 4, column 5: files.from.folder: write an absolute path, such as /srv/acme/in",
        ),
        (
            "    folder: /in\n    after: { move: ../done }\n",
            "line 5, column 14: files.from.after.move: write the name of a folder below the one that files are in, such as done",
        ),
        (
            "    folder: /in\n    after: gone\n",
            "line 5, column 12: files.from.after: `gone` is none of these",
        ),
        ("    folder: /in\n    settle: soon\n", "line 5, column 13: files.from.settle"),
        ("    folder: /in\n    every: 5\n", "line 5, column 12: files.from.every"),
        ("    folder: /in\n    names: \"*.xml\"\n", "line 5, column 12: files.from.names"),
        (
            "    s3: { bucket: b }\n",
            "line 4, column 5: files.from.s3.region: write the region of the bucket, such as eu-central-1",
        ),
        ("    s3:\n      region: eu-central-1\n", "files.from.s3: `bucket` is missing"),
        (
            "    s3: { bucket: b/in, region: r }\n",
            "line 4, column 11: files.from.s3.bucket: write the name of the bucket alone",
        ),
        (
            "    gcs: { bucket: \"\" }\n",
            "line 4, column 12: files.from.gcs.bucket: write the name of the bucket alone",
        ),
        (
            "    gcs: { bucket: b, prefix: /in }\n",
            "line 4, column 23: files.from.gcs.prefix: write it as `in/`, or `in/bank/`",
        ),
        (
            "    s3: { bucket: b, endpoint: minio.example }\n",
            "line 4, column 22: files.from.s3.endpoint: write an address, such as https://store.example",
        ),
        (
            "    s3: { bucket: b, region: r, access_key: a }\n",
            "files.from.s3.secret_key: is missing: an `access_key` goes with its secret",
        ),
        (
            "    s3: { bucket: b, region: r, secret_key: \"${SECRET}\" }\n",
            "files.from.s3.access_key: is missing: a `secret_key` goes with the id of its key",
        ),
        (
            "    s3:\n      bucket: b\n      region: r\n      access_key: a\n      secret_key: hunter2\n",
            "line 8, column 7: files.from.s3.secret_key: name a variable of the environment, such as ${BANK_KEY}; a secret \
             itself does not belong in a file",
        ),
        ("    gcs: { bucket: b, key: hunter2 }\n", "files.from.gcs.key: name a variable of the environment"),
        (
            "    azure: { account: \"\", container: c }\n",
            "files.from.azure.account: write the name of the storage account",
        ),
        (
            "    azure: { account: a, container: c/in }\n",
            "files.from.azure.container: write the name of the container alone",
        ),
        ("    azure: { account: a, container: c, key: hunter2 }\n", "files.from.azure.key: name a variable"),
        ("    azure: { account: a, container: c, sas: hunter2 }\n", "files.from.azure.sas: name a variable"),
        (
            "    azure: { account: a, container: c, key: \"${SECRET}\", sas: \"${SECRET}\" }\n",
            "files.from.azure.sas: write `key` or `sas`, not both",
        ),
        (
            &sftp("host: sftp://bank.example, user: u", "key: /k"),
            "line 4, column 13: files.from.sftp.host: write the name of the server alone, such as sftp.bank.example",
        ),
        (&sftp("host: h, user: \"\"", "key: /k"), "files.from.sftp.user: write who logs in"),
        (
            &sftp("host: h, user: u", "folder: out"),
            "line 4, column 5: files.from.sftp: write who we are: `password` or `key`",
        ),
        (
            &sftp("host: h, user: u", "key: /k, password: \"${SECRET}\""),
            "files.from.sftp.key: write `password` or `key`, not both",
        ),
        (
            &sftp("host: h, user: u", "password: \"${SECRET}\", passphrase: \"${SECRET}\""),
            "files.from.sftp.passphrase: is of a `key`, and there is none",
        ),
        (
            &sftp("host: h, user: u", "password: hunter2"),
            "files.from.sftp.password: name a variable of the environment",
        ),
        (
            &sftp("host: h, user: u", "key: hunter2"),
            "files.from.sftp.key: name a variable of the environment",
        ),
        (
            &sftp("host: h, user: u", "key: /k, passphrase: hunter2"),
            "files.from.sftp.passphrase: name a variable",
        ),
        ("    sftp: { host: h, user: u, key: /k, folder: out }\n", "files.from.sftp: `host_key` is missing"),
        (
            "    sftp: { host: h, user: u, key: /k, folder: out, host_key: \"MD5:16:27:ac\" }\n",
            "files.from.sftp.host_key: write the fingerprint of the server's key as `ssh-keygen -l` prints it: SHA256: and \
             43 characters. `ssh-keyscan HOST | ssh-keygen -lf -` shows which a server has",
        ),
        (
            "    sftp: { host: h, user: u, key: /k, folder: out, host_key: [] }\n",
            "files.from.sftp.host_key: write the",
        ),
        (
            &sftp("host: h, user: u", "key: /k").replace("folder: out", "folder: \"\""),
            "files.from.sftp.folder: write the folder that files are in, such as out",
        ),
        (&sftp("host: h, user: u, port: ssh", "key: /k"), "files.from.sftp.port"),
    ] {
        let error = parse(from).unwrap_err();
        assert!(error.contains(told), "{told}\n{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_place_is_named_without_its_secrets() {
    for (from, name) in [
        ("    folder: /srv/in\n", "/srv/in"),
        ("    s3: { bucket: b, prefix: in/bank, region: r }\n", "s3://b/in/bank"),
        ("    s3: { bucket: b, region: r, access_key: a, secret_key: \"${SECRET}\" }\n", "s3://b"),
        ("    gcs: { bucket: b, prefix: in/, key: \"${SECRET}\" }\n", "gs://b/in"),
        ("    gcs: { bucket: b, key: /etc/key.json }\n", "gs://b"),
        ("    azure: { account: a, container: c, prefix: in, sas: \"${SECRET}\" }\n", "az://a/c/in"),
        (&sftp("host: h, user: u", "password: \"${SECRET}\""), "sftp://u@h/out"),
        (
            &sftp("host: h, user: u, port: 2222", "key: \"${SECRET}\", passphrase: \"${SECRET}\""),
            "sftp://u@h:2222/out",
        ),
    ] {
        let place = place(from);
        assert_eq!(place.name(), name);
        assert!(!format!("{place:?}").contains("a-secret"), "{place:?}");
    }
}

#[test]
fn files_are_only_posted_where_a_variable_is_not_set() {
    let provider =
        parse("    s3: { bucket: b, region: r, access_key: a, secret_key: \"${UNSET}\" }\n").unwrap();
    assert!(provider.file_source.is_none());
    assert!(
        provider.warnings[0].contains("files are taken only as they are posted"),
        "{:?}",
        provider.warnings
    );
    assert!(provider.warnings[0].contains("UNSET must be set"), "{:?}", provider.warnings);
}
