//! The tools that call a function of the application.

use super::tools::Found;
use crate::serve::rest::Call;

/// A function that was given to `hydra.tool_register`.
pub struct Function {
    pub writes: bool,
    /// Whether everything that it does can be undone. Otherwise it has no preview, so that it is not called.
    pub is_rehearsable: bool,
}

/// Returns those that the key can call.
pub fn all(_call: &Call<'_>) -> impl Iterator<Item = Found> {
    std::iter::empty()
}

pub fn find(_call: &Call<'_>, _name: &str) -> Option<Found> {
    None
}

/// Calls the function, as the role of the key, with the arguments: the JSON text of an object, as it was sent. Returns the JSON text of
/// an object, or why it cannot; errors of the function are raised.
pub fn run(_call: &Call<'_>, _function: &Function, _arguments: &str) -> Result<String, String> {
    Err(String::new())
}
