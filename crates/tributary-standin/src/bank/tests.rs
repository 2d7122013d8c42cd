//! What a bank sends, however small its ledger is.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::{Format, Ledger, Mail};

#[test]
fn every_fault_happens_in_each_ledger() {
    for seed in 0..100 {
        let mut rng = StdRng::seed_from_u64(seed);
        let ledger = Ledger::random(&mut rng, 6, 0);
        for format in Format::ALL {
            let mail = Mail::send(&ledger, format, true, seed);
            let never: Vec<_> =
                format.faults().into_iter().filter(|fault| mail.fired.count(*fault) == 0).collect();
            assert!(never.is_empty(), "{format:?}, seed {seed}: {never:?}");
        }
    }
}

#[test]
fn a_seed_sends_the_same_again() {
    let sent = |seed| {
        let ledger = Ledger::random(&mut StdRng::seed_from_u64(seed), 6, 5);
        Format::ALL.map(|format| Mail::send(&ledger, format, true, seed).files)
    };
    assert_eq!(sent(7), sent(7));
    assert_ne!(sent(7), sent(8));
}
