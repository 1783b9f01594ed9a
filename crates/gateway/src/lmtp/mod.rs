//! LMTP (RFC 2033): takes messages from a mail server.
//!
//! The mail server is the queue. It gets an answer for each recipient of a message, after the transaction of that
//! recipient has committed: 250, and it forgets the recipient; 4xx, and it tries again later; 5xx, and it returns the
//! message to its sender.
//!
//! Lines end with CR LF, and a message ends with a line that has one dot and such ends. A message with another line end is
//! refused: a server that takes it for one could read two messages where another has read one.
//!
//! Whoever can connect is believed to be a mail server, so this must not be reached by strangers.
//!
//! | file | content |
//! |---|---|
//! | `command` | reads commands |
//! | `data` | finds the end of a message |
//! | `session` | talks with one mail server |
//! | `delivery` | makes the calls, and their results into replies |
//! | `listener` | accepts connections |

pub mod command;
pub mod data;
mod delivery;
pub mod listener;
mod session;
