//! What holds for every provider.

use std::collections::BTreeSet;

use super::*;
use crate::PROVIDERS;

/// What the tables name exists, every status can be reached, and no chain of children is endless.
#[test]
fn the_tables_of_lives_are_sound() {
    for fsp in PROVIDERS {
        let profile = fsp.profile();
        let mut names = BTreeSet::new();
        for kind in profile.kinds {
            let name = format!("{} {}", fsp.name(), kind.name);
            assert!(names.insert(kind.name), "{name} is there twice");
            let mut reached: BTreeSet<&str> = kind.born.iter().map(|(status, _)| *status).collect();
            for _ in kind.moves {
                let next = kind.moves.iter().filter(|step| reached.contains(step.from)).map(|step| step.to);
                let next: Vec<_> = next.collect();
                reached.extend(next);
            }
            let named =
                kind.moves.iter().flat_map(|step| [step.from, step.to]).chain(kind.booked.iter().copied());
            let named = named.chain(kind.children.iter().flat_map(|child| child.of.iter().copied()));
            for status in named {
                assert!(reached.contains(status), "{name}: {status} is never reached");
            }
            for other in
                kind.children.iter().map(|child| child.kind).chain(kind.twin.iter().map(|twin| twin.kind))
            {
                assert!(profile.kind(other).children.is_empty() && profile.kind(other).weight == 0, "{name}");
            }
            assert!(0 < kind.amounts_minor.0 && kind.amounts_minor.0 <= kind.amounts_minor.1, "{name}");
        }
    }
}

/// A type that changed would make a second payment in Formance, and a child has to have its
/// parent's type.
#[test]
fn types_never_change_and_children_have_their_parents() {
    for fsp in PROVIDERS {
        let standin = open(*fsp);
        standin.advance(500);
        let view = standin.view();
        let kinds = |item: &Item| -> BTreeSet<&str> {
            let meanings = (0..item.versions.len()).filter_map(|upto| fsp.meaning(item, upto));
            meanings.map(|(kind, _)| kind.as_str()).collect()
        };
        let mut children = 0;
        for item in &view.items {
            assert!(kinds(item).len() <= 1, "{} {}", fsp.name(), item.id());
            if let Some(parent) = item.parent.map(|parent| &view.items[parent]) {
                assert!(kinds(item).is_subset(&kinds(parent)), "{} {}", fsp.name(), item.id());
                assert!(item.created_at_us() >= parent.created_at_us() && item.number > parent.number);
                assert!(parent.taken_minor <= parent.amount_minor);
                children += 1;
            }
        }
        assert_eq!(children > 0, fsp.profile().kinds.iter().any(|kind| !kind.children.is_empty()));
        let ids = view.items.iter().map(|item| item.id().to_owned()).collect();
        each_once(ids);
    }
}

#[tokio::test]
async fn every_provider_refuses_a_wrong_token_and_an_unknown_path_in_its_own_media_type() {
    for fsp in PROVIDERS {
        let standin = open(*fsp);
        let unauthorized = if fsp.name() == "starling" { 403 } else { 401 };
        for (token, status) in [("wrong", unauthorized), (TOKEN, 404)] {
            let answer = get_with(&standin, "/nothing/here", token).await;
            assert_eq!(answer.status, status, "{}", fsp.name());
            assert_eq!(answer.headers["content-type"], fsp.profile().content_type);
            assert!(answer.json().is_object());
        }
    }
}

#[test]
fn every_provider_gives_the_same_for_the_same_seed() {
    for fsp in PROVIDERS {
        let truth = || {
            let standin = open(*fsp);
            standin.advance(100);
            standin.truth()
        };
        assert_eq!(truth(), truth(), "{}", fsp.name());
    }
}
