//! What the type `jsonb` cannot hold and JSON can: NUL in texts, and numbers that are larger or more precise than any of the database.
//! Marks stand for them, so that paths can be followed in the rest.

/// The largest number of digits before the point, and after it, that a number of the database can have, with some to spare.
const MOST_DIGITS: i64 = 131_000;
const MOST_DECIMALS: i64 = 16_000;

const NUL: &str = "\\u0000";
const NAME_OF_NUL: &str = "nul";

pub struct Hidden {
    /// JSON that `jsonb` can hold.
    pub json: String,
    mark: String,
    numbers: Vec<String>,
}

impl Hidden {
    /// Hides what is to be hidden in a JSON text; `None` if there is nothing. `random` is a random number, which makes a mark that no text
    /// has by chance or on purpose.
    pub fn of(json: &str, random: u128) -> Option<Self> {
        let mut hidden = Self {
            json: String::with_capacity(json.len()),
            mark: format!("hidden-{random:032x}-"),
            numbers: Vec::new(),
        };
        let (bytes, mut at, mut copied, mut in_text) = (json.as_bytes(), 0, 0, false);
        while at < bytes.len() {
            let end = match bytes[at] {
                b'\\' if in_text && json[at..].starts_with(NUL) => {
                    Some((at + NUL.len(), format!("{}{NAME_OF_NUL};", hidden.mark)))
                }
                b'-' | b'0'..=b'9' if !in_text => {
                    let length = bytes[at..].iter().take_while(|byte| is_of_number(**byte)).count();
                    let number = &json[at..at + length];
                    let mark = || format!("\"{}{};\"", hidden.mark, hidden.numbers.len());
                    match fits(number) {
                        true => {
                            at += length;
                            continue;
                        }
                        false => Some((at + length, mark())),
                    }
                }
                _ => None,
            };
            match end {
                Some((end, mark)) => {
                    hidden.json.push_str(&json[copied..at]);
                    hidden.json.push_str(&mark);
                    if !in_text {
                        hidden.numbers.push(json[at..end].to_owned());
                    }
                    (at, copied) = (end, end);
                }
                None => {
                    in_text ^= bytes[at] == b'"';
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
        }
        hidden.json.push_str(&json[copied..]);
        (copied > 0).then_some(hidden)
    }

    /// Returns JSON that was made of the hidden one, with everything where it was.
    pub fn shown_in_json(&self, json: &str) -> String {
        self.shown(json, NUL, 1)
    }

    /// Returns a text that was taken from the hidden JSON, with everything where it was.
    pub fn shown_in_text(&self, text: &str) -> String {
        self.shown(text, "\0", 0)
    }

    /// `quotes`: the number of quotation marks on each side of the mark of a number.
    fn shown(&self, text: &str, nul: &str, quotes: usize) -> String {
        let mut parts = text.split(&self.mark);
        let mut shown = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once(';').unwrap_or((part, ""));
            match name.parse().ok().and_then(|number: usize| self.numbers.get(number)) {
                Some(number) => {
                    shown.truncate(shown.len() - quotes);
                    shown.push_str(number);
                    shown.push_str(&rest[quotes..]);
                }
                None => {
                    shown.push_str(nul);
                    shown.push_str(rest);
                }
            }
        }
        shown
    }
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Whether the database can hold a number.
fn fits(number: &str) -> bool {
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let Ok(exponent) = exponent.parse::<i32>() else { return false };
    let (whole, decimals, exponent) = (whole.len() as i64, decimals.len() as i64, i64::from(exponent));
    whole + exponent <= MOST_DIGITS && decimals - exponent <= MOST_DECIMALS
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn nul_comes_back_to_where_it_was() {
        let json = r#"{"a": "\u0000x\\u0000", "b": "\\\u0000", "c\u0000": 1}"#;
        let hidden = Hidden::of(json, 7).unwrap();
        assert!(hidden.json.contains(r"x\\u0000"), "an escaped backslash and some letters");
        assert_eq!(hidden.shown_in_json(&hidden.json), json);
        let value: Value = serde_json::from_str(&hidden.json).unwrap();
        assert_eq!(hidden.shown_in_text(value["a"].as_str().unwrap()), "\0x\\u0000");
    }

    #[test]
    fn numbers_that_are_too_large_or_too_precise_come_back_to_where_they_were() {
        let digits = "7".repeat(140_000);
        let json = format!(r#"{{"a":[1e200000,-1E-20000,2.5],"b":{digits},"c":{{"d":1e99999999999}},"e":"1e200000"}}"#);
        let hidden = Hidden::of(&json, 7).unwrap();
        let value: Value = serde_json::from_str(&hidden.json).unwrap();
        assert_eq!((value["a"][2].to_string(), value["e"].as_str()), ("2.5".into(), Some("1e200000")));
        assert_eq!(hidden.shown_in_text(value["a"][1].as_str().unwrap()), "-1E-20000");
        assert_eq!(hidden.shown_in_json(&hidden.json), json);
        assert_eq!(hidden.shown_in_json(&value["c"].to_string()), r#"{"d":1e99999999999}"#);
    }

    #[test]
    fn what_jsonb_can_hold_is_left_as_it_is() {
        for json in [r#""\\u0000""#, "1", r#"{"a":[-1.5e300,0,"1e999999","\"9"]}"#, "[]", "1e130000", "1.5e-15000"] {
            assert!(Hidden::of(json, 7).is_none(), "{json}");
        }
    }
}
