//! Events that are offered at a fixed rate, each for one of many endpoints, and what their deliveries cost.
//!
//! Real receivers are many, and answer late. So the endpoints are subscriptions of one tenant each, and their receiver
//! answers after a delay. It is one process, but a connection serves one subscription only, so each endpoint has its own
//! connections.

use std::time::{Duration, Instant};

use super::load::{Pace, per_second};
use crate::bed::Bed;
use crate::cost::{cpu_of, memory_of, own_memory_of, threads_of};
use crate::receiver::Receiver;

/// How often events are emitted, all of them in one transaction.
const EVERY: Duration = Duration::from_millis(50);

/// The duration of a sample.
const SAMPLE: Duration = Duration::from_secs(10);

pub struct Offer {
    pub endpoints: usize,
    /// The number of events in a second, for all endpoints together.
    pub rate: usize,
    /// The time until about as many requests are in flight as there will be.
    pub warm_up: Duration,
}

/// What was measured during a sample.
pub struct Sample {
    /// Deliveries and events in a second.
    pub delivered: f64,
    pub offered: f64,
    /// CPU time of the dispatcher for each delivery, in microseconds.
    pub cpu: f64,
    /// Connections for each delivery.
    pub new_connections: f64,
    /// The largest values of the memory of the dispatcher, in MB, and of its number of threads.
    pub memory: f64,
    pub own_memory: f64,
    pub threads: f64,
}

impl Offer {
    /// Starts a bed with the endpoints. `trust` prepares it for their certificates.
    pub fn bed(&self, receiver: &Receiver, trust: impl FnOnce(&Bed)) -> Bed {
        let mut bed = Bed::start(&[]);
        trust(&bed);
        bed.run(&format!(
            "SELECT count(hydra.webhook_create('{}' || n, '{{ticket.created}}', tenant_id => n::text))
             FROM generate_series(0, {}) AS n",
            receiver.url("endpoint/"),
            self.endpoints - 1
        ));
        bed.settle();
        bed.send();
        bed
    }

    /// Offers events for a while, and measures after the warm-up.
    pub fn sample(&self, bed: &mut Bed, receiver: &Receiver) -> Sample {
        let mut pace = Pace::new(EVERY);
        let each = self.rate * EVERY.as_millis() as usize / 1000;
        let mut first = 0;
        let mut offer = |bed: &mut Bed, time: Duration, mut meanwhile: Box<dyn FnMut() + '_>| {
            for _ in 0..time.as_millis() / EVERY.as_millis() {
                pace.next(|| self.emit(bed, first, each));
                first += each;
                meanwhile();
            }
        };
        offer(bed, self.warm_up, Box::new(|| ()));
        let dispatcher = bed.dispatcher();
        let (mut memory, mut own_memory, mut threads) = (0.0, 0.0, 0.0);
        let (start, cpu) = (Instant::now(), cpu_of(dispatcher));
        let (answered, accepted) = (receiver.answered(), receiver.accepted());
        let look = Box::new(|| {
            memory = f64::max(memory, memory_of(dispatcher));
            own_memory = f64::max(own_memory, own_memory_of(dispatcher));
            threads = f64::max(threads, threads_of(dispatcher));
        });
        offer(bed, SAMPLE, look);
        let took = start.elapsed();
        let delivered = receiver.answered() - answered;
        let per_delivery = |amount: f64| amount / delivered as f64;
        Sample {
            delivered: per_second(delivered, took),
            offered: per_second(each * (SAMPLE.as_millis() / EVERY.as_millis()) as usize, took),
            cpu: per_delivery((cpu_of(dispatcher) - cpu).as_secs_f64() * 1e6),
            new_connections: per_delivery((receiver.accepted() - accepted) as f64),
            memory,
            own_memory,
            threads,
        }
    }

    /// Emits this many events, for the endpoints in turn.
    fn emit(&self, bed: &mut Bed, first: usize, count: usize) {
        bed.run(&format!(
            "SELECT count(hydra.webhook_emit('ticket.created',
                 jsonb_build_object('id', n, 'subject', repeat('x', 130)), (n % {})::text))
             FROM generate_series({first}, {}) AS n",
            self.endpoints,
            first + count - 1
        ));
    }
}
