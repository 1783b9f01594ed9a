//! Answers calls of tools that write. What the first call gets depends on who confirms:
//!
//! | mode of the key | the answer |
//! |---|---|
//! | `console` | the preview, and the page where a person says yes. No call of a tool confirms it |
//! | `elicit` | a question that the client asks its user; the client calls the tool again with what the user has said. A client that cannot ask is answered as with `console` |
//! | `client` | the preview, and a token; a second call with the token confirms it. A model that obeys a text confirms what the text wants |
//!
//! A token is bound to the key, the tool and the arguments, holds for ten minutes, and confirms once. What is written are the
//! arguments of the first call, which were previewed.

use ::mcp::{Answer, Asked, Capabilities, Elicitation, InputRequired, Request as Message, ToolResult};
use serde_json::{Map, Value, json};

use super::call::told;
use super::describing::described;
use super::server;
use super::tools::{CONFIRMATION, Found};
use super::writing::Given;
use crate::api::gateway_status::public_url;
use crate::serve::approval::decision::{self, Confirmed};
use crate::serve::approval::preview::{Preview, preview};
use crate::serve::approval::stored::{self, Kept, Stored, Token};
use crate::serve::identity::Approval;
use crate::serve::rest::Call;
use crate::serve::rest::write::rehearsal;

/// The name of the question, and of its field.
const QUESTION: &str = "confirm";

/// One text for all tokens that are not of this key.
const UNKNOWN: &str = "This confirms nothing. Call the tool again without it: the result has a new preview.";

const TOO_MANY: &str =
    "50 changes by this key wait for a yes already. Nothing was written. Wait until they are decided or have expired.";

/// A call of a tool that writes.
struct Asking<'a> {
    call: &'a Call<'a>,
    message: &'a Message,
    found: &'a Found,
    /// JSON, without a confirmation.
    arguments: String,
}

pub fn answer(call: &Call<'_>, message: &Message, found: &Found) -> Answer {
    let Asked::CallTool { arguments_text, request_state, input_responses, capabilities, .. } = &message.asked else {
        return message.called(&server(), &told(Err("No tool was called.".into())));
    };
    let read = Given::read(found, arguments_text).and_then(|mut given| {
        let confirmation = match call.key.approval {
            Approval::Client => given.take(CONFIRMATION)?,
            _ => None,
        };
        Ok((given.object(), confirmation))
    });
    let (arguments, confirmation) = match read {
        Ok(read) => read,
        Err(why) => return message.called(&server(), &told(Err(why))),
    };
    let asking = Asking { call, message, found, arguments };
    match (call.key.approval, confirmation, request_state) {
        (Approval::Client, Some(token), _) => asking.confirm(&token),
        (Approval::Elicit, _, Some(state)) => asking.heard(state, input_responses),
        (mode, ..) => asking.first(mode_for(mode, message, *capabilities)),
    }
}

/// A client that cannot ask its user has a person asked on the page.
fn mode_for(mode: Approval, message: &Message, capabilities: Capabilities) -> Approval {
    match mode {
        Approval::Elicit if !(message.revision.is_stateless() && capabilities.form) => Approval::Console,
        mode => mode,
    }
}

