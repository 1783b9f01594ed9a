//! Who may do what, and what nobody may.

mod attacks;
mod granted;
mod secrets;
