//! Reads the body of a request that writes: a JSON object with a field for each column.
//!
//! Values stay the text that was sent. Postgres reads them, so a number of any size arrives as it is.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::serve::problem::Problem;
use crate::serve::request::Request;

pub const JSON: &str = "application/json";
pub const MERGE_PATCH: &str = "application/merge-patch+json";

/// The fields of a body, in the order in which they were sent.
#[derive(Debug)]
pub struct Body<'a> {
    pub fields: Vec<Field<'a>>,
}

#[derive(Debug)]
pub struct Field<'a> {
    pub name: String,
    /// JSON.
    pub value: &'a RawValue,
}

impl Field<'_> {
    pub fn is_null(&self) -> bool {
        self.value.get() == "null"
    }
}

/// Reads the body of a request, which must have one of these media types.
pub fn read<'a>(request: &'a Request, types: &[&str]) -> Result<Body<'a>, Problem> {
    check_type(request, types)?;
    let text = str::from_utf8(&request.body).map_err(|_| malformed("The body is not UTF-8."))?;
    let fields = match fields(text) {
        Ok(fields) => fields,
        Err(error) if error.is_data() => return Err(Problem::invalid().with_detail("The body is not a JSON object.")),
        Err(error) => return Err(malformed(&format!("The body is not valid JSON: {error}."))),
    };
    Ok(Body { fields })
}

/// Returns the fields of a JSON object.
pub fn fields(text: &str) -> Result<Vec<Field<'_>>, serde_json::Error> {
    serde_json::from_str(text).map(|Fields(fields)| fields)
}

fn malformed(detail: &str) -> Problem {
    Problem::bad_request().with_detail(detail)
}

/// Refuses a body that has another format. It would be read wrongly, or a page of another origin could send it without
/// being asked: browsers do that with the types of forms.
fn check_type(request: &Request, types: &[&str]) -> Result<(), Problem> {
    let sent = request.header("content-type").unwrap_or_default();
    let mut parts = sent.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let is_known = types.iter().any(|known| known.eq_ignore_ascii_case(media_type));
    let is_plain = request.header("content-encoding").is_none_or(|coding| coding.eq_ignore_ascii_case("identity"));
    let is_utf_8 = parts.filter(|parameter| !parameter.is_empty()).all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    match is_known && is_plain && is_utf_8 {
        true => Ok(()),
        false => {
            let detail = format!("The body must be {} in UTF-8, without a Content-Encoding.", types.join(" or "));
            Err(Problem::unsupported_media_type().with_detail(detail))
        }
    }
}

struct Fields<'a>(Vec<Field<'a>>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    fields.push(Field { name, value });
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
