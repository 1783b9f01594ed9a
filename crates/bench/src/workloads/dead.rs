//! One dead endpoint among a hundred: it accepts connections and never answers, and a million deliveries wait for it.
//! Deliveries to the others must not be delayed.
//!
//! Events are emitted at a fixed rate, each for one of the hundred subscriptions by its tenant. There are two servers,
//! because writing and deleting a million rows for each sample would take most of the time.

use std::net::TcpListener;
use std::time::Duration;

use testkit::wait_until;

use super::Workload;
use super::{backlog, load};
use crate::bed::Bed;
use crate::pairs::Pairs;
use crate::raw_client;
use crate::receiver::Receiver;
use crate::report::{Report, Row, number};

pub const WORKLOAD: Workload =
    Workload { numbers: &["11"], name: "one dead endpoint among many", in_full_run: true, run };

const ENDPOINTS: usize = 100;
const WAITING: usize = 1_000_000;
const RATE: &str = "3000";

struct Beds {
    ill: Bed,
    well: Bed,
    healthy: Receiver,
}

fn run(report: &mut Report) {
    // The kernel accepts connections, and the program never reads from them.
    let dead = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
    let dead_url = format!("http://{}/dead", dead.local_addr().expect("a bound socket"));
    let (healthy, hundredth) = (Receiver::start(), Receiver::start());
    let capacity = raw_client::capacity(&healthy);
    let mut beds = Beds { ill: bed(&healthy, &dead_url), well: bed(&healthy, &hundredth.url("last")), healthy };
    let last = beds.ill.ask(&format!("SELECT id FROM hydra.subscription WHERE tenant_id = '{ENDPOINTS}'"));
    backlog::add(&mut beds.ill, last, WAITING);
    for bed in [&mut beds.ill, &mut beds.well] {
        bed.send();
    }
    // After five failures it gets one request at a time. Each takes the time limit, and those side by side count as one.
    wait_until("it is known to be dead", Duration::from_secs(120), || {
        beds.ill.ask("SELECT EXISTS (SELECT FROM hydra.subscription_health WHERE consecutive_failures >= 5)")
    });
    let pairs = Pairs::measure(
        "healthy endpoints, one of 100 dead / none",
        &mut beds,
        |beds| sample(&mut beds.ill, &beds.healthy),
        |beds| sample(&mut beds.well, &beds.healthy),
    );
    let still: i64 = beds.ill.ask("SELECT count(*) FROM hydra.delivery WHERE state = 'pending'");
    report.add(
        Row::new("11", "healthy endpoints with 1 of 100 dead")
            .pairs("all healthy", &pairs, "/s")
            .at_least(0.95)
            .receiver(capacity, pairs.one())
            .note(format!(
                "{RATE} events/s, 1 % of them for the dead one; {} wait for it at the end",
                number(still as f64)
            )),
    );
}

/// Creates a bed with a hundred subscriptions of one tenant each. The last one has the URL `last`.
fn bed(receiver: &Receiver, last: &str) -> Bed {
    let mut bed = Bed::start(&[]);
    for tenant in 1..=ENDPOINTS {
        let url = if tenant == ENDPOINTS { last.to_string() } else { receiver.url(&tenant.to_string()) };
        bed.subscribe(&url, "ticket.created", &[&format!("tenant_id => '{tenant}'")]);
    }
    bed
}

fn sample(bed: &mut Bed, healthy: &Receiver) -> f64 {
    let emit = format!(
        "\\set tenant random(1, {ENDPOINTS})\n\
         SELECT hydra.webhook_emit('ticket.created', '{{\"id\": 7, \"subject\": \"{:x<130}\"}}', (:tenant)::text)",
        ""
    );
    let rate = load::rate(bed, healthy, &emit, &["--rate", RATE]);
    wait_until("all events were taken up", Duration::from_secs(60), || {
        bed.ask("SELECT NOT EXISTS (SELECT FROM hydra.event)")
    });
    rate
}
