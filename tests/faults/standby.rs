//! A standby sends nothing and says why; promoted, it goes on where the former primary was.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use testkit::cluster::{Cluster, StopMode, wait_until};
use testkit::receiver::{Answer, Receiver};
use testkit::{PATIENCE, ask, run, subscribe, wait_for_empty_queue};

const DATABASE: &str = "replicated";
const PATH: &str = "/";
const PROMOTIONS: i32 = 5;

#[test]
fn a_standby_sends_nothing_and_says_why_and_sends_within_seconds_of_its_promotion() {
    let receiver = Receiver::start();
    let mut primary = Cluster::start(&[]);
    let mut client = primary.create_database(DATABASE);
    subscribe(&mut client, &receiver.url(PATH), "ticket.created", &["retry_schedule => '{4 s,1 h}'"]);
    for round in 1..=PROMOTIONS {
        let standby = primary.start_standby();
        let mut client = primary.connect(DATABASE);
        // One delivery waits for its retry, which falls into the time after the promotion.
        receiver.answer_first(PATH, 1, Answer::status(500));
        let before = receiver.received(PATH);
        run(&mut client, &format!("SELECT hydra.webhook_emit('ticket.created', '{{\"id\": \"{round} before\"}}')"));
        receiver.wait_for(PATH, before + 1, PATIENCE);
        let mut reader = standby.connect(DATABASE);
        wait_until("the standby has the retry", PATIENCE, || {
            ask::<i64>(&mut reader, "SELECT count(*) FROM hydra.delivery") == 1
        });
        let state: String = ask(&mut reader, "SELECT state FROM hydra.webhook_worker_status");
        assert_eq!(state, "standby");
        assert_eq!(standby.find_dispatcher(DATABASE), None);
        assert_eq!(receiver.received(PATH), before + 1, "the primary alone has sent");

        primary.stop(StopMode::Immediate);
        standby.promote();
        let promoted = Instant::now();
        let mut client = standby.connect(DATABASE);
        run(&mut client, &format!("SELECT hydra.webhook_emit('ticket.created', '{{\"id\": \"{round} after\"}}')"));
        receiver.wait_for(PATH, before + 2, Duration::from_secs(5));
        assert!(promoted.elapsed() < Duration::from_secs(5), "{:?}", promoted.elapsed());
        wait_for_empty_queue(&mut client);
        primary = standby;
    }
    let ids: BTreeSet<String> = receiver
        .requests(PATH)
        .iter()
        .map(|request| {
            let body: serde_json::Value = serde_json::from_slice(&request.body).expect("the body is JSON");
            body["data"]["entity_id"].as_str().expect("a string").to_owned()
        })
        .collect();
    let emitted = (1..=PROMOTIONS).flat_map(|round| [format!("{round} before"), format!("{round} after")]);
    assert_eq!(ids, emitted.collect());
    assert_eq!(
        receiver.received(PATH) as i32,
        3 * PROMOTIONS,
        "a first attempt, its retry, and one more in each round"
    );
}
