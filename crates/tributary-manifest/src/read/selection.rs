//! Which streams a run reads: all, the streams of one group, or only what is due of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tributary_domain::Resource;

use super::partition::Partition;
use super::reader::Reader;
use crate::plan::Stream;

/// A stream that is read for no other's records and shares no other's answers, with those that do: what a
/// run has to read together, and what may run beside other groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamGroup {
    /// The name of the stream at its root.
    pub name: String,
    /// Its streams, in the order in which they are read.
    pub streams: Vec<String>,
    /// What its records become.
    pub resources: BTreeSet<Resource>,
}

/// How much of a stream is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of its partitions.
    Whole,
    /// These partitions only.
    Partitions(BTreeSet<String>),
}

impl Wanted {
    /// Wants `more` as well.
    pub fn widen(&mut self, more: Self) {
        *self = match (std::mem::replace(self, Self::Whole), more) {
            (Self::Partitions(mut these), Self::Partitions(those)) => {
                these.extend(those);
                Self::Partitions(these)
            }
            _ => Self::Whole,
        };
    }
}

/// What a run reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(BTreeMap<String, Wanted>);

impl Selection {
    /// Whether the stream is read at all.
    pub(super) fn includes(&self, stream: &str) -> bool {
        self.0.contains_key(stream)
    }

    /// Whether every partition of the stream is read.
    pub(super) fn is_whole(&self, stream: &str) -> bool {
        self.0.get(stream) == Some(&Wanted::Whole)
    }

    /// Leaves of `partitions` what is wanted of the stream.
    pub(super) fn retain(&self, stream: &str, partitions: &mut Vec<Partition>) {
        if let Some(Wanted::Partitions(wanted)) = self.0.get(stream) {
            partitions.retain(|partition| wanted.contains(&partition.key));
        }
    }
}

impl Reader {
    /// The groups of the streams, in the order of their roots.
    pub fn groups(&self) -> Vec<StreamGroup> {
        let mut groups: Vec<StreamGroup> = Vec::new();
        let mut group_of: Vec<usize> = Vec::with_capacity(self.streams.len());
        for stream in &self.streams {
            let with = stream.shares.or(stream.parent.as_ref().map(|parent| parent.index));
            let place = match with {
                Some(index) => group_of[index],
                None => {
                    let (streams, resources) = (Vec::new(), BTreeSet::new());
                    groups.push(StreamGroup { name: stream.name.clone(), streams, resources });
                    groups.len() - 1
                }
            };
            group_of.push(place);
            groups[place].streams.push(stream.name.clone());
            groups[place].resources.extend(stream.output.as_ref().map(|output| output.resource));
        }
        groups
    }

    /// How many of the streams of these `names` carry `resource`.
    pub fn streams_of(&self, resource: Resource, names: &BTreeSet<&str>) -> usize {
        let carries =
            |stream: &&Arc<Stream>| stream.output.as_ref().is_some_and(|output| output.resource == resource);
        let named = self.streams.iter().filter(|stream| names.contains(stream.name.as_str()));
        named.filter(carries).count()
    }

    /// What a run has to read for `wanted`: these streams, and those above them, of whose
    /// records they are read. Names of no stream are left out.
    pub fn select(&self, wanted: impl IntoIterator<Item = (String, Wanted)>) -> Selection {
        let mut selected: BTreeMap<String, Wanted> = BTreeMap::new();
        let wanted = wanted.into_iter().flat_map(|(name, much)| {
            self.of_one_answer(&name).into_iter().map(move |name| (name, much.clone()))
        });
        for (name, much) in wanted {
            let Some(stream) = self.stream(&name) else { continue };
            for above in self.above(stream) {
                for name in self.of_one_answer(&above.name) {
                    selected.insert(name, Wanted::Whole);
                }
            }
            match selected.get_mut(&name) {
                Some(there) => there.widen(much),
                None => {
                    selected.insert(name, much);
                }
            }
        }
        Selection(selected)
    }

