//! What a message of Internet mail says: who wrote it, whether that is proven, which thread it belongs to, and what is
//! new in it. This crate uses no clock, no random numbers and no Postgres.
//!
//! A message is the work of a stranger. So nothing here takes more time or memory than its size allows: the structure is
//! walked within limits, and every part is parsed by itself. And nothing that a message says about itself is believed:
//! a tag in its subject finds a thread, and proves nothing; its sender is proven only by what a server that the channel
//! trusts has written at its top.
//!
//! | module | content |
//! |---|---|
//! | `message` | the whole message: the headers that matter, its texts, its attachments |
//! | `parts` | the parts of a MIME message, within limits |
//! | `fields` | the fields of a header as they were written |
//! | `html` | the text of an HTML document |
//! | `authentication` | whether the sender is proven |
//! | `automatic` | whether a program has sent the message, so that nobody waits for an answer |
//! | `thread` | tags, reply addresses and Message-IDs, and which of them decides |
//! | `reply` | what is new in a reply: without quotation and signature |
//! | `dedupe` | the key by which a message that comes again is recognized |

pub mod authentication;
pub mod automatic;
pub mod dedupe;
mod fields;
pub mod html;
pub mod message;
mod parts;
pub mod reply;
pub mod thread;

pub use message::{Attachment, Mailbox, Message, TooComplex};
