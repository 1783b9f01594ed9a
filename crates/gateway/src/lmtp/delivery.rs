//! Makes the calls, and their results into replies.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::call::Call;
use crate::gateway::Gateway;
use crate::pool::Purpose;
use crate::route::Surface;

/// A reply: its number, and its text with the enhanced status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply(pub u16, pub &'static str);

pub const UNKNOWN: Reply = Reply(550, "5.1.1 No such recipient here");
pub const TOO_LARGE: Reply = Reply(552, "5.3.4 The message is too large");
pub const UNREADABLE: Reply = Reply(554, "5.6.0 The message is too complex");
pub const LATER: Reply = Reply(451, "4.3.0 Not now, try again later");
pub const BUSY: Reply = Reply(451, "4.3.2 The gateway has too much to do");
const RECIPIENT: Reply = Reply(250, "2.1.5 OK");
const TAKEN: Reply = Reply(250, "2.0.0 Taken");

/// What is known of a message without its content.
pub struct Envelope<'a> {
    pub from: &'a str,
    pub to: &'a str,
    pub peer: IpAddr,
}

/// Asks whether there is a channel for a recipient.
pub async fn check(gateway: &Gateway, envelope: &Envelope<'_>) -> Reply {
    match ask(gateway, "RCPT", envelope, Bytes::new()).await {
        200 => RECIPIENT,
        404 => UNKNOWN,
        _ => LATER,
    }
}

/// Hands a message over to one recipient. The reply is that of a transaction that has committed.
pub async fn deliver(gateway: &Gateway, envelope: &Envelope<'_>, message: Bytes) -> Reply {
    let began = std::time::Instant::now();
    let size = message.len();
    let reply = match ask(gateway, "LMTP", envelope, message).await {
        200 => TAKEN,
        404 => UNKNOWN,
        413 => TOO_LARGE,
        422 => UNREADABLE,
        _ => LATER,
    };
    // Neither the addresses nor the message: they are data of people.
    gateway.log.event(
        "info",
        "mail",
        json!({
            "reply": reply.0,
            "ms": (began.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            "bytes": size,
            "client": envelope.peer.to_string(),
        }),
    );
    reply
}

/// How often a connection to the database that turns out to be broken is replaced.
const ATTEMPTS: usize = 2;
const PAUSE: Duration = Duration::from_millis(100);

async fn ask(gateway: &Gateway, method: &str, envelope: &Envelope<'_>, body: Bytes) -> u16 {
    let call = Call {
        surface: Surface::Mail.name(),
        credential: None,
        method: method.into(),
        path: "/".into(),
        query: None,
        headers: vec![("mail-from".into(), envelope.from.into()), ("rcpt-to".into(), envelope.to.into())],
        body,
        peer: Some(envelope.peer),
    };
    for attempt in 1..=ATTEMPTS {
        match gateway.ask(&call, Purpose::Known).await {
            // Asking for a recipient changes nothing. A message is recognized if it was taken before.
            Err(problem) if problem.status == 503 && attempt < ATTEMPTS => tokio::time::sleep(PAUSE).await,
            Err(problem) => return problem.status,
            Ok(reply) => return reply.status,
        }
    }
    503
}