    /// The names of the streams that are read by the same requests as `name`, itself among them.
    pub fn of_one_answer(&self, name: &str) -> Vec<String> {
        let place = self.streams.iter().position(|stream| stream.name == name);
        let Some(place) = place else { return Vec::new() };
        let giver = self.streams[place].shares.unwrap_or(place);
        let same = self.streams.iter().enumerate();
        same.filter(|(index, stream)| *index == giver || stream.shares == Some(giver))
            .map(|(_, stream)| stream.name.clone())
            .collect()
    }

    /// The streams that share the answers of the one at `index`, with their places.
    pub(super) fn sharing(&self, index: usize) -> Vec<(usize, Arc<Stream>)> {
        let all = self.streams.iter().enumerate();
        all.filter(|(_, stream)| stream.shares == Some(index))
            .map(|(place, stream)| (place, Arc::clone(stream)))
            .collect()
    }

    fn above<'a>(&'a self, stream: &'a Stream) -> impl Iterator<Item = &'a Stream> {
        let parent = |stream: &'a Stream| stream.parent.as_ref().map(|parent| &*self.streams[parent.index]);
        std::iter::successors(parent(stream), move |stream| parent(stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiled::CompiledProvider;
    use tributary_domain::ProviderName;

    fn provider() -> CompiledProvider {
        let stream = |name: &str, more: &str| {
            format!(
                "  - {{ name: {name}, resource: accounts, request: {{ path: /{name} }}, records: '.[]', map: '.'{more} }}\n"
            )
        };
        let manifest = ["base_url: http://bank\nauth: { bearer: token }\nevery: 1m\nstreams:\n".to_owned()]
            .into_iter()
            .chain([
                stream("accounts", ""),
                stream("payees", ""),
                stream("wallets", ", for_each: accounts, partition: .id"),
                stream("feed", ", for_each: wallets, partition: .id"),
            ])
            .collect::<String>();
        let name = ProviderName::try_from("bank".to_owned()).unwrap();
        CompiledProvider::new(&name, &serde_saphyr::from_str(&manifest).unwrap()).unwrap()
    }

    fn some(partitions: &[&str]) -> Wanted {
        Wanted::Partitions(partitions.iter().map(|partition| (*partition).to_owned()).collect())
    }

    #[test]
    fn a_group_is_a_root_with_all_that_is_read_for_its_records() {
        let groups = provider().groups();
        let names: Vec<_> =
            groups.iter().map(|group| (group.name.as_str(), group.streams.join(" "))).collect();
        assert_eq!(
            names,
            [("accounts", "accounts wallets feed".to_owned()), ("payees", "payees".to_owned())]
        );
    }

    #[test]
    fn streams_are_counted_by_what_they_carry() {
        let (provider, names) = (provider(), BTreeSet::from(["accounts", "feed", "nobody"]));
        assert_eq!(provider.streams_of(Resource::Accounts, &names), 2);
        assert_eq!(provider.streams_of(Resource::Balances, &names), 0);
    }

    #[test]
    fn a_selection_reads_what_is_above_in_full_and_leaves_the_rest() {
        let selection = provider().select([("feed".to_owned(), some(&["w1"]))]);
        assert!(selection.is_whole("accounts") && selection.is_whole("wallets"));
        assert!(selection.includes("feed") && !selection.is_whole("feed") && !selection.includes("payees"));
    }

    #[test]
    fn what_is_wanted_twice_is_read_once_as_widely_as_any_wants_it() {
        let provider = provider();
        let feed = |much| ("feed".to_owned(), much);
        let both = provider.select([feed(some(&["w1"])), feed(some(&["w2"]))]);
        assert_eq!(both.0.get("feed"), Some(&some(&["w1", "w2"])));
        let whole = provider.select([feed(some(&["w1"])), feed(Wanted::Whole)]);
        assert!(whole.is_whole("feed"));
        let parent = provider.select([feed(Wanted::Whole), ("wallets".to_owned(), some(&["a"]))]);
        assert!(parent.is_whole("wallets"), "its records are needed");
        assert_eq!(provider.select([("nobody".to_owned(), Wanted::Whole)]).0.len(), 0);
    }
}
