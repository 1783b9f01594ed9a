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
    let post = |office: &mut Office, raw: &str| -> (i32, String) {
        let sql = "SELECT status, convert_from(body, 'UTF8')
                   FROM hydra.serve(1, 'inbound', $1, 'POST', '/in', NULL, '[]', $2, NULL)";
        let row = office.bench.client.query_one(sql, &[&hash, &raw.as_bytes()]).unwrap();
        (row.get(0), row.get(1))
    };
    let raw = message(PROVEN, "printer", "It is broken.");
    // No channel has this adapter yet.
    assert_eq!(post(&mut office, &raw).0, 503);
    office.bench.run(
        "SELECT hydra.mail_channel_update(c.id, adapter_id => a.id) FROM hydra.mail_channels AS c, hydra.inbound_adapters AS a",
    );
    let (status, body) = post(&mut office, &raw);
    assert!(status == 200 && body.contains("\"state\":\"done\""), "{status} {body}");
    let (status, body) = post(&mut office, &raw);
    assert!(status == 200 && body.contains("duplicate"), "{status} {body}");
    assert_eq!(post(&mut office, &message(PROVEN, "boom", "x")).0, 503);
    assert_eq!(office.count("desk.tickets"), 1);
    let counts: String =
        office.bench.ask("SELECT concat_ws(' ', received, matched, duplicates) FROM hydra.inbound_adapters");
    assert_eq!(counts, "1 1 1");

    // One that cannot be read leaves a trace.
    let unreadable = format!("Content-Type: multipart/mixed; boundary=x\r\n\r\n{}", "--x\r\n\r\n".repeat(1000));
    assert_eq!(post(&mut office, &unreadable).0, 422);
    let refused: String = office.bench.ask(
        "SELECT concat_ws(' ', a.refused, r.stage, r.reason) FROM hydra.inbound_adapters AS a, hydra.inbound_refusals AS r",
    );
    assert!(refused.starts_with("1 body ") && refused.contains("parts"), "{refused}");
}
