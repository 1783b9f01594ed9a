//! JSON with lines and indentation, otherwise as it was written: numbers and the order of keys stay, and it may be cut off.

use std::iter;

pub fn indented(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if is_text {
            out.push(letter);
            is_text = is_escaped || letter != '"';
            is_escaped = letter == '\\' && !is_escaped;
            continue;
        }
        match letter {
            '{' | '[' => {
                out.push(letter);
                while letters.peek().is_some_and(|next| next.is_ascii_whitespace()) {
                    letters.next();
                }
                if letters.peek().is_some_and(|next| matches!(next, '}' | ']')) {
                    out.extend(letters.next());
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            letter if letter.is_ascii_whitespace() => {}
            letter => {
                out.push(letter);
                is_text = letter == '"';
            }
        }
    }
    out
}

/// Deeper than this, nothing is indented further: the size of the result stays a small multiple of that of the text.
const DEEPEST: usize = 20;

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(iter::repeat_n("  ", depth.min(DEEPEST)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_gets_lines_and_keeps_what_it_says() {
        assert_eq!(
            indented(r#"{"b": 1.10,"a":["x, {\"y\\\":", {}, [ ]],"b":1e400}"#),
            "{\n  \"b\": 1.10,\n  \"a\": [\n    \"x, {\\\"y\\\\\\\":\",\n    {},\n    []\n  ],\n  \"b\": 1e400\n}"
        );
        assert_eq!(indented("[1, \"cut of"), "[\n  1,\n  \"cut of");
        assert_eq!(indented("}]\"\\"), "\n}\n]\"\\");
    }

    #[test]
    fn depth_does_not_make_it_large() {
        let text = "[".repeat(10_000);
        assert!(indented(&text).len() < 50 * text.len());
    }
}
