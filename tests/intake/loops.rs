//! Events that come back: our webhook makes another system send a request, whose event is sent as a webhook, and so on. What
//! ends such a loop is tested in tests/inbound.

use std::time::{Duration, Instant};

use testkit::{Bench, Gateway, PATIENCE, wait_until};

use crate::http::post;
use crate::{cluster, create_adapter};

/// What the other system does not pass on cannot be counted.
#[test]
fn a_loop_through_a_system_that_drops_the_count_is_no_faster_than_the_quota_of_its_adapter() {
    const QUOTA: usize = 2;
    let mut bench = Bench::new(cluster(), "dropped_hops");
    let gateway = Gateway::start(&bench);
    let quota = format!("'plain', '\"ticket.created\"', requests_per_second => {QUOTA}");
    let (_, path) = create_adapter(&mut bench, &quota);
    bench.subscribe("/other", "ticket.created", &[]);
    bench.emit_ticket(1);

    // The other system sends each webhook that it gets to the adapter, and tries again when there were too many.
    let (began, mut passed, mut refused) = (Instant::now(), 0, 0);
    let lasts = Duration::from_secs(3);
    // On a busy machine it takes longer until there were too many.
    while began.elapsed() < lasts || passed < 2 || refused == 0 {
        assert!(began.elapsed() < PATIENCE, "{passed} passed, {refused} refused");
        wait_until("the webhook comes", PATIENCE, || bench.receiver.received("/other") > passed);
        let answer = post(&gateway.url(), &path, &[], br#"{"id": "1"}"#).expect("an answer");
        match answer.status {
            200 => passed += 1,
            429 => {
                assert!(answer.head.contains("\r\nretry-after: 1"), "{answer:?}");
                refused += 1;
                testkit::let_pass(Duration::from_millis(50));
            }
            _ => panic!("{answer:?}"),
        }
    }
    let most = QUOTA + (QUOTA as f64 * began.elapsed().as_secs_f64()).ceil() as usize;
    assert!(passed <= most, "{passed} passed, {refused} refused");
}
