//! What is measured, in the order of the table: one file per idea.
//!
//! A workload uses the bed, measures in pairs and adds its rows to the report. A new one is a file with a `WORKLOAD`
//! and a line in each of the two lists below.

use crate::report::Report;

mod backlog;
mod bare;
mod bulk;
mod dead;
mod depth;
mod drain;
mod emit;
mod fan_out;
mod held;
mod latency;
mod live;
mod load;
mod many;
mod one_connection;
mod pg_net;
mod retry_queue;
mod slow;
mod soak;
mod tickets;
mod tls;
mod wal;

pub struct Workload {
    /// The rows that it makes. The command line names it by them.
    pub numbers: &'static [&'static str],
    pub name: &'static str,
    /// Whether it runs if none is named. One that takes an hour does not.
    pub in_full_run: bool,
    pub run: fn(&mut Report),
}

pub const ALL: &[&Workload] = &[
    &drain::WORKLOAD, //
    &bare::WORKLOAD,
    &live::WORKLOAD,
    &latency::WORKLOAD,
    &emit::WORKLOAD,
    &one_connection::WORKLOAD,
    &bulk::WORKLOAD,
    &held::WORKLOAD,
    &depth::WORKLOAD,
    &dead::WORKLOAD,
    &many::WORKLOAD,
    &fan_out::WORKLOAD,
    &slow::WORKLOAD,
    &wal::WORKLOAD,
    &tls::WORKLOAD,
    &retry_queue::WORKLOAD,
    &soak::WORKLOAD,
];
