use super::*;

fn connection() -> Connection {
    let yaml = "base_url: https://bank.example\nauth: { bearer: hunter2 }\nevery: 1m\nstreams:\n\
                \x20 - { name: all, resource: accounts, request: { path: / }, records: ., map: . }\n";
    let provider = ProviderName::try_from("bank".to_owned()).unwrap();
    Connection::new(&provider, &serde_saphyr::from_str(yaml).unwrap()).unwrap()
}

#[test]
fn debug_output_of_a_connection_shows_no_secret() {
    assert_eq!(
        format!("{:?}", connection()),
        r#"Connection { provider: ProviderName("bank"), streams: ["all"] }"#
    );
}
