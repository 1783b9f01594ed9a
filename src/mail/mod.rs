//! Mail: messages become calls of functions of the application.
//!
//! A mail server hands a message over by LMTP to the gateway, or as the body of a request to an inbound adapter. Both end
//! here, with the raw bytes. A *channel* is an address, with the function that gets its messages. A *thread* is what the
//! messages about one entity have in common, such as a ticket. Three signals lead to a thread: a signed reply address, a
//! tag in the subject, a known Message-ID.
//!
//! **A signal finds a thread and proves nothing.** So the function is told what is known of the sender: whether a server
//! that the channel trusts has found the address authentic, and whether it takes part in the thread. Who does not is a
//! stranger: the function is told no thread, and only that the message is linked to one.
//!
//! A message is stored and its function called in one transaction, and the mail server is told that it was taken after the
//! commit. If the function fails, its effects are undone, the failure is recorded, and the mail server keeps the message
//! and tries again: it is the queue. A message that comes again after that is recognized, and nothing happens.
//!
//! | file | what it does |
//! |---|---|
//! | `lmtp` | answers the gateway |
//! | `channel` | finds a channel |
//! | `taking` | stores a message and has its function called |
//! | `sorting` | finds the thread of a message, and judges its sender |
//! | `calling` | calls the function |
//! | `functions` | has the SQL functions |
//! | `secret` | keeps the secret of which tags and reply addresses are made |

mod calling;
mod channel;
mod functions;
pub mod lmtp;
pub mod secret;
mod sorting;
mod taking;

pub use taking::Fate;

/// Takes a message that came to an inbound adapter. Returns `None` if the adapter is that of no channel, or of a paused one.
pub fn receive(adapter: i64, raw: &[u8]) -> Option<Fate> {
    let channel = channel::of_adapter(adapter).filter(|channel| !channel.is_paused)?;
    let recipient = channel.address.clone();
    Some(taking::take(&channel, &recipient, None, raw))
}
