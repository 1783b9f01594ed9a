//! Deliveries that are kept after their success, whatever is killed, and if they cannot be kept.

use std::collections::BTreeMap;

use testkit::receiver::Answer;
use testkit::{Cluster, PATIENCE, StopMode, wait_until};

use crate::{PATH, cluster, settle, terminate, tickets, under_load};

#[test]
fn what_is_kept_is_neither_lost_nor_doubled_when_the_dispatcher_or_the_server_is_killed() {
    let cluster = Cluster::start(&[]);
    let bench = tickets(&cluster, "kept", &["keep_bodies => '1 day'", "retry_schedule => '{0.2 s,0.2 s,0.2 s,0.2 s}'"]);
    under_load(&bench, "SELECT", || {
        for round in 0..6 {
            bench.receiver.answer_first(PATH, 20, Answer::status(500));
            bench.wait_for(PATH, bench.receiver.received(PATH) + 150);
            match round % 3 {
                0 => cluster.kill9(cluster.dispatcher_pid(&bench.database)),
                1 => terminate(&mut bench.session(), cluster.dispatcher_pid(&bench.database)),
                _ => {
                    cluster.stop(StopMode::Immediate);
                    cluster.start_again();
                }
            }
            wait_until("the server accepts connections", PATIENCE, || {
                cluster.try_connect_as(&bench.database, "postgres").is_ok()
            });
        }
    });
    settle(&bench);
    let requests = bench.receiver.requests(PATH);
    let sent: BTreeMap<&str, &str> = requests.iter().map(|request| (request.delivery_id(), request.text())).collect();
    let kept = bench.session().query("SELECT delivery_id::text, body FROM hydra.webhook_delivered", &[]);
    let kept = kept.expect("the view can be read");
    assert_eq!(kept.len(), sent.len(), "each once");
    let kept: BTreeMap<&str, &str> = kept.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(kept == sent, "with the bytes that were sent");
}

#[test]
fn when_nothing_can_be_kept_results_are_still_recorded_and_it_is_kept_later() {
    let mut bench = tickets(cluster(), "not_kept", &["keep_bodies => '1 day'", "retry_schedule => '{0.2 s}'"]);
    bench.receiver.answer_first(PATH, 3, Answer::status(500));
    bench.run("REVOKE INSERT ON hydra.delivered FROM hydra_worker");
    bench.run("INSERT INTO ticket SELECT generate_series(1, 40)");
    bench.wait_for_empty_queue();
    assert_eq!((bench.receiver.received(PATH), bench.count("webhook_delivered")), (43, 0));
    bench.wait_for_history(6);
    bench.run("GRANT INSERT ON hydra.delivered TO hydra_worker");
    bench.wait_for_count("webhook_delivered", 40);
    assert_eq!(bench.receiver.received(PATH), 43, "nothing was sent again");
}

#[test]
fn a_delivery_that_cannot_be_kept_keeps_no_others_from_being_kept() {
    let mut bench = tickets(cluster(), "odd_kept", &["keep_bodies => '1 day'"]);
    bench.run("ALTER TABLE hydra.delivered ADD CONSTRAINT not_seven CHECK (entity_id <> '7')");
    bench.run("INSERT INTO ticket SELECT generate_series(1, 20)");
    bench.wait_for_count("webhook_delivered", 19);
    bench.wait_for_empty_queue();
    assert_eq!(bench.receiver.received(PATH), 20);
}
