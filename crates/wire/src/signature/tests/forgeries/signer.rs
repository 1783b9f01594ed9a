//! Makes genuine messages and records what it signed.

use rand::RngExt;
use rand::rngs::StdRng;

use super::super::*;
use super::message::{Message, Record, key};
use super::pick;

const BODIES: [&str; 5] = [
    r#"{"event":"ticket.created","tenant_id":"t1","data":{"entity":{"id": 7}},"timestamp":"2026-04-29T18:33:00Z"}"#,
    r#"{"type":"part.updated","data":{"v1":"t=1614265330,v1=00", "B": 1.50}}"#,
    r#"{"type":"Größe 😀","data":{"entity_error":"over \"256 kB\""}}"#,
    "{}",
    "",
];

/// Signs messages and records what it signed.
pub struct Signer {
    pub chance: StdRng,
    pub records: Vec<Record>,
}

impl Signer {
    /// Makes a message that is signed with one secret or, as during a rotation, two. The receiver has one of them.
    pub fn message(&mut self, scheme: Scheme) -> Message {
        let id = DeliveryId(self.chance.random());
        let body = pick(&mut self.chance, &BODIES);
        let at = AT + self.chance.random_range(0..10) * 100;
        let secrets: Vec<_> = (0..self.chance.random_range(1..=2)).map(|_| self.secret()).collect();
        let mut values = header_values(scheme, &secrets, Signed { id, at, body });
        let message = Message {
            scheme,
            id: id.to_string(),
            time: at.to_string(),
            header: values.pop().expect("a signature"),
            body: body.to_owned(),
            secret: String::new(),
            now: at,
        };
        // A scheme that can hold only one value signs with the newest secret.
        let signing = if matches!(scheme, Scheme::Hydra | Scheme::Standard) { &secrets[..] } else { &secrets[..1] };
        let said = message.header.split([' ', ',']).filter(|part| !part.starts_with("t=") && *part != "v1");
        for (secret, value) in signing.iter().zip(said) {
            let value = match scheme {
                Scheme::Hydra => value.strip_prefix("v1=").expect("its form").to_owned(),
                Scheme::Standard => format!("v1,{value}"),
                _ => value.to_owned(),
            };
            let key = key(scheme, secret.expose());
            let Message { id, time, body, .. } = message.clone();
            self.records.push(Record { scheme, key, id, time, body, value });
        }
        Message { secret: pick(&mut self.chance, signing).expose().to_owned(), ..message }
    }

    /// A secret that the extension made, or one of another form.
    pub fn secret(&mut self) -> SigningSecret {
        match self.chance.random_range(0..4) {
            0 => secret(&format!("imported {}", self.chance.random::<u32>())),
            _ => SigningSecret::random(&mut self.chance),
        }
    }
}
