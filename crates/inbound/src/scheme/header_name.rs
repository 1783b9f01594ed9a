use serde::{Deserialize, Serialize};

/// The name of a header, in any case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderName(String);

const MAX_BYTES: usize = 100;
/// A gateway passes only hashes of these.
const NOT_PASSED: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

impl HeaderName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HeaderName {
    type Error = String;

    fn try_from(name: String) -> Result<HeaderName, String> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || name.len() > MAX_BYTES || !name.bytes().all(is_token) {
            return Err("it is not the name of a header".to_owned());
        }
        match NOT_PASSED.into_iter().find(|taken| name.eq_ignore_ascii_case(taken)) {
            Some(taken) => Err(format!("the header `{taken}` does not reach the database")),
            None => Ok(HeaderName(name)),
        }
    }
}

impl From<HeaderName> for String {
    fn from(name: HeaderName) -> String {
        name.0
    }
}
