//! The provider files of banks that ship, and one of a bank that sends OFX.

use tributary::config::Provider;
use tributary_standin::bank::Format;

use crate::support::edited;
use crate::support::process::Place;

/// A bank that sends files.
#[derive(Clone, Copy)]
pub struct Bank {
    pub name: &'static str,
    pub format: Format,
    pub file: &'static str,
    /// The variable that says where its files are fetched from.
    pub folder: &'static str,
}

pub const CAMT: Bank = Bank {
    name: "bank-camt",
    format: Format::Camt,
    file: include_str!("../../../providers/bank-camt.yaml"),
    folder: "BANK_CAMT_FOLDER",
};

pub const MT940: Bank = Bank {
    name: "bank-mt940",
    format: Format::Mt,
    file: include_str!("../../../providers/bank-mt940.yaml"),
    folder: "BANK_MT940_FOLDER",
};

pub const BAI2: Bank = Bank {
    name: "bank-bai2",
    format: Format::Bai2,
    file: include_str!("../../../providers/bank-bai2.yaml"),
    folder: "BANK_BAI2_FOLDER",
};

pub const CSV: Bank = Bank {
    name: "bank-csv",
    format: Format::Csv,
    file: include_str!("../../../providers/bank-csv.yaml"),
    folder: "BANK_CSV_FOLDER",
};

/// None that ships: all that a bank with OFX needs.
const OFX: Bank = Bank {
    name: "bank-ofx",
    format: Format::Ofx,
    file: "provider: bank-ofx\nfiles:\n  from: { folder: \"${BANK_OFX_FOLDER}\", settle: 1m, after: { move: done }, every: 5m }\n",
    folder: "BANK_OFX_FOLDER",
};

pub const ALL: [Bank; 5] = [CAMT, MT940, BAI2, CSV, OFX];

impl Bank {
    /// Its file, for a test: files are read as they come, and the feed is fast.
    pub fn hurried(&self) -> String {
        let file = edited(&edited(self.file, "settle: 1m", "settle: 0s"), "every: 5m", "every: 1s");
        format!("{file}feed: {{ pace: 1000/s }}\n")
    }

    /// Its file as it is read, fetching from nowhere.
    pub fn provider(&self) -> Provider {
        Provider::parse(self.file, &|_| None).unwrap()
    }
}

#[tokio::test]
async fn the_stand_in_writes_files_to_try_a_providers_file_with() {
    let place = Place::new("standin_bank");
    for (bank, format) in [(CAMT, "camt"), (MT940, "mt940"), (BAI2, "bai2"), (CSV, "csv")] {
        std::fs::write(place.0.join("bank.yaml"), bank.file).unwrap();
        let told = place.stdout(&["standin", "bank", format, "--format", format, "--days", "6"]).await;
        let files = std::fs::read_dir(place.0.join(format)).unwrap().map(|file| file.unwrap().path());
        let files: Vec<String> = files.map(|path| path.display().to_string()).collect();
        assert!(told.contains(&format!("{} files are in {format}", files.len())), "{told}");
        let mut args = vec!["statement", "check", "--provider", "bank.yaml"];
        args.extend(files.iter().map(String::as_str));
        let output = place.run(&args).await;
        let checked = String::from_utf8_lossy(&output.stdout);
        for line in told.lines().filter_map(|line| line.strip_prefix("  ")) {
            let (_, why) = line.split_once(": ").unwrap();
            assert!(
                checked.lines().any(|told| told.contains("put aside") && told.contains(why)),
                "{why}: {checked}"
            );
        }
        assert_eq!(output.status.code(), Some(1), "{checked}");
    }
}

#[tokio::test]
async fn a_new_file_can_begin_as_one_of_a_bank_that_ships() {
    let place = Place::new("new_bank");
    let told = place.stdout(&["manifest", "new", "mybank", "--from", "bank-mt940"]).await;
    assert!(told.contains("providers/mybank.yaml was written"), "{told}");
    let told = place.stdout(&["manifest", "validate"]).await;
    assert!(told.contains("mybank.yaml: valid"), "{told}");
}
