//! What is measured, in the order of the table: one file per idea.
//!
//! A workload takes what it needs from the bed, measures in pairs, and adds its rows to the report. To add one: a file
//! with a `WORKLOAD`, and a line in each of the two lists below.

use crate::report::Report;

mod bare;
mod drain;
mod emit;
mod fan_out;
mod latency;
mod load;
mod one_connection;
mod slow;
mod tickets;
mod tls;

pub struct Workload {
    /// Rows that it makes: what it is called by on the command line.
    pub numbers: &'static [&'static str],
    pub name: &'static str,
    /// Whether it runs when nothing is named. Not so what takes an hour.
    pub in_full_run: bool,
    pub run: fn(&mut Report),
}

pub const ALL: &[&Workload] = &[
    &drain::WORKLOAD, //
    &bare::WORKLOAD,
    &latency::WORKLOAD,
    &emit::WORKLOAD,
    &one_connection::WORKLOAD,
    &fan_out::WORKLOAD,
    &slow::WORKLOAD,
    &tls::WORKLOAD,
];
