//! The records that are on their way.

use std::collections::HashMap;

/// A set of records, by position, in no order: one is put in, taken out or drawn in the same time
/// however many there are.
#[derive(Default)]
pub(super) struct OpenRecords {
    records: Vec<usize>,
    /// Where in `records` each is.
    places: HashMap<usize, usize>,
}

impl OpenRecords {
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// The record at this place, below [`OpenRecords::len`].
    pub fn at(&self, place: usize) -> usize {
        self.records[place]
    }

    pub fn insert(&mut self, record: usize) {
        self.places.entry(record).or_insert_with(|| {
            self.records.push(record);
            self.records.len() - 1
        });
    }

    pub fn remove(&mut self, record: usize) {
        let Some(place) = self.places.remove(&record) else { return };
        self.records.swap_remove(place);
        if let Some(&moved) = self.records.get(place) {
            self.places.insert(moved, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_is_gone_and_the_rest_stays() {
        let mut open = OpenRecords::default();
        [5, 7, 9, 11].into_iter().for_each(|record| open.insert(record));
        [7, 11, 7].into_iter().for_each(|record| open.remove(record));
        open.insert(13);
        open.remove(5);
        let mut left: Vec<_> = (0..open.len()).map(|place| open.at(place)).collect();
        left.sort_unstable();
        assert_eq!(left, [9, 13]);
    }
}
