//! Deliveries: what an endpoint receives, when, and what is recorded of it.

mod delivering;
mod destinations;
mod operations;
