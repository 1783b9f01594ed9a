//! Faults of the server around the extension, and what administrators do to it.

mod administration;
mod crashes;
mod resources;
mod standby;
mod transactions;
