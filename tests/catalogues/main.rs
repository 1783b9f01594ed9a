//! Both example applications in one database, and one receiver of every event type. Each event arrives exactly when its
//! description says, verified, in the order of the SQL that caused it.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use serde_json::Value;
use testkit::receiver::{Answer, Request, Signature};
use testkit::{Bench, Cluster, PATIENCE, wait_until};

const PATH: &str = "/all";

/// The examples, and the tenant whose events are in expected.txt.
const EXAMPLES: [(&str, &str); 2] = [("helpdesk", "transitions"), ("field_service", "9001")];

const OWN_TYPES: [&str; 3] =
    ["webhook.delivery_failed", "webhook.subscription_disabled", "webhook.subscription_failing"];

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
fn all_28_event_types_arrive_at_one_receiver_when_their_descriptions_say_verified_and_in_order() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "catalogues");
    for (name, _) in EXAMPLES {
        bench.run(&file(&format!("examples/{name}.sql")));
    }
    bench.subscribe(PATH, "*,webhook.*", &["max_in_flight => 1"]);
    // Failures cause the extension's own events: this one is disabled by the first one, and the other one is halfway there.
    bench.receiver.answer("/failing", Answer::status(500));
    let failing = ["retry_schedule => '{}'", "disable_after => 1", "tenant_id => '9001'"];
    let (failing, _) = bench.subscribe("/failing", "part.deleted", &failing);
    bench.receiver.answer("/halfway", Answer::status(500));
    bench.subscribe(
        "/halfway",
        "part.deleted",
        &["retry_schedule => '{}'", "disable_after => 2", "tenant_id => '9001'"],
    );
    // A subscription of another tenant gets only the events of that tenant.
    bench.subscribe("/elsewhere", "*", &["tenant_id => '9002'"]);

    for (name, _) in EXAMPLES {
        bench.run(&file(&format!("tests/catalogues/{name}/transitions.sql")));
    }
    // They are emitted after what they tell of was recorded, and the queue may be empty in between.
    wait_until("the events of the extension have arrived", PATIENCE, || {
        let requests = bench.receiver.requests(PATH);
        OWN_TYPES.iter().all(|own| requests.iter().any(|request| request.header("X-Hydra-Event") == Some(*own)))
    });
    bench.wait_for_empty_queue();
    let received: Vec<Received> = bench.receiver.requests(PATH).iter().map(read).collect();

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
    assert_eq!((elsewhere.len(), bench.receiver.received("/elsewhere")), (1, 1));

    let own_types: BTreeSet<&str> = own.iter().map(|one| one.event.as_str()).collect();
    assert_eq!(own_types, BTreeSet::from(OWN_TYPES));
    assert_eq!(bench.column(failing, "status"), "disabled");

    let all: BTreeSet<String> = bench
        .client
        .query("SELECT name FROM hydra.webhook_event_types", &[])
        .expect("the view can be read")
        .iter()
        .map(|row| row.get(0))
        .collect();
    let seen: BTreeSet<String> = caused.iter().chain(&own).map(|one| one.event.clone()).collect();
    assert_eq!((seen.len(), seen), (28, all));
}
