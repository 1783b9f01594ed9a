//! The other example application: each transition of a field-service company emits the event that page *Webhook
//! Overview* names, and nothing else does.

mod support;

use std::fs;

use support::cluster::Cluster;
use support::receiver::{Receiver, Request, Signature};
use support::{run, subscribe, wait_for_empty_queue};

const PATH: &str = "/field_service";

const EVENT_TYPES: &str = "service_job.created,service_job.status_changed,service_job.completed,service_job.cancelled,
    booking.created,booking.confirmed,booking.cancelled,booking.completed,
    part.created,part.updated,part.deleted,part.stock_updated,company.member_added,company.member_removed";

fn file(path: &str) -> String {
    let path = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// `event entity_id`, as a line of expected.txt has it.
fn line(request: &Request) -> String {
    let body: serde_json::Value = serde_json::from_slice(&request.body).expect("the body is JSON");
    let [event, id] = [&body["event"], &body["data"]["entity_id"]].map(|text| text.as_str().expect("a string"));
    assert_eq!(request.header("X-Hydra-Event"), Some(event));
    assert_eq!(body["tenant_id"], "9001");
    assert_eq!(body["data"]["entity"]["id"].to_string(), id);
    assert_eq!(body["data"]["entity"]["company_id"], 9001);
    format!("{event} {id}")
}

#[test]
fn every_transition_of_a_field_service_company_arrives_there_once_and_in_order_and_nothing_else_does() {
    let cluster = Cluster::start(&[]);
    let mut client = cluster.create_database("field_service");
    run(&mut client, &file("examples/field_service.sql"));
    let receiver = Receiver::start();
    let own = ["max_in_flight => 1", "tenant_id => '9001'"];
    let (_, secret) = subscribe(&mut client, &receiver.url(PATH), EVENT_TYPES, &own);
    receiver.secret(PATH, &secret);
    // Another company's: it gets its own member, and nothing of ours.
    subscribe(&mut client, &receiver.url("/elsewhere"), EVENT_TYPES, &["tenant_id => '9002'"]);

    run(&mut client, &file("tests/field_service/transitions.sql"));
    wait_for_empty_queue(&mut client);
    let requests = receiver.requests(PATH);
    assert!(requests.iter().all(|request| request.signature == Signature::Verified));
    let received: Vec<String> = requests.iter().map(|request| line(request)).collect();
    assert_eq!(received.join("\n"), file("tests/field_service/expected.txt").trim_end());
    assert_eq!(receiver.received("/elsewhere"), 1);
}
