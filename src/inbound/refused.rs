//! Keeps requests that were refused, so that people can find out why.
//!
//! The values of headers and of the query that look like credentials are not kept. A signature is none: it says nothing
//! about the secret, and is what people need in order to try another scheme.

use pgrx::JsonB;
use pgrx::datum::Inet;
use pgrx::prelude::*;
use serde_json::{Value, json};

use super::adapter::Adapter;
use super::count::{self, Counts};
use crate::serve::request::Request;
use crate::store::Statement;
use crate::tables;

/// How much of a body is kept.
const KEPT: usize = 256 << 10;
const LONGEST_REASON: usize = 2000;
const MASK: &str = "…";

/// Keeps and counts a request that was refused.
pub fn keep(adapter: &Adapter, request: &Request, peer: Option<Inet>, stage: &str, reason: &str) {
    thread_local! {
        static INSERT: Statement = const { Statement::new(include_str!("../../sql/queries/insert_inbound_refused.sql")) };
        static FORGET: Statement = const { Statement::new(include_str!("../../sql/queries/forget_inbound_refused.sql")) };
    }
    let headers: Vec<Value> = request
        .headers
        .iter()
        .map(|(name, value)| json!([name, if is_credential(name) { MASK } else { value }]))
        .collect();
    let query = Some(masked_query(&request.query)).filter(|query| !query.is_empty());
    let args = [
        adapter.id.into(),
        stage.into(),
        reason[..reason.floor_char_boundary(LONGEST_REASON)].into(),
        request.method.as_str().into(),
        query.into(),
        JsonB(Value::Array(headers)).into(),
        request.body[..request.body.len().min(KEPT)].to_vec().into(),
        i32::try_from(request.body.len()).unwrap_or(i32::MAX).into(),
        peer.into(),
    ];
    tables::as_owner(|| {
        Spi::connect_mut(|client| {
            INSERT.with(|insert| _ = insert.write(client, &args));
            FORGET.with(|forget| _ = forget.write(client, &[adapter.id.into()]));
        });
    });
    count::add(adapter.id, Counts { refused: 1, ..Counts::default() });
}

/// Whether the name of a header or of a parameter is one that credentials have.
fn is_credential(name: &str) -> bool {
    const WORDS: [&str; 8] = ["token", "secret", "password", "passwd", "authorization", "api-key", "apikey", "api_key"];
    let name = name.to_ascii_lowercase();
    // The id of Twilio is called a token.
    WORDS.iter().any(|word| name.contains(word)) && !name.contains("idempotency")
}

fn masked_query(query: &str) -> String {
    let masked = |part: &str| match part.split_once('=') {
        Some((name, _)) if is_credential(name) => format!("{name}={MASK}"),
        _ => part.to_owned(),
    };
    query.split('&').map(masked).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_kept_and_signatures_are() {
        for name in ["X-Gitlab-Token", "x-api-key", "Proxy-Authorization", "X-Telegram-Bot-Api-Secret-Token"] {
            assert!(is_credential(name), "{name}");
        }
        for name in ["X-Hub-Signature-256", "I-Twilio-Idempotency-Token", "webhook-id", "content-type"] {
            assert!(!is_credential(name), "{name}");
        }
        assert_eq!(masked_query("hub.verify_token=abc&x=1&token"), "hub.verify_token=…&x=1&token");
        assert_eq!(masked_query(""), "");
    }
}
