//! How fast a long camt.053 is read, and how much memory that takes: `cargo bench -p tributary-statements`.
//! The file is made while it is read, so that what is measured is the reader alone. `MEGABYTES` sets its size.

use std::io::{BufReader, Read};
use std::time::Instant;

use tributary_statements::{CamtPart, Settings, read_camt};

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

fn main() {
    let megabytes: u64 = std::env::var("MEGABYTES").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    let bytes = megabytes * 1_000_000;
    let entries = bytes / entry(500_000).len() as u64;
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
    println!("{megabytes} MB of camt.053, {count} entries, {sum} cents: {seconds:.2} s");
    println!("{:.0} entries/s, {:.0} MB/s", count as f64 / seconds, bytes as f64 / 1e6 / seconds);
    if let (Some(before), Some(after)) = (before, peak_kib()) {
        println!("peak memory {after} KiB, {} KiB of it by reading", after.saturating_sub(before));
        assert!(after < 64 * 1024, "reading takes more memory than an entry needs");
    }
}
