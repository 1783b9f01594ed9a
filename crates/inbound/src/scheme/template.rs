//! What is signed, as a text with places for the parts of a request: `{timestamp}.{body}`.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Literal(String),
    Id,
    Timestamp,
    Url,
    Method,
    Body,
}

const MAX_BYTES: usize = 255;
const NAMES: &str = "{id}, {timestamp}, {url}, {method} and {body}";

impl Template {
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    pub fn has(&self, piece: &Piece) -> bool {
        self.pieces.contains(piece)
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Template, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("what is signed is described in at most {MAX_BYTES} bytes"));
        }
        let mut pieces = Vec::new();
        let mut rest = &text[..];
        while let Some((literal, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or("a `{` has no `}`")?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(literal.to_owned()));
            }
            pieces.push(piece(name).ok_or_else(|| format!("`{{{name}}}` is not known; there are {NAMES}"))?);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Literal(rest.to_owned()));
        }
        Ok(Template { text, pieces })
    }
}

fn piece(name: &str) -> Option<Piece> {
    Some(match name {
        "id" => Piece::Id,
        "timestamp" => Piece::Timestamp,
        "url" => Piece::Url,
        "method" => Piece::Method,
        "body" => Piece::Body,
        _ => return None,
    })
}

impl From<Template> for String {
    fn from(template: Template) -> String {
        template.text
    }
}
