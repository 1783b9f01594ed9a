//! Runs the gateway of this server: a background worker, the *supervisor*, keeps the program `hydra-gateway` running as
//! its child process.
//!
//! The gateway reads what strangers send, so it is not a process of Postgres: if it crashes, or the system kills it
//! because it takes too much memory, the supervisor sees an exit status and starts it again, and no session notices. It
//! gets no descriptor, no environment and no signal of the server, and it cannot outlive the supervisor.
//!
//! The supervisor itself is a process of Postgres, and a `kill -9` of it restarts the server, as that of any session
//! does. All background workers are attached to shared memory (PostgreSQL 15 and later refuse others). So the supervisor
//! does very little: it reads short lines of JSON from its own child, and nothing that comes from the network.
//!
//! The launcher starts one supervisor when `hydra_webhooks.listen` is set, in the database that the gateway is to serve.
//! It ends when it is not wanted any more, when the database is parked, and when a statement needs the database without
//! sessions, as a dispatcher does. The sessions of the gateway end with it.
//!
//! | file | what it does |
//! |---|---|
//! | `entry` | starts the process, connects to the database, and ends the process |
//! | `watch` | starts the gateway, follows its state, and starts it again when it has ended |
//! | `child` | the process of the gateway and its pipes |
//! | `isolation` | what the process does not inherit |
//! | `login` | gives the gateway a new password at each start |
//! | `orders` | the settings that the gateway is told |

mod child;
mod entry;
mod isolation;
mod login;
mod orders;
mod watch;

/// The role that the gateway logs in as.
const ROLE: &str = "hydra_gateway_embedded";

/// The name of its program, which is installed beside that of Postgres.
const PROGRAM: &str = "hydra-gateway";
