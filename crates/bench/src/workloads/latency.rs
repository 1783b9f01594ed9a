//! The time from the commit of an event to the arrival of its request, at a low rate.
//!
//! An event is committed when its commit is on disk. The client is informed a little later. This delay is measured with
//! transactions that write nothing, and is added to the time from the return of `COMMIT` to the arrival. The time from
//! the sending of `COMMIT` to the arrival is a note of the row; most of it is the time of the disk. The divisor is the
//! time until a POST by the same sender without a database arrives. These are made between the events, because the
//! speed of a machine changes.
//!
//! The rate is fixed: an event that arrives late does not delay the next one.

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

/// The time between two events: 33 events per second.
const PACE: Duration = Duration::from_millis(30);
/// The number of events in each round.
const EVENTS: usize = 300;

const EMIT: &str = "SELECT hydra.webhook_emit('ticket.created',
    jsonb_build_object('id', $1::bigint, 'subject', repeat('x', 130)))";

/// By number of the event or bare request: when it was sent, and when the call returned.
type Sent = HashMap<u128, (Instant, Instant)>;

/// Milliseconds from sending to arrival, from sending to the return of the call, and from that return to arrival.
struct Times {
    to_arrival: Vec<f64>,
    to_return: Vec<f64>,
    from_return: Vec<f64>,
}

struct Round {
    ours: Times,
    bare: Times,
    /// Milliseconds that the commit of a transaction without writes takes.
    telling: Vec<f64>,
}

fn run(report: &mut Report) {
    let receiver = Receiver::with(Manner { mark: Mark::NumberAfter("\"id\": "), ..Manner::default() });
    let capacity = raw_client::capacity(&receiver);
    let mut bed = Bed::start(&[]);
    bed.subscribe(&receiver.url("latency"), "ticket.created", &[]);
    bed.send();
    let sender = BareSender::start(&receiver.url("bare"), None);
    let mut session = bed.session();
    let rounds: Vec<Round> = (0..PAIRS).map(|_| round(&mut session, &sender, &receiver)).collect();

    let p50 = pairs(&rounds, 0.5);
    let p90 = pairs(&rounds, 0.9);
    report.add(
        row("commit → arrival at 33/s, p50", &p50, capacity)
            .at_most(5.0)
            .note(described("commit → arrival", rounds.iter().flat_map(Round::since_commit)))
            .note(described("COMMIT sent → arrival", rounds.iter().flat_map(|round| round.ours.to_arrival.clone())))
            .note(described("COMMIT sent → returned", rounds.iter().flat_map(|round| round.ours.to_return.clone())))
            .note(described(
                "COMMIT returned → arrival",
                rounds.iter().flat_map(|round| round.ours.from_return.clone()),
            ))
            .note(described("COMMIT of nothing sent → returned", rounds.iter().flat_map(|round| round.telling.clone())))
            .note(described("bare POST → arrival", rounds.iter().flat_map(|round| round.bare.to_arrival.clone())))
            .note(described("bare POST → answer", rounds.iter().flat_map(|round| round.bare.to_return.clone()))),
    );
    report.add(row("commit → arrival at 33/s, p90", &p90, capacity).at_most(20.0));
}

fn row(workload: &str, pairs: &Pairs, capacity: f64) -> Row {
    let pace = 2.0 / PACE.as_secs_f64();
    Row::new("5", workload).pairs("bare POST → arrival, p50", pairs, "ms").receiver(capacity, pace)
}

/// Returns pairs: this percentile of the events of a round, and the median of its bare requests.
fn pairs(rounds: &[Round], share: f64) -> Pairs {
    let pair = |round: &Round| (percentile(round.since_commit(), share), median(round.bare.to_arrival.iter().copied()));
    rounds.iter().map(pair).collect::<Vec<_>>().into()
}

/// Makes events and bare requests in turn. Even numbers are events.
fn round(session: &mut Client, sender: &BareSender, receiver: &Receiver) -> Round {
    receiver.take_arrivals();
    let all = receiver.arrived() + 2 * EVENTS;
    let emit = session.prepare(EMIT).expect("the function is there");
    let (mut committed, mut posted, mut telling) = (Sent::new(), Sent::new(), Vec::new());
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
            telling.push(commit_nothing(session));
        }
    }
    assert!(receiver.wait_for(all, Duration::from_secs(60)), "{} of {all} arrived", receiver.arrived());
    let arrivals = receiver.take_arrivals().into_iter().map(|arrival| (arrival.mark, arrival.at)).collect();
    Round { ours: Times::of(&committed, &arrivals), bare: Times::of(&posted, &arrivals), telling }
}

fn commit_nothing(session: &mut Client) -> f64 {
    let transaction = session.transaction().expect("an open session");
    let sent = Instant::now();
    transaction.commit().expect("it commits");
    millis(sent, Instant::now())
}

impl Round {
    fn since_commit(&self) -> Vec<f64> {
        let telling = median(self.telling.iter().copied());
        self.ours.from_return.iter().map(|time| time + telling).collect()
    }
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

/// Returns the milliseconds between two times; negative if `to` is before `from`.
fn millis(from: Instant, to: Instant) -> f64 {
    (to.saturating_duration_since(from).as_secs_f64() - from.saturating_duration_since(to).as_secs_f64()) * 1e3
}

fn described(what: &str, times: impl Iterator<Item = f64>) -> String {
    let times: Vec<f64> = times.collect();
    let at = |share| percentile(times.iter().copied(), share);
    format!("{what}: p50 {:.2}, p90 {:.2}, p99 {:.2} ms", at(0.5), at(0.9), at(0.99))
}
