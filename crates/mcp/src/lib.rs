//! The Model Context Protocol as a server of tools speaks it: what a message asks, and what answers it.
//!
//! A message is one POST: headers and one JSON-RPC object. [`read`] returns what is asked, or the answer that refuses it.
//! The methods of [`Request`] write the answers. Nothing is kept between two messages, so any number of gateways can pass
//! them on.
//!
//! There are two kinds of clients. Those of revision 2026-07-28 say in each request which revision they speak and what
//! they can do, in `_meta` and again in headers, and the two must agree. Those of older revisions begin with `initialize`,
//! after which the revision is fixed for a session. We have no session: all older revisions are answered alike, so it
//! need not be known which of them was agreed upon. What a request is, is decided by [`revision`] alone.
//!
//! The crate uses no clock, no input and output, and no thread: the answer is made in a backend of Postgres, because only the
//! database knows which tools there are. So it is not made with `rmcp`. Of that, the least part that a server of tools needs
//! (3.11, features `server` and `elicitation`) brings 90 crates with it, a runtime with threads among them, and owns the loop that
//! answers. This is under 700 lines on `serde_json` and `base64`. What the protocol's makers test stands in `tests/mcp`, and
//! says if the two differ.
//!
//! | module | content |
//! |---|---|
//! | `revision` | the revisions, and which of them a request speaks |
//! | `headers` | headers that repeat parts of the body |
//! | `message` | JSON-RPC |
//! | `numbers` | arguments that are too large to calculate with |
//! | `asked` | what a message asks |
//! | `failure` | errors of the protocol |
//! | `answer` | answers |
//! | `tool` | how tools are described, and the pages of their list |
//! | `elicitation` | what the user of a client is asked |
//! | `relay` | what a message needs to be passed on as a POST |

mod answer;
mod asked;
mod elicitation;
mod failure;
mod headers;
mod message;
mod object;
pub mod relay;
pub mod revision;
mod tool;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Server, ToolResult};
pub use asked::{Asked, Capabilities, Request, read};
pub use elicitation::{Elicitation, InputRequired};
pub use failure::Failure;
pub use message::Id;
pub use revision::Revision;
pub use tool::{Tool, page};
