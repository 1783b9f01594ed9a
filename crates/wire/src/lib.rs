//! What both ends of a webhook agree on: ids, events, bodies, headers, signatures and secrets.
//!
//! Nothing in this crate has a clock, input or output. Times and random numbers are passed in.
//!
//! | module | what it does |
//! |---|---|
//! | [`ids`] | identifies events, subscriptions and deliveries |
//! | [`event`], [`event_type`] | describes an event; matches its type against what a subscription asks for |
//! | [`changed`] | finds out which keys of an entity have changed |
//! | [`preset`] | builds the body of a subscription's requests, and names their headers |
//! | [`headers`] | checks the headers that a subscription may add |
//! | [`signature`] | signs a request, and verifies a signature as a receiver does |
//! | [`secret`] | makes signing secrets, and encrypts them for storage |
//! | [`form`] | reads the fields of forms and queries |
//! | [`token`] | makes API keys, links and sessions, and hashes them for storage |
//! | [`scram`] | computes what Postgres stores of a password |
//! | [`supervised`] | describes how the server tells the gateway that it runs its settings, and what the gateway reports |
//! | [`packed`] | writes headers and answers as bytes, between a gateway and the database |
//! | [`request`], [`attempt`] | describes a request, and its result |
//! | [`refusal`] | says why a value that a user gave is refused |

pub mod attempt;
pub mod changed;
pub mod event;
pub mod event_type;
pub mod form;
pub mod headers;
pub mod ids;
pub mod packed;
pub mod preset;
pub mod refusal;
pub mod request;
pub mod scram;
pub mod secret;
pub mod signature;
pub mod supervised;
pub mod token;
