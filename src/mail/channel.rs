//! Finds a channel, with the statement that calls its function.

use std::time::Duration;

use pgrx::prelude::*;

use crate::store::{Statement, columns};
use crate::tables;

columns!(Columns { channel_id, address, tenant_id, trusted_server, timeout_ms, paused, owner, call, refusal });

pub struct Channel {
    pub id: i64,
    pub address: String,
    pub tenant: Option<String>,
    pub trusted_server: Option<String>,
    pub timeout: Duration,
    pub is_paused: bool,
    /// The role that the function acts as.
    pub owner: pg_sys::Oid,
    pub call: Option<String>,
    /// Why the function may not be called.
    pub refusal: Option<String>,
}

/// Returns the channel with this address, which is in lower case and without what is behind a plus sign.
pub fn of_address(address: &str) -> Option<Channel> {
    find(Some(address), None)
}

/// Returns the channel whose messages come to this inbound adapter.
pub fn of_adapter(adapter: i64) -> Option<Channel> {
    find(None, Some(adapter))
}

fn find(address: Option<&str>, adapter: Option<i64>) -> Option<Channel> {
    thread_local! {
        static FIND: Statement = const { Statement::new(include_str!("../../sql/queries/find_mail_channel.sql")) };
    }
    let args = [address.into(), adapter.into()];
    tables::as_owner(|| {
        Spi::connect(|client| {
            FIND.with(|find| {
                let mut rows = find.read(client, &args);
                let columns = Columns::of(&rows);
                rows.next().map(|row| Channel {
                    id: row.value(columns.channel_id),
                    address: row.value(columns.address),
                    tenant: row.maybe(columns.tenant_id),
                    trusted_server: row.maybe(columns.trusted_server),
                    timeout: row.millis(columns.timeout_ms).expect("a timeout"),
                    is_paused: row.value(columns.paused),
                    owner: row.value(columns.owner),
                    call: row.maybe(columns.call),
                    refusal: row.maybe(columns.refusal),
                })
            })
        })
    })
}
