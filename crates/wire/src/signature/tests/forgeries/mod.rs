//! Forgeries: among 10,000 changes to genuine messages, no message is accepted that nobody signed.
//!
//! The signer records which key, time, id and body gave which value. A changed message may be accepted only if its
//! value and its content were recorded with the key of its reader, and the clock is near its time. Some changes affect
//! none of these. Such messages are meant to be accepted, and [`Harmless`] names and counts each kind of change.
//!
//! Everything in a run is determined by its seed, which it prints. `HYDRA_SEED=17 cargo test -p wire forgeries` repeats
//! the run.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::changes::forge;
use self::message::{Harmless, Message};
use self::signer::Signer;
use super::*;

mod changes;
mod message;
mod signer;

const FORGERIES: usize = 10_000;
const MESSAGES: usize = 60;
const TOLERANCE: u64 = 300;

/// Half of the messages have the scheme that the extension can verify.
const SCHEMES: [Scheme; 6] =
    [Scheme::Hydra, Scheme::XWebhook, Scheme::Hydra, Scheme::Standard, Scheme::Hydra, Scheme::Github];

fn pick<T: Clone>(chance: &mut StdRng, from: &[T]) -> T {
    from[chance.random_range(0..from.len())].clone()
}

#[test]
fn of_ten_thousand_changed_messages_none_is_accepted_that_nobody_signed() {
    let seed = std::env::var("HYDRA_SEED").map_or_else(|_| rand::random(), |text| text.parse().expect("a number"));
    println!("HYDRA_SEED={seed}");
    let mut signer = Signer { chance: StdRng::seed_from_u64(seed), records: Vec::new() };
    let sent: Vec<_> = SCHEMES.iter().cycle().take(MESSAGES).map(|scheme| signer.message(*scheme)).collect();
    let Signer { mut chance, records } = signer;
    for message in &sent {
        assert!(message.is_accepted(), "a genuine {} message was refused", message.scheme.as_str());
    }
    let mut harmless: BTreeMap<Harmless, usize> = BTreeMap::new();
    for number in 0..FORGERIES {
        let original = &sent[number % MESSAGES];
        let other = pick(&mut chance, &sent);
        let forged = forge(&mut chance, original, &other);
        let signed = records.iter().any(|record| forged.was_signed_as(record));
        let Message { scheme, id, time, header, body, secret, now } = &forged;
        assert_eq!(
            forged.is_accepted(),
            signed,
            "forgery {number} with {scheme:?}: {header:?}, time {time:?}, clock {now}, id {id:?}, body {body:?}, \
             secret {secret:?} made of {:?}",
            original.header
        );
        if signed {
            *harmless.entry(forged.harmless_change(original)).or_default() += 1;
        }
    }
    let accepted: usize = harmless.values().sum();
    println!(
        "{FORGERIES} changes to {MESSAGES} messages: {} refused; accepted as intended: {harmless:?}",
        FORGERIES - accepted
    );
    assert!(accepted * 2 < FORGERIES && harmless.len() == 6, "too few changes of some kind: {harmless:?}");
}
