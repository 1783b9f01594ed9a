//! What tests and the bench share.
//!
//! | module | idea |
//! |---|---|
//! | `cluster` | a throw-away Postgres cluster, and what can happen to its server |
//! | `receiver` | an endpoint that records, verifies and answers requests |
//! | `bench` | a database, a session in it and a receiver: what nearly every test begins with |
//! | `history` | the rows of `hydra.webhook_history` |
//! | `authority` | certificates for TLS |
//! | `sql` | statements, and the errors that they must fail with |
//! | `subscribing` | new subscriptions, and an empty queue |
//! | `worker` | the state that the extension reports |
//! | `wait` | conditions that are waited for |
//! | `environment` | numbers and seeds for longer or repeated runs |

pub mod authority;
mod bench;
pub mod cluster;
mod environment;
mod history;
pub mod receiver;
mod sql;
mod subscribing;
mod wait;
mod worker;

pub use bench::Bench;
pub use cluster::{Cluster, StopMode};
pub use environment::{chance, number, rounds};
pub use history::{Attempt, history};
pub use sql::{Refusal, ask, refusal, refused, run};
pub use subscribing::{subscribe, wait_for_empty_queue};
pub use wait::{PATIENCE, StopWhenDropped, let_pass, millis, wait_until};
pub use worker::{wait_for_state, worker_status};
