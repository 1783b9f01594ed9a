//! A request while it is verified.

use serde_json::Value;

use super::{Denied, Stage, Step};
use crate::arriving::{Arriving, payload};
use crate::scheme::source::{self, Given};
use crate::scheme::{Declared, Piece, Scheme, Source};

pub struct Request<'a> {
    pub scheme: &'a Scheme,
    pub arriving: &'a Arriving<'a>,
    /// The body as JSON, after it was needed for the first time.
    pub payload: Option<Value>,
}

impl<'a> Request<'a> {
    pub fn new(scheme: &'a Scheme, arriving: &'a Arriving<'a>) -> Self {
        Self { scheme, arriving, payload: None }
    }

    pub fn payload(&mut self) -> Result<&Value, Denied> {
        let payload = match self.payload.take() {
            Some(payload) => payload,
            None => payload(self.arriving)?,
        };
        Ok(self.payload.insert(payload))
    }

    pub fn may_come(&self, secrets: &[Vec<u8>]) -> Result<Step, Denied> {
        let Arriving { method, body, headers, .. } = self.arriving;
        if *method != "POST" {
            return Err(Denied::new(Stage::Request, "only POST is accepted"));
        }
        if self.scheme.needs_secret() && secrets.iter().all(Vec::is_empty) {
            let detail = "Its scheme needs one, and nothing is accepted without it.";
            return Err(Denied::new(Stage::Request, "the adapter has no secret").detail(detail));
        }
        let says = format!("a POST with {} headers and {} bytes", headers.len(), body.len());
        Ok(Step { stage: Stage::Request, says })
    }

    /// Returns the id that is a part of what is signed.
    pub fn signed_id(&self, declared: &Declared) -> Result<Option<&'a str>, Denied> {
        match &self.scheme.id[..] {
            [Source::Header(name)] if declared.signs.has(&Piece::Id) => {
                required(self.arriving, name.as_str(), Stage::Id).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Returns what the first source that has a value says. Where a body has several events, only headers speak for all of
    /// them.
    pub fn named(&mut self, sources: &[Source], stage: Stage) -> Result<Option<String>, Denied> {
        let for_all = |source: &&Source| self.scheme.each.is_none() || matches!(source, Source::Header(_));
        let sources: Vec<&Source> = sources.iter().filter(for_all).collect();
        if sources.iter().any(|source| source.reads_json()) {
            self.payload()?;
        }
        let Some(value) = sources.iter().find_map(|source| source.of(self)) else {
            return Ok(None);
        };
        if source::is_storable(&value) {
            return Ok(Some(value));
        }
        let what = if stage == Stage::Id { "id" } else { "type" };
        Err(Denied::new(stage, format!("the {what} of the event has more than 255 bytes or a NUL")))
    }
}

impl Given for Request<'_> {
    fn header(&self, name: &str) -> Option<String> {
        self.arriving.header(name).ok().flatten().map(str::to_owned)
    }

    fn value(&self) -> Option<&Value> {
        self.payload.as_ref()
    }

    fn digest(&self) -> String {
        source::digest(self.arriving.body)
    }
}

/// Returns a header that has to come exactly once, and not empty.
pub fn required<'a>(arriving: &Arriving<'a>, name: &str, stage: Stage) -> Result<&'a str, Denied> {
    match arriving.header(name) {
        Ok(Some(value)) if !value.is_empty() => Ok(value),
        Ok(_) => Err(Denied::new(stage, format!("the request has no header {name}"))),
        Err(_) => Err(Denied::new(stage, format!("the header {name} comes more than once"))),
    }
}
