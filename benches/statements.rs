//! How fast statement files are read: a camt.053 as a stream, with the memory that takes, and files of each format as the
//! service reads them. The camt.053 is made while it is read, so that what is measured is the reader alone.
//!
//! MEGABYTES=100 ENTRIES=100000 cargo bench --bench statements

use std::io::{BufReader, Read};
use std::time::Instant;

mod baseline;

use baseline::Baseline;
use tributary::config::Provider;
use tributary_standin::bank::{Cut, Group, Line, Message, Style, day};
use tributary_statements::{CamtPart, Settings, read, read_camt};

/// A statement of so many entries, made as it is read.
struct Made {
    entries: u64,
    next: u64,
    chunk: Vec<u8>,
    at: usize,
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\">\
    <BkToCstmrStmt><GrpHdr><MsgId>M</MsgId></GrpHdr><Stmt><Id>S</Id><Acct><Id><IBAN>DE02120300000000202051</IBAN></Id><Ccy>EUR</Ccy></Acct>\n";
const TAIL: &str = "</Stmt></BkToCstmrStmt></Document>\n";

fn entry(number: u64) -> String {
    format!(
        "<Ntry><NtryRef>{number}</NtryRef><Amt Ccy=\"EUR\">{}.{:02}</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>\
         <BookgDt><Dt>2026-03-02</Dt></BookgDt><ValDt><Dt>2026-03-02</Dt></ValDt><AcctSvcrRef>REF-{number}</AcctSvcrRef>\
         <BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>ESCT</SubFmlyCd></Fmly></Domn></BkTxCd><NtryDtls><TxDtls>\
         <Refs><EndToEndId>E2E-{number}</EndToEndId></Refs><RltdPties><Dbtr><Pty><Nm>M\u{fc}ller &amp; Co {number}</Nm></Pty></Dbtr>\
         <DbtrAcct><Id><IBAN>DE02120300000000202051</IBAN></Id></DbtrAcct></RltdPties><RmtInf><Ustrd>Invoice {number} of March</Ustrd>\
         </RmtInf></TxDtls></NtryDtls></Ntry>\n",
        number % 1_000,
        number % 100
    )
}

impl Read for Made {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.chunk.len() {
            let text = match self.next {
                0 => HEAD.to_owned(),
                next if next <= self.entries => entry(next),
                next if next == self.entries + 1 => TAIL.to_owned(),
                _ => return Ok(0),
            };
            self.next += 1;
            self.chunk = text.into_bytes();
            self.at = 0;
        }
        let length = buffer.len().min(self.chunk.len() - self.at);
        buffer[..length].copy_from_slice(&self.chunk[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// The most memory that the process has had, in KiB, where the system tells.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn number(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut baseline = Baseline::read()?;
    stream(number("MEGABYTES", 100), &mut baseline);
    let lines = number("ENTRIES", 100_000);
    for (name, style) in [
        ("camt.053", Style::Camt { message: Message::Statement, version: 8 }),
        ("MT940", Style::Mt940 { envelope: true }),
        ("BAI2", Style::Bai2(Group::Final)),
        ("OFX 1", Style::Ofx { xml: false }),
        ("OFX 2", Style::Ofx { xml: true }),
        ("CSV", Style::Csv { newest_first: true }),
    ] {
        whole(name, style, lines, &mut baseline)?;
    }
    baseline.save_if_asked()
}

/// Reads a camt.053 entry by entry.
fn stream(megabytes: usize, baseline: &mut Baseline) {
    let bytes = megabytes * 1_000_000;
    let entries = (bytes / entry(500_000).len()) as u64;
    let before = peak_kib();
    let started = Instant::now();
    let (mut count, mut sum) = (0_u64, 0_i128);
    let source = BufReader::new(Made { entries, next: 0, chunk: Vec::new(), at: 0 });
    read_camt(source, &Settings::default(), &mut |part| {
        if let CamtPart::Entry(entry) = part {
            count += 1;
            sum += entry.amount.minor_units();
        }
    })
    .expect("the file is well formed");
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(count, entries);
    let rate = count as f64 / seconds;
    let told = baseline.compare("camt.053 as a stream, entries/s", megabytes, rate);
    println!(
        "{megabytes} MB of camt.053, {count} entries, {sum} cents: {seconds:.2} s, {:.0} MB/s",
        bytes as f64 / 1e6 / seconds
    );
    println!("camt.053 as a stream: {rate:.0} entries/s ({told})");
    if let (Some(before), Some(after)) = (before, peak_kib()) {
        println!("peak memory {after} KiB, {} KiB of it by reading", after.saturating_sub(before));
        assert!(after < 64 * 1024, "reading takes more memory than an entry needs");
    }
}

/// Reads a file of so many entries as the service does.
fn whole(
    name: &str,
    style: Style,
    lines: usize,
    baseline: &mut Baseline,
) -> Result<(), Box<dyn std::error::Error>> {
    let line = |number: usize| Line {
        name: "M\u{fc}ller & Co".to_owned(),
        text: format!("Invoice {number} of March"),
        order: Some(format!("E2E-{number}")),
        ..Line::new(day(0), number as i128 % 1_000 - 500).referred(format!("REF-{number}"))
    };
    let cut = Cut::new(Some(1), (day(0), day(0)), 0, (0..lines).map(line).collect());
    let text = style.write(&[cut]);
    let csv = Provider::parse(include_str!("../providers/bank-csv.yaml"), &|_| None)?.files;
    let csv = csv.filter(|_| matches!(style, Style::Csv { .. })).map(|files| files.settings.clone());
    let started = Instant::now();
    let statements = read(text.as_bytes(), &csv.unwrap_or_default())?;
    let rate = lines as f64 / started.elapsed().as_secs_f64();
    assert_eq!(statements.iter().map(|statement| statement.entries.len()).sum::<usize>(), lines);
    let told = baseline.compare(&format!("{name} whole, entries/s"), lines, rate);
    println!("{name} whole: {} entries of {} bytes, {rate:.0} entries/s ({told})", lines, text.len());
    Ok(())
}
