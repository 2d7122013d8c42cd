//! The table of defects.

use std::str::FromStr;

use crate::catalogue::Check;
use crate::finding::Verdict;

/// Declares the defects, each with its name, what it does, and what the check says of it.
macro_rules! defects {
    ($($variant:ident $name:literal, $about:literal, $found:expr;)+) => {
        /// One way in which a server can be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Defect {
            $(#[doc = $about] $variant,)+
        }

        impl Defect {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name on the command line.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What the server does.
            pub fn about(self) -> &'static str {
                match self { $(Self::$variant => $about),+ }
            }

            /// The check that finds it, and its verdict; `None` where nothing is wrong.
            pub fn found_by(self) -> Option<(Check, Verdict)> {
                match self { $(Self::$variant => $found),+ }
            }
        }
    };
}

defects! {
    None "none", "nothing is wrong: an append-only log", None;
    SharedTimestamps "shared-timestamps", "a bulk import gave 250 rows one timestamp",
        fails(Check::TimestampsAscend);
    MillisecondPrint "millisecond-print", "sorts by microseconds, prints milliseconds",
        fails(Check::TimestampsAscend);
    MovingRows "moving-rows", "a row that is updated moves to the end of what is being paged through",
        fails(Check::NothingLost);
    UnstableOrder "unstable-order", "rows of one timestamp come in another order each time",
        fails(Check::PagesStable);
    LateCommit "late-commit", "a row becomes visible below a timestamp that was served already",
        fails(Check::LateRows);
    ClockAhead "clock-ahead", "the newest rows are an hour ahead of the clock", fails(Check::Clock);
    CrowdedSecond "crowded-second", "700 rows in one second", warns(Check::CrowdedSeconds);
    ClampedPageSize "clamped-page-size", "cuts pageSize to 50 without a word", fails(Check::ShortPage);
    FilterAfterLimit "filter-after-limit", "takes a page, then leaves deleted rows out of it",
        fails(Check::ShortPage);
    PastEnd404 "past-end-404", "answers 404 to a page past the end", fails(Check::PastTheEnd);
    IgnoredPage "ignored-page", "answers the first page to every page", fails(Check::ListsAnswer);
    ExclusiveFrom "exclusive-from", "takes From exclusively", warns(Check::FromInclusive);
    StringComparedFrom "string-compared-from", "compares times as text", fails(Check::FromInclusive);
    IgnoredFrom "ignored-from", "knows no From", fails(Check::FromFilters);
    NumberAmount "number-amount", "one amount is a JSON number", fails(Check::RowsDecoded);
    UnknownStatus "unknown-status", "one status is not one of Formance's", fails(Check::RowsDecoded);
    NonStringMetadata "non-string-metadata", "one value of metadata is no string", fails(Check::RowsDecoded);
    BadAsset "bad-asset", "one currency is written in lower case", fails(Check::RowsStored);
    ZeroCreatedAt "zero-created-at", "one createdAt is the zero time", fails(Check::RowsStored);
    RepeatedVersion "repeated-version", "rows are served again without a change", warns(Check::VersionsDistinct);
    DriftingCreatedAt "drifting-created-at", "createdAt is the time of the latest change",
        fails(Check::CreatedAtKept);
    CreatedAtGoesBack "created-at-goes-back", "a payment changes under an earlier date than its refund's",
        fails(Check::CreatedAtAscends);
    ChangingType "changing-type", "the type of a transaction changes", fails(Check::TypeKept);
    ChildBeforeParent "child-before-parent", "a refund comes before its payment", fails(Check::ParentFirst);
    ChildOfAnotherType "child-of-another-type", "refunds have a type of their own", fails(Check::ChildType);
    MissingList "missing-list", "there are no beneficiaries: 404", fails(Check::ListsAnswer);
    FinalOverload "final-overload", "answers 400 when it is busy", fails(Check::Statuses);
    SlowPages "slow-pages", "the third page of transactions and those behind take long (--delay)",
        warns(Check::ResponseTime);
    Balances404 "balances-404", "an account without balances answers 404", fails(Check::BalancesAnswer);
    StandingBalanceTime "standing-balance-time", "balances change, their time does not", fails(Check::BalancesAt);
    UnsafeAccountIds "unsafe-account-ids", "an account's id has a slash", fails(Check::AccountIds);
    OpenToAll "open-to-all", "looks at no key", fails(Check::KeyChecked);
    HtmlErrors "html-errors", "errors are HTML", warns(Check::ErrorBodies);
}

const fn fails(check: Check) -> Option<(Check, Verdict)> {
    Some((check, Verdict::Fail))
}

const fn warns(check: Check) -> Option<(Check, Verdict)> {
    Some((check, Verdict::Warning))
}

impl FromStr for Defect {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().copied().find(|defect| defect.name() == name);
        found.ok_or_else(|| format!("there is no defect {name:?}; --list names them"))
    }
}
