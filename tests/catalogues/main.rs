//! Both example applications in one database, and one receiver of every event type. Each event arrives exactly when its
//! description says, verified, in the order of the SQL that caused it.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use serde_json::Value;
use testkit::receiver::{Answer, Receiver, Request, Signature};
use testkit::{Cluster, ask, run, subscribe, wait_for_empty_queue};

const PATH: &str = "/all";

/// The examples, and the tenant whose events are in expected.txt.
const EXAMPLES: [(&str, &str); 2] = [("helpdesk", "transitions"), ("field_service", "9001")];

struct Received {
    event: String,
    tenant: String,
    entity_id: String,
}

fn file(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn read(request: &Arc<Request>) -> Received {
    assert_eq!(request.signature, Signature::Verified);
    let body: Value = request.json();
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let received = Received {
        event: text(&body["event"]),
        tenant: text(&body["tenant_id"]),
        entity_id: text(&body["data"]["entity_id"]),
    };
    assert_eq!(request.header("X-Hydra-Event"), Some(received.event.as_str()));
    if !received.event.starts_with("webhook.") {
        assert_eq!(body["data"]["entity"]["id"].to_string(), received.entity_id);
    }
    received
}

#[test]
fn all_27_event_types_arrive_at_one_receiver_when_their_descriptions_say_verified_and_in_order() {
    let cluster = Cluster::start(&[]);
    let mut client = cluster.create_database("catalogues");
    let receiver = Receiver::start();
    for (name, _) in EXAMPLES {
        run(&mut client, &file(&format!("examples/{name}.sql")));
    }
    let (_, secret) = subscribe(&mut client, &receiver.url(PATH), "*,webhook.*", &["max_in_flight => 1"]);
    receiver.secret(PATH, &secret);
    // Its failure causes the extension's own events.
    receiver.answer("/failing", Answer::status(500));
    let failing = ["retry_schedule => '{}'", "disable_after => 1", "tenant_id => '9001'"];
    let (failing, _) = subscribe(&mut client, &receiver.url("/failing"), "part.deleted", &failing);
    // A subscription of another tenant gets only the events of that tenant.
    subscribe(&mut client, &receiver.url("/elsewhere"), "*", &["tenant_id => '9002'"]);

    for (name, _) in EXAMPLES {
        run(&mut client, &file(&format!("tests/catalogues/{name}/transitions.sql")));
    }
    wait_for_empty_queue(&mut client);
    let received: Vec<Received> = receiver.requests(PATH).iter().map(read).collect();

    let (own, caused): (Vec<_>, Vec<_>) = received.into_iter().partition(|one| one.event.starts_with("webhook."));
    // Events of the other tenant.
    let (elsewhere, caused): (Vec<_>, Vec<_>) = caused.into_iter().partition(|one| one.tenant == "9002");
    let lines: Vec<String> =
        caused.iter().map(|one| format!("{} {} {}", one.tenant, one.event, one.entity_id)).collect();
    let expected: Vec<String> = EXAMPLES
        .iter()
        .flat_map(|(name, tenant)| {
            let lines = file(&format!("tests/catalogues/{name}/expected.txt"));
            lines.lines().map(|line| format!("{tenant} {line}")).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(lines, expected);
    assert_eq!((elsewhere.len(), receiver.received("/elsewhere")), (1, 1));

    let own_types: BTreeSet<&str> = own.iter().map(|one| one.event.as_str()).collect();
    assert_eq!(own_types, BTreeSet::from(["webhook.delivery_failed", "webhook.subscription_disabled"]));
    let status: String =
        ask(&mut client, &format!("SELECT status FROM hydra.webhook_subscriptions WHERE id = {failing}"));
    assert_eq!(status, "disabled");

    let all: BTreeSet<String> = client
        .query("SELECT name FROM hydra.webhook_event_types", &[])
        .expect("the view can be read")
        .iter()
        .map(|row| row.get(0))
        .collect();
    let seen: BTreeSet<String> = caused.iter().chain(&own).map(|one| one.event.clone()).collect();
    assert_eq!((seen.len(), seen), (27, all));
}
