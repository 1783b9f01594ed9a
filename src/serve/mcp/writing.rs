//! Runs a tool that writes. It is called when the tool is rehearsed, and again when somebody has confirmed it.
//!
//! Rows are written by requests of the REST API, so what it checks is checked here too. Arguments are passed on as the text that was
//! sent: a number keeps its digits.

use wire::form::escaped;

use super::actions;
use super::arguments::refuse_unknown;
use super::call::explained;
use super::function;
use super::tools::{Does, Found};
use crate::serve::request::Request;
use crate::serve::rest::kind::whole;
use crate::serve::rest::write::body::{self, Field};
use crate::serve::rest::{self, Call, representation};

/// What a tool has done.
pub struct Done {
    /// What it is about, as it was before: JSON.
    pub before: Option<String>,
    /// JSON: an object.
    pub result: String,
}

/// Arguments as they were sent.
pub struct Given<'a>(Vec<Field<'a>>);

impl<'a> Given<'a> {
    /// Reads a JSON object. The error is for the model.
    pub fn read(found: &Found, text: &'a str) -> Result<Self, String> {
        let fields = body::fields(text).map_err(|_| "The arguments are not an object.")?;
        for (number, field) in fields.iter().enumerate() {
            refuse_unknown(found, &field.name)?;
            if fields[..number].iter().any(|earlier| earlier.name == field.name) {
                return Err(format!("The argument {} is given twice.", field.name));
            }
        }
        Ok(Self(fields))
    }

    /// Takes a text, a number or a boolean out, as text. Null is as if it were not given.
    pub fn take(&mut self, name: &str) -> Result<Option<String>, String> {
        let Some(place) = self.0.iter().position(|field| field.name == name) else { return Ok(None) };
        let json = self.0.remove(place).value.get();
        match json.as_bytes().first() {
            Some(b'n') => Ok(None),
            Some(b'{' | b'[') => Err(format!("The argument {name} is not one value.")),
            Some(b'"') => serde_json::from_str(json).map(Some).map_err(|_| format!("The argument {name} is no text.")),
            _ => Ok(Some(whole(json).to_owned())),
        }
    }

    /// Takes an object out, as JSON; an empty one if it is not given.
    pub fn take_object(&mut self, name: &str) -> Result<String, String> {
        let Some(place) = self.0.iter().position(|field| field.name == name) else { return Ok("{}".into()) };
        match self.0.remove(place).value.get() {
            "null" => Ok("{}".into()),
            json if json.starts_with('{') => Ok(json.to_owned()),
            _ => Err(format!("The argument {name} is not an object.")),
        }
    }

    pub fn required(&mut self, name: &str) -> Result<String, String> {
        self.take(name)?.ok_or_else(|| format!("The argument {name} is missing."))
    }

    /// Returns what was not taken out, as a JSON object.
    pub fn object(&self) -> String {
        let member =
            |field: &Field<'_>| format!("{}:{}", serde_json::Value::from(field.name.as_str()), field.value.get());
        format!("{{{}}}", self.0.iter().map(member).collect::<Vec<_>>().join(","))
    }
}

/// Runs the tool as the current role, which is that of the key. Returns why it cannot; errors of the application are raised.
pub fn perform(call: &Call<'_>, found: &Found, arguments: &str) -> Result<Done, String> {
    let mut given = Given::read(found, arguments)?;
    match &found.does {
        Does::Create { name } => {
            let result = request(call, "POST", format!("/api/v1/{name}"), &given.object())?;
            Ok(Done { before: None, result })
        }
        Does::Update { name } => {
            let id = given.required("id")?;
            let before = row(call, name, &id)?;
            let result = request(call, "PATCH", path(name, &id), &given.object())?;
            Ok(Done { before: Some(before), result })
        }
        Does::Delete { name } => {
            let id = given.required("id")?;
            let before = row(call, name, &id)?;
            request(call, "DELETE", path(name, &id), "")?;
            Ok(Done { before: Some(before), result: "{\"deleted\":true}".into() })
        }
        Does::Own(action) => actions::perform(call, *action, &mut given),
        Does::Function(function) => function::run(function, arguments).map(|result| Done { before: None, result }),
        Does::List { .. }
        | Does::Get { .. }
        | Does::ListFlowRuns
        | Does::ShowStatus
        | Does::Rehearse
        | Does::ShowApproval => Err("This tool does not write.".into()),
    }
}

fn path(name: &str, id: &str) -> String {
    format!("/api/v1/{name}/{}", escaped(id))
}

/// Returns the row as the REST API shows it.
fn row(call: &Call<'_>, name: &str, id: &str) -> Result<String, String> {
    let found = rest::found(call, name).and_then(|resource| representation::fetch(&resource, id, false));
    let row = found.map_err(|problem| explained(&problem))?;
    row.map(|row| row.text).ok_or_else(|| format!("There is no row of {name} with this id."))
}

fn request(call: &Call<'_>, method: &str, path: String, body: &str) -> Result<String, String> {
    let request = Request::of_api(method, path, String::new(), body, &call.request.id);
    let answer = rest::route(&Call { request: &request, key: call.key }).map_err(|problem| explained(&problem))?;
    String::from_utf8(answer.body().to_vec()).map_err(|_| "The result is not text.".into())
}
