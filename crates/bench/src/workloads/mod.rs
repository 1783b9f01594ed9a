//! The workloads, in the order of the table in the README: one file for each.
//!
//! A workload uses the bed, measures pairs, and adds rows to the report. To add one, add a file with a `WORKLOAD`, and
//! a line to each of the two lists below.

use crate::report::Report;

mod backlog;
mod bare;
mod bulk;
mod changing;
mod dead;
mod depth;
mod drain;
mod emit;
mod fan_out;
mod hanging;
mod held;
mod late;
mod latency;
mod live;
mod load;
mod many;
mod offer;
mod one_connection;
mod pg_net;
mod retry_queue;
mod reuse;
mod slow;
mod soak;
mod tickets;
mod tls;
mod wal;

pub struct Workload {
    /// The numbers of its rows. On the command line, each of them selects the workload.
    pub numbers: &'static [&'static str],
    pub name: &'static str,
    /// Whether it runs if the command line selects none. False for a workload that takes an hour.
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
    &changing::WORKLOAD,
    &fan_out::WORKLOAD,
    &slow::WORKLOAD,
    &wal::WORKLOAD,
    &tls::WORKLOAD,
    &retry_queue::WORKLOAD,
    &late::WORKLOAD,
    &reuse::WORKLOAD,
    &hanging::WORKLOAD,
    &soak::WORKLOAD,
];
