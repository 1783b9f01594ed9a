//! Stores a message and has its function called.

use ::mail::{Mailbox, Message, reply};
use pgrx::JsonB;
use serde_json::{Value, json};

use super::calling::{self, Failed};
use super::channel::Channel;
use super::functions;
use super::sorting::{Sorted, sort};
use crate::serve::sql;
use crate::store::columns;
use crate::tables;

columns!(BegunColumns { id, state });

/// What became of a message.
pub enum Fate {
    /// It need not come again.
    Taken { id: i64, state: &'static str },
    /// The function has failed. The message is to come again.
    Failed { id: i64 },
    /// It will not be read, however often it comes.
    Unreadable { why: String },
}

/// Takes a message to a recipient of the channel. The return path is that of the envelope; empty: none.
pub fn take(channel: &Channel, recipient: &str, return_path: Option<&str>, raw: &[u8]) -> Fate {
    let message = match Message::read(raw) {
        Ok(message) => message,
        Err(why) => return Fate::Unreadable { why: why.to_string() },
    };
    let (id, state) = tables::as_owner(|| begin(channel, recipient, &message, raw));
    // One that has failed is taken up again.
    if !matches!(state.as_str(), "received" | "failed") {
        return Fate::Taken { id, state: "duplicate" };
    }
    let sorted = tables::as_owner(|| sort(channel, recipient, return_path, &message));
    if sorted.is_own {
        tables::as_owner(|| finish(id, &sorted, "ignored", json!({})));
        return Fate::Taken { id, state: "ignored" };
    }
    match calling::call(channel, id, argument(channel, &message, &sorted, id)) {
        Ok(result) => {
            tables::as_owner(|| done(channel, &message, sorted, id, result));
            Fate::Taken { id, state: "done" }
        }
        Err(Failed { error, sqlstate }) => {
            let error = if error.is_empty() { "an error without a message".into() } else { error };
            tables::as_owner(|| finish(id, &sorted, "failed", json!({"error": error, "sqlstate": sqlstate})));
            Fate::Failed { id }
        }
    }
}

fn begin(channel: &Channel, recipient: &str, message: &Message, raw: &[u8]) -> (i64, String) {
    const BEGIN: &str = "SELECT * FROM hydra._begin_mail($1, $2, $3, $4)";
    let facts = json!({
        "recipient": recipient,
        "from_address": message.from.as_ref().map(|from| &from.address),
        "from_name": message.from.as_ref().and_then(|from| from.name.as_ref()),
        "subject": message.subject,
        "message_id": message.message_id,
        "attachments": attachments(message),
    });
    let args = [channel.id.into(), message.key(recipient).to_vec().into(), JsonB(facts).into(), raw.to_vec().into()];
    sql::all(BEGIN, &args, |mut rows| {
        let columns = BegunColumns::of(&rows);
        let row = rows.next().expect("a row");
        (row.value(columns.id), row.value(columns.state))
    })
}

fn attachments(message: &Message) -> Value {
    let one = |(index, attachment): (usize, &::mail::Attachment)| json!({"index": index, "name": attachment.name, "type": attachment.kind, "size": attachment.size});
    message.attachments.iter().enumerate().map(one).collect()
}

/// What the function gets.
fn argument(channel: &Channel, message: &Message, sorted: &Sorted, id: i64) -> Value {
    let mailbox = |mailbox: &Mailbox| json!({"address": mailbox.address, "name": mailbox.name});
    json!({
        "channel": channel.address,
        "tenant_id": channel.tenant,
        "thread": sorted.thread.as_ref().map(|thread| thread.describe(sorted.found_by)),
        "linked": sorted.linked.as_ref().map(|thread| thread.describe(sorted.found_by)),
        "subject": message.subject,
        "from": message.from.as_ref().map(mailbox),
        "to": message.to.iter().map(mailbox).collect::<Vec<_>>(),
        "date": message.date,
        "text": message.text,
        "reply": reply::cut(&message.text),
        "html_text": message.html_text,
        "verdict": sorted.verdict,
        "attachments": attachments(message),
        "message_id": message.message_id,
        "mail_message_id": id,
    })
}

/// Records that the function has returned. If its result names an entity, the message belongs to the thread of that entity.
fn done(channel: &Channel, message: &Message, mut sorted: Sorted, id: i64, result: Value) {
    let [entity_type, entity_id] = ["entity_type", "entity_id"].map(|member| calling::named(&result, member));
    if let Some((entity_type, entity_id)) = entity_type.zip(entity_id) {
        sorted.thread = Some(functions::thread(channel.tenant.as_deref(), &entity_type, &entity_id).thread);
    }
    if let Some(thread) = &sorted.thread {
        const JOIN: &str = "SELECT hydra._join_mail_thread($1, $2, $3)";
        let sender = message.from.as_ref().map(|from| from.address.as_str());
        sql::run(JOIN, &[thread.id.into(), sender.into(), message.message_id.as_deref().into()]);
    }
    finish(id, &sorted, "done", json!({"result": result}));
}

fn finish(id: i64, sorted: &Sorted, state: &str, mut outcome: Value) {
    const FINISH: &str = "SELECT hydra._finish_mail($1, $2, $3, $4)";
    outcome["state"] = json!(state);
    outcome["found_by"] = json!(sorted.found_by.map(|by| by.name()));
    outcome["missed"] = json!(sorted.missed);
    outcome["verdict"] = sorted.verdict.clone();
    let (thread, linked) = (sorted.thread.as_ref().map(|t| t.id), sorted.linked.as_ref().map(|t| t.id));
    sql::run(FINISH, &[id.into(), JsonB(outcome).into(), thread.into(), linked.into()]);
}
