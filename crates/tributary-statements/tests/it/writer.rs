//! One ledger in every format.

use super::bank::{Cut, Line};

fn iso(day: u32) -> String {
    format!("2026-03-{:02}", day + 2)
}

fn short(day: u32) -> String {
    format!("2603{:02}", day + 2)
}

fn decimal(units: i128, mark: char) -> String {
    format!("{}{mark}{:02}", units.abs() / 100, units.abs() % 100)
}

/// camt.052 or .053, of version .02 or .08.
pub fn camt(cut: &Cut, interim: bool, newer: bool) -> String {
    let (message, statement) = if interim { ("BkToCstmrAcctRpt", "Rpt") } else { ("BkToCstmrStmt", "Stmt") };
    let side = |units: i128| if units < 0 { "DBIT" } else { "CRDT" };
    let balance = |code: &str, units: i128, day: u32| {
        format!(
            "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">{}</Amt><CdtDbtInd>{}</CdtDbtInd><Dt><Dt>{}</Dt></Dt></Bal>",
            decimal(units, '.'),
            side(units),
            iso(day)
        )
    };
    let status = if newer { "<Sts><Cd>BOOK</Cd></Sts>" } else { "<Sts>BOOK</Sts>" };
    let entry = |line: &Line| {
        let reference =
            line.reference.map(|id| format!("<AcctSvcrRef>REF{id}X</AcctSvcrRef>")).unwrap_or_default();
        format!(
            "<Ntry><Amt Ccy=\"EUR\">{}</Amt><CdtDbtInd>{}</CdtDbtInd>{status}<BookgDt><Dt>{}</Dt></BookgDt><ValDt><Dt>{}</Dt></ValDt>{reference}\
             <BkTxCd><Prtry><Cd>NTRF</Cd></Prtry></BkTxCd></Ntry>\n",
            decimal(line.units, '.'),
            side(line.units),
            iso(line.day),
            iso(line.day)
        )
    };
    let number =
        cut.number.map(|number| format!("<ElctrncSeqNb>{number}</ElctrncSeqNb>")).unwrap_or_default();
    let balances = match interim {
        true => String::new(),
        false => balance("OPBD", cut.opening, cut.first_day) + &balance("CLBD", cut.closing(), cut.last_day),
    };
    let entries: String = cut.lines.iter().map(entry).collect();
    let version = if newer { "08" } else { "02" };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}\"><{message}>\
         <GrpHdr><MsgId>M</MsgId></GrpHdr><{statement}><Id>STMT</Id>{number}<Acct><Id><IBAN>DE1</IBAN></Id><Ccy>EUR</Ccy></Acct>\
         {balances}{entries}</{statement}></{message}></Document>\n"
    )
}

fn mt_lines(cut: &Cut, own_day: bool) -> String {
    let line = |line: &Line| {
        let mark = if line.units < 0 { 'D' } else { 'C' };
        let entry_day = if own_day { short(line.day)[2..].to_owned() } else { String::new() };
        let reference = line.reference.map(|id| format!("//REF{id}X")).unwrap_or_default();
        format!(
            ":61:{}{entry_day}{mark}R{}NTRFNONREF{reference}\n:86:166?00TEXT?20Some?21thing\n",
            short(line.day),
            decimal(line.units, ',')
        )
    };
    cut.lines.iter().map(line).collect()
}

fn mt_balance(units: i128, day: u32) -> String {
    format!("{}{}EUR{}", if units < 0 { 'D' } else { 'C' }, short(day), decimal(units, ','))
}

/// MT940, bare or in an envelope.
pub fn mt940(cut: &Cut, envelope: bool) -> String {
    let (before, after) = if envelope {
        ("{1:F01BANKDEFFAXXX0000000000}{2:I940BANKDEFFXXXXN}{4:\r\n", "-}\r\n")
    } else {
        ("", "-\n")
    };
    format!(
        "{before}:20:STARTUMS\n:25:DE1\n:28C:{}/1\n:60F:{}\n{}:62F:{}\n{after}",
        cut.number.unwrap_or(0),
        mt_balance(cut.opening, cut.first_day),
        mt_lines(cut, true),
        mt_balance(cut.closing(), cut.last_day)
    )
}

