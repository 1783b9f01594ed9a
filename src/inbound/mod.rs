//! Receives the requests that other systems send to inbound adapters.
//!
//! An *adapter* has a URL with a secret in its path. It says how its requests are verified (the *scheme*, see the crate
//! `inbound`) and which events of ours they become (the *mapping*). A request is one transaction: it is verified over the
//! bytes that came; each of its events is inserted, which is where a duplicate is noticed; the deployed flows that match
//! run; the event is emitted to our own subscriptions; and only when all of that has committed is the request answered with
//! 2xx. So an event has its effect exactly once, however often it is sent.
//!
//! | state of an event | what has happened |
//! |---|---|
//! | `done` | its flows have run, and it was emitted |
//! | `unmatched` | no flow has run, for a reason. If it is mapped to an event type, it was emitted all the same |
//! | `failed` | a flow has failed, and nothing of it has happened. Whoever can, tries again: the provider, or else the runner |
//! | `received` | its flows did not end in time, and nothing of it has happened. The runner does it |
//!
//! | file | what it does |
//! |---|---|
//! | `receive` | answers a request |
//! | `adapter` | reads adapters with their secrets |
//! | `mapping` | reads mappings, and finds the rule for a type |
//! | `incoming` | finds the events of a request, with their ids and types |
//! | `paths` | evaluates JSON paths within a limit of time |
//! | `mapped` | finds out which event of ours it is |
//! | `process` | runs the flows and emits the event, in a subtransaction |
//! | `event` | reads and writes the rows of events |
//! | `again` | processes an event later |
//! | `hops` | counts how many events led to what is being processed |
//! | `refused` | keeps requests that were refused |
//! | `count` | counts what comes |
//! | `trial` | says what would become of a request |
//! | `manage` | has the SQL functions that make adapters |

mod adapter;
pub mod again;
mod count;
mod event;
pub mod hops;
mod incoming;
pub(crate) mod manage;
mod mapped;
mod mapping;
mod mime;
mod paths;
mod process;
mod receive;
mod refused;
mod trial;

pub use receive::answer;
