//! What a bank sends of a ledger, and what has to become of each file.

use chrono::NaiveDate;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};

use super::cut::Cut;
use super::fault::{Fault, Fired};
use super::ledger::Ledger;
use super::style::{Format, Style};
use super::truth::Truth;
use super::{exports, pack, statements};

/// A file as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub name: String,
    pub bytes: Vec<u8>,
    /// Whether it cannot be read, so that nothing of it is taken.
    pub refused: bool,
    /// The statements in it that have to be put aside; all others have to be published.
    pub put_aside: Vec<Aside>,
}

/// A statement that does not add up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aside {
    pub account: String,
    pub currency: &'static str,
    /// The sum that is missing, in minor units; `None` where the file does not say in which direction it runs.
    pub missing: Option<i128>,
    /// What the reason has to name.
    pub why: &'static str,
}

/// All that a bank sends of a ledger in one format, in the order of its days.
#[derive(Debug, Clone)]
pub struct Mail {
    pub format: Format,
    pub files: Vec<Sent>,
    pub fired: Fired,
    /// What has to be published in the end.
    pub truth: Truth,
}

impl Mail {
    /// Sends the whole of `ledger`, with each fault that the format can have at least once where the ledger has room
    /// for it. `counts`: whether the bank numbers its statements; without numbers nothing is restated in camt, and no
    /// page is joined. The same seed sends the same.
    pub fn send(ledger: &Ledger, format: Format, counts: bool, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let spans: Vec<u32> = match (counts, format) {
            (true, Format::Camt | Format::Mt) => {
                (0..ledger.days / 3).map(|_| rng.random_range(0..3)).collect()
            }
            _ => Vec::new(),
        };
        let truth = Truth::of(ledger, format);
        let mut post = Post {
            ledger,
            format,
            counts: counts && format != Format::Bai2,
            rng,
            due: Vec::new(),
            files: Vec::new(),
            fired: Fired::default(),
            truth,
        };
        if format.closes() {
            post.statements(&spans)
        } else {
            post.exports()
        }
        post.sent()
    }
}

/// A bank at work on its files.
pub(super) struct Post<'a> {
    pub ledger: &'a Ledger,
    pub format: Format,
    pub counts: bool,
    pub rng: StdRng,
    /// What has not gone wrong yet, and from which period on it is to.
    due: Vec<(Fault, usize)>,
    files: Vec<(NaiveDate, Sent)>,
    pub fired: Fired,
    pub truth: Truth,
}

