//! Pages that are asked for by a number: the number says where a page lies only while each of them is as large as
//! the one before, and nothing in an answer says so.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::mapping::Reading;
use super::page::MappedRecord;
use crate::plan::{PageEnd, PageFacts, Pager, PagerKind};

/// The pages of one walk so far.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    /// Digests of what they hold.
    held: HashSet<[u8; 32]>,
    /// The last of them said that there is another.
    promised: bool,
    /// Whether the first of them held more than was asked for.
    oversized: Option<bool>,
}

impl Numbered {
    /// For another walk.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Looks at the next page: what came already, is not there although it was promised, or is divided in another way
    /// than before leaves others out. The error says why.
    pub fn check(&mut self, pager: &Pager, reading: &Reading, facts: &PageFacts) -> Result<(), String> {
        if !self.held.insert(digest(reading, facts)) {
            return Err(
                "page: the records of a page came again, as if the API did not know the parameter: what \
                        lies behind them cannot be read"
                    .to_owned(),
            );
        }
        if std::mem::replace(&mut self.promised, promises(pager, facts)) && facts.count == 0 {
            return Err("page: a page is empty of which the one before said that it is there: what it held cannot be \
                        read"
                .to_owned());
        }
        let size = pager.size.as_ref().filter(|_| matches!(pager.kind, PagerKind::Page { .. }));
        let over = size.is_some_and(|size| facts.count > size.value);
        let was_over = *self.oversized.get_or_insert(over);
        if over && !was_over {
            return Err(format!(
                "page: a page has {} records, more than was asked for, and an earlier one had not: their numbers do \
                 not say any more where they lie",
                facts.count
            ));
        }
        Ok(())
    }
}

/// Whether the answer says that there is another page.
fn promises(pager: &Pager, facts: &PageFacts) -> bool {
    facts.more == Some(true) || (matches!(pager.stop, PageEnd::When(_)) && !facts.stop)
}

/// What a page holds: its records by their ids, where they have any.
fn digest(reading: &Reading, facts: &PageFacts) -> [u8; 32] {
    let mut ids: Vec<&str> = reading.records.iter().filter_map(MappedRecord::id).collect();
    ids.sort_unstable();
    let mut digest = Sha256::new();
    match ids.is_empty() {
        true => digest.update(&facts.fingerprint),
        false => ids.iter().for_each(|id| {
            digest.update((id.len() as u64).to_be_bytes());
            digest.update(id);
        }),
    }
    digest.finalize().into()
}
