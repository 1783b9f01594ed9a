//! The file that `hydra_webhooks.key_file` names, as a process of the server reads it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use pgrx::prelude::*;
use wire::secret::Keys;

use crate::refuse::refuse;
use crate::settings;

/// Bits of others than its owner. The group may read it, as with a private key of the server's that root owns.
const TOO_OPEN: u32 = 0o027;

/// The keys, none where no file is named, or why the file cannot be used.
pub fn read() -> Result<Keys, String> {
    match settings::key_file() {
        Some(path) => read_from(&path).map_err(|why| format!("{}: {why}", path.display())),
        None => Ok(Keys::default()),
    }
}

/// The keys; fails the statement where they cannot be read.
pub fn keys() -> Keys {
    read().unwrap_or_else(|why| {
        refuse(
            PgSqlErrorCode::ERRCODE_CONFIG_FILE_ERROR,
            "hydra_webhooks.key_file cannot be used",
            &why,
            "It has a key in each line, 64 hexadecimal digits, and nobody but the server may read it: openssl rand -hex 32 makes a key.",
        )
    })
}

fn read_from(path: &Path) -> Result<Keys, String> {
    let about = fs::metadata(path).map_err(|error| error.to_string())?;
    if about.mode() & TOO_OPEN != 0 {
        return Err(format!("its mode {:o} lets others read or change it; 0600 is right", about.mode() & 0o7777));
    }
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    Keys::parse(&text).map_err(|refusal| refusal.message)
}