impl Post<'_> {
    /// Whether `fault` is to happen in this period, where it can. It does once in each ledger, and then now and then.
    pub fn happens(&mut self, fault: Fault, period: usize) -> bool {
        let due = self.due.iter().position(|(other, from)| *other == fault && *from <= period);
        let happens = match due {
            Some(at) => {
                self.due.swap_remove(at);
                true
            }
            None => self.format.faults().contains(&fault) && self.rng.random_bool(0.1),
        };
        if happens {
            self.fired.note(fault);
        }
        happens
    }

    /// Whether `fault` is still to happen, and may by this period.
    pub fn is_due(&self, fault: Fault, period: usize) -> bool {
        self.due.iter().any(|(other, from)| *other == fault && *from <= period)
    }

    /// Spreads the faults over so many periods; what happens to files, and not to what is in them, begins with the first.
    fn plan(&mut self, periods: usize) {
        let of_files = [Fault::Zipped, Fault::Gzipped, Fault::Renamed, Fault::Late, Fault::WrongCharset];
        for fault in self.format.faults() {
            let later = !of_files.contains(&fault) && self.rng.random();
            self.due.push((fault, if later { self.rng.random_range(0..periods.div_ceil(2)) } else { 0 }));
        }
    }

    fn statements(&mut self, spans: &[u32]) {
        let accounts = &self.ledger.accounts;
        let of_accounts: Vec<Vec<Cut>> =
            accounts.iter().map(|account| statements(self.ledger, account, spans, self.counts)).collect();
        let periods = of_accounts.first().map_or(0, Vec::len);
        self.plan(periods);
        for period in 0..periods {
            let cuts: Vec<Cut> = of_accounts.iter().map(|cuts| dated(cuts[period].clone())).collect();
            let middle = period > 0 && period + 1 < periods;
            let moved = cuts.iter().any(|cut| cut.closing() != cut.opening);
            if middle && moved && self.happens(Fault::MissingDay, period) {
                self.truth.never_told(&cuts);
                continue;
            }
            let groups: Vec<Vec<Cut>> = match self.rng.random() {
                true => vec![cuts],
                false => cuts.into_iter().map(|cut| vec![cut]).collect(),
            };
            for group in groups {
                self.statement(group, period);
            }
        }
        self.reports();
    }

    fn exports(&mut self) {
        let days = self.ledger.days;
        let windows: Vec<(u32, u32)> = (0..self.rng.random_range(4..8))
            .map(|_| (self.rng.random_range(0..days), self.rng.random_range(0..4)))
            .collect();
        let accounts = &self.ledger.accounts;
        let of_accounts: Vec<Vec<Cut>> =
            accounts.iter().map(|account| exports(self.ledger, account, &windows)).collect();
        self.plan(windows.len());
        for window in 0..=windows.len() {
            let cuts = of_accounts.iter().map(|cuts| cuts[window].clone());
            // a table without rows tells of no account
            let any =
                |cut: &Cut| self.format == Format::Ofx || !(cut.lines.is_empty() && cut.pending.is_empty());
            let cuts: Vec<Cut> = cuts.filter(any).collect();
            if cuts.is_empty() {
                continue;
            }
            if window < windows.len() {
                self.happens(Fault::Overlapping, window);
            }
            self.export(cuts, window);
        }
    }

    /// Sends a file of `cuts`, which has to be taken but for what is to be `put_aside`.
    pub fn post(&mut self, cuts: &[Cut], style: Style, put_aside: Vec<Aside>, period: usize) {
        let text = style.write(cuts);
        self.truth.told(style, cuts, put_aside.is_empty());
        self.post_text(cuts, &text, put_aside, period);
    }

    /// The same, of a text that was changed.
    pub fn post_text(&mut self, cuts: &[Cut], text: &str, put_aside: Vec<Aside>, period: usize) {
        let latin = !text.is_ascii() && self.happens(Fault::WrongCharset, period);
        let bytes = if latin { pack::latin(text) } else { text.as_bytes().to_vec() };
        self.push(cuts, Sent { name: String::new(), bytes, refused: false, put_aside });
    }

    /// Sends the part of a text that somebody got before it broke off.
    pub fn post_part(&mut self, cuts: &[Cut], text: &str) {
        let end = match self.format {
            Format::Mt => text.rfind(":62"),
            Format::Bai2 => text.rfind("\n99,"),
            _ => text.rfind("</"),
        };
        let begin = match self.format {
            // a file of several messages that breaks off between two of them is a whole one
            Format::Mt => text.rfind(":60"),
            _ => Some(text.len() / 3),
        };
        let (begin, end) = (begin.unwrap_or(0), end.unwrap_or(text.len()));
        let at =
            (self.rng.random_range(begin..end)..end).find(|at| text.is_char_boundary(*at)).unwrap_or(end);
        let bytes = text.as_bytes()[..at].to_vec();
        self.push(cuts, Sent { name: String::new(), bytes, refused: true, put_aside: Vec::new() });
    }

    fn push(&mut self, cuts: &[Cut], sent: Sent) {
        let day = cuts.iter().map(|cut| cut.last_day).max().unwrap_or(self.ledger.first_day);
        self.files.push((day, sent));
    }

    /// The order of the files, their names, and what is around them.
    fn sent(mut self) -> Mail {
        self.files.sort_by_key(|(day, _)| *day);
        let mut files: Vec<Sent> =
            std::mem::take(&mut self.files).into_iter().map(|(_, sent)| sent).collect();
        let ending = self.format.ending();
        for (at, file) in files.iter_mut().enumerate() {
            file.name = format!("{at:04}.{ending}");
        }
        self.pack(&mut files);
        let many = files.len();
        for at in 0..many {
            if self.happens(Fault::Renamed, at) {
                let again = Sent { name: format!("copy-of-{}", files[at].name), ..files[at].clone() };
                files.push(again);
            }
        }
        if many > 1 && self.happens(Fault::Late, many) {
            let late = files.remove(self.rng.random_range(0..many / 2));
            files.push(late);
        }
        Mail { format: self.format, files, fired: self.fired, truth: self.truth }
    }

    fn pack(&mut self, files: &mut Vec<Sent>) {
        let mut packed: Vec<Sent> = Vec::new();
        let mut loose = std::mem::take(files).into_iter().peekable();
        while let Some(mut file) = loose.next() {
            let at = packed.len();
            if self.happens(Fault::Gzipped, at)
                && let Ok(bytes) = pack::gzip(&file.bytes)
            {
                file = Sent { name: format!("{}.gz", file.name), bytes, ..file };
            } else if !file.refused && self.happens(Fault::Zipped, at) {
                let mut inner = vec![file];
                while inner.len() < 3
                    && let Some(next) = loose.next_if(|next| !next.refused)
                {
                    inner.push(next);
                }
                file = zipped(inner);
            }
            packed.push(file);
        }
        *files = packed;
    }

    /// Lines in an order of their own.
    pub fn shuffled(&mut self, cut: &Cut) -> Cut {
        let mut cut = cut.clone();
        cut.lines.shuffle(&mut self.rng);
        cut
    }
}

/// When the bank makes a statement: at night.
fn dated(cut: Cut) -> Cut {
    let next = cut.last_day.succ_opt().and_then(|day| day.and_hms_opt(1, 0, 0));
    Cut { created: next, ..cut }
}

fn zipped(inner: Vec<Sent>) -> Sent {
    let files: Vec<(&str, &[u8])> =
        inner.iter().map(|file| (file.name.as_str(), file.bytes.as_slice())).collect();
    let bytes = pack::zip(&files).unwrap_or_default();
    let name = inner.first().map(|first| format!("{}.zip", first.name)).unwrap_or_default();
    let put_aside = inner.into_iter().flat_map(|file| file.put_aside).collect();
    Sent { name, bytes, refused: false, put_aside }
}
