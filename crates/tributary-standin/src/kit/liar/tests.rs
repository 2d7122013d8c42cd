use std::collections::BTreeSet;
use std::sync::Arc;

use crate::kit::testing::*;
use crate::kit::{Lie, Lies, Standin, When};
use crate::{PROVIDERS, mollie::Mollie, square::Square};

fn liar(fsp: &'static dyn crate::kit::Fsp, lie: Lie) -> Arc<Standin> {
    let standin = open(fsp);
    standin.set_lies(Lies { kinds: vec![lie], when: When::default(), seed: 5 });
    standin
}

async fn payments(lie: Lie, path: &str) -> Answer {
    let standin = liar(&Square, lie);
    let answer = get(&standin, path).await;
    assert_eq!(standin.told().get(&lie), Some(&1), "{lie:?}");
    answer
}

#[tokio::test]
async fn each_lie_is_what_it_says_and_is_counted() {
    let path = "/v2/payments?limit=10";
    let honest = get(&open(&Square), path).await;
    let rows = |answer: &Answer| answer.json()["payments"].as_array().map(Vec::len);
    assert_eq!(rows(&honest), Some(10));
    for (lie, rows_left) in [
        (Lie::OmittedOnce, Some(9)),
        (Lie::RowTwice, Some(11)),
        (Lie::Capped, Some(5)),
        (Lie::ShortPage, Some(9)),
        (Lie::IgnoredSize, Some(100)),
        (Lie::NullForList, None),
        (Lie::ObjectForList, None),
        (Lie::ErrorIn200, None),
        (Lie::Reversed, Some(10)),
    ] {
        let answer = payments(lie, path).await;
        assert_eq!((answer.status.as_u16(), rows(&answer)), (200, rows_left), "{lie:?}");
        assert_ne!(answer.text, honest.text, "{lie:?}");
    }
    assert_eq!(payments(Lie::NumberForCursor, path).await.json()["cursor"].to_string(), "2.0");
    assert!(payments(Lie::HalfSurrogate, path).await.text.contains("\\ud83d\""));
    assert!(payments(Lie::Nul, path).await.text.contains("\\u0000"));
    assert!(payments(Lie::ByteOrderMark, path).await.text.starts_with('\u{feff}'));
    assert!(payments(Lie::PointInAmount, path).await.text.contains(".0,"));
    assert!(payments(Lie::BlankId, path).await.text.contains("\"id\":\" \""));
    let truncated = payments(Lie::Truncated, path).await.text;
    assert!(serde_json::from_str::<serde_json::Value>(&truncated).is_err());
    assert_eq!(payments(Lie::NothingRemains, path).await.headers["x-ratelimit-remaining"], "0");
}

#[tokio::test]
async fn a_link_leads_elsewhere_and_a_dead_cursor_stays_dead() {
    for (lie, part) in
        [(Lie::LinkToAnotherList, "/v2/refunds?"), (Lie::LinkToAnotherHost, "elsewhere.example")]
    {
        let answer = get(&liar(&Mollie, lie), "/v2/payments?limit=10").await.ok();
        let next = answer["_links"]["next"]["href"].as_str().unwrap().to_owned();
        assert!(next.contains(part), "{next}");
    }
    let standin = liar(&Square, Lie::DeadCursor);
    let mut dead = 0;
    for row in 0..20 {
        use base64::Engine as _;
        let cursor = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{row}:{row}"));
        let path = format!("/v2/payments?cursor={cursor}");
        let first = get(&standin, &path).await.status;
        assert_eq!(get(&standin, &path).await.status, first);
        dead += u64::from(first.as_u16() == 500);
    }
    assert!((1..20).contains(&dead), "{dead}");
    assert_eq!(standin.told()[&Lie::DeadCursor], dead * 2);
}

#[tokio::test]
async fn what_was_left_out_is_known_and_nothing_is_told_after_the_lies() {
    let standin = liar(&Square, Lie::OmittedForEver);
    let listed = |answer: &serde_json::Value| texts(&answer["payments"], "/id").into_iter().collect();
    let told: BTreeSet<String> = listed(&get(&standin, "/v2/payments?limit=100").await.ok());
    let omitted = standin.omitted();
    standin.set_lies(Lies::default());
    let all: BTreeSet<String> = listed(&get(&standin, "/v2/payments?limit=100").await.ok());
    assert!(!omitted.is_empty() && told.is_disjoint(&omitted));
    assert_eq!(&told | &omitted, all);
}

#[test]
fn every_provider_can_tell_most_lies_and_every_lie_is_told_by_one() {
    for lie in Lie::ALL {
        assert!(PROVIDERS.iter().any(|fsp| lie.suits(&fsp.terms())), "{lie:?}");
    }
    for fsp in PROVIDERS {
        let told = Lie::ALL.iter().filter(|lie| lie.suits(&fsp.terms())).count();
        assert!(told >= 15, "{}: {told}", fsp.name());
    }
}
