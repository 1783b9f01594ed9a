//! Shows what a tool would do: it is rehearsed, as the key.

use serde_json::{Value, json};

use super::comparison::Document;
use crate::backend::deadline;
use crate::backend::fixed_settings::with_fixed_settings;
use crate::backend::subtransaction::must_end;
use crate::serve::mcp::{self, Done, Found};
use crate::serve::problem::Problem;
use crate::serve::rehearse::{self, Effects};
use crate::serve::rest::Call;
use crate::serve::rest::write::rehearsal::shown;

/// What a person or a model reads has no more bytes of JSON.
const LARGEST: usize = 100_000;

pub struct Preview {
    before: Option<String>,
    result: Option<String>,
    tables: Value,
    webhooks: Value,
    webhook_count: i64,
    notices: Value,
    /// What was left out.
    note: Option<&'static str>,
    pub digest: Vec<u8>,
    /// The places whose values differ from run to run.
    pub varying: Vec<String>,
}

/// Rehearses a tool. The error says why it has no preview, and is for the model.
pub fn preview(call: &Call<'_>, found: &Found, arguments: &str) -> Result<Preview, String> {
    if !found.does.is_rehearsable() {
        return Err("What this tool does cannot be undone, so it has no preview, and nobody can confirm it.".into());
    }
    let run = || rehearse::rehearse(|| mcp::perform(call, found, arguments));
    let runs = call.key.act(|| {
        with_fixed_settings(|| {
            let one = run().map(|(done, effects)| done.map(|done| described(done, effects)));
            match one {
                Ok(Ok(one)) => run().map(|(done, effects)| done.map(|done| (one, described(done, effects)))),
                Ok(Err(why)) => Ok(Err(why)),
                Err(error) => Err(error),
            }
        })
    });
    let ((done, effects, first), (_, _, second)) = match runs {
        Ok(runs) => runs?,
        Err(error) if must_end(&error) || deadline::is_over() => error.rethrow(),
        Err(error) => return Err(mcp::explained(&Problem::of(&error, found.does.texts()))),
    };
    let varying = first.varying(&second).ok_or(
        "The tool does something else each time that it runs, so nobody can confirm what it would do. Nothing was written.",
    )?;
    Ok(Preview::new(done, effects, first.digest(&varying), varying))
}

fn described(done: Done, effects: Effects) -> (Done, Effects, Document) {
    let document = Document::of(&done, &effects);
    (done, effects, document)
}

impl Preview {
    fn new(done: Done, effects: Effects, digest: Vec<u8>, varying: Vec<String>) -> Self {
        let webhook_count = effects.webhook_count;
        let mut effects = effects.into_json();
        let mut preview = Self {
            before: done.before,
            result: Some(done.result),
            tables: effects["tables"].take(),
            webhooks: effects["webhooks"].take(),
            webhook_count,
            notices: effects["notices"].take(),
            note: None,
            digest,
            varying,
        };
        preview.shorten();
        preview
    }

    /// Leaves out what is too long to be read. What is left says what is written where.
    fn shorten(&mut self) {
        if self.to_json().len() > LARGEST {
            self.note = Some("The bodies of the webhooks are too long, and are left out.");
            for webhook in self.webhooks.as_array_mut().into_iter().flatten() {
                webhook["body"] = Value::Null;
            }
        }
        if self.to_json().len() > LARGEST {
            self.note = Some("The row, the bodies of the webhooks and the notices are too long, and are left out.");
            (self.before, self.result, self.notices) = (None, None, json!([]));
        }
    }

    /// Returns it as it is stored.
    pub fn to_json(&self) -> String {
        self.with_webhooks(&self.webhooks)
    }

    /// Returns it as the key may see it.
    pub fn for_key(&self, call: &Call<'_>) -> String {
        self.with_webhooks(&shown(call, self.webhooks.clone()))
    }

    fn with_webhooks(&self, webhooks: &Value) -> String {
        let or_null = |json: &Option<String>| json.clone().unwrap_or_else(|| "null".to_owned());
        format!(
            "{{\"before\":{},\"result\":{},\"tables\":{},\"webhooks\":{webhooks},\"webhook_count\":{},\"notices\":{},\"note\":{}}}",
            or_null(&self.before),
            or_null(&self.result),
            self.tables,
            self.webhook_count,
            self.notices,
            json!(self.note),
        )
    }
}
