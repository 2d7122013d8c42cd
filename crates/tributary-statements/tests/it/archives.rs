//! Archives around files, and what is not to come out of them.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tributary_statements::{Format, Limits, ReadError, Settings, read, sniff, unwrap};

const FILE: &str = ":20:R\n:25:1\n:28C:1\n:60F:C260301EUR0,\n:61:260301C1,NTRFX\n:62F:C260301EUR1,\n";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn an_archive_is_known_by_its_content_and_all_of_its_files_are_read() {
    let second = FILE.replace(":28C:1", ":28C:2");
    let archive = zip(&[("a.pdf", FILE.as_bytes()), ("dir/b", &gzip(second.as_bytes()))]);
    assert_eq!(read(&archive, &Settings::default()).unwrap().len(), 2);
    assert_eq!(read(&gzip(FILE.as_bytes()), &Settings::default()).unwrap().len(), 1);
}

#[test]
fn one_bad_file_of_an_archive_refuses_it_whole() {
    let archive = zip(&[("a", FILE.as_bytes()), ("b", b"hello")]);
    assert!(matches!(read(&archive, &Settings::default()), Err(ReadError::Unrecognised(_))));
    assert!(read(&zip(&[]), &Settings::default()).is_err());
}

#[test]
fn what_unpacks_to_more_than_a_machine_holds_is_refused() {
    let zeros = vec![b' '; 8 * 1024 * 1024];
    let limits = |bytes, ratio| Limits { bytes, ratio, ..Limits::default() };
    for bomb in [gzip(&zeros), zip(&[("a", &zeros)])] {
        assert!(matches!(unwrap(&bomb, limits(1024, 1_000_000)), Err(ReadError::Archive(_))));
        assert!(matches!(unwrap(&bomb, limits(u64::MAX, 2)), Err(ReadError::Archive(_))));
        assert!(unwrap(&bomb, Limits { ratio: 100_000, ..Limits::default() }).is_ok());
    }
    let nested = gzip(&gzip(&gzip(&gzip(FILE.as_bytes()))));
    assert!(matches!(unwrap(&nested, Limits::default()), Err(ReadError::Archive(_))));
    let many = zip(&[("a", b"1"), ("b", b"2")]);
    assert!(matches!(unwrap(&many, Limits { files: 1, ..Limits::default() }), Err(ReadError::Archive(_))));
}

#[test]
fn a_format_is_known_by_its_content() {
    for (text, format) in [
        (FILE, Format::Mt),
        ("01,A,B,260301,0000,1,,,2/\n", Format::Bai2),
        ("\n\nOFXHEADER:100\n<OFX>", Format::Ofx),
        ("<?xml version=\"1.0\"?>\n<a:Document><a:BkToCstmrAcctRpt>", Format::Camt),
    ] {
        assert_eq!(sniff(text.as_bytes()), Ok(format), "{text}");
    }
    assert_eq!(sniff(b" \n"), Err(ReadError::Empty));
    for text in ["hello", "<html>", "<Document><CstmrPmtStsRpt>"] {
        assert!(matches!(sniff(text.as_bytes()), Err(ReadError::Unrecognised(_))), "{text}");
    }
}
