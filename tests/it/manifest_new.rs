//! `tributary manifest new`: a file to begin with, and a draft of what an API's own description tells.

use crate::support::edited;
use crate::support::process::Place;

const DESCRIPTION: &str = r##"
openapi: 3.0.3
servers: [{ url: "https://{region}.acme.example/v2", variables: { region: { default: eu } } }]
components:
  securitySchemes: { token: { type: apiKey, in: header, name: X-Acme-Key } }
  parameters: { limit: { name: limit, in: query, schema: { type: integer, maximum: 250 } } }
  schemas:
    Account: { type: object, properties: { accountUid: { type: string }, nickname: { type: string } } }
    Money: { type: object, properties: { currency: { type: string }, minorUnits: { type: integer } } }
    Payment:
      allOf:
        - type: object
          properties: { payment_id: { type: string }, id: { type: string }, amount: { $ref: "#/components/schemas/Money" } }
        - type: object
          properties:
            created_at: { type: string }
            updated_at: { type: string }
            direction: { type: string, enum: [CREDIT, DEBIT] }
            status: { type: string, enum: [pending, settled, rejected, quarantined] }
paths:
  /accounts:
    get:
      responses: { "200": { content: { application/json: { schema: { type: array, items: { $ref: "#/components/schemas/Account" } } } } } }
  /accounts/{accountUid}/payments:
    get:
      parameters:
        - { $ref: "#/components/parameters/limit" }
        - { name: cursor, in: query, schema: { type: string } }
        - { name: updated_since, in: query, schema: { type: string } }
      responses:
        "200":
          content:
            application/json:
              schema:
                type: object
                properties:
                  data: { type: array, items: { $ref: "#/components/schemas/Payment" } }
                  page: { type: object, properties: { next_cursor: { type: string }, has_more: { type: boolean } } }
  /books/{book}/pages/{page}/payments:
    get: { responses: { "200": { content: { application/json: { schema: { type: array, items: { $ref: "#/components/schemas/Payment" } } } } } } }
"##;

async fn run(place: &Place, args: &[&str]) -> (i32, String) {
    let output = place.command(args).env("ACME_TOKEN", "a-token").output().await.unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

#[tokio::test]
async fn a_description_becomes_a_draft_that_validates_and_names_what_it_does_not_know() {
    let place = Place::new("new_from");
    std::fs::remove_file(place.0.join("providers/acme.yaml")).unwrap();
    std::fs::write(place.0.join("openapi.yaml"), DESCRIPTION).unwrap();
    let (code, text) = run(&place, &["manifest", "new", "acme", "--from", "openapi.yaml"]).await;
    assert_eq!(code, 0, "{text}");
    let path = place.0.join("providers/acme.yaml");
    let draft = std::fs::read_to_string(&path).unwrap();
    for line in [
        r#"api: "${ACME_URL:-https://eu.acme.example/v2}""#,
        r#"auth: { header: { name: "X-Acme-Key", value: "${ACME_TOKEN}" } }"#,
        "    rows: .\n",
        "    id: .accountUid\n    name: .nickname\n",
        r#"    get: "/accounts/{accountUid}/payments""#,
        "    rows: .data\n",
        r#"    page: { cursor: "cursor", next: .page.next_cursor, size: { "limit": 250 }, more: .page.has_more }"#,
        r#"    changes: { by: .updated_at, since: "updated_since", late: 7d, back: 730d }"#,
        "    money: { minor: .amount.minorUnits, currency: .amount.currency }\n",
        r#"    out: ".direction == \"DEBIT\"""#,
        r#"      PENDING: ["pending"]"#,
        r#"      FAILED: ["rejected"]"#,
    ] {
        assert!(draft.contains(line), "{line}: {draft}");
    }
    let (code, text) = run(&place, &["manifest", "validate"]).await;
    assert_eq!(code, 0, "{text}");
    for question in
        ["what are quarantined?", "how late may the API show a change", "/books/{book}/pages/{page}/payments"]
    {
        let line = draft.lines().position(|line| line.contains(question)).unwrap() + 1;
        let told = text
            .lines()
            .any(|told| told.contains(&format!("open question, line {line}: ")) && told.contains(question));
        assert!(told, "{question}: {text}");
    }
    // what is read by a guess stays with Formance: not before each is answered
    for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["sync", "acme"]] {
        let (code, text) = run(&place, args).await;
        assert!(
            code != 0 && text.contains("has open questions (") && text.contains("manifest validate"),
            "{args:?}: {text}"
        );
    }
}

#[tokio::test]
async fn what_tells_of_nothing_that_is_known_is_refused_with_what_to_do() {
    let place = Place::new("new_from_nothing");
    let nothing = edited(DESCRIPTION, "  /accounts:", "  /pets:").replace("/payments", "/pets");
    std::fs::write(place.0.join("openapi.yaml"), nothing).unwrap();
    let (code, text) = run(&place, &["manifest", "new", "newbank", "--from", "openapi.yaml"]).await;
    assert!(code == 2 && text.contains("`tributary manifest new` without --from"), "{text}");
    assert!(!place.0.join("providers/newbank.yaml").exists());
    let (code, text) = run(&place, &["manifest", "new", "newbank", "--from", "none.yaml"]).await;
    assert!(code == 2 && text.contains("cannot read none.yaml"), "{text}");
}
