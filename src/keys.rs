//! Reads the keys that signing secrets and values of headers are sealed (encrypted) with, from the file that `hydra_webhooks.key_file` names.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use pgrx::prelude::*;
use wire::ids::SubscriptionId;
use wire::refusal::Refusal;
use wire::secret::{Keys, Unreadable};

use crate::backend::refuse::refuse;
use crate::settings;

/// Permission bits that must not be set: write for the group, and everything for others. The group may read the file,
/// as Postgres allows for the private key of a server if root owns that file.
const TOO_OPEN: u32 = 0o027;

/// Why the key file cannot be used.
#[derive(Debug)]
pub struct KeyFileError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    CannotRead(io::Error),
    TooOpen { mode: u32 },
    NotAKey(Refusal),
}

/// Reads the keys. There are none if no file is named.
pub fn read() -> Result<Keys, KeyFileError> {
    match settings::key_file() {
        Some(path) => read_from(&path).map_err(|problem| KeyFileError { path, problem }),
        None => Ok(Keys::default()),
    }
}

/// Reads the keys, and fails the statement if the file cannot be used.
pub fn read_or_refuse() -> Keys {
    read().unwrap_or_else(|error| {
        refuse(
            PgSqlErrorCode::ERRCODE_CONFIG_FILE_ERROR,
            "hydra_webhooks.key_file cannot be used",
            &error.to_string(),
            "The file must have one key per line, 64 hexadecimal digits, and mode 0600 or 0640: openssl rand -hex 32 makes a key.",
        )
    })
}

/// Fails the statement because a signing secret or a header of this subscription cannot be read.
pub fn refuse_unreadable(subscription: SubscriptionId, why: &Unreadable) -> ! {
    let detail = match why {
        Unreadable::KeyMissing(id) => format!("One is sealed with key {id}, which is not in hydra_webhooks.key_file."),
        Unreadable::Damaged => "One was changed, or belongs to another subscription or header.".into(),
    };
    refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("the secrets of subscription {subscription} cannot be read"),
        &detail,
        "Restore the key, or give the subscription a new secret with hydra.webhook_rotate_secret, without an overlap, and its headers again with hydra.webhook_update.",
    )
}

/// Fails the statement because a secret of this inbound adapter cannot be read.
pub fn refuse_unreadable_inbound(adapter: i64, why: &Unreadable) -> ! {
    let detail = match why {
        Unreadable::KeyMissing(id) => format!("One is sealed with key {id}, which is not in hydra_webhooks.key_file."),
        Unreadable::Damaged => "One was changed, or belongs to another adapter.".into(),
    };
    refuse(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("the secrets of inbound adapter {adapter} cannot be read"),
        &detail,
        "Restore the key, or give the adapter its secret again with hydra.inbound_rotate_secret and a new URL with hydra.inbound_rotate_url, without an overlap.",
    )
}

fn read_from(path: &Path) -> Result<Keys, Problem> {
    let mode = fs::metadata(path).map_err(Problem::CannotRead)?.mode();
    if mode & TOO_OPEN != 0 {
        return Err(Problem::TooOpen { mode });
    }
    let text = files::read(path).map_err(Problem::CannotRead)?;
    Keys::parse(&String::from_utf8_lossy(&text)).map_err(Problem::NotAKey)
}

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotRead(error) => error.fmt(f),
            Self::TooOpen { mode } => {
                write!(f, "its mode {:o} lets others read or change it; 0600 is right", mode & 0o7777)
            }
            Self::NotAKey(refusal) => refusal.fmt(f),
        }
    }
}
