//! The SQL functions that need the secret, the role of their caller, or the parser of messages.

use ::mail::thread::{message_ids, reply_address, tag};
use pgrx::datum::Interval;
use pgrx::prelude::*;

use super::sorting::Thread;
use super::{calling, secret};
use crate::backend::refuse::refuse;
use crate::serve::context::current_tenant;
use crate::serve::sql;
use crate::store::columns;
use crate::tables;

columns!(ThreadColumns { id, entity_type, entity_id, tag });

/// Different entities have the same tag once in a million millions.
const ATTEMPTS: u8 = 5;

/// Creates a channel. Returns its id.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn mail_channel_create(
    address: Option<&str>,
    function: Option<&str>,
    tenant_id: default!(Option<&str>, "NULL"),
    trusted_server: default!(Option<&str>, "NULL"),
    adapter_id: default!(Option<i64>, "NULL"),
    timeout: default!(Option<Interval>, "NULL"),
) -> i64 {
    const INSERT: &str = "SELECT hydra._insert_mail_channel($1, $2, $3, $4, $5, $6, $7)";
    // Not in SQL: in a database in Turkish, another letter is the small one of I.
    let address = address.map(str::to_lowercase);
    let args = [
        tables::current_role().into(),
        address.into(),
        function.into(),
        tenant_id.into(),
        trusted_server.into(),
        adapter_id.into(),
        timeout.into(),
    ];
    tables::as_owner(|| Spi::get_one_with_args::<i64>(INSERT, &args)).expect("SPI writes").expect("an id")
}

/// Changes a channel. What is left out stays; an empty trusted_server is none.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn mail_channel_update(
    id: Option<i64>,
    function: default!(Option<&str>, "NULL"),
    trusted_server: default!(Option<&str>, "NULL"),
    adapter_id: default!(Option<i64>, "NULL"),
    timeout: default!(Option<Interval>, "NULL"),
) {
    const UPDATE: &str = "SELECT hydra._update_mail_channel($1, $2, $3, $4, $5, $6)";
    let args = [
        tables::current_role().into(),
        id.into(),
        function.into(),
        trusted_server.into(),
        adapter_id.into(),
        timeout.into(),
    ];
    tables::as_owner(|| Spi::run_with_args(UPDATE, &args)).expect("SPI writes");
}

/// Returns what is put into the subject of messages about an entity, so that replies lead to it.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn mail_tag(
    entity_type: Option<&str>,
    entity_id: Option<&str>,
    tenant_id: default!(Option<&str>, "NULL"),
    label: default!(Option<&str>, "NULL"),
) -> String {
    let label = label.unwrap_or("Ticket");
    if label.len() > 60 || label.contains(['[', ']', '#']) || label.contains(char::is_control) {
        refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "invalid label of a tag",
            "A label has at most 60 bytes, no brackets, no # and no control characters.",
            "Use a word such as Ticket.",
        );
    }
    format!("[{label} #{}]", of_entity(entity_type, entity_id, tenant_id).tag)
}

/// Returns the address to which replies about an entity are to be sent.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn mail_reply_address(
    channel: Option<&str>,
    entity_type: Option<&str>,
    entity_id: Option<&str>,
    tenant_id: default!(Option<&str>, "NULL"),
) -> String {
    let channel = channel.unwrap_or_default().to_lowercase();
    let thread = of_entity(entity_type, entity_id, tenant_id);
    let is_known = super::channel::of_address(&channel).is_some();
    reply_address(&secret::get(), &channel, &thread.tag).filter(|_| is_known).unwrap_or_else(|| {
        refuse(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            "there is no mail channel with this address",
            "Replies are sent to the address of a channel.",
            "SELECT address FROM hydra.mail_channels lists them.",
        )
    })
}

