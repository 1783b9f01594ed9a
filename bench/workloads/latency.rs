//! How soon a committed event arrives, at a pace that keeps nobody busy.
//!
//! The clock starts when `COMMIT` is sent, so the server's own work for it and the disk's are in the figure: the time
//! from its return would leave out what the wake and the commit do at once. Divided by how soon a bare POST by the same
//! sender arrives, made between two events, since a machine is never equally quick for long.
//!
//! The pace is kept whatever happens: an event that is late does not make the next one later.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;

use super::Workload;
use crate::bare_sender::BareSender;
use crate::bed::Bed;
use crate::pairs::{PAIRS, Pairs, median, percentile};
use crate::raw_client;
use crate::receiver::{Manner, Mark, Receiver};
use crate::report::{Report, Row};

pub const WORKLOAD: Workload = Workload { numbers: &["5"], name: "from commit to arrival", in_full_run: true, run };

/// 33 a second.
const PACE: Duration = Duration::from_millis(30);
/// For each of the rounds.
const EVENTS: usize = 300;

const EMIT: &str = "SELECT hydra.webhook_emit('ticket.created',
    jsonb_build_object('id', $1::bigint, 'subject', repeat('x', 130)))";

/// When it was sent and when that returned.
type Sent = HashMap<u128, (Instant, Instant)>;

/// Milliseconds from sending to arrival, to the return of what sent it, and from that return to arrival.
struct Times {
    to_arrival: Vec<f64>,
    to_return: Vec<f64>,
    from_return: Vec<f64>,
}

fn run(report: &mut Report) {
    let receiver = Receiver::with(Manner { mark: Mark::NumberAfter("\"id\": "), ..Manner::default() });
    let capacity = raw_client::capacity(&receiver);
    let mut bed = Bed::start(&[]);
    bed.subscribe(&receiver.url("latency"), "ticket.created", &[]);
    bed.send();
    let sender = BareSender::start(&receiver.url("bare"), 4, None);
    let mut session = bed.session();
    let rounds: Vec<(Times, Times)> = (0..PAIRS).map(|_| round(&mut session, &sender, &receiver)).collect();

    let p50 = pairs(&rounds, 0.5);
    let p90 = pairs(&rounds, 0.9);
    report.add(
        row("commit → arrival at 33/s, p50", &p50, capacity)
            .at_most(5.0)
            .note(described("COMMIT sent → arrival", rounds.iter().flat_map(|round| &round.0.to_arrival)))
            .note(described("COMMIT sent → returned", rounds.iter().flat_map(|round| &round.0.to_return)))
            .note(described("COMMIT returned → arrival", rounds.iter().flat_map(|round| &round.0.from_return)))
            .note(described("bare POST → arrival", rounds.iter().flat_map(|round| &round.1.to_arrival)))
            .note(described("bare POST → answer", rounds.iter().flat_map(|round| &round.1.to_return))),
    );
    report.add(row("commit → arrival at 33/s, p90", &p90, capacity).at_most(20.0));
}

fn row(workload: &str, pairs: &Pairs, capacity: f64) -> Row {
    let pace = 2.0 / PACE.as_secs_f64();
    Row::new("5", workload).pairs("bare POST → arrival, p50", pairs, "ms").receiver(capacity, pace)
}

/// This percentile of ours, and the median of the other side.
fn pairs(rounds: &[(Times, Times)], share: f64) -> Pairs {
    let pair = |(ours, bare): &(Times, Times)| {
        (percentile(ours.to_arrival.iter().copied(), share), median(bare.to_arrival.iter().copied()))
    };
    Pairs { samples: rounds.iter().map(pair).collect() }
}

/// Events and bare requests in turn. Even numbers are events.
fn round(session: &mut Client, sender: &BareSender, receiver: &Receiver) -> (Times, Times) {
    receiver.take_arrivals();
    let all = receiver.arrived() + 2 * EVENTS;
    let emit = session.prepare(EMIT).expect("the function is there");
    let (mut committed, mut posted) = (Sent::new(), Sent::new());
    let start = Instant::now();
    for number in 0..2 * EVENTS {
        thread::sleep((start + PACE / 2 * number as u32).saturating_duration_since(Instant::now()));
        if number % 2 == 0 {
            let mut transaction = session.transaction().expect("an open session");
            transaction.execute(&emit, &[&(number as i64)]).expect("it emits");
            let sent = Instant::now();
            transaction.commit().expect("it commits");
            committed.insert(number as u128, (sent, Instant::now()));
        } else {
            let sent = Instant::now();
            sender.post_once(number);
            posted.insert(number as u128, (sent, Instant::now()));
        }
    }
    assert!(receiver.wait_for(all, Duration::from_secs(60)), "{} of {all} arrived", receiver.arrived());
    let arrivals = receiver.take_arrivals().into_iter().map(|arrival| (arrival.mark, arrival.at)).collect();
    (Times::of(&committed, &arrivals), Times::of(&posted, &arrivals))
}

impl Times {
    fn of(sent: &Sent, arrivals: &HashMap<u128, Instant>) -> Self {
        let times = |time: fn(Instant, Instant, Instant) -> f64| {
            sent.iter().map(|(number, (sent, returned))| time(*sent, *returned, arrivals[number])).collect()
        };
        Self {
            to_arrival: times(|sent, _, arrived| millis(sent, arrived)),
            to_return: times(|sent, returned, _| millis(sent, returned)),
            from_return: times(|_, returned, arrived| millis(returned, arrived)),
        }
    }
}

/// Less than nothing where the second came first.
fn millis(from: Instant, to: Instant) -> f64 {
    (to.saturating_duration_since(from).as_secs_f64() - from.saturating_duration_since(to).as_secs_f64()) * 1e3
}

fn described<'a>(what: &str, times: impl Iterator<Item = &'a f64>) -> String {
    let times: Vec<f64> = times.copied().collect();
    let at = |share| percentile(times.iter().copied(), share);
    format!("{what}: p50 {:.2}, p90 {:.2}, p99 {:.2} ms", at(0.5), at(0.9), at(0.99))
}
