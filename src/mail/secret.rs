//! The secret of which tags and reply addresses are made. It is made at the first use, and stored as signing secrets are:
//! sealed, if there is a key.

use pgrx::prelude::*;
use wire::secret::{Keys, Place, SigningSecret};

use crate::backend::refuse::refuse;
use crate::serve::sql;
use crate::{keys, tables};

const READ: &str = "SELECT s.secret FROM hydra.mail_secret AS s";
const STORE: &str = "INSERT INTO hydra.mail_secret (secret) VALUES (hydra._new_mail_secret()) ON CONFLICT DO NOTHING";

/// Returns the secret, if it has been made.
pub fn find() -> Option<Vec<u8>> {
    let stored = tables::as_owner(|| sql::one::<String>(READ, &[]))?;
    Some(open(&keys::read_or_refuse(), &stored).into_bytes())
}

fn open(keys: &Keys, stored: &str) -> String {
    keys.open(stored, Place::Mail).unwrap_or_else(|_| {
        refuse(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the secret of tags and reply addresses cannot be read",
            "It is sealed with a key that is not in hydra_webhooks.key_file, or was changed.",
            "Restore the key, or delete the row of hydra.mail_secret: then reply addresses that were sent lead to no thread.",
        )
    })
}

/// Returns the secret, and makes it if need be.
pub fn get() -> Vec<u8> {
    find().unwrap_or_else(|| {
        tables::as_owner(|| sql::run(STORE, &[]));
        find().expect("the secret that was stored")
    })
}

/// Makes the secret. Returns it in the form in which it is stored.
#[pg_extern]
fn _new_mail_secret() -> String {
    let secret = SigningSecret::random(&mut rand::rng());
    keys::read_or_refuse().seal(secret.expose(), Place::Mail, &mut rand::rng())
}

/// Seals the stored secret with the first key, and returns the result.
#[pg_extern(strict)]
fn _reseal_mail_secret(stored: &str) -> String {
    let keys = crate::api::secrets::keys_to_seal_with();
    keys.seal(&open(&keys, stored), Place::Mail, &mut rand::rng())
}
