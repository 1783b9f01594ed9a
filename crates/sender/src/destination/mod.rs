//! Decides where a request may go: the policy, the URL, and the addresses of its host name.

mod embedded;
mod lookup;
mod network;
mod origin;
mod policy;
mod system;
mod url;
mod vetting;

pub use network::AllowedNetwork;
pub use origin::origin;
pub use policy::DestinationPolicy;
pub use url::check_url;
pub use vetting::without_address;

pub(crate) use lookup::{Addresses, Asked, Directory, LookupError, LookupResult, Ticket};
pub(crate) use url::parse_url;
pub(crate) use vetting::{NoAddress, vet};
