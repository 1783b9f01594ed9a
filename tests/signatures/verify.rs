//! `webhook_verify`.

use crate::bench;
use crate::forgeries::hmac;

#[test]
fn webhook_verify_accepts_what_was_received_and_nothing_else() {
    let mut bench = bench("verified");
    let (_, secret) = bench.subscribe("/", "ticket.created", &[]);
    bench.emit_ticket("é");
    let request = bench.wait_for("/", 1)[0].clone();
    let (body, header) = (request.text(), request.header("X-Hydra-Signature").unwrap());
    let mut verify = |body: &str, header: &str, secret: &str, tolerance: &str| -> Option<bool> {
        let sql = format!("SELECT hydra.webhook_verify($1, $2, $3, {tolerance})");
        bench.client.query_one(&sql, &[&body, &header, &secret]).unwrap().get(0)
    };
    let (time, digest) = header.split_once(",v1=").unwrap();
    assert_eq!(verify(body, header, &secret, "'300 s'"), Some(true));
    assert_eq!(verify(body, &format!("{time},v1={},v1={digest},v9=x", "0".repeat(64)), &secret, "'300 s'"), Some(true));
    for (what, body, header, secret) in [
        ("another body", &*body.replace("é", "e"), header, &*secret),
        ("another secret", body, header, &secret.replace("whsec_", "")),
        ("no secret", body, header, ""),
        ("no header", body, "", &secret),
        ("garbage", body, "t=,v1=,=,", &secret),
        ("no time", body, digest, &secret),
        ("no signature", body, time, &secret),
        ("a time of another", body, &format!("t=1,v1={digest}"), &secret),
        ("a time out of range", body, &format!("t=99999999999999999999,v1={digest}"), &secret),
        ("two times", body, &format!("t=1,{header}"), &secret),
        ("half a signature", body, &header[..header.len() - 2], &secret),
    ] {
        assert_eq!(verify(body, header, secret, "'300 s'"), Some(false), "{what}");
    }

    // Genuine, but signed an hour ago.
    let old: i64 = bench.ask("SELECT extract(epoch FROM now())::bigint - 3600");
    let header = format!("t={old},v1={}", hmac(&secret, &format!("{old}.{body}")));
    let mut verify = |tolerance: &str| -> bool {
        bench
            .client
            .query_one(&format!("SELECT hydra.webhook_verify($1, $2, $3{tolerance})"), &[&body, &header, &secret])
            .unwrap()
            .get(0)
    };
    assert!(!verify("") && !verify(", '3590 s'") && verify(", '2 hours'"));
    // It compares as -1 day and lasts 4.25 days.
    assert!(verify(", '12 mons -361 days'") && verify(", '178000000 years'"));
    for tolerance in ["-1 s", "-300 s", "-12 mons 361 days"] {
        bench.refused(&format!("SELECT hydra.webhook_verify('a', 't=1,v1=00', 'c', '{tolerance}')"), "22023");
    }
}
