//! Decides whether a request comes from the system that an adapter is for.
//!
//! Other systems send their events to the URL of an adapter. The path of the URL is a secret, and most systems sign their
//! requests as well. How they sign differs in few respects: what is signed, with which algorithm and form of the key, where
//! the signature and the time are, and how they are written. A [`Scheme`] states these, and [`verify`] does what it states
//! over the bytes that were received, never over bytes that were made of parsed ones. The schemes of known providers are
//! rows of `providers.json`, in the same format that users write. Two providers sign in ways of their own: see
//! `verify::coded`.
//!
//! A handshake is a request by which a provider finds out whether a URL belongs to its customer. It is answered only if the
//! scheme declares it: otherwise anybody could make a server return a text of theirs.
//!
//! Nothing in this crate has a clock, input or output, and no reason for which it refuses a request has a secret or a
//! signature in it.
//!
//! | module | what it does |
//! |---|---|
//! | [`arriving`] | describes a request, and reads its body as JSON |
//! | [`hidden`] | hides what the database cannot hold as `jsonb` |
//! | [`json`], `escapes` | reads JSON |
//! | [`scheme`] | defines schemes, reads them strictly from JSON, and has those of providers |
//! | [`verify`] | verifies a request, and says at which stage it was refused |
//! | `handshake` | answers handshakes |
//! | [`path`] | finds values in JSON |
//! | `form` | reads forms without changing their bytes |
//! | `signer` | signs requests as providers do, for tests |

pub mod arriving;
mod escapes;
mod form;
mod handshake;
pub mod hidden;
pub mod json;
pub mod path;
pub mod scheme;
#[cfg(any(test, feature = "signer"))]
pub mod signer;
pub mod verify;

#[cfg(test)]
mod tests;

pub use arriving::{Arriving, payload};
pub use scheme::Scheme;
pub use verify::{Accepted, Denied, Explained, Reply, Stage, Step, Verdict, explain, verify};
