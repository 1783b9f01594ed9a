//! What both ends of a webhook agree on: ids, events, bodies, headers, signatures and secrets.
//!
//! Pure: it has no clock and no input or output. Times and random numbers are passed in.
//!
//! | module | idea |
//! |---|---|
//! | [`ids`] | which event, subscription, delivery |
//! | [`event`], [`event_type`] | what happened, and by which names subscriptions ask for it |
//! | [`preset`] | the format of a subscription's requests: body and headers |
//! | [`headers`] | the headers that a subscription may add |
//! | [`signature`] | how a request proves where it comes from, and how a receiver verifies it |
//! | [`secret`] | signing secrets, and how they are stored |
//! | [`request`], [`attempt`] | what to send, and what became of it |
//! | [`refusal`] | why a value that a user gave is refused |

pub mod attempt;
pub mod event;
pub mod event_type;
pub mod headers;
pub mod ids;
pub mod preset;
pub mod refusal;
pub mod request;
pub mod secret;
pub mod signature;
