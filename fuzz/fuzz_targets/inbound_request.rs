//! A request of another system: whatever it contains, it is accepted only if its scheme needs no secret, since the secret is
//! not in the input. No reason for a refusal contains the secret.
//!
//! Input: a line with the name of a provider or a scheme as JSON, one with method and URL, then headers, an empty line, and
//! the body.
#![no_main]

use inbound::scheme::Scheme;
use inbound::{Arriving, Verdict, payload, verify};
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const AT: i64 = 1_777_487_580_000;

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = rest.get(end + 1..).unwrap_or_default();
        line
    };
    let (named, target) = (line(), line());
    let scheme = match Scheme::of_provider(&named) {
        Some(scheme) => Some(scheme),
        None => serde_json::from_str(&named).ok().and_then(|json| Scheme::parse(&json).ok()),
    };
    let Some(scheme) = scheme else { return };
    let mut headers = Vec::new();
    loop {
        let header = line();
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let (method, url) = target.split_once(' ').unwrap_or(("POST", &target));
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let arriving = Arriving { method, url, headers: &headers, query, body: rest };
    judge(&scheme, &arriving);
    if let Ok(payload) = payload(&arriving) {
        scheme.id_of(&payload);
        scheme.type_of(&payload);
    }
});

fn judge(scheme: &Scheme, arriving: &Arriving<'_>) {
    // For Meta, the verify token is the text after the colon.
    let secrets = [SECRET.as_bytes().to_vec(), format!("{SECRET}:{SECRET}").into_bytes()];
    match verify(scheme, &secrets, arriving, AT) {
        // Microsoft proves nothing by its handshake.
        Ok(Verdict::Handshake(reply)) => {
            let asked = inbound::scheme::Handshake::MicrosoftGraph;
            assert!(scheme.handshake == Some(asked) && reply.body.len() <= 2048, "{reply:?}");
        }
        Ok(Verdict::Accepted(accepted)) => {
            assert!(scheme.signature.is_none() && scheme.token.is_none(), "{accepted:?}");
            assert!(accepted.id.is_none_or(|id| id.len() <= 255));
        }
        Err(denied) => assert!(!format!("{denied:?}").contains(SECRET)),
    }
}
