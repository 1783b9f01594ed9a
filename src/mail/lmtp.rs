//! Answers the gateway, which speaks LMTP with a mail server: whether there is a channel for a recipient, and what became
//! of a message.

use pgrx::prelude::*;
use serde_json::json;

use super::channel::{self, Channel};
use super::taking::{self, Fate};
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::request::Request;
use crate::settings;

/// Answers `RCPT`, which asks for a recipient, and `LMTP`, which hands a message over to one recipient. The recipient is in
/// the header `rcpt-to`, the return path in `mail-from`; empty: none.
pub fn answer(request: &Request) -> Result<Answer, Problem> {
    let recipient =
        request.header("rcpt-to").and_then(mail::thread::Recipient::parse).ok_or_else(Problem::not_found)?;
    let channel = channel::of_address(&recipient.base).ok_or_else(Problem::not_found)?;
    if channel.is_paused {
        return Err(Problem::unavailable().with_detail("The channel is paused."));
    }
    match request.method.as_str() {
        "RCPT" => Ok(Answer::json(200, &json!({"channel": channel.id}))),
        "LMTP" => deliver(&channel, request),
        _ => Err(Problem::method_not_allowed("LMTP, RCPT")),
    }
}

fn deliver(channel: &Channel, request: &Request) -> Result<Answer, Problem> {
    if request.body.len() > settings::gateway::max_mail() {
        return Err(Problem::too_large());
    }
    let recipient = request.header("rcpt-to").unwrap_or_default();
    match taking::take(channel, recipient, request.header("mail-from"), &request.body) {
        Fate::Taken { id, state } => Ok(Answer::json(200, &json!({"id": id, "state": state}))),
        Fate::Unreadable { why } => Err(Problem::invalid().with_detail(why)),
        Fate::Failed { id } => {
            warning!(
                "the function of mail channel {} failed for message {id}, see hydra.mail_messages",
                channel.address
            );
            Err(Problem::unavailable().with_detail("The function of the channel has failed."))
        }
    }
}
