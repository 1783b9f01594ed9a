//! The example application: each transition of a helpdesk emits the event that the product page names, and nothing else
//! does.

mod support;

use std::fs;

use support::cluster::Cluster;
use support::receiver::{Receiver, Request, Signature};
use support::{run, subscribe, wait_for_empty_queue};

const PATH: &str = "/helpdesk";

const EVENT_TYPES: &str = "customer.created,account.created,account.stage_changed,account.went_at_risk,
    conversation.created,conversation.resolved,conversation.assigned,
    ticket.created,ticket.assigned,ticket.resolved,ticket.status_changed";

fn file(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `event entity_id`, as a line of expected.txt has it.
fn line(request: &Request) -> String {
    let body: serde_json::Value = serde_json::from_slice(&request.body).expect("the body is JSON");
    let [event, id] = [&body["event"], &body["data"]["entity_id"]].map(|text| text.as_str().expect("a string"));
    assert_eq!(request.header("X-Hydra-Event"), Some(event));
    assert_eq!(body["tenant_id"], "transitions");
    assert_eq!(body["data"]["entity"]["id"].to_string(), id);
    format!("{event} {id}")
}

#[test]
fn every_transition_of_the_helpdesk_arrives_once_and_in_order_and_nothing_else_does() {
    let cluster = Cluster::start(&[]);
    let mut client = cluster.create_database("helpdesk");
    run(&mut client, &file("examples/helpdesk.sql"));
    let receiver = Receiver::start();
    let (_, secret) = subscribe(&mut client, &receiver.url(PATH), EVENT_TYPES, &["max_in_flight => 1"]);
    receiver.secret(PATH, &secret);
    // Somebody else's: what it receives is not ours to see.
    subscribe(&mut client, &receiver.url("/elsewhere"), EVENT_TYPES, &["tenant_id => 'elsewhere'"]);

    run(&mut client, &file("tests/helpdesk/transitions.sql"));
    wait_for_empty_queue(&mut client);
    let requests = receiver.requests(PATH);
    assert!(requests.iter().all(|request| request.signature == Signature::Verified));
    let received: Vec<String> = requests.iter().map(|request| line(request)).collect();
    assert_eq!(received.join("\n"), file("tests/helpdesk/expected.txt").trim_end());
    assert_eq!(receiver.received("/elsewhere"), 0);
}
