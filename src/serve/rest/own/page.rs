//! Pages of a list of our own resources. They are sorted by their ids, so the id of the last row says where the next page begins.

use openapi::own::{Id, Own};
use sha2::{Digest, Sha256};
use wire::form;

use super::Found;
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::rest::representation::etag;
use crate::serve::rest::{Call, conditional};

const DEFAULT: i64 = 50;
const MOST: i64 = 100;

/// What is asked for.
pub struct Asked {
    pub id: Option<String>,
    pub after: Option<String>,
    pub filters: [Option<String>; 2],
    pub limit: i64,
}

impl Asked {
    pub fn one(id: &str) -> Self {
        Self { id: Some(id.to_owned()), after: None, filters: [None, None], limit: 1 }
    }
}

pub fn answer(call: &Call<'_>, own: &Own) -> Result<Answer, Problem> {
    let mut asked = read(call, own)?;
    let limit = asked.limit;
    // One more, to see whether there are more.
    asked.limit += 1;
    let mut found = super::as_owner(|| super::rows(call, own, &asked));
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| has_more).map(|last| cursor(own, &asked.filters, &last.id));
    let body = body(&found, has_more, next.as_deref());
    let etag = etag(&body);
    let answer = conditional(call, &etag, || Answer::json_text(200, body));
    Ok(match next {
        Some(next) => answer.with_header("link", format!("<{}>; rel=\"next\"", url(own, &asked.filters, limit, &next))),
        None => answer,
    })
}

fn body(found: &[Found], has_more: bool, next: Option<&str>) -> String {
    let rows: Vec<&str> = found.iter().map(|found| found.json.as_str()).collect();
    let next = next.map_or_else(|| "null".to_owned(), |next| format!("\"{next}\""));
    format!("{{\"data\":[{}],\"has_more\":{has_more},\"next_cursor\":{next}}}", rows.join(","))
}

fn pairs(call: &Call<'_>) -> Result<Vec<(String, String)>, Problem> {
    let pairs = form::pairs(call.request.query.as_bytes());
    pairs.ok_or_else(|| Problem::bad_request().with_detail("The query cannot be read."))
}

/// Fails if there are parameters, for paths that have none.
pub fn refuse_parameters(call: &Call<'_>) -> Result<(), Problem> {
    match pairs(call)?.first() {
        Some((name, _)) => Err(unknown(name)),
        None => Ok(()),
    }
}

fn unknown(name: &str) -> Problem {
    wrong(name, "unknown_parameter", "This path does not have this parameter.")
}

fn wrong(name: &str, code: &str, why: &str) -> Problem {
    Problem::bad_request().with_error(name, code, why).with_detail(why)
}

fn read(call: &Call<'_>, own: &Own) -> Result<Asked, Problem> {
    let mut asked = Asked { id: None, after: None, filters: [None, None], limit: DEFAULT };
    let (mut cursor, mut seen) = (None, Vec::new());
    for (name, value) in pairs(call)? {
        if seen.contains(&name) {
            return Err(wrong(&name, "repeated_parameter", "It is there more than once."));
        }
        let place = own.filters.iter().position(|filter| *filter == name);
        match name.as_str() {
            "limit" => {
                asked.limit =
                    limit(&value).ok_or_else(|| wrong(&name, "invalid_limit", "A limit is a number from 1 to 100."))?
            }
            "cursor" => cursor = Some(value),
            _ => {
                let place = place.ok_or_else(|| unknown(&name))?;
                asked.filters[place] = Some(filter(own, &name, value)?);
            }
        }
        seen.push(name);
    }
    if let Some(cursor) = cursor {
        let after = begin(own, &asked.filters, &cursor);
        let why = "It is not `next_cursor` of a list with the same filters.";
        asked.after = Some(after.ok_or_else(|| wrong("cursor", "invalid_cursor", why))?);
    }
    Ok(asked)
}

fn limit(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|limit| digits && (1..=MOST).contains(limit))
}

/// Returns the value of a filter if it can be one: a word of a list, or else a number.
fn filter(own: &Own, name: &str, value: String) -> Result<String, Problem> {
    let (fits, why) = match own.choices(name) {
        Some(choices) => (choices.contains(&value.as_str()), format!("It is one of {}.", choices.join(", "))),
        None => (number(&value), "It is a number.".into()),
    };
    match fits {
        true => Ok(value),
        false => Err(Problem::invalid().with_error(name, "invalid_value", why.as_str()).with_detail(why)),
    }
}

/// Whether the text is a number that a bigint can be.
fn number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_ok()
}

/// Returns the id of a thing if the text can be one.
pub fn id(own: &Own, text: &str) -> Option<String> {
    let text = form::unescaped(text)?;
    let fits = match own.id {
        Id::Number => number(&text),
        // As Postgres writes it: other forms would be other addresses of the same thing.
        Id::Uuid => text.len() == 36 && text.bytes().enumerate().all(is_of_uuid),
        Id::Name => text.len() <= 200,
    };
    fits.then_some(text)
}

fn is_of_uuid((place, byte): (usize, u8)) -> bool {
    match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    }
}

/// Identifies a list: its pages begin where a page of the same list ended.
fn digest(own: &Own, filters: &[Option<String>; 2]) -> String {
    hex::encode(&Sha256::digest(format!("{}{filters:?}", own.name))[..6])
}

fn cursor(own: &Own, filters: &[Option<String>; 2], last: &str) -> String {
    format!("{}.{last}", digest(own, filters))
}

fn begin(own: &Own, filters: &[Option<String>; 2], cursor: &str) -> Option<String> {
    let (digest, last) = cursor.split_once('.')?;
    (digest == self::digest(own, filters)).then(|| id(own, last)).flatten()
}

fn url(own: &Own, filters: &[Option<String>; 2], limit: i64, cursor: &str) -> String {
    let mut url = format!("{}/{}?limit={limit}", openapi::ROOT, own.name);
    for (name, value) in own.filters.iter().zip(filters) {
        if let Some(value) = value {
            url += &format!("&{name}={value}");
        }
    }
    url + &format!("&cursor={cursor}")
}
