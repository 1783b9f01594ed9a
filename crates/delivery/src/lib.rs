//! What to send next, and what to record about what was sent.
//!
//! Pure: nothing here knows Postgres, a clock or randomness. The dispatcher passes in what it read, when, and what
//! became of requests; it sends the requests and writes the rows that come out.
//!
//! | module | idea |
//! |---|---|
//! | [`dispatch`] | the life of deliveries from event to success or failure |
//! | [`lanes`] | which subscription may send next |
//! | [`reading`] | which events to read next |
//! | [`retry`] | when a failed delivery is tried again |
//! | [`writes`], [`tally`] | what is to be written: rows, and counts |
//! | [`stored_event`], [`xid`], [`subscription`], [`work`] | what the dispatcher reads: events, subscriptions, deliveries |

pub mod dispatch;
pub mod lanes;
pub mod reading;
pub mod retry;
pub mod stored_event;
pub mod subscription;
pub mod tally;
pub mod work;
pub mod writes;
pub mod xid;
