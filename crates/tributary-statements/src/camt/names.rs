//! The names that texts of camt get: those of ISO 20022 that everybody knows, else their path.

use super::node::Node;
use crate::Texts;

const ENTRY: &[(&str, &str)] = &[
    ("NtryRef", "entryReference"),
    ("AcctSvcrRef", "accountServicerReference"),
    ("AddtlNtryInf", "additionalEntryInformation"),
    ("BkTxCd/Prtry/Cd", "proprietaryBankTransactionCode"),
    ("BkTxCd/Prtry/Issr", "proprietaryBankTransactionCodeIssuer"),
];

const DETAIL: &[(&str, &str)] = &[
    ("Refs/MsgId", "messageId"),
    ("Refs/AcctSvcrRef", "accountServicerReference"),
    ("Refs/PmtInfId", "paymentInformationId"),
    ("Refs/InstrId", "instructionId"),
    ("Refs/EndToEndId", "endToEndId"),
    ("Refs/UETR", "uetr"),
    ("Refs/TxId", "transactionId"),
    ("Refs/MndtId", "mandateId"),
    ("Refs/ChqNb", "chequeNumber"),
    ("Refs/ClrSysRef", "clearingSystemReference"),
    ("RmtInf/Ustrd", "remittanceInformation"),
    ("RmtInf/Strd/CdtrRefInf/Ref", "creditorReference"),
    ("RltdPties/Dbtr/Nm", "debtorName"),
    ("RltdPties/DbtrAcct/Id/IBAN", "debtorAccount"),
    ("RltdPties/DbtrAcct/Id/Othr/Id", "debtorAccount"),
    ("RltdPties/UltmtDbtr/Nm", "ultimateDebtorName"),
    ("RltdPties/Cdtr/Nm", "creditorName"),
    ("RltdPties/CdtrAcct/Id/IBAN", "creditorAccount"),
    ("RltdPties/CdtrAcct/Id/Othr/Id", "creditorAccount"),
    ("RltdPties/UltmtCdtr/Nm", "ultimateCreditorName"),
    ("RltdPties/Cdtr/Id/PrvtId/Othr/Id", "creditorId"),
    ("RltdAgts/DbtrAgt/FinInstnId/BICFI", "debtorAgentBic"),
    ("RltdAgts/CdtrAgt/FinInstnId/BICFI", "creditorAgentBic"),
    ("RtrInf/Rsn/Cd", "returnReasonCode"),
    ("RtrInf/AddtlInf", "returnReasonInformation"),
    ("Purp/Cd", "purposeCode"),
    ("AddtlTxInf", "additionalTransactionInformation"),
    ("BkTxCd/Prtry/Cd", "proprietaryBankTransactionCode"),
];

/// What has a field of its own in the model.
const IN_ENTRY: &[&str] = &["Amt", "Amt@Ccy", "CdtDbtInd", "RvslInd", "Sts", "Sts/Cd", "Sts/Prtry"];

/// The texts of an entry, without those of its details.
pub fn of_entry(node: &Node) -> Texts {
    let mut texts = Texts::default();
    for child in node.children.iter().filter(|child| child.name != "NtryDtls") {
        child.leaves(&child.name, &mut |path, text| {
            if !IN_ENTRY.contains(&path) {
                texts.add(named(path, ENTRY), text);
            }
        });
    }
    if let Some(code) = node.at("BkTxCd").and_then(domain_code) {
        texts.add("bankTransactionCode", &code);
    }
    // a batch says once for all of its transactions what it is
    for details in node.all("NtryDtls") {
        for batch in details.all("Btch") {
            batch.leaves("Btch", &mut |path, text| texts.add(path, text));
        }
    }
    texts
}

/// The texts of a TxDtls.
pub fn of_detail(node: &Node) -> Texts {
    let mut texts = Texts::default();
    for child in &node.children {
        child.leaves(&child.name, &mut |path, text| texts.add(named(&older(path), DETAIL), text));
    }
    if let Some(code) = node.at("BkTxCd").and_then(domain_code) {
        texts.add("bankTransactionCode", &code);
    }
    texts
}

/// `PMNT-RCDT-ESCT`: domain, family and subfamily.
pub fn domain_code(code: &Node) -> Option<String> {
    let parts = ["Domn/Cd", "Domn/Fmly/Cd", "Domn/Fmly/SubFmlyCd"];
    let found: Vec<&str> = parts.iter().filter_map(|path| code.text_at(path)).collect();
    (!found.is_empty()).then(|| found.join("-"))
}

/// One path for all versions: parties are within `Pty` from .08 on, where BIC is BICFI (from .03 on).
fn older(path: &str) -> String {
    let path = path.replace("/Pty/", "/");
    match path.strip_suffix("/FinInstnId/BIC") {
        Some(agent) => format!("{agent}/FinInstnId/BICFI"),
        None => path,
    }
}

fn named<'a>(path: &'a str, names: &[(&str, &'a str)]) -> &'a str {
    names.iter().find(|(known, _)| *known == path).map_or(path, |(_, name)| name)
}
