//! The gateway: turns each HTTP request into one call of `hydra.serve` in one transaction, and its result into one
//! answer. `docs/gateway-seam.md` describes the call, `docs/gateway.md` the program.
//!
//! A gateway has no authority: it passes a hash of the credential, and the database decides. It keeps nothing that
//! another gateway would need, so any number of them serve one database.
//!
//! A request is read whole before its transaction begins, and its answer is sent when the transaction has committed. So
//! no client, however slow, holds a transaction, and no answer is sent that a crash could undo.
//!
//! | module | content |
//! |---|---|
//! | `program` | the life of the process: start, signals, reload, end |
//! | `options`, `settings`, `units`, `conninfo` | what it is told |
//! | `listener`, `certificates` | sockets, TLS, the limit of connections |
//! | `guard`, `framing` | where requests begin and end in the bytes of a connection |
//! | `lmtp` | takes messages from mail servers |
//! | `exchange` | one request, from what was received to what is answered |
//! | `mcp` | the Model Context Protocol, over HTTP and as a program on a person's machine |
//! | `inbound` | requests of other systems to inbound adapters |
//! | `explain` | the page about the REST API |
//! | `route`, `place`, `forwarded`, `cookie` | whose request it is, and whether it came in a permitted way |
//! | `wanted` | the page that a visitor wanted before signing in |
//! | `body`, `answer`, `problem` | bodies, answers, and what is answered instead |
//! | `admission`, `credentials`, `quota` | who is let in, and what is remembered of credentials |
//! | `call`, `pool` | the call, and the connections to the database |
//! | `gateway` | what all requests share |
//! | `heartbeat`, `health`, `report`, `log` | what it says about itself |

mod admission;
mod answer;
mod body;
mod call;
mod certificates;
pub mod conninfo;
pub mod cookie;
mod credentials;
mod exchange;
mod explain;
pub mod forwarded;
pub mod framing;
mod gateway;
mod guard;
mod health;
mod heartbeat;
mod inbound;
mod listener;
pub mod lmtp;
mod log;
pub mod mcp;
pub mod options;
pub mod place;
mod pool;
mod problem;
pub mod program;
mod quota;
mod report;
pub mod route;
mod settings;
pub mod units;
mod wanted;
