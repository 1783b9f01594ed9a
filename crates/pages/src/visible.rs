//! Texts of strangers that somebody decides about. Characters that are not seen, or that change the order in which others
//! are read, are shown by their numbers. A long text is folded and not cut.

use maud::{Markup, html};

use crate::moment::count;

/// What is seen of a text before it is unfolded.
const SEEN: usize = 600;
const SEEN_LINES: usize = 12;

/// Shows a text on lines of its own.
pub fn block(text: &str) -> Markup {
    let seen = beginning(text);
    let whole = |text| html! { pre.data dir="auto" { "\n" (visible(text)) } };
    html! {
        @if seen.len() == text.len() {
            (whole(text))
        } @else {
            pre.data dir="auto" { "\n" (visible(seen)) "…" }
            details { summary { "Show all " (count(text.chars().count() as i64, "character")) } (whole(text)) }
        }
    }
}

/// Shows a text within a line.
pub fn inline(text: &str) -> Markup {
    html! { bdi.data { (visible(text)) } }
}

/// Whether a text has room within a line.
pub fn is_short(text: &str) -> bool {
    text.len() <= 120 && !text.contains('\n')
}

fn beginning(text: &str) -> &str {
    let lines = text.match_indices('\n').nth(SEEN_LINES - 1).map(|(place, _)| place);
    let signs = text.char_indices().nth(SEEN).map(|(place, _)| place);
    let end = lines.unwrap_or(text.len()).min(signs.unwrap_or(text.len()));
    &text[..end]
}

/// Shows a text, and the number of each character that is not seen. Of several in a row, the first is shown.
pub fn visible(text: &str) -> Markup {
    let (mut rest, mut before) = (text, None);
    let mut shown = html! {};
    while !rest.is_empty() {
        let plain = plain(rest, before);
        let hidden = hidden(&rest[plain.len()..], plain.chars().next_back().or(before));
        shown.0.push_str(&html! { (plain) (sign(hidden)) }.0);
        rest = &rest[plain.len() + hidden.len()..];
        before = hidden.chars().next_back();
    }
    shown
}

fn sign(hidden: &str) -> Markup {
    let mut signs = hidden.chars();
    let first = signs.next();
    let others = signs.count();
    html! {
        @if let Some(first) = first {
            span.sign { (format!("U+{:04X}", u32::from(first))) @if others > 0 { " and " (others) " more" } }
        }
    }
}

/// Returns the beginning of a text in which everything is seen.
fn plain(text: &str, before: Option<char>) -> &str {
    until(text, before, is_hidden)
}

/// Returns the beginning of a text in which nothing is seen.
fn hidden(text: &str, before: Option<char>) -> &str {
    until(text, before, |sign, before, next| !is_hidden(sign, before, next))
}

fn until(text: &str, mut before: Option<char>, ends: impl Fn(char, Option<char>, Option<char>) -> bool) -> &str {
    let mut signs = text.char_indices().peekable();
    while let Some((place, sign)) = signs.next() {
        if ends(sign, before, signs.peek().map(|(_, next)| *next)) {
            return &text[..place];
        }
        before = Some(sign);
    }
    text
}

/// Whether a character is not seen, or changes the order in which its neighbours are read.
fn is_hidden(sign: char, before: Option<char>, next: Option<char>) -> bool {
    match sign {
        '\n' | '\t' => false,
        '\r' => next != Some('\n'),
        // Scripts and emoji are written with these.
        '\u{200C}' | '\u{200D}' | '\u{FE0E}' | '\u{FE0F}' => before.is_none_or(|before| before.is_ascii()),
        _ if sign.is_control() => true,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180B}'..='\u{180F}' => true,
        '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{3164}' | '\u{FFA0}' | '\u{2800}' => true,
        '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' => true,
        '\u{FE00}'..='\u{FE0D}' | '\u{FEFF}' | '\u{FFF0}'..='\u{FFFB}' => true,
        '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        visible(text).into_string()
    }

    #[test]
    fn what_cannot_be_seen_is_shown_by_its_number() {
        assert_eq!(shown("a\u{202E}b<"), "a<span class=\"sign\">U+202E</span>b&lt;");
        assert_eq!(shown("\u{0}"), "<span class=\"sign\">U+0000</span>");
        for hidden in
            ["\u{7F}", "\u{85}", "\r", "\u{200B}", "\u{2066}", "\u{FEFF}", "\u{3164}", "\u{E0041}", "x\u{200D}"]
        {
            assert!(shown(hidden).contains("class=\"sign\""), "{hidden:?}");
        }
    }

    #[test]
    fn many_in_a_row_are_one_sign() {
        let text = format!("a{}b", "\u{E0041}".repeat(5000));
        assert_eq!(shown(&text), "a<span class=\"sign\">U+E0041 and 4999 more</span>b");
    }

    #[test]
    fn ordinary_texts_stay_as_they_are() {
        for text in ["two\nlines\r\n\tand a tab", "می\u{200C}خواهم", "👩\u{200D}💻 ❤\u{FE0F}", "Zürich", "שלום", ""]
        {
            assert_eq!(shown(text), text, "{text:?}");
        }
    }

    #[test]
    fn a_long_text_is_folded_and_all_of_it_is_there() {
        assert!(!block("short").into_string().contains("<details>"));
        for text in ["x".repeat(601), "line\n".repeat(13), "ü".repeat(700)] {
            let shown = block(&text).into_string();
            assert!(
                shown.contains("<details><summary>Show all ") && shown.contains(&format!("\n{text}</pre>")),
                "{shown}"
            );
            assert!(shown.find("…</pre>").unwrap() < 1500, "{shown}");
        }
    }
}
