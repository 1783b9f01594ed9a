//! What the user of a client is asked before a tool does something.
//!
//! The client keeps a state for the server meanwhile, and gives it back with what the user has said. The server must not
//! believe it: whoever can call the tool can write one.

use serde_json::{Value, json};

use crate::object::Object;

/// A question to the user of a client.
#[derive(Debug, Clone, PartialEq)]
pub enum Elicitation {
    /// The client shows a form: a message, and a flat JSON Schema of its fields.
    Form { message: String, schema: Value },
    /// The client shows a message and offers to open a page.
    Page { message: String, url: String },
}

/// Questions, by names that the answers will have, and the state that the client keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct InputRequired {
    pub questions: Vec<(String, Elicitation)>,
    pub state: String,
}

impl InputRequired {
    pub(crate) fn to_object(&self) -> Object {
        let questions = self.questions.iter();
        let questions =
            questions.fold(Object::new(), |object, (name, question)| object.json(name, &question.to_json()));
        Object::new()
            .value("resultType", "input_required")
            .json("inputRequests", &questions.end())
            .value("requestState", self.state.as_str())
    }
}

impl Elicitation {
    fn to_json(&self) -> String {
        let params = match self {
            Self::Form { message, schema } => json!({"mode": "form", "message": message, "requestedSchema": schema}),
            Self::Page { message, url } => json!({"mode": "url", "message": message, "url": url}),
        };
        json!({"method": "elicitation/create", "params": params}).to_string()
    }
}