/// Records a message that the application has sent about an entity.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn mail_sent(
    message_id: Option<&str>,
    entity_type: Option<&str>,
    entity_id: Option<&str>,
    recipients: Option<Vec<Option<String>>>,
    tenant_id: default!(Option<&str>, "NULL"),
) {
    const RECORD: &str = "SELECT hydra._record_sent_mail($1, $2, $3)";
    let in_lower_case = |one: Option<String>| one.map(|one| one.to_lowercase());
    let recipients = recipients.map(|all| all.into_iter().map(in_lower_case).collect::<Vec<_>>());
    let thread = of_entity(entity_type, entity_id, tenant_id).thread.id;
    let ids = message_ids(message_id.unwrap_or_default());
    tables::as_owner(|| sql::run(RECORD, &[thread.into(), ids.into(), recipients.into()]));
}

/// A thread, and its tag.
pub struct Tagged {
    pub thread: Thread,
    pub tag: String,
}

fn of_entity(entity_type: Option<&str>, entity_id: Option<&str>, tenant_id: Option<&str>) -> Tagged {
    let tenant = tenant_id.map(str::to_owned).or_else(current_tenant);
    let (entity_type, entity_id) = (entity_type.unwrap_or_default(), entity_id.unwrap_or_default());
    tables::as_owner(|| thread(tenant.as_deref(), entity_type, entity_id))
}

/// Returns the thread of an entity, and makes it if need be. To be called as the owner of the tables.
pub fn thread(tenant: Option<&str>, entity_type: &str, entity_id: &str) -> Tagged {
    const FIND: &str = "SELECT t.* FROM hydra._find_mail_thread($1, $2, $3) AS t WHERE t.id IS NOT NULL";
    const INSERT: &str = "SELECT t.* FROM hydra._insert_mail_thread($1, $2, $3, $4) AS t WHERE t.id IS NOT NULL";
    let entity = || [tenant.into(), entity_type.into(), entity_id.into()];
    let known = sql::all(FIND, &entity(), first);
    let made = || {
        let secret = secret::get();
        (0..ATTEMPTS).find_map(|attempt| {
            let tag = tag(&secret, tenant, entity_type, entity_id, attempt);
            sql::all(INSERT, &[tenant.into(), entity_type.into(), entity_id.into(), tag.into()], first)
        })
    };
    known.or_else(made).expect("a tag that no other entity has")
}

fn first(mut rows: crate::store::Rows<'_>) -> Option<Tagged> {
    let columns = ThreadColumns::of(&rows);
    rows.next().map(|row| Tagged {
        thread: Thread {
            id: row.value(columns.id),
            entity_type: row.value(columns.entity_type),
            entity_id: row.value(columns.entity_id),
        },
        tag: row.value(columns.tag),
    })
}

/// Returns a message as it came.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn mail_raw(mail_message_id: Option<i64>) -> Option<Vec<u8>> {
    let id = mail_message_id?;
    check_reader(id);
    tables::as_owner(|| sql::one("SELECT r.raw FROM hydra.mail_raw AS r WHERE r.mail_message_id = $1", &[id.into()]))
}

/// Returns the content of an attachment.
#[pg_extern]
#[search_path(pg_catalog, pg_temp)]
fn mail_attachment(mail_message_id: Option<i64>, index: Option<i32>) -> Option<Vec<u8>> {
    let index = usize::try_from(index?).ok()?;
    ::mail::message::attachment(&mail_raw(mail_message_id)?, index)
}

/// The function of a channel may read the message that it gets, and no other one.
fn check_reader(message: i64) {
    const IS_READER: &str = "SELECT pg_catalog.bool_or(pg_catalog.pg_has_role(r.oid, 'USAGE')) FROM pg_catalog.pg_roles AS r \
        WHERE r.rolname IN ('hydra_admin', 'hydra_analyst')";
    if !calling::is_current(message) && sql::one(IS_READER, &[]) != Some(true) {
        refuse(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "permission denied for this message",
            "The function of a channel may read the message that it gets. All messages are read by hydra_admin and hydra_analyst.",
            "Call this function from the function of the channel.",
        );
    }
}