impl Asking<'_> {
    fn first(&self, mode: Approval) -> Answer {
        let preview = match preview(self.call, self.found, &self.arguments) {
            Ok(preview) => preview,
            Err(why) => return self.says(&told(Err(why))),
        };
        match stored::keep(self.call.key.id, &self.found.tool.name, &self.arguments, &preview, mode) {
            Some((kept, token)) => self.shows(&preview, &kept, token.as_ref(), mode, false),
            None => self.says(&told(Err(TOO_MANY.into()))),
        }
    }

    /// Shows a preview, and says how it is confirmed.
    fn shows(&self, preview: &Preview, kept: &Kept, token: Option<&Token>, mode: Approval, changed: bool) -> Answer {
        let token = token.map_or("", Token::expose);
        match mode {
            Approval::Elicit => self.asks(&preview.for_key(self.call), token, changed),
            Approval::Console => {
                let url = page(kept.id);
                let text = format!(
                    "Nothing was written so far. A person has to look at this and confirm it on the page {url}. \
                     No call of a tool can confirm it. approval_status says what became of it."
                );
                let about = json!({"status": "waits_for_approval", "approval_id": kept.id, "url": url, "expires_at": kept.expires_at});
                self.says(&shown(text, about, preview.for_key(self.call)))
            }
            Approval::Client => {
                let begin = if changed { "It has changed since it was shown. " } else { "" };
                let text = format!(
                    "{begin}Nothing was written so far. This is what would be written. To write it, call the tool again with the same \
                     arguments and with confirmation."
                );
                let about = json!({"status": if changed { "changed" } else { "waits_for_confirmation" }, "approval_id": kept.id,
                                   "confirmation": token, "expires_at": kept.expires_at});
                self.says(&shown(text, about, preview.for_key(self.call)))
            }
        }
    }

    /// Has the client ask its user.
    fn asks(&self, preview: &str, token: &str, changed: bool) -> Answer {
        let begin = if changed { "It has changed since it was shown, and nothing was written so far.\n" } else { "" };
        let message = format!("{begin}{}", described(&self.found.tool.name, &self.arguments, preview));
        let schema = json!({
            "type": "object",
            "properties": {QUESTION: {"type": "boolean", "title": "Do this", "default": false}},
            "required": [QUESTION],
        });
        let question = Elicitation::Form { message, schema };
        let required = InputRequired { questions: vec![(QUESTION.into(), question)], state: token.to_owned() };
        self.message.input_required(&server(), &required)
    }

    /// The client has given back what its user said.
    fn heard(&self, state: &str, said: &Map<String, Value>) -> Answer {
        let stored = match self.own(state, Approval::Elicit) {
            Ok(stored) => stored,
            Err(why) => return self.says(&told(Err(why))),
        };
        let Some(said) = said.get(QUESTION) else {
            let mut preview: Value = serde_json::from_str(&stored.preview).unwrap_or_default();
            preview["webhooks"] = rehearsal::shown(self.call, preview["webhooks"].take());
            return self.asks(&preview.to_string(), state, false);
        };
        if said["action"] == "accept" && said["content"][QUESTION] == true {
            return self.settle(&stored, Approval::Elicit);
        }
        stored.end("refused", &self.by(), None, None);
        let about = json!({"status": "refused", "approval_id": stored.id}).to_string();
        self.says(&ToolResult {
            texts: vec!["The user of the client has not confirmed it. Nothing was written.".into()],
            structured: Some(about),
            is_error: false,
        })
    }

    fn confirm(&self, token: &str) -> Answer {
        match self.own(token, Approval::Client) {
            Ok(stored) => self.settle(&stored, Approval::Client),
            Err(why) => self.says(&told(Err(why))),
        }
    }

    /// Returns the approval that a token confirms, if it is one of this call and waits. Only to the key that has got the token it
    /// is said what is wrong with it.
    fn own(&self, token: &str, mode: Approval) -> Result<Stored, String> {
        let stored = stored::lock_by_token(token);
        let stored = stored.filter(|stored| stored.key_id == self.call.key.id && stored.mode == mode.name());
        let stored = stored.ok_or(UNKNOWN)?;
        if stored.tool != self.found.tool.name {
            return Err("This confirms a call of another tool.".into());
        }
        if !stored.has_arguments(&self.arguments) {
            return Err("This confirms a call with other arguments.".into());
        }
        match decision::why_not(&stored) {
            None => Ok(stored),
            Some(why) => Err(why.into()),
        }
    }

    fn settle(&self, stored: &Stored, mode: Approval) -> Answer {
        match decision::confirm(stored, &self.by()) {
            Ok(Confirmed::Done(result)) => {
                let json = format!("{{\"status\":\"done\",\"approval_id\":{},\"result\":{result}}}", stored.id);
                self.says(&told(Ok(json)))
            }
            Ok(Confirmed::Changed(preview, kept, token)) => self.shows(&preview, &kept, token.as_ref(), mode, true),
            Ok(Confirmed::Failed(why)) | Err(why) => self.says(&told(Err(format!("Nothing was written. {why}")))),
        }
    }

    /// Who has confirmed or refused.
    fn by(&self) -> String {
        format!("the client of API key {}", self.call.key.id)
    }

    fn says(&self, result: &ToolResult) -> Answer {
        self.message.called(&server(), result)
    }
}

/// Returns a result that has a preview beside other members.
fn shown(text: String, about: Value, preview: String) -> ToolResult {
    let about = about.to_string();
    let json = format!("{},\"preview\":{preview}}}", about.strip_suffix('}').unwrap_or(&about));
    let told = told(Ok(json));
    ToolResult { texts: [vec![text], told.texts].concat(), ..told }
}

fn page(id: i64) -> String {
    format!("{}/settings/approvals/{id}", public_url().unwrap_or_default())
}

/// Returns what a tool that writes would do; nothing waits for a yes.
pub fn rehearse(call: &Call<'_>, found: &Found, arguments: &str) -> Result<String, String> {
    Given::read(found, arguments)?;
    preview(call, found, arguments).map(|preview| preview.for_key(call))
}
