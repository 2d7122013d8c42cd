use super::*;
use crate::starling::uids;

/// Every answer of the bank, in one text.
async fn all_answers(bank: &Arc<Starling>) -> String {
    let mut text = get(bank, "/api/v2/accounts").await.text + &get(bank, "/api/v2/payees").await.text;
    for category in categories(&bank.ledger()) {
        let path = format!("{}?changesSince=2025-01-01T00:00:00Z", feed(category.0, category.1));
        text += &get(bank, &path).await.text;
        text += &get(bank, &format!("/api/v2/accounts/{}/balance", category.0)).await.text;
        text += &get(bank, &format!("/api/v2/account/{}/savings-goals", category.0)).await.text;
    }
    text
}

#[tokio::test]
async fn one_seed_makes_one_bank_whose_life_repeats() {
    let (one, same) = (bank(), bank());
    for changes in [0, 1, 250] {
        one.tick(changes);
        same.tick(changes);
        assert_eq!(one.ledger(), same.ledger());
        assert_eq!(all_answers(&one).await, all_answers(&same).await);
    }
}

#[tokio::test]
async fn another_seed_makes_another_bank() {
    let one = bank().ledger();
    let other = open(StarlingConfig { seed: 8, ..config() }).ledger();
    let ids = |ledger: &Ledger| -> std::collections::BTreeSet<Uuid> {
        let items = ledger.items.iter().map(|item| item.uid);
        let payees = ledger.payees.iter().map(|payee| payee.uid);
        items.chain(payees).chain(categories(ledger).into_iter().flat_map(|(a, c)| [a, c])).collect()
    };
    assert!(ids(&one).is_disjoint(&ids(&other)));
}

#[test]
fn an_items_id_leads_back_to_its_number_and_a_strangers_to_none() {
    let numbers = (0..2_000).chain([65_535, 65_536, 999_999, u32::MAX - 1, u32::MAX]);
    let mut seen = std::collections::BTreeSet::new();
    for number in numbers {
        let uid = uids::item_uid(7, number);
        assert!(seen.insert(uid), "{uid} twice");
        assert_eq!(uids::item_index(7, uid), Some(number));
        assert_eq!(uids::item_index(8, uid), None);
        assert_eq!((uid.get_version_num(), uid.get_variant()), (4, uuid::Variant::RFC4122));
        let other_end = Uuid::from_u128(uid.as_u128() ^ 1);
        assert_eq!(uids::item_index(7, other_end), None);
    }
}
