//! Stores approvals.

use sha2::{Digest, Sha256};

use super::preview::Preview;
use crate::backend::subtransaction::{attempt, must_end};
use crate::serve::identity::{Approval, as_owner};
use crate::serve::sql;
use crate::store::columns;

columns!(StoredColumns { id, key_id, tool, arguments, preview, digest, varying, mode, state });
columns!(KeptColumns { id, expires_at });

/// An approval whose row is locked.
pub struct Stored {
    pub id: i64,
    pub key_id: i64,
    pub tool: String,
    pub arguments: String,
    /// JSON.
    pub preview: String,
    pub digest: Vec<u8>,
    pub varying: Vec<String>,
    pub mode: String,
    /// `expired` if nobody has decided in time.
    pub state: String,
}

/// What the client gives back to confirm; only its hash is stored.
pub struct Token(String);

/// An approval that was made.
pub struct Kept {
    pub id: i64,
    /// RFC 3339.
    pub expires_at: String,
}

impl Token {
    fn new() -> Self {
        Self(hex::encode(rand::random::<[u8; 32]>()))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

fn hash(token: &str) -> Vec<u8> {
    Sha256::digest(token).to_vec()
}

/// Stores a call that waits for a yes, with the token for the client if the client can confirm it; `None` if too many of this
/// key wait.
pub fn keep(key: i64, tool: &str, arguments: &str, preview: &Preview, mode: Approval) -> Option<(Kept, Option<Token>)> {
    // One after the other, so that they are counted.
    const LOCK: &str = "SELECT k.id FROM hydra.api_key AS k WHERE k.id = $1 FOR NO KEY UPDATE";
    const INSERT: &str = include_str!("../../../sql/queries/insert_approval.sql");
    let token = (mode != Approval::Console).then(Token::new);
    let arguments = [
        key.into(),
        tool.into(),
        arguments.into(),
        preview.to_json().into(),
        preview.digest.clone().into(),
        varying(preview).into(),
        mode.name().into(),
        token.as_ref().map(|token| hash(token.expose())).into(),
    ];
    let kept = as_owner(|| {
        sql::run(LOCK, &[key.into()]);
        sql::all(INSERT, &arguments, |mut rows| {
            let columns = KeptColumns::of(&rows);
            rows.next().map(|row| Kept { id: row.value(columns.id), expires_at: row.value(columns.expires_at) })
        })
    });
    kept.map(|kept| (kept, token))
}

fn varying(preview: &Preview) -> String {
    serde_json::json!(preview.varying).to_string()
}

/// Locks an approval and returns it, if it is of this tenant; `None`: of any.
pub fn lock(id: i64, tenant: Option<&str>) -> Option<Stored> {
    find(Some(id), None, tenant)
}

/// Locks the approval that a token confirms, and returns it.
pub fn lock_by_token(token: &str) -> Option<Stored> {
    find(None, Some(hash(token)), None)
}

fn find(id: Option<i64>, hash: Option<Vec<u8>>, tenant: Option<&str>) -> Option<Stored> {
    const LOCK: &str = include_str!("../../../sql/queries/lock_approval.sql");
    as_owner(|| {
        sql::all(LOCK, &[id.into(), hash.into(), tenant.into()], |mut rows| {
            let columns = StoredColumns::of(&rows);
            rows.next().map(|row| Stored {
                id: row.value(columns.id),
                key_id: row.value(columns.key_id),
                tool: row.value(columns.tool),
                arguments: row.value(columns.arguments),
                preview: row.value(columns.preview),
                digest: row.value(columns.digest),
                varying: serde_json::from_str(row.text(columns.varying)).expect("a list of places"),
                mode: row.value(columns.mode),
                state: row.value(columns.state),
            })
        })
    })
}

impl Stored {
    /// Whether these are the arguments, whatever the order of their names.
    pub fn has_arguments(&self, arguments: &str) -> bool {
        const COMPARE: &str = "SELECT $1::text::jsonb = $2::text::jsonb";
        let compare = || as_owner(|| sql::one::<bool>(COMPARE, &[self.arguments.as_str().into(), arguments.into()]));
        match attempt(compare) {
            Ok(same) => same == Some(true),
            Err(error) if must_end(&error) => error.rethrow(),
            Err(_) => false,
        }
    }

    /// Shows something else, which waits again. A former token is worth nothing: its owner has seen something else.
    pub fn renew(&self, preview: &Preview) -> (Kept, Option<Token>) {
        const RENEW: &str = include_str!("../../../sql/queries/renew_approval.sql");
        let token = (self.mode != Approval::Console.name()).then(Token::new);
        let arguments = [
            self.id.into(),
            preview.to_json().into(),
            preview.digest.clone().into(),
            varying(preview).into(),
            token.as_ref().map(|token| hash(token.expose())).into(),
        ];
        let kept = as_owner(|| {
            sql::all(RENEW, &arguments, |mut rows| {
                let columns = KeptColumns::of(&rows);
                let row = rows.next().expect("a row that is locked");
                Kept { id: row.value(columns.id), expires_at: row.value(columns.expires_at) }
            })
        });
        (kept, token)
    }

    /// Notes what became of it.
    pub fn end(&self, state: &str, by: &str, result: Option<&str>, error: Option<&str>) {
        const END: &str = include_str!("../../../sql/queries/end_approval.sql");
        as_owner(|| sql::run(END, &[self.id.into(), state.into(), by.into(), result.into(), error.into()]));
    }
}
