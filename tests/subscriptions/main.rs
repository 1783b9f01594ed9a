//! Subscriptions: making, choosing and changing them.

mod choosing;
mod managing;
mod presets;
