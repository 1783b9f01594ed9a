//! The pure side of the extension, compiled without Postgres so that a fuzzer can call it.
#![allow(dead_code)] // the fuzzer calls a part

#[path = "../../src/delivery.rs"]
pub mod delivery;

#[path = "../../src/event.rs"]
pub mod event;

#[path = "../../src/fault.rs"]
pub mod fault;

#[path = "../../src/headers.rs"]
pub mod headers;

#[path = "../../src/preset.rs"]
pub mod preset;

#[path = "../../src/retry.rs"]
pub mod retry;

#[path = "../../src/sender/mod.rs"]
pub mod sender;

#[path = "../../src/signature.rs"]
pub mod signature;

// Once more, since the sender keeps it to itself.
#[allow(clippy::duplicate_mod)]
#[path = "../../src/sender/answer.rs"]
pub mod answer;
