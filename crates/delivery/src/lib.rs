//! The decisions of the dispatcher: which events to read, which deliveries to send next, and what to write about the
//! outcomes.
//!
//! Nothing in this crate uses Postgres, a clock or random numbers. The dispatcher passes in the rows that it read, the
//! current time and the outcomes of requests. It makes the requests and writes the rows that this crate returns.
//!
//! | module | what it does |
//! |---|---|
//! | [`dispatch`] | decides about deliveries, from event to success or failure |
//! | [`lanes`] | decides which subscription may send next |
//! | [`reading`] | decides which events to read next |
//! | [`retry`] | decides when a failed delivery is tried again |
//! | [`clock`] | notices times in which nothing could be sent |
//! | [`writes`], [`tally`] | collect what is to be written: rows, and counts |
//! | [`histogram`] | counts times of answers, and computes percentiles |
//! | `bodies` | counts the bytes of bodies in memory |
//! | [`stored_event`], [`xid`], [`subscription`], [`work`] | describe what is read: events, subscriptions, deliveries |

mod bodies;
pub mod clock;
pub mod dispatch;
pub mod histogram;
pub mod lanes;
pub mod reading;
pub mod retry;
pub mod stored_event;
pub mod subscription;
pub mod tally;
pub mod work;
pub mod writes;
pub mod xid;
