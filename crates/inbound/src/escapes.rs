//! Halves of surrogate pairs in JSON, which no text can have.

/// The length of an escape with a number, such as `\u0000`.
const ESCAPE: usize = 6;

/// Returns JSON in which U+FFFD stands for each half of a surrogate pair without the other half.
pub fn whole_pairs(json: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(json.len()), json);
    while let Some(start) = rest.find('\\') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let second = |rest: &str| unit(&rest[ESCAPE..]).is_some_and(|unit| (0xDC00..=0xDFFF).contains(&unit));
        let (length, is_half) = match unit(rest) {
            Some(0xD800..=0xDBFF) if second(rest) => (2 * ESCAPE, false),
            Some(0xD800..=0xDFFF) => (ESCAPE, true),
            Some(_) => (ESCAPE, false),
            None => (rest.ceil_char_boundary(2), false),
        };
        let (escape, after) = rest.split_at(length);
        out.push_str(if is_half { "\\ufffd" } else { escape });
        rest = after;
    }
    out + rest
}

/// Returns the number of the escape with which a text begins.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_pairs_are_replaced_and_everything_else_stays() {
        for (json, whole) in [
            (r#"["\ud83d"]"#, r#"["\ufffd"]"#),
            (r#"["\ude00x\uD83D"]"#, r#"["\ufffdx\ufffd"]"#),
            (r#"["\ud83d\ude00"]"#, r#"["\ud83d\ude00"]"#),
            (r#"["\ud83d\ud83d\ude00\ude00"]"#, r#"["\ufffd\ud83d\ude00\ufffd"]"#),
            (r#"["\\ud83d", "\n\"\u00e9", "\ud83d\n"]"#, r#"["\\ud83d", "\n\"\u00e9", "\ufffd\n"]"#),
        ] {
            assert_eq!(whole_pairs(json), whole);
            assert!(serde_json::from_str::<serde_json::Value>(whole).is_ok());
        }
        // What is no JSON stays so.
        for text in ["\\", "\\u", "\\u12", "\\ü", "\\uüüü", "\\ud83d\\"] {
            assert!(serde_json::from_str::<serde_json::Value>(&whole_pairs(text)).is_err());
        }
    }
}
