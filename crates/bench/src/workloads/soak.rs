//! Whether memory, descriptors, connections or dead rows grow during an hour of steady load.
//!
//! This workload is not part of a full run. The environment variable `MINUTES` sets its duration; the default is an
//! hour. One event in a hundred goes to an endpoint that refuses it, so that the retry queue and the history are used.
//! A quantity grows if its mean in the last quarter of the time is larger than in the second; the first quarter is for
//! warming up.

use std::fs;
use std::sync::mpsc::{self, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use postgres::Client;

use super::Workload;
use super::load;
use crate::bed::{Bed, Length};
use crate::cost::own_memory_of;
use crate::receiver::Receiver;
use crate::report::{Report, Row};

pub const WORKLOAD: Workload =
    Workload { numbers: &["soak"], name: "an hour at 200 events/s", in_full_run: false, run };

const RATE: &str = "200";
const BETWEEN_SAMPLES: Duration = Duration::from_secs(60);

/// A quantity grows only if it increases by this factor: dead rows vary with each vacuum, and memory with the
/// allocator.
const GROWS_FROM: f64 = 1.1;

const WATCHED: [(&str, &str); 6] = [
    ("memory of the dispatcher", "MB"),
    ("its descriptors", "open"),
    ("of which sockets", "open"),
    ("dead rows of hydra.event", "rows"),
    ("dead rows of hydra.delivery", "rows"),
    ("dead rows of hydra.attempt", "rows"),
];

type Sample = [f64; WATCHED.len()];

fn run(report: &mut Report) {
    let minutes = std::env::var("MINUTES").map_or(60, |text| text.parse().expect("MINUTES is a number"));
    let receiver = Receiver::start();
    let mut bed = Bed::start(&[]);
    for tenant in 1..100 {
        let tenant_id = format!("tenant_id => '{tenant}'");
        bed.subscribe(&receiver.url(&tenant.to_string()), "ticket.created", &[&tenant_id]);
    }
    let refusing = ["tenant_id => '100'", "retry_schedule => '{1 s,2 s}'"];
    bed.subscribe("http://127.0.0.1:9/refused", "ticket.created", &refusing);
    bed.send();
    let samples = sample_under_load(&bed, minutes);
    bed.wait_for_empty_queue();
    for (place, (name, unit)) in WATCHED.into_iter().enumerate() {
        let quarter = |number: usize| mean(quarter(&samples, number).iter().map(|sample| sample[place]));
        let (second, last) = (quarter(1), quarter(3));
        let verdict = if last > second * GROWS_FROM { "grows" } else { "does not grow" };
        report.add(
            Row::new("soak", format!("{name}, {minutes} min at {RATE}/s"))
                .figure(last, unit)
                .divided_by("in the second quarter", second, unit)
                .note(verdict),
        );
    }
}

fn sample_under_load(bed: &Bed, minutes: u32) -> Vec<Sample> {
    let emit = format!(
        "\\set tenant random(1, 100)\n\
         SELECT hydra.webhook_emit('ticket.created', '{{\"id\": 7, \"subject\": \"{:x<130}\"}}', (:tenant)::text)",
        ""
    );
    let (dispatcher, sql) = (bed.dispatcher(), bed.session());
    let (done, is_done) = channel();
    let sampler = thread::spawn(move || sample_until(&is_done, dispatcher, sql));
    bed.pgbench(&emit, load::CLIENTS, Length::Seconds(minutes * 60), &["--rate", RATE]);
    drop(done);
    sampler.join().expect("the dispatcher lives on")
}

fn sample_until(done: &mpsc::Receiver<()>, dispatcher: i32, mut sql: Client) -> Vec<Sample> {
    let mut samples = Vec::new();
    while done.recv_timeout(BETWEEN_SAMPLES) == Err(RecvTimeoutError::Timeout) {
        samples.push(sample(dispatcher, &mut sql));
        eprintln!("minute {}: {:?}", samples.len(), samples.last());
    }
    samples
}

fn sample(dispatcher: i32, sql: &mut Client) -> Sample {
    let (descriptors, sockets) = descriptors_of(dispatcher);
    let mut dead = |table: &str| {
        let query = format!("SELECT pg_stat_get_dead_tuples('{table}'::regclass)::float8");
        sql.query_one(&query, &[]).expect("the server answers").get(0)
    };
    [
        own_memory_of(dispatcher),
        descriptors,
        sockets,
        dead("hydra.event"),
        dead("hydra.delivery"),
        dead("hydra.attempt"),
    ]
}

/// Returns the number of open descriptors of a process, and the number of sockets among them.
fn descriptors_of(process: i32) -> (f64, f64) {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).expect("the process runs");
    let open: Vec<_> = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect();
    let sockets = open.iter().filter(|target| target.to_string_lossy().starts_with("socket:")).count();
    (open.len() as f64, sockets as f64)
}

/// Returns the samples of a quarter of the time. The quarters are counted from 0.
fn quarter(samples: &[Sample], number: usize) -> &[Sample] {
    &samples[samples.len() * number / 4..samples.len() * (number + 1) / 4]
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
