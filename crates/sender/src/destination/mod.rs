//! Decides where a request may go: the policy, the URL, and the addresses of its host name.

mod embedded;
mod lookup;
mod network;
mod origin;
mod policy;
mod resolver;
mod system;
mod url;

pub use network::AllowedNetwork;
pub use origin::origin;
pub use policy::DestinationPolicy;
pub use url::check_url;

pub(crate) use lookup::{Directory, LookupError};
pub(crate) use resolver::{NoAddress, VettingResolver};
pub(crate) use url::parse_url;
