//! A standby sends nothing and says why. After its promotion it continues where the former primary ended.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use testkit::receiver::{Answer, Receiver, entity_ids};
use testkit::{Cluster, StopMode, wait_until};
use testkit::{PATIENCE, ask, refused, run, subscribe, wait_for_empty_queue, worker_status};

use crate::PATH;

const DATABASE: &str = "replicated";
const PROMOTIONS: i32 = 5;
/// On a busy machine. The launcher looks for databases by itself once a minute.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_standby_sends_nothing_and_says_why_and_sends_within_seconds_of_its_promotion() {
    let receiver = Receiver::start();
    let mut primary = Cluster::start(&[]);
    let mut client = primary.create_database(DATABASE);
    subscribe(&mut client, &receiver.url(PATH), "ticket.created", &["retry_schedule => '{8 s,1 h}'"]);
    for round in 1..=PROMOTIONS {
        let standby = primary.start_standby();
        let mut client = primary.connect(DATABASE);
        // One delivery waits for its retry, which is due after the promotion.
        receiver.answer_first(PATH, 1, Answer::status(500));
        let before = receiver.received(PATH);
        run(&mut client, &format!("SELECT hydra.webhook_emit('ticket.created', '{{\"id\": \"{round} before\"}}')"));
        receiver.wait_for(PATH, before + 1, PATIENCE);
        let mut reader = standby.connect(DATABASE);
        wait_until("the standby has the retry", PATIENCE, || {
            ask::<i64>(&mut reader, "SELECT count(*) FROM hydra.delivery") == 1
        });
        assert_eq!(worker_status(&mut reader, "state"), "standby");
        assert_eq!(standby.find_dispatcher(DATABASE), None);
        let refusal =
            refused(&mut reader, "SELECT hydra.webhook_send_test(min(id)) FROM hydra.webhook_subscriptions", "55000");
        assert!(refusal.message.contains("standby"), "{refusal:?}");
        assert_eq!(receiver.received(PATH), before + 1, "only the primary has sent");

        primary.stop(StopMode::Immediate);
        standby.promote();
        let promoted = Instant::now();
        let mut client = standby.connect(DATABASE);
        run(&mut client, &format!("SELECT hydra.webhook_emit('ticket.created', '{{\"id\": \"{round} after\"}}')"));
        receiver.wait_for(PATH, before + 2, SOON);
        assert!(promoted.elapsed() < SOON, "{:?}", promoted.elapsed());
        wait_for_empty_queue(&mut client);
        primary = standby;
    }
    let ids: BTreeSet<String> = entity_ids(&receiver.requests(PATH)).into_iter().collect();
    let emitted = (1..=PROMOTIONS).flat_map(|round| [format!("{round} before"), format!("{round} after")]);
    assert_eq!(ids, emitted.collect());
    assert_eq!(
        receiver.received(PATH) as i32,
        3 * PROMOTIONS,
        "a first attempt, its retry, and one more in each round"
    );
}
