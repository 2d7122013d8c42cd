use std::sync::mpsc;

use futures::FutureExt as _;

use super::*;

fn connection() -> Connection {
    let yaml = "base_url: https://bank.example\nauth: { bearer: hunter2 }\nevery: 1m\nstreams:\n\
                \x20 - { name: all, resource: accounts, request: { path: / }, records: ., map: . }\n";
    let provider = ProviderName::try_from("bank".to_owned()).unwrap();
    let mut connection = Connection::new(&provider, &serde_saphyr::from_str(yaml).unwrap()).unwrap();
    connection.filter_deadline = Duration::from_millis(10);
    connection
}

#[tokio::test]
async fn a_filter_that_never_ends_is_reported_and_no_other_is_piled_on_it() {
    let mut connection = connection();
    let (release, wait) = mpsc::channel::<()>();
    let stuck = connection.evaluate(move |_| {
        wait.recv().ok();
        Ok(())
    });
    assert_eq!(stuck.await, Err(ReadError::Stuck(0)));
    connection.filter_deadline = Duration::from_secs(3_600);
    let at_once = connection.evaluate(|_| Ok(())).now_or_never();
    assert_eq!(at_once, Some(Err(ReadError::Stuck(3_600))), "nobody waits for it an hour");
    drop(release);
    while connection.evaluate(|_| Ok(())).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_filter_that_crashes_does_not_take_the_next_one_with_it() {
    let connection = connection();
    let crashed = connection.evaluate::<()>(|_| panic!("a defect in a filter")).await;
    assert_eq!(crashed, Err(ReadError::Crashed));
    assert_eq!(connection.evaluate(|_| Ok(1)).await, Ok(1));
}

#[test]
fn debug_output_of_a_connection_shows_no_secret() {
    assert_eq!(
        format!("{:?}", connection()),
        r#"Connection { provider: ProviderName("bank"), streams: ["all"] }"#
    );
}
