//! New secrets, and the time in which the old one signs as well.

use testkit::receiver::Signature;
use testkit::{PATIENCE, wait_until};

use crate::Signed;
use crate::forgeries::Case;
use crate::verifiers::{DOCUMENTED_NODE, READERS_OF_LISTS};

#[test]
fn during_an_overlap_both_secrets_sign_the_old_one_last_and_then_it_ends() {
    let mut signed = Signed::new("overlap_times", &["signatures => '{hydra,standard}'"]);
    let id = signed.subscription;
    let old = signed.secret.clone();
    // So long that a request is made before it ends.
    let new = signed.rotate("8 s");
    assert_ne!(new, old);
    assert_eq!(signed.bench.column(id, "secret_prefix"), new[..12]);
    let request = signed.request();
    assert_eq!([request.signed_with(&old), request.signed_with(&new)], [Signature::Verified; 2]);
    let header = request.header("X-Hydra-Signature").expect("it is signed");
    let values: Vec<&str> = header.split(",v1=").collect();
    assert_eq!(values.len(), 3, "a time and two signatures");
    let mut verify = |value: &str, secret: &str| -> bool {
        let header = format!("{},v1={value}", values[0]);
        let sql = "SELECT hydra.webhook_verify($1, $2, $3)";
        signed.bench.client.query_one(sql, &[&request.text(), &header, &secret]).expect("it says yes or no").get(0)
    };
    assert!(verify(values[1], &new) && verify(values[2], &old));
    wait_until("the old secret has ended", PATIENCE, || signed.request().signed_with(&old) != Signature::Verified);
    assert_eq!(signed.request().signed_with(&new), Signature::Verified);

    // At once, also during an overlap: a secret that leaked is no longer used.
    let third = signed.rotate("1 day");
    let fourth = signed.rotate("0");
    let request = signed.request();
    assert_eq!(request.signed_with(&fourth), Signature::Verified);
    assert!([&new, &third].iter().all(|secret| request.signed_with(secret) != Signature::Verified));

    for overlap in ["NULL", "'-1 s'", "'31 days'", "'-12 mons 361 days'", "'12 mons -335 days'", "'-178000000 years'"] {
        signed.bench.refused(&format!("SELECT hydra.webhook_rotate_secret({id}, {overlap})"), "22023");
    }
    signed.bench.run(&format!("SELECT hydra.webhook_update({id}, signatures => '{{hydra,github}}')"));
    signed.bench.refused(&format!("SELECT hydra.webhook_rotate_secret({id}, '1 hour')"), "0A000");
    let fifth: String = signed.bench.ask(&format!("SELECT hydra.webhook_rotate_secret({id})"));
    assert_eq!(signed.request().signed_with(&fifth), Signature::Verified);
}

#[test]
fn an_overlap_lasts_as_long_as_its_interval_is() {
    let mut signed = Signed::new("overlap_length", &[]);
    // It compares as -1 day and lasts 4.25 days.
    signed.rotate("12 mons -361 days");
    let days: f64 = signed.bench.ask(
        "SELECT round(extract(epoch FROM valid_until - now()) / 86400, 2)::float8 FROM hydra.signing_secret
         WHERE valid_until IS NOT NULL",
    );
    assert!((4.2..=4.25).contains(&days), "{days}");
}

#[test]
fn after_two_rotations_with_an_overlap_in_one_transaction_all_three_secrets_sign() {
    let mut signed = Signed::new("rotations", &[]);
    let first = signed.secret.clone();
    signed.bench.run("BEGIN");
    let [second, third] = [(); 2].map(|()| signed.rotate("1 hour"));
    signed.bench.run("COMMIT");
    let request = signed.request();
    assert_eq!([&first, &second, &third].map(|secret| request.signed_with(secret)), [Signature::Verified; 3]);
}

#[test]
fn at_most_eight_secrets_sign_at_a_time_and_requests_with_eight_arrive() {
    let mut signed = Signed::new("eight_secrets", &["signatures => '{hydra,standard}'"]);
    let id = signed.subscription;
    let mut secrets = vec![signed.secret.clone()];
    secrets.extend((0..7).map(|_| signed.rotate("1 hour")));
    let refusal = signed.bench.refused(&format!("SELECT hydra.webhook_rotate_secret({id}, '1 hour')"), "54000");
    assert!(refusal.detail.contains("At most 8") && refusal.hint.contains("without one"), "{refusal:?}");
    let request = signed.request();
    assert!(secrets.iter().all(|secret| request.signed_with(secret) == Signature::Verified));

    // Overlaps that have ended do not count.
    signed.bench.run(
        "UPDATE hydra.signing_secret SET valid_from = now() - interval '2 hours', valid_until = now() - interval '1 hour'
         WHERE id = (SELECT min(id) FROM hydra.signing_secret)",
    );
    signed.rotate("1 hour");
    let newest = signed.rotate("0");
    let request = signed.request();
    assert_eq!(request.signed_with(&newest), Signature::Verified);
    assert!(secrets.iter().all(|secret| request.signed_with(secret) != Signature::Verified));
}

#[test]
fn secrets_that_no_longer_sign_are_removed() {
    let mut signed = Signed::new("ended_secrets", &[]);
    let kept = signed.rotate("1 s");
    signed.rotate("1 hour");
    let newest = signed.rotate("1 s");
    let bench = &mut signed.bench;
    wait_until("two have ended", PATIENCE, || {
        bench.ask("SELECT count(*) = 1 FROM hydra.signing_secret WHERE valid_until > now()")
    });
    // After a reload the dispatcher checks at once.
    bench.run("SELECT pg_reload_conf()");
    const LEFT: &str = "SELECT string_agg(prefix, ' ' ORDER BY id) FROM hydra.signing_secret";
    let left = format!("{} {}", &kept[..12], &newest[..12]);
    wait_until("they are removed, and no others", PATIENCE, || bench.ask::<String>(LEFT) == left);
    let request = signed.request();
    assert_eq!([&kept, &newest].map(|secret| request.signed_with(secret)), [Signature::Verified; 2]);
}

#[test]
fn during_an_overlap_holders_of_the_old_secret_and_of_the_new_one_accept() {
    let mut signed = Signed::new("overlap", &["signatures => '{hydra,standard}'"]);
    let (old, new) = (signed.secret.clone(), signed.rotate("1 hour"));
    let request = signed.request();
    // The documented code for Node reads the last value of a header: there the old secret has to sign.
    assert_eq!(DOCUMENTED_NODE.accepts(&[Case::of(&request, &old)]), [true]);
    let cases = [&old, &new].map(|secret| Case::of(&request, secret));
    for library in READERS_OF_LISTS {
        assert_eq!(library.accepts(&cases), [true, true], "{library:?}");
    }

    // A rotation without an overlap ends earlier ones too.
    let newest = signed.rotate("0");
    let request = signed.request();
    let cases = [&old, &new, &newest].map(|secret| Case::of(&request, secret));
    assert_eq!(DOCUMENTED_NODE.accepts(&cases), [false, false, true]);
    for library in READERS_OF_LISTS {
        assert_eq!(library.accepts(&cases), [false, false, true], "{library:?}");
    }
}
