//! Secrets that users give, because their receivers have them already, and the overlap of two secrets.

use testkit::receiver::Signature;

use crate::{PATH, Signed, bench};

/// Secrets of other senders of webhooks: one made by hand, and one of Svix.
const BY_HAND: &str = "correct-horse-battery-staple";
const OF_SVIX: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn a_secret_that_a_user_gives_signs_from_the_first_request_on() {
    for (preset, secret, shown) in [
        ("hydra", BY_HAND, "corr"),
        ("x_webhook", BY_HAND, "corr"),
        ("standard", OF_SVIX, "whsec_MfKQ9r"),
        ("hydra", OF_SVIX, "whsec_MfKQ9r"),
    ] {
        let mut bench = bench(&format!("given_{preset}_{}", &shown[..3]));
        // As an application passes it: not as a literal, which would be in the log.
        let sql = "SELECT id, secret FROM hydra.webhook_create($1, '{ticket.created}', preset => $2, secret => $3)";
        let url = bench.receiver.url(PATH);
        let made = bench.client.query_one(sql, &[&url, &preset, &secret]).expect("a subscription");
        assert_eq!(made.get::<_, String>(1), secret);
        assert_eq!(bench.column(made.get(0), "secret_prefix"), shown, "{preset}");
        bench.emit_ticket(1);
        assert_eq!(bench.wait_for(PATH, 1)[0].signed_with(secret), Signature::Verified, "{preset} {secret}");
    }
}

#[test]
fn receivers_move_from_one_secret_to_the_other_during_an_overlap_that_ends_when_it_is_told_to() {
    let mut signed = Signed::new("given_overlap", &[]);
    let (id, first) = (signed.subscription, signed.secret.clone());
    let overlap = |signed: &mut Signed| {
        ["old_secret_prefixes", "overlap_until > now() + interval '23 hours'"]
            .map(|column| signed.bench.column(id, column))
    };
    assert_eq!(overlap(&mut signed), ["", ""]);
    let rotate = |overlap: &str, secret: &str| {
        format!("SELECT hydra.webhook_rotate_secret({id}, '{overlap}', secret => '{secret}')")
    };
    assert_eq!(signed.bench.ask::<String>(&rotate("1 day", BY_HAND)), BY_HAND);
    assert_eq!(overlap(&mut signed), [format!("{{{}}}", &first[..12]), "true".into()]);
    signed.bench.refused(&rotate("1 day", BY_HAND), "42710");
    let third: String = signed.bench.ask(&rotate("1 hour", OF_SVIX));
    assert_eq!(overlap(&mut signed), [format!("{{corr,{}}}", &first[..12]), "true".into()]);
    let request = signed.request();
    assert_eq!([&first, BY_HAND, &third].map(|secret| request.signed_with(secret)), [Signature::Verified; 3]);

    let end = format!("SELECT hydra.webhook_end_overlap({id})");
    assert_eq!(signed.bench.ask::<i64>(&end), 2);
    assert_eq!(overlap(&mut signed), ["", ""]);
    let request = signed.request();
    assert_eq!(request.signed_with(&third), Signature::Verified);
    assert!([&first, BY_HAND].iter().all(|secret| request.signed_with(secret) != Signature::Verified));
    assert_eq!(signed.bench.ask::<i64>(&end), 0, "there is nothing left to end");
    signed.bench.refused("SELECT hydra.webhook_end_overlap(999)", "42704");
}

#[test]
fn a_secret_that_is_too_weak_or_that_libraries_refuse_is_refused() {
    let mut signed = Signed::new("given_refused", &[]);
    let (id, url) = (signed.subscription, signed.bench.receiver.url(PATH));
    let sealed = format!("sealed:{BY_HAND}");
    for wrong in ["", "short", &"x".repeat(257), "three words and some spaces", "größer-als-vierundzwanzig", &sealed]
    {
        let refusal = signed.bench.refused(
            &format!("SELECT hydra.webhook_create('{url}', '{{ticket.created}}', secret => '{wrong}')"),
            "22023",
        );
        assert!(!refusal.message.contains("words") && !refusal.detail.contains("words"), "{refusal:?}");
        signed.bench.refused(&format!("SELECT hydra.webhook_rotate_secret({id}, secret => '{wrong}')"), "22023");
    }
    assert_eq!(signed.bench.count("subscription"), 1);
    assert_eq!(signed.request().signed_with(&signed.secret), Signature::Verified);

    // The libraries of Standard Webhooks take only base64, also later.
    for standard in ["preset => 'standard'", "signatures => '{hydra,standard}'"] {
        let create =
            format!("SELECT hydra.webhook_create('{url}', '{{ticket.created}}', {standard}, secret => '{BY_HAND}')");
        signed.bench.refused(&create, "22023");
    }
    signed.bench.run(&format!("SELECT hydra.webhook_rotate_secret({id}, secret => '{BY_HAND}')"));
    for standard in ["preset => 'standard'", "signatures => '{hydra,standard}'"] {
        let refusal = signed.bench.refused(&format!("SELECT hydra.webhook_update({id}, {standard})"), "22023");
        assert!(refusal.hint.contains("signatures without standard"), "{refusal:?}");
    }
    signed.bench.run(&format!("SELECT hydra.webhook_update({id}, preset => 'x_webhook')"));
}
