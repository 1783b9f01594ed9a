//! Reads adapters, with what is needed to verify their requests.

use std::time::Duration;

use ::inbound::Scheme;
use ::inbound::scheme::{Coded, Piece, Signature};
use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::Value;
use wire::secret::{Keys, Place, Unreadable};

use super::mapping::Mapping;
use crate::api::gateway_status::public_url;
use crate::keys;
use crate::settings;
use crate::store::{Row, Rows, Statement, columns};
use crate::tables;

columns!(Columns {
    adapter_id,
    name,
    tenant_id,
    provider,
    scheme,
    mapping,
    each,
    id_path,
    type_path,
    response,
    paused,
    budget_ms,
    requests_per_second,
    token,
    secrets,
});

pub struct Adapter {
    pub id: i64,
    pub name: String,
    pub tenant: Option<String>,
    pub provider: String,
    pub scheme: Scheme,
    pub mapping: Mapping,
    /// JSON paths, instead of those of the scheme.
    pub each: Option<String>,
    pub id_path: Option<String>,
    pub type_path: Option<String>,
    pub response: Option<Value>,
    pub is_paused: bool,
    pub budget: Duration,
    pub requests_per_second: i32,
    token: Option<String>,
    secrets: Vec<String>,
}

/// What requests are verified with. It is read only where it is needed.
pub struct Credentials {
    pub secrets: Vec<Vec<u8>>,
    /// The URL of the adapter, whole if the provider signs it.
    pub url: String,
}

/// Returns the adapter of a URL, by what the database stores of its secret part.
pub fn of_url(hash: &[u8; 32]) -> Option<Adapter> {
    thread_local! {
        static FIND: Statement = const {
            Statement::new(concat!(
                include_str!("../../sql/queries/find_inbound_adapter.sql"),
                "WHERE p.hash = $1 AND (p.valid_until IS NULL OR p.valid_until > pg_catalog.now())"
            ))
        };
    }
    read(|client| FIND.with(|find| Adapter::first(find.read(client, &[hash.to_vec().into()]))))
}

/// Returns the adapter of this number, with its current URL.
pub fn of_id(id: i64) -> Option<Adapter> {
    thread_local! {
        static FIND: Statement = const {
            Statement::new(concat!(
                include_str!("../../sql/queries/find_inbound_adapter.sql"),
                "WHERE a.id = $1 AND p.valid_until IS NULL"
            ))
        };
    }
    read(|client| FIND.with(|find| Adapter::first(find.read(client, &[id.into()]))))
}

fn read<R>(query: impl FnOnce(&spi::SpiClient<'_>) -> R) -> R {
    tables::as_owner(|| Spi::connect(|client| query(client)))
}

impl Adapter {
    fn first(mut rows: Rows<'_>) -> Option<Self> {
        let columns = Columns::of(&rows);
        rows.next().map(|row| Self::of(&row, &columns))
    }

    fn of(row: &Row<'_>, columns: &Columns) -> Self {
        let provider: String = row.value(columns.provider);
        let scheme = scheme(&provider, row.maybe::<JsonB>(columns.scheme).map(|scheme| scheme.0));
        let budget = row.millis(columns.budget_ms);
        Self {
            id: row.value(columns.adapter_id),
            name: row.value(columns.name),
            tenant: row.maybe(columns.tenant_id),
            mapping: Mapping::parse(&row.value::<JsonB>(columns.mapping).0)
                .unwrap_or_else(|refusal| error!("{refusal}")),
            each: row.maybe(columns.each),
            id_path: row.maybe(columns.id_path),
            type_path: row.maybe(columns.type_path),
            response: row.maybe::<JsonB>(columns.response).map(|response| response.0),
            is_paused: row.value(columns.paused),
            budget: budget.unwrap_or(Duration::from_millis(scheme.budget_ms.into())),
            requests_per_second: row
                .maybe(columns.requests_per_second)
                .unwrap_or_else(settings::gateway::inbound_quota),
            token: row.maybe(columns.token),
            secrets: row.value(columns.secrets),
            provider,
            scheme,
        }
    }

    /// Opens the secrets of the adapter. If that is not possible, warns in the log, and returns the reason without the name of
    /// a file.
    pub fn credentials(&self) -> Result<Credentials, &'static str> {
        let is_sealed = |text: &String| text.starts_with("sealed:");
        // The file is not read where nothing is sealed.
        let keys = match self.secrets.iter().chain(&self.token).any(is_sealed) {
            true => keys::read().map_err(|error| {
                warning!("the secrets of inbound adapter {} cannot be read: {error}", self.id);
                "the secrets of the adapter cannot be read: hydra_webhooks.key_file cannot be used"
            })?,
            false => Keys::default(),
        };
        self.opened(&keys).map_err(|_| {
            warning!(
                "the secrets of inbound adapter {} cannot be read: a key is missing in hydra_webhooks.key_file",
                self.id
            );
            "the secrets of the adapter cannot be read: a key is missing in hydra_webhooks.key_file"
        })
    }

    fn opened(&self, keys: &Keys) -> Result<Credentials, Unreadable> {
        let open = |secret: &String| keys.open(secret, Place::InboundSecret(self.id)).map(String::into_bytes);
        let token = self.token.as_ref().map(|token| keys.open(token, Place::InboundPath(self.id))).transpose()?;
        Ok(Credentials {
            secrets: self.secrets.iter().map(open).collect::<Result<_, _>>()?,
            url: url(token.as_deref().unwrap_or_default()),
        })
    }
}

/// Returns the URL with this secret part, as the provider knows it.
pub fn url(token: &str) -> String {
    format!("{}/in/{token}", public_url().unwrap_or_default())
}

/// Returns a scheme that was checked when it was stored. A later version of the extension may be stricter.
fn scheme(provider: &str, own: Option<Value>) -> Scheme {
    let found = match own {
        Some(own) => Scheme::parse(&own).map_err(|refusal| refusal.message),
        None => Scheme::of_provider(provider).ok_or_else(|| format!("provider \"{provider}\" is not known")),
    };
    found.unwrap_or_else(|message| error!("{message}"))
}

/// Whether the provider signs the URL, so that it must be known.
pub fn signs_url(scheme: &Scheme) -> bool {
    match &scheme.signature {
        Some(Signature::Coded(Coded::Twilio)) => true,
        Some(Signature::Declared(declared)) => declared.signs.has(&Piece::Url),
        _ => false,
    }
}
