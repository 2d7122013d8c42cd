//! Bytes to text. Texts never decide about money or identity, so a wrong charset can be mended later.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// A charset that banks write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// One that browsers know, too: UTF-8, windows-1252, windows-1250, ISO-8859-15, …
    Web(&'static Encoding),
    /// Code page 850 of DOS, of western Europe.
    Cp850,
    /// Code page 852 of DOS, of central Europe.
    Cp852,
}

impl Charset {
    /// The charset of this name, as `windows-1252`, `ISO-8859-15` or `cp852`; `None` where it is not known.
    pub fn named(label: &str) -> Option<Self> {
        match label.trim().to_ascii_lowercase().as_str() {
            "cp850" | "ibm850" | "850" => Some(Self::Cp850),
            "cp852" | "ibm852" | "852" => Some(Self::Cp852),
            "1252" | "1250" | "1251" | "1253" | "1254" | "1257" => {
                Encoding::for_label(format!("windows-{}", label.trim()).as_bytes()).map(Self::Web)
            }
            other => Encoding::for_label(other.as_bytes()).map(Self::Web),
        }
    }

    fn decode(self, bytes: &[u8]) -> String {
        match self {
            Self::Web(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
            Self::Cp850 => by_table(bytes, CP850),
            Self::Cp852 => by_table(bytes, CP852),
        }
    }
}

fn by_table(bytes: &[u8], upper: &str) -> String {
    let upper: Vec<char> = upper.chars().collect();
    let character = |byte: &u8| match byte.checked_sub(128) {
        None => char::from(*byte),
        Some(at) => upper[usize::from(at)],
    };
    bytes.iter().map(character).collect()
}

/// Decodes what says nothing else: by its byte order mark, else as UTF-8 if it is that throughout, else as
/// `fallback`, else as windows-1252. A file that begins with the mark of UTF-8 is UTF-8, with U+FFFD for what is not.
pub fn decode(bytes: &[u8], fallback: Option<Charset>) -> String {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark..]).0.into_owned();
    }
    if let Some(encoding) = utf_16_without_mark(bytes) {
        return encoding.decode_without_bom_handling(bytes).0.into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => fallback.unwrap_or(Charset::Web(WINDOWS_1252)).decode(bytes),
    }
}

/// Decodes a file that names its charset as `label`. UTF-8 that is none is read as [`decode`] would.
pub fn decode_declared(bytes: &[u8], label: &str, fallback: Option<Charset>) -> String {
    match Charset::named(label) {
        Some(declared) if declared != Charset::Web(UTF_8) && Encoding::for_bom(bytes).is_none() => {
            declared.decode(bytes)
        }
        _ => decode(bytes, fallback),
    }
}

/// UTF-16 of texts that are mostly ASCII: every other one of the first bytes is zero.
fn utf_16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = bytes.get(..8)?;
    let zero = |odd: usize| start.iter().skip(odd).step_by(2).all(|byte| *byte == 0);
    match (zero(0), zero(1)) {
        (false, true) => Some(UTF_16LE),
        (true, false) => Some(UTF_16BE),
        _ => None,
    }
}

const CP850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";
const CP852: &str = "ÇüéâäůćçłëŐőîŹÄĆÉĹĺôöĽľŚśÖÜŤťŁ×čáíóúĄąŽžĘę¬źČş«»░▒▓│┤ÁÂĚŞ╣║╗╝Żż┐└┴┬├─┼Ăă╚╔╩╦╠═╬¤đĐĎËďŇÍÎě┘┌█▄ŢŮ▀ÓßÔŃńňŠšŔÚŕŰýÝţ´\u{ad}˝˛ˇ˘§÷¸°¨˙űŘř■\u{a0}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn umlauts_survive_every_charset_that_banks_use() {
        let text = "Müller";
        for (bytes, fallback) in [
            (&b"M\xc3\xbcller"[..], None),
            (b"M\xfcller", None),
            (b"M\x81ller", Some(Charset::Cp852)),
            (b"M\x81ller", Some(Charset::Cp850)),
            (b"\xef\xbb\xbfM\xc3\xbcller", Some(Charset::Cp852)),
            (b"M\0\xfc\0l\0l\0e\0r\0", None),
            (b"\xff\xfeM\0\xfc\0l\0l\0e\0r\0", None),
        ] {
            let decoded = decode(bytes, fallback);
            assert_eq!(decoded, text, "{bytes:?}");
        }
        assert_eq!(decode(b"\xb3", Charset::named("windows-1250")), "ł");
    }

    #[test]
    fn one_bad_byte_behind_a_mark_does_not_garble_the_rest() {
        assert_eq!(decode(b"\xef\xbb\xbf\xc3\xa4\xff", None), "ä\u{fffd}");
    }

    #[test]
    fn a_declared_charset_is_believed_unless_it_is_a_lie_about_utf_8() {
        assert_eq!(decode_declared(b"\xa4", "ISO-8859-15", None), "€");
        assert_eq!(decode_declared(b"\xfc", "UTF-8", None), "ü");
    }

    #[test]
    fn code_pages_have_128_upper_characters() {
        for table in [CP850, CP852] {
            assert_eq!(table.chars().count(), 128);
        }
    }
}
