//! `:86:`, what the bank says of the line before it.

use crate::Texts;

/// Reads the lines of the field into `texts`; they are kept as they came, too, as joining them loses where
/// they were joined.
pub fn take(lines: &[String], texts: &mut Texts) {
    texts.add(":86:", &lines.join("\n"));
    let joined = lines.concat();
    match structured(&joined) {
        Some((code, parts)) => german(code, &parts, texts),
        None if joined.starts_with('/') => slashes(&joined, texts),
        None => {
            texts.add("remittanceInformation", &lines.join("\n"));
            purpose_tags(&joined, texts);
        }
    }
}

/// Three digits and fields of two digits behind a separator, which is whatever follows the three.
fn structured(text: &str) -> Option<(&str, Vec<(u32, &str)>)> {
    let (code, rest) = text.split_at_checked(3)?;
    let separator = rest.chars().next()?;
    if !code.bytes().all(|b| b.is_ascii_digit()) || separator.is_alphanumeric() || separator == ' ' {
        return None;
    }
    let mut parts: Vec<(u32, &str)> = Vec::new();
    let mut at = separator.len_utf8();
    for (next, _) in rest.match_indices(separator).skip(1).chain([(rest.len(), "")]) {
        // a separator without two digits is text of the field before it
        let starts = rest.get(next + separator.len_utf8()..).is_some_and(|after| number(after).is_some());
        if next < rest.len() && !starts {
            continue;
        }
        if let Some(number) = number(&rest[at..]) {
            parts.push((number, &rest[at + 2..next]));
        }
        at = (next + separator.len_utf8()).min(rest.len());
    }
    (!parts.is_empty()).then_some((code, parts))
}

fn number(text: &str) -> Option<u32> {
    text.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

fn german(code: &str, parts: &[(u32, &str)], texts: &mut Texts) {
    texts.add("proprietaryBankTransactionCode", code);
    let mut purpose = String::new();
    let mut name = String::new();
    for (number, text) in parts {
        match number {
            0 => texts.add("additionalEntryInformation", text),
            10 => texts.add("primanota", text),
            20..=29 | 60..=63 => purpose.push_str(text),
            30 => texts.add("counterpartyAgent", text),
            31 | 38 => texts.add("counterpartyAccount", text),
            32 | 33 => name.push_str(text),
            34 => texts.add("returnReasonCode", text),
            other => texts.add(&format!("?{other:02}"), text),
        }
    }
    texts.add("counterpartyName", &name);
    if !purpose_tags(&purpose, texts) {
        texts.add("remittanceInformation", &purpose);
    }
}

const TAGS: &[(&str, &str)] = &[
    ("EREF", "endToEndId"),
    ("KREF", "paymentInformationId"),
    ("MREF", "mandateId"),
    ("CRED", "creditorId"),
    ("DEBT", "debtorId"),
    ("SVWZ", "remittanceInformation"),
    ("ABWA", "ultimateDebtorName"),
    ("ABWE", "ultimateCreditorName"),
    ("COAM", "compensationAmount"),
    ("OAMT", "originalAmount"),
    ("PURP", "purposeCode"),
    ("BREF", "instructionId"),
    ("RREF", "returnReference"),
    ("TAN1", "authorisation"),
    ("IBAN", "counterpartyAccount"),
    ("BIC", "counterpartyAgent"),
];

/// The SEPA tags within a purpose: `EREF+…SVWZ+…`. Whether there was any; what stands before the first one
/// is remittance information.
fn purpose_tags(purpose: &str, texts: &mut Texts) -> bool {
    let mut found: Vec<(usize, &str, &str)> = TAGS
        .iter()
        .flat_map(|(tag, name)| {
            purpose.match_indices(&format!("{tag}+")).map(|(at, _)| (at, *tag, *name)).collect::<Vec<_>>()
        })
        .collect();
    found.sort_unstable();
    let Some((first, ..)) = found.first().copied() else { return false };
    texts.add("remittanceInformation", &purpose[..first]);
    for (index, (at, tag, name)) in found.iter().enumerate() {
        let end = found.get(index + 1).map_or(purpose.len(), |(next, ..)| *next);
        texts.add(name, &purpose[at + tag.len() + 1..end]);
    }
    true
}

const SLASHED: &[(&str, &str)] = &[
    ("EREF", "endToEndId"),
    ("MARF", "mandateId"),
    ("CSID", "creditorId"),
    ("REMI", "remittanceInformation"),
    ("PREF", "paymentInformationId"),
    ("NAME", "counterpartyName"),
    ("IBAN", "counterpartyAccount"),
    ("BIC", "counterpartyAgent"),
    ("RTRN", "returnReasonCode"),
    ("PURP", "purposeCode"),
    ("TRTP", "additionalEntryInformation"),
    ("ISDT", "settlementDate"),
];

/// `/EREF/…/REMI/…` of Dutch and SWIFT files: known words between slashes, whatever is between them.
fn slashes(text: &str, texts: &mut Texts) {
    let mut name = "information";
    let mut value: Vec<&str> = Vec::new();
    for part in text.split('/').skip(1) {
        match SLASHED.iter().find(|(word, _)| *word == part) {
            Some((_, next)) => {
                texts.add(name, value.join("/").trim_matches('/'));
                value.clear();
                name = next;
            }
            None => value.push(part),
        }
    }
    texts.add(name, value.join("/").trim_matches('/'));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Texts {
        let lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
        let mut texts = Texts::default();
        take(&lines, &mut texts);
        texts
    }

    #[test]
    fn a_marker_that_is_cut_by_the_end_of_a_line_is_found() {
        let texts = read("166?00GUTSCHRIFT?20EREF+A1?21SVWZ+Rent?3\n2Max ?33Muster?\n31DE99");
        assert_eq!(texts.get("counterpartyName"), Some("Max Muster"));
        assert_eq!(texts.get("counterpartyAccount"), Some("DE99"));
        assert_eq!((texts.get("endToEndId"), texts.get("remittanceInformation")), (Some("A1"), Some("Rent")));
    }

    #[test]
    fn any_character_behind_the_code_separates() {
        let texts = read("020^00PRZELEW^20Faktura^32Jan Kowalski");
        assert_eq!(texts.get("counterpartyName"), Some("Jan Kowalski"));
        assert_eq!(texts.get("remittanceInformation"), Some("Faktura"));
    }

    #[test]
    fn words_between_slashes_are_fields_even_where_they_are_empty() {
        let texts = read("/EREF/01 12:00/BENM//NAME/CONTRA ACCOUN\nT HOLDER/REMI//ISDT/2013-07-11");
        assert_eq!(texts.get("counterpartyName"), Some("CONTRA ACCOUNT HOLDER"));
        assert_eq!(texts.get("settlementDate"), Some("2013-07-11"));
        assert_eq!(texts.get("remittanceInformation"), None);
    }

    #[test]
    fn a_question_mark_in_text_separates_nothing_and_all_text_is_kept() {
        let texts = read("166?20Why? Because?21 so?77odd");
        assert_eq!(texts.get("remittanceInformation"), Some("Why? Because so"));
        assert_eq!(texts.get("?77"), Some("odd"));
        assert_eq!(texts.get(":86:"), Some("166?20Why? Because?21 so?77odd"));
    }
}
