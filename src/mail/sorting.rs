//! Finds the thread of a message, and judges its sender.

use ::mail::Message;
use ::mail::authentication::Sender;
use ::mail::thread::{FoundBy, Recipient, Signals, tags};
use serde_json::{Value, json};

use super::channel::Channel;
use super::secret;
use crate::serve::sql;
use crate::store::columns;

columns!(SignalColumns { by_address, by_subject, by_references, missed, guesses });
columns!(ThreadColumns { entity_type, entity_id, is_participant, is_own, reopened });

/// More than that are no coincidence: somebody, or something, answers again and again.
const MOST_REOPENED: i64 = 5;

/// What is known of a message before its function is called.
pub struct Sorted {
    /// The thread, if the sender takes part in it.
    pub thread: Option<Thread>,
    /// The thread to which the message leads, if its sender is a stranger there.
    pub linked: Option<Thread>,
    pub found_by: Option<FoundBy>,
    pub missed: i32,
    pub verdict: Value,
    /// Whether the application has sent this message itself.
    pub is_own: bool,
}

pub struct Thread {
    pub id: i64,
    pub entity_type: String,
    pub entity_id: String,
}

impl Thread {
    pub fn describe(&self, found_by: Option<FoundBy>) -> Value {
        json!({
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "found_by": found_by.map(FoundBy::name),
        })
    }
}

/// Sorts a message. To be called as the owner of the tables.
pub fn sort(channel: &Channel, recipient: &str, return_path: Option<&str>, message: &Message) -> Sorted {
    let sender = message.from.as_ref().map(|from| from.address.as_str());
    let (signals, missed, guesses) = signals(channel, recipient, message, sender);
    let decided = signals.decide();
    let known = known(decided.map(|(thread, _)| thread), sender, message.message_id.as_deref());
    let mut reasons = Vec::new();
    let authenticated = match message.sender(channel.trusted_server.as_deref()) {
        Sender::Proven => true,
        Sender::Unproven(why) => {
            reasons.push(format!("not authenticated: {why}"));
            false
        }
    };
    let automatic = message.automatic(return_path);
    reasons.extend(automatic.map(|why| format!("automatic: {why}")));
    if known.thread.is_some() && !known.is_participant {
        reasons.push("the sender does not take part in the thread".into());
    }
    if signals.disagree() {
        reasons.push("its signals lead to different threads".into());
    }
    if guesses {
        reasons.push("the sender has used many tags that lead to no thread".into());
    }
    let is_reopened_often = known.reopened >= MOST_REOPENED;
    if is_reopened_often {
        reasons.push(format!("it was reopened {} times in the last hour", known.reopened));
    }
    let may_reopen = authenticated && known.is_participant && automatic.is_none() && !is_reopened_often;
    let verdict = json!({
        "authenticated": authenticated,
        "participant": known.is_participant,
        "automatic": automatic.is_some(),
        "may_reopen": may_reopen,
        "reasons": reasons,
    });
    let (thread, linked) = if known.is_participant { (known.thread, None) } else { (None, known.thread) };
    Sorted { thread, linked, found_by: decided.map(|(_, by)| by), missed, verdict, is_own: known.is_own }
}

fn signals(channel: &Channel, recipient: &str, message: &Message, sender: Option<&str>) -> (Signals<i64>, i32, bool) {
    const FIND: &str = "SELECT * FROM hydra._mail_signals($1, $2, $3, $4, $5)";
    let secret = secret::find();
    let tag = |address: &str| Recipient::parse(address)?.tag(secret.as_deref()?, &channel.address);
    // A message that came to an adapter has its recipients in its header.
    let address = tag(recipient).or_else(|| message.delivered_to().iter().find_map(|address| tag(address)));
    let args = [
        channel.tenant.as_deref().into(),
        address.into(),
        tags(&message.subject).into(),
        message.references.clone().into(),
        sender.into(),
    ];
    sql::all(FIND, &args, |mut rows| {
        let columns = SignalColumns::of(&rows);
        let row = rows.next().expect("a row");
        let signals = Signals {
            address: row.maybe(columns.by_address),
            subject: row.maybe(columns.by_subject),
            references: row.maybe(columns.by_references),
        };
        (signals, row.value(columns.missed), row.value(columns.guesses))
    })
}

struct Known {
    thread: Option<Thread>,
    is_participant: bool,
    is_own: bool,
    reopened: i64,
}

/// Looks a thread up and locks it, so that its messages are processed one after the other.
fn known(thread: Option<i64>, sender: Option<&str>, message_id: Option<&str>) -> Known {
    const LOCK: &str = include_str!("../../sql/queries/lock_mail_thread.sql");
    sql::all(LOCK, &[thread.into(), sender.into(), message_id.into()], |mut rows| {
        let columns = ThreadColumns::of(&rows);
        let row = rows.next().expect("a row");
        Known {
            thread: thread.zip(row.maybe(columns.entity_type)).map(|(id, entity_type)| Thread {
                id,
                entity_type,
                entity_id: row.value(columns.entity_id),
            }),
            is_participant: row.value(columns.is_participant),
            is_own: row.value(columns.is_own),
            reopened: row.value(columns.reopened),
        }
    })
}
