//! The formats of banks, and what can go wrong in each.

use rand::Rng as _;
use rand::rngs::StdRng;

use super::bai2::{self, Group};
use super::camt::{self, Message};
use super::cut::Cut;
use super::fault::Fault;
use super::{csv, mt, ofx};

/// What a bank sends, as one provider: files of the same accounts in two of these have ids of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// camt of any version: .053 with .052 and .054 before it.
    Camt,
    /// MT940, with MT942 before it.
    Mt,
    Bai2,
    /// OFX of either generation.
    Ofx,
    Csv,
}

/// How one file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Of this version, from 2 on.
    Camt {
        message: Message,
        version: u8,
    },
    Mt940 {
        envelope: bool,
    },
    Mt942,
    Bai2(Group),
    /// The second generation, or the first.
    Ofx {
        xml: bool,
    },
    Csv {
        newest_first: bool,
    },
}

impl Style {
    /// The text of a file of `cuts`; those of BAI2 are of one day.
    pub fn write(self, cuts: &[Cut]) -> String {
        match self {
            Self::Camt { message, version } => camt::write(cuts, message, version),
            Self::Mt940 { envelope } => mt::mt940(cuts, envelope),
            Self::Mt942 => mt::mt942(cuts),
            Self::Bai2(group) => bai2::write(cuts, group),
            Self::Ofx { xml } => ofx::write(cuts, xml),
            Self::Csv { newest_first } => csv::write(cuts, newest_first),
        }
    }
}

impl Format {
    pub const ALL: [Self; 5] = [Self::Camt, Self::Mt, Self::Bai2, Self::Ofx, Self::Csv];

    /// What can go wrong with its files.
    pub fn faults(self) -> Vec<Fault> {
        use Fault::{
            DoesNotClose, Gzipped, Late, MissingDay, Overlapping, PagedInOne, PagedInSeveral, Redelivered,
            Renamed, Reordered, Reported, Restated, Truncated, WrongCharset, WrongTotal, Zipped,
        };
        let any = [Renamed, Redelivered, Reordered, Late, WrongCharset, Zipped, Gzipped];
        let more: &[Fault] = match self {
            Self::Camt => &[
                MissingDay,
                Restated,
                PagedInOne,
                PagedInSeveral,
                Truncated,
                DoesNotClose,
                WrongTotal,
                Reported,
            ],
            // what has no time of its making is restated by whatever comes last, which no order makes sure
            Self::Mt => {
                &[MissingDay, PagedInOne, PagedInSeveral, Truncated, DoesNotClose, WrongTotal, Reported]
            }
            Self::Bai2 => &[MissingDay, Restated, Truncated, DoesNotClose, WrongTotal, Reported],
            Self::Ofx => &[Overlapping, Truncated],
            // no end shows that it is one
            Self::Csv => &[Overlapping, WrongTotal],
        };
        any.iter().chain(more).copied().collect()
    }

    /// How its statements, or exports, are written this time.
    pub(super) fn style(self, rng: &mut StdRng) -> Style {
        match self {
            Self::Camt => Style::Camt { message: Message::Statement, version: version(rng) },
            Self::Mt => Style::Mt940 { envelope: rng.random() },
            Self::Bai2 => Style::Bai2(Group::Final),
            Self::Ofx => Style::Ofx { xml: rng.random() },
            Self::Csv => Style::Csv { newest_first: rng.random() },
        }
    }

    /// How its reports during the day are written, where it has any.
    pub(super) fn report(self, rng: &mut StdRng) -> Option<Style> {
        match self {
            Self::Camt => Some(Style::Camt { message: Message::Report, version: version(rng) }),
            Self::Mt => Some(Style::Mt942),
            Self::Bai2 => Some(Style::Bai2(Group::Interim)),
            Self::Ofx | Self::Csv => None,
        }
    }

    /// Whether each statement has two balances, so that it can be said to close.
    pub fn closes(self) -> bool {
        matches!(self, Self::Camt | Self::Mt | Self::Bai2)
    }

    /// How names of its files end.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Camt => "xml",
            Self::Mt => "sta",
            Self::Bai2 => "bai",
            Self::Ofx => "ofx",
            Self::Csv => "csv",
        }
    }
}

fn version(rng: &mut StdRng) -> u8 {
    [2, 4, 6, 8, 12, 13][rng.random_range(0..6)]
}
