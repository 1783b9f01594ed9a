//! An attack, and whether it gets through.

use std::fmt::Display;

use postgres::Client;
use postgres::types::Type;
use serde_json::Value;
use sha2::{Digest, Sha256};
use testkit::run;

use crate::world::{MARK, World};

/// Stands for the attacked value in the path, a header or the body of an attack.
const PLACE: &str = "§";

#[derive(Clone)]
pub struct Attack {
    name: &'static str,
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    /// What another tenant has, and what nobody has.
    values: [String; 2],
    /// The key of each of the two requests; that of the attacker if there is none.
    keys: Option<[String; 2]>,
    status: i32,
    /// A key that may do what is attempted, and the status that it gets.
    control: Option<(Option<String>, i32)>,
}

/// An attack with this name, which is a sentence about what would be the case if it got through.
pub fn attack(name: &'static str, method: &'static str, path: &str) -> Attack {
    Attack {
        name,
        method,
        path: format!("/api/v1/{path}"),
        headers: vec![("Content-Type".into(), "application/json".into())],
        body: String::new(),
        values: [String::new(), String::new()],
        keys: None,
        status: 404,
        control: None,
    }
}

impl Attack {
    /// Replaces a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, body: &str) -> Self {
        self.body = body.into();
        self
    }

    /// What another tenant has, and what nobody has.
    pub fn values(mut self, theirs: impl Display, nobodys: impl Display) -> Self {
        self.values = [theirs.to_string(), nobodys.to_string()];
        self
    }

    /// The keys of the two requests.
    pub fn keys(mut self, attacking: &str, innocent: &str) -> Self {
        self.keys = Some([attacking.into(), innocent.into()]);
        self
    }

    /// The status of both answers, if it is not 404.
    pub fn status(mut self, status: i32) -> Self {
        self.status = status;
        self
    }

    /// The tenant that owns what is attacked gets this status.
    pub fn owner(mut self, status: i32) -> Self {
        self.control = Some((None, status));
        self
    }

    /// This key gets this status.
    pub fn with_key(mut self, key: &str, status: i32) -> Self {
        self.control = Some((Some(key.into()), status));
        self
    }

    /// Returns the answer to the request with this key and this value, within a transaction.
    #[track_caller]
    fn make(&self, client: &mut Client, key: &str, value: &str) -> Answer {
        let put = |text: &str| text.replace(PLACE, value);
        let path = put(&self.path);
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let headers: Vec<_> = self.headers.iter().map(|(name, text)| (name, put(text))).collect();
        request(
            client,
            key,
            self.method,
            path,
            query,
            &serde_json::to_string(&headers).expect("texts"),
            &put(&self.body),
        )
    }
}

/// What `hydra.serve` returned.
#[derive(Debug)]
pub struct Answer {
    pub status: i32,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn shows(&self, text: &str) -> bool {
        self.body.contains(text) || self.headers.iter().any(|(_, value)| value.contains(text))
    }

    /// Everything that a client can learn from it but the values that it has sent itself. An ETag is a hash of the body; keys have
    /// different numbers.
    fn shape(&self, values: &[String; 2]) -> String {
        let mut headers: Vec<String> = self
            .headers
            .iter()
            .map(|(name, value)| match name.as_str() {
                "x-request-id" | "etag" | "hydra-key" => name.clone(),
                _ => format!("{name}: {value}"),
            })
            .collect();
        headers.sort();
        let mut body = self.body.clone();
        if let Some(id) = self.header("x-request-id") {
            body = body.replace(id, "an id");
        }
        let mut shape = format!("{} {headers:?} {body}", self.status);
        // The longer one first: it may contain the other.
        let mut values: Vec<_> = values.iter().filter(|value| !value.is_empty()).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        for value in values {
            shape = shape.replace(value.as_str(), PLACE);
        }
        shape
    }
}

#[track_caller]
fn request(client: &mut Client, key: &str, method: &str, path: &str, query: &str, headers: &str, body: &str) -> Answer {
    let credential: Vec<u8> = Sha256::digest(key).to_vec();
    let row = client
        .query_typed(
            "SELECT status, headers::text, body FROM hydra.serve(1, 'rest', $1, $2, $3, $4, $5::jsonb, $6, '127.0.0.1')",
            &[
                (&credential, Type::BYTEA),
                (&method, Type::TEXT),
                (&path, Type::TEXT),
                (&query, Type::TEXT),
                (&headers, Type::TEXT),
                (&body.as_bytes(), Type::BYTEA),
            ],
        )
        .unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
        .remove(0);
    let headers: String = row.get(1);
    Answer {
        status: row.get(0),
        headers: serde_json::from_str(&headers).expect("pairs of names and values"),
        body: String::from_utf8(row.get(2)).expect("text"),
    }
}

impl World {
    /// Makes a request as a gateway does.
    #[track_caller]
    pub fn ask(&mut self, key: &str, of: &Attack) -> Answer {
        run(&mut self.gateway, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
        let answer = of.make(&mut self.gateway, key, &of.values[0]);
        run(&mut self.gateway, "COMMIT");
        answer
    }

    /// Makes all attacks, of which none may get through.
    #[track_caller]
    pub fn withstands(&mut self, attacks: Vec<Attack>) {
        let through: Vec<String> = attacks
            .iter()
            .filter_map(|attack| self.attempt(attack).err().map(|why| format!("{}: {why}", attack.name)))
            .collect();
        assert!(through.is_empty(), "{} of {} attacks get through: {through:#?}", through.len(), attacks.len());
    }

    fn attempt(&mut self, attack: &Attack) -> Result<(), String> {
        let before = self.of_others();
        let keys = attack.keys.clone().unwrap_or_else(|| [self.attacker.clone(), self.attacker.clone()]);
        let mut made = Vec::new();
        for (key, value) in keys.iter().zip(&attack.values) {
            run(&mut self.gateway, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
            made.push(attack.make(&mut self.gateway, key, value));
            run(&mut self.gateway, "COMMIT");
        }
        let [attacked, innocent] = [&made[0], &made[1]];
        if let Some(shown) = made.iter().find(|answer| answer.shows(MARK)) {
            return Err(format!("a value of others is shown: {shown:?}"));
        }
        if attacked.shape(&attack.values) != innocent.shape(&attack.values) {
            return Err(format!("it is told from what nobody has: {attacked:?}, but {innocent:?}"));
        }
        if attacked.status != attack.status {
            return Err(format!("{} was expected: {attacked:?}", attack.status));
        }
        let after = self.of_others();
        if before != after {
            return Err(format!("what others have has changed: {before} to {after}"));
        }
        self.has_something_to_get(attack)
    }

    /// Fails if nobody could get what is attacked. The request of the control is undone.
    fn has_something_to_get(&mut self, attack: &Attack) -> Result<(), String> {
        let Some((key, status)) = &attack.control else { return Ok(()) };
        let key = key.clone().unwrap_or_else(|| self.owner.clone());
        run(&mut self.gateway, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
        let answer = attack.make(&mut self.gateway, &key, &attack.values[0]);
        run(&mut self.gateway, "ROLLBACK");
        match answer.status == *status && (*status != 200 || answer.shows(MARK)) {
            true => Ok(()),
            false => Err(format!("there was nothing to get: {answer:?}")),
        }
    }
}
