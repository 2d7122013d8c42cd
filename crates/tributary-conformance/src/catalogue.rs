//! The table of checks. A check's name is stable: scripts may rely on it.

/// Declares the checks, each with its name, what has to hold, and why that matters to Formance.
macro_rules! checks {
    ($($variant:ident $name:literal, $holds:literal, $why:literal;)+) => {
        /// A promise that a server behind the Generic Connector has to keep.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check {
            $(#[doc = $holds] $variant,)+
        }

        impl Check {
            /// All checks, in the order of the report.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The check's name in reports and scripts.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What has to hold.
            pub fn holds(self) -> &'static str {
                match self { $(Self::$variant => $holds),+ }
            }

            /// What happens in Formance where it does not hold.
            pub fn why(self) -> &'static str {
                match self { $(Self::$variant => $why),+ }
            }
        }
    };
}

checks! {
    ListsAnswer "lists-answer",
        "each list answers 200 with a JSON array, page after page",
        "A list that does not answer is polled for ever, and nothing of it reaches Formance.";
    Statuses "statuses",
        "a request that makes sense is not answered with an error",
        "Formance tries 408, 421, 423, 425, 429 and 5xx again. Every other 4xx is final for it: the poll ends \
         there. A server that is busy has to answer 429 or 503.";
    RowsDecoded "rows-decoded",
        "every row can be read by the connector",
        "A page is decoded as a whole: one bad row fails it, and Formance asks for the same page at every \
         poll. Nothing behind it ever arrives.";
    RowsStored "rows-stored",
        "every row is accepted by Formance's storage",
        "Storage refuses the whole batch for one row, the watermark is not saved, and the same batch comes \
         again for ever. Nothing behind it ever arrives.";
    ShortPage "short-page",
        "a page is shorter than asked for only at the end",
        "Formance takes a short page for the end of the data: it stops there, and what lies behind is not \
         asked for.";
    PastTheEnd "past-the-end",
        "a page past the end answers 200 and an empty list",
        "Whenever the last page is full, Formance asks for one more. An error there fails the poll; rows there \
         are taken for new ones.";
    PageSize "page-size",
        "pageSize is honoured or refused, never changed silently",
        "Fewer rows than were asked for look like the end of the data. Formance asks for 100; a size that is \
         cut only above that loses rows as soon as the connector's page size is raised.";
    PagesStable "pages-stable",
        "a full page asked again is the same, byte for byte",
        "Formance reads a walk in several requests. When rows move between two of them, one slides over the cut \
         of the page and is never seen.";
    TimestampsAscend "timestamps-ascend",
        "timestamps are unique and ascend, at the precision that is printed",
        "Formance keeps one timestamp and drops every row that is not later. After 100 rows it cuts: rows \
         behind the cut that share the timestamp of the last one are lost for ever, and so is a row out of order.";
    CrowdedSeconds "crowded-seconds",
        "no second holds very many rows",
        "Formance asks from the whole second of its watermark, so it reads a crowded second from its beginning \
         for every 100 rows: the requests grow with the square of the rows.";
    Clock "clock",
        "no timestamp lies ahead of the server's clock",
        "The watermark follows the largest timestamp. What is stamped with the real time afterwards lies below \
         it and is dropped for ever.";
    FromInclusive "from-inclusive",
        "asking from an entry's timestamp, or from its whole second, returns it",
        "Formance asks from the whole second of its watermark. Rows of that second that are left out never \
         arrive; with an exclusive comparison, a row that shares a timestamp with a served one never does.";
    FromFilters "from-filters",
        "nothing older than the second asked from is returned",
        "Formance then reads the whole list again for every 100 rows, more with every day.";
    FromInstants "from-instants",
        "the From parameter is compared as an instant, in any offset and from year 1 on",
        "Connectors up to v3.3 ask in the offset in which rows were served. Compared as text, \
         14:00+02:00 lies two hours behind 12:00Z, and the rows between are never asked for.";
    GarbageRefused "garbage-refused",
        "a From or pageSize that makes no sense is refused with a 4xx",
        "What is ignored hides mistakes of both sides: a misread parameter looks like a complete answer. A 5xx \
         is retried without end.";
    VersionsDistinct "versions-distinct",
        "no row is served twice without a change",
        "Formance ignores what it has, so it costs requests only; but a row in two places is a sign of pages \
         that shift, and accounts and beneficiaries are never updated.";
    CreatedAtKept "created-at-kept",
        "createdAt of a transaction stays as first served",
        "Formance counts a state once per id, createdAt and status. The same REFUNDED or CAPTURE under another \
         createdAt moves the money again.";
    CreatedAtAscends "created-at-ascends",
        "along one payment, createdAt never goes back",
        "Formance shows the status with the latest createdAt, not the one that came last: a later status under \
         an earlier date never shows.";
    TypeKept "type-kept",
        "the type of a transaction stays as first served",
        "A payment in Formance is an id and a type: another type makes a second payment of the same money.";
    ParentFirst "parent-first",
        "a transaction comes after the one that it is related to",
        "The row that comes first becomes the payment: a refund before its payment makes a payment of the \
         refund's amount.";
    ChildType "child-type",
        "a related transaction has the type of the one that it is related to",
        "A payment in Formance is an id and a type: a refund of another type makes a payment of its own and \
         refunds nothing.";
    LoopDrains "loop-drains",
        "Formance's loop gets to the end",
        "A loop that fails on a page asks for that page for ever.";
    NothingLost "nothing-lost",
        "Formance's loop gets every row that the list holds",
        "What a poll has passed is not asked for again: these rows never reach Formance.";
    LateRows "late-rows",
        "no row becomes visible below a timestamp already served",
        "A row that is stamped when it is written and visible when it is committed lands below the watermark \
         of whoever polled in between, and is dropped.";
    DeliveredOnce "delivered-once",
        "Formance's loop gets every row once",
        "Formance ignores what it has, but a row that comes twice in one walk has moved while it was read, and \
         what moves can be missed.";
    DrainCost "drain-cost",
        "reading everything costs about 2 requests per 100 rows",
        "Formance repeats requests without need: a first import takes hours, and every poll loads the server.";
    ResponseTime "response-time",
        "every page comes well within 10 s",
        "Formance gives up after 10 s and asks the same again: a page that takes longer stops the feed.";
    BalancesAnswer "balances-answer",
        "every account answers with its balances, an empty list if it has none",
        "Formance asks for the balances of every account it knows. A 404 for one that has none yet fails \
         that task; one amount or asset that it cannot read drops all of the account.";
    BalancesAt "balances-at",
        "`at` of balances is there, not in the future, and grows with every change",
        "A reply older than the stored one is ignored, and an equal `at` with another amount collides: the \
         balance shown is stale.";
    AccountIds "account-ids",
        "account ids survive in a path without being escaped",
        "Formance puts the id into /accounts/{id}/balances as it is: with / ? # or % in it, it asks for something \
         else.";
    UnknownAccount "unknown-account",
        "balances of an unknown account answer 404 or 503, with title and detail",
        "A 200 makes balances of nothing. (503 is better than 404 where the account may come back, as after a \
         restore: Formance stops asking for good after ten runs that ended with 404.)";
    KeyChecked "key-checked",
        "without a valid key, there is 401",
        "Whoever finds the address reads every account and payment.";
    ErrorBodies "error-bodies",
        "errors are JSON with title and detail",
        "Formance shows title and detail. Of any other body, HTML above all, the operator sees a bare status.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_fit_scripts() {
        let names: HashSet<_> = Check::ALL.iter().map(|check| check.name()).collect();
        assert_eq!(names.len(), Check::ALL.len());
        for name in names {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
        }
    }
}
