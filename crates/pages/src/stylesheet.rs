//! The one stylesheet. Its path has a hash of its content, so that browsers may keep it for ever.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

pub const STYLESHEET: &str = include_str!("style.css");

/// Returns the path at which the gateway serves the stylesheet: `/settings/style-<hash>.css`.
pub fn stylesheet_path() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| {
        let hash = hex::encode(&Sha256::digest(STYLESHEET)[..8]);
        format!("/settings/style-{hash}.css")
    });
    &PATH
}
