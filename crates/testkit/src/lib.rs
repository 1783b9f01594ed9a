//! Code that the tests and the bench share.
//!
//! | module | content |
//! |---|---|
//! | `cluster` | a temporary Postgres cluster, whose server can be stopped, killed and promoted |
//! | `receiver` | an endpoint that records, verifies and answers requests |
//! | `bench` | a database, a session in it and a receiver, which nearly every test needs |
//! | `gateway` | a gateway for a database, and a client that sends what no other would |
//! | `history` | the rows of `hydra.webhook_history` |
//! | `authority` | certificates for TLS |
//! | `names` | a name server that says nothing about some names |
//! | `ports` | ports of loopback |
//! | `sql` | statements, and the errors that they must fail with |
//! | `subscribing` | new subscriptions, and an empty queue |
//! | `need` | what a test needs that not every server has |
//! | `worker` | the row of `hydra.webhook_worker_status` |
//! | `wait` | waiting for conditions |
//! | `signer` | signs requests as providers do |
//! | `environment` | numbers and seeds for longer or repeated runs |

pub mod authority;
mod bench;
pub mod cluster;
mod environment;
pub mod gateway;
mod history;
pub mod names;
mod need;
mod ports;
pub mod receiver;
mod sql;
mod subscribing;
mod wait;
mod worker;

pub use bench::Bench;
pub use cluster::{Cluster, StopMode};
pub use environment::{chance, number, rounds};
pub use gateway::Gateway;
pub use history::{Attempt, history};
pub use inbound::signer;
pub use need::{Need, lacks, lacks_node, version};
pub use ports::free_port;
pub use sql::{Refusal, ask, refusal, refused, run};
pub use subscribing::{subscribe, wait_for_empty_queue};
pub use wait::{PATIENCE, StopWhenDropped, let_pass, millis, wait_until};
pub use worker::{wait_for_state, worker_status};