/// MT942, with control totals; without the days of entries, as some banks leave them out.
pub fn mt942(cut: &Cut) -> String {
    let total = |debit: bool| {
        let of: Vec<i128> =
            cut.lines.iter().map(|line| line.units).filter(|units| (*units < 0) == debit).collect();
        format!("{}EUR{}", of.len(), decimal(of.iter().sum(), ','))
    };
    format!(
        ":20:R\n:25:DE1\n:28C:{}/1\n:34F:EUR0,\n:13D:{}1200+0100\n{}:90D:{}\n:90C:{}\n-\n",
        cut.number.unwrap_or(0),
        short(cut.last_day),
        mt_lines(cut, false),
        total(true),
        total(false)
    )
}

/// BAI2 of one day, with all control totals.
pub fn bai2(cut: &Cut) -> String {
    let detail = |line: &Line| {
        let code = if line.units < 0 { 475 } else { 195 };
        let reference = line.reference.map(|id| format!("REF{id}X")).unwrap_or_default();
        format!("16,{code},{},Z,{reference},,TEXT / WITH, ALL\n88,AND MORE\n", line.units.abs())
    };
    let details: String = cut.lines.iter().map(detail).collect();
    let gross: i128 =
        cut.opening + cut.closing() + cut.lines.iter().map(|line| line.units.abs()).sum::<i128>();
    let records = cut.lines.len() * 2 + 3;
    format!(
        "01,B,M,260309,0700,1,,,2/\n02,M,B,1,{},,EUR,2/\n03,DE1,,010,{},,/\n88,015,{},,/\n{details}49,{gross},{records}/\n98,{gross},1,{}/\n99,{gross},1,{}/\n",
        short(cut.last_day),
        cut.opening,
        cut.closing(),
        records + 2,
        records + 4
    )
}

/// OFX of the first or second generation.
pub fn ofx(cut: &Cut, xml: bool) -> String {
    let leaf = |name: &str, text: &str| {
        if xml { format!("<{name}>{text}</{name}>") } else { format!("<{name}>{text}\n") }
    };
    let transaction = |line: &Line| {
        let sign = if line.units < 0 { "-" } else { "" };
        format!(
            "<STMTTRN>{}{}{}{}</STMTTRN>\n",
            leaf("TRNTYPE", "OTHER"),
            leaf("DTPOSTED", &format!("{}120000[-5:EST]", iso(line.day).replace('-', ""))),
            leaf("TRNAMT", &format!("{sign}{}", decimal(line.units, '.'))),
            line.reference.map(|id| leaf("FITID", &format!("REF{id}X"))).unwrap_or_default()
        )
    };
    let transactions: String = cut.lines.iter().map(transaction).collect();
    let day = |day: u32| iso(day).replace('-', "");
    format!(
        "{}<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS>{}<BANKACCTFROM>{}</BANKACCTFROM><BANKTRANLIST>{}{}{transactions}</BANKTRANLIST></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>",
        if xml {
            "<?xml version=\"1.0\"?>\n<?OFX OFXHEADER=\"200\"?>\n"
        } else {
            "OFXHEADER:100\nCHARSET:1252\n\n"
        },
        leaf("CURDEF", "EUR"),
        leaf("ACCTID", "DE1"),
        leaf("DTSTART", &day(cut.first_day)),
        leaf("DTEND", &day(cut.last_day)),
    )
}

/// CSV with a running balance, oldest or newest first.
pub fn csv(cut: &Cut, newest_first: bool) -> String {
    let mut balance = cut.opening;
    let sign = |units: i128| if units < 0 { "-" } else { "" };
    let mut rows: Vec<String> = cut
        .lines
        .iter()
        .map(|line| {
            balance += line.units;
            let day = iso(line.day);
            format!(
                "{}.03.2026;{}{};{}{}\n",
                &day[8..],
                sign(line.units),
                decimal(line.units, ','),
                sign(balance),
                decimal(balance, ',')
            )
        })
        .collect();
    if newest_first {
        rows.reverse();
    }
    format!("My account\n\nDate;Amount;Balance\n{}", rows.concat())
}
