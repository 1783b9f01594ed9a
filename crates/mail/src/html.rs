//! The text of an HTML document, as plain text with one line for each block. Quotations begin with `> `, as those of
//! plain text do.
//!
//! This reads the document once, from front to back, and keeps no tree, so that its time and memory depend on the size
//! alone.

use mail_parser::decoders::html::html_to_text;

/// What a reader does not see.
const HIDDEN: [&str; 6] = ["head", "style", "script", "title", "template", "noscript"];
const BLOCKS: [&str; 22] = [
    "address",
    "article",
    "blockquote",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "header",
    "hr",
    "li",
    "ol",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
];
const MAX_QUOTES: usize = 20;
const LONGEST_ENTITY: usize = 32;
const LONGEST_NAME: usize = 12;

/// Returns the text of a document.
pub fn text(html: &str) -> String {
    let mut writer = Writer::default();
    let (mut rest, mut patience) = (html, html.len());
    while let Some(at) = rest.find('<') {
        writer.words(&rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        if !rest[1..].starts_with(|char: char| char.is_ascii_alphabetic() || matches!(char, '/' | '!' | '?')) {
            writer.words("<");
            rest = &rest[1..];
            continue;
        }
        let end = end_of_tag(rest, &mut patience);
        let (tag, after) = rest.split_at(end);
        rest = after;
        let (name, closes) = name_of(tag);
        if !closes && HIDDEN.contains(&name.as_str()) {
            rest = after_hidden(rest, &name);
        } else {
            writer.tag(&name, closes);
        }
    }
    writer.words(rest);
    writer.finish()
}

/// A value in quotation marks may contain the character that ends a tag. `patience`: how many bytes may be read in vain, for quotation
/// marks that are never closed. Otherwise many of them would take the time of the whole document each.
fn end_of_tag(tag: &str, patience: &mut usize) -> usize {
    let mut quote = None;
    for (at, byte) in tag.bytes().take(*patience).enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    *patience -= tag.len().min(*patience);
    tag.find('>').map_or(tag.len(), |at| at + 1)
}

fn name_of(tag: &str) -> (String, bool) {
    let inner = tag[1..].trim_end_matches('>');
    let (inner, closes) = inner.strip_prefix('/').map_or((inner, false), |inner| (inner, true));
    let name = inner.chars().take_while(char::is_ascii_alphanumeric).take(LONGEST_NAME).collect::<String>();
    (name.to_ascii_lowercase(), closes)
}

fn after_hidden<'a>(rest: &'a str, name: &str) -> &'a str {
    let mut from = 0;
    while let Some(at) = rest[from..].find("</") {
        let at = from + at;
        let is_it =
            rest.as_bytes()[at + 2..].get(..name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()));
        if is_it {
            return &rest[at + rest[at..].find('>').map_or(rest.len() - at, |end| end + 1)..];
        }
        from = at + 2;
    }
    ""
}

#[derive(Default)]
struct Writer {
    text: String,
    line: String,
    quotes: usize,
    /// Empty lines that are due before the next line with text.
    gap: bool,
}

impl Writer {
    fn tag(&mut self, name: &str, closes: bool) {
        match name {
            "br" => self.end_line(true),
            "p" => {
                self.end_line(false);
                self.gap |= !self.text.is_empty();
            }
            "blockquote" => {
                self.end_line(false);
                self.quotes = if closes { self.quotes.saturating_sub(1) } else { (self.quotes + 1).min(MAX_QUOTES) };
            }
            "td" | "th" if closes => self.line.push(' '),
            _ if BLOCKS.contains(&name) => self.end_line(false),
            _ => {}
        }
    }

    /// Adds text, in which white space separates words and nothing else.
    fn words(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find('&') {
            self.plain(&rest[..at]);
            rest = &rest[at..];
            let entity = rest.bytes().take(LONGEST_ENTITY).position(|byte| byte == b';').map(|end| &rest[..=end]);
            match entity.map(|entity| (entity, html_to_text(entity))) {
                Some((entity, decoded)) if !decoded.is_empty() && decoded != entity => {
                    self.plain(&decoded.replace('\u{a0}', " "));
                    rest = &rest[entity.len()..];
                }
                Some(("&nbsp;", _)) => {
                    self.plain(" ");
                    rest = &rest["&nbsp;".len()..];
                }
                _ => {
                    self.line.push('&');
                    rest = &rest[1..];
                }
            }
        }
        self.plain(rest);
    }

    fn plain(&mut self, text: &str) {
        for char in text.chars() {
            match char {
                ' ' | '\t' | '\r' | '\n' | '\u{a0}' => {
                    if !self.line.is_empty() && !self.line.ends_with(' ') {
                        self.line.push(' ');
                    }
                }
                _ => self.line.push(char),
            }
        }
    }

    fn end_line(&mut self, even_if_empty: bool) {
        let line = std::mem::take(&mut self.line);
        let line = line.trim();
        if line.is_empty() && !even_if_empty {
            return;
        }
        let quote = ">".repeat(self.quotes);
        if std::mem::take(&mut self.gap) {
            self.text.push_str(&quote);
            self.text.push('\n');
        }
        self.text.push_str(&quote);
        if !quote.is_empty() && !line.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn finish(mut self) -> String {
        self.end_line(false);
        let end = self.text.trim_end().len();
        self.text.truncate(end);
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_lines_and_quotations_are_marked() {
        let html = "<html><head><title>x</title><style>p > a {}</style></head><body><p>Hello&nbsp;<b>Ann</b>,</p>\n<div>it \
            works.<br>Thank&#115; &amp; bye &eacute;</div><blockquote type=\"cite>\"><div>On Monday<blockquote>deep</blockquote></div></blockquote>";
        assert_eq!(text(html), "Hello Ann,\n\nit works.\nThanks & bye é\n> On Monday\n>> deep");
    }

    #[test]
    fn odd_documents_are_read_to_their_end() {
        for (html, expected) in [
            ("", ""),
            ("1 < 2 & 3", "1 < 2 & 3"),
            ("<", "<"),
            ("a<!-- never closed", "a"),
            ("a<script>if (1 < 2) x('</p>')</script>b", "ab"),
            ("a<style>", "a"),
            ("a<b title='x>y'>c</b>", "ac"),
            ("a<b title='x>y", "ay"),
            ("&unknown; &#xD800; &", "&unknown; \u{fffd} &"),
            ("<td>a</td><td>b</td>", "a b"),
        ] {
            assert_eq!(text(html), expected, "{html}");
        }
        assert!(text(&"<blockquote>x".repeat(10_000)).len() < 400_000);
        // Would take hours if each tag were looked for to the end of the document.
        assert_eq!(text(&"<a \">\"\n".repeat(3_000_000)).matches('"').count(), 3_000_000);
    }
}
