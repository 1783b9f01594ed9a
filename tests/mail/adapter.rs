//! Messages that come to an inbound adapter, as the body of a request.

use sha2::{Digest, Sha256};

use crate::{Office, PROVEN, message};

#[test]
fn a_message_that_is_posted_to_an_adapter_is_taken_by_its_channel_or_kept_as_refused() {
    let mut office = Office::new("adapter");
    let url: String = office
        .bench
        .ask("SELECT url FROM hydra.inbound_create('mail', '{\"*\": \"ticket.created\"}', provider => 'mime')");
    let hash = Sha256::digest(url.rsplit('/').next().unwrap()).to_vec();
    let post = |office: &mut Office, raw: &[u8]| -> (i32, String) {
        let sql = "SELECT status, convert_from(body, 'UTF8')
                   FROM hydra.serve(1, 'inbound', $1, 'POST', '/in', NULL, '[[\"content-type\", \"application/json\"]]', $2, NULL)";
        let row = office.bench.client.query_one(sql, &[&hash, &raw]).unwrap();
        (row.get(0), row.get(1))
    };
    let raw = message(PROVEN, "printer", "It is broken.");
    // No channel has this adapter yet.
    assert_eq!(post(&mut office, raw.as_bytes()).0, 503);
    office.bench.run(
        "SELECT hydra.mail_channel_update(c.id, adapter_id => a.id) FROM hydra.mail_channels AS c, hydra.inbound_adapters AS a",
    );
    let (status, body) = post(&mut office, raw.as_bytes());
    assert!(status == 200 && body.contains("\"state\":\"done\""), "{status} {body}");
    let (status, body) = post(&mut office, raw.as_bytes());
    assert!(status == 200 && body.contains("duplicate"), "{status} {body}");
    assert_eq!(post(&mut office, message(PROVEN, "boom", "x").as_bytes()).0, 503);
    assert_eq!(office.count("desk.tickets"), 1);
    let counts: String =
        office.bench.ask("SELECT concat_ws(' ', received, matched, duplicates) FROM hydra.inbound_adapters");
    assert_eq!(counts, "1 1 1");

    // Mail need not be UTF-8.
    let mut latin = message(PROVEN, "greeting", "Viele Gr\u{1}\u{2}e").into_bytes();
    for byte in &mut latin {
        *byte = if *byte == 1 {
            0xFC
        } else if *byte == 2 {
            0xDF
        } else {
            *byte
        };
    }
    let latin = [b"Content-Type: text/plain; charset=iso-8859-1\r\n", &latin[..]].concat();
    let (status, body) = post(&mut office, &latin);
    assert!(status == 200 && body.contains("\"state\":\"done\""), "{status} {body}");
    let text: String =
        office.bench.ask("SELECT message::text FROM desk.calls WHERE message ->> 'subject' = 'greeting'");
    assert!(text.contains("Viele Grüße"), "{text}");
    let stages: String = office.bench.ask(
        "SELECT string_agg(concat_ws(' ', t.ok, t.says), ';') FROM hydra.inbound_adapters AS a,
                hydra.inbound_try(a.id, '{}', 'Subject: \\374'::bytea) AS t",
    );
    assert!(stages.ends_with("t a message of mail, for the channel that names this adapter"), "{stages}");

    // One that cannot be read leaves a trace.
    let unreadable = format!("Content-Type: multipart/mixed; boundary=x\r\n\r\n{}", "--x\r\n\r\n".repeat(1000));
    assert_eq!(post(&mut office, unreadable.as_bytes()).0, 422);
    let refused: String = office.bench.ask(
        "SELECT concat_ws(' ', a.refused, r.stage, r.reason) FROM hydra.inbound_adapters AS a, hydra.inbound_refusals AS r",
    );
    assert!(refused.starts_with("1 body ") && refused.contains("parts"), "{refused}");
}
