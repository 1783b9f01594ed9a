//! A visitor of the settings pages, at a gateway.

use postgres::Client;
use serde_json::Value;
use testkit::Bench;

use crate::{Answer, Request, cluster};

pub struct Visitor {
    pub gateway: Client,
    pub session: String,
}

impl Visitor {
    #[track_caller]
    pub fn new(bench: &mut Bench<'_>, link: &str) -> Self {
        let token = token(&bench.ask::<String>(&format!("SELECT hydra.console_link({link})")));
        let mut gateway = cluster().connect_as(&bench.database, "far_gateway");
        let answer = Request::new("console", Some(&token), "POST", "/login").make(&mut gateway);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/settings/webhooks")), "{answer:?}");
        Self { session: answer.header("hydra-session").unwrap().to_owned(), gateway }
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        Request::new("console", Some(&self.session), "GET", path).make(&mut self.gateway)
    }

    /// The data of a page.
    #[track_caller]
    pub fn data(&mut self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()["data"].take()
    }

    #[track_caller]
    pub fn post(&mut self, path: &str, form: &str) -> Answer {
        Request { body: form.as_bytes(), ..Request::new("console", Some(&self.session), "POST", path) }
            .make(&mut self.gateway)
    }

    /// Sends a form that is refused, and returns the status and which fields are wrong.
    #[track_caller]
    pub fn wrong(&mut self, path: &str, form: &str) -> (i32, Vec<String>) {
        let answer = self.post(path, form);
        let errors = answer.json()["data"]["form"]["errors"].take();
        let errors = errors.as_array().unwrap_or_else(|| panic!("{path} {form}: {answer:?}"));
        assert!(errors.iter().all(|error| error["message"].is_string()), "{answer:?}");
        (answer.status, errors.iter().map(|error| error["field"].as_str().unwrap_or("form").to_owned()).collect())
    }
}

/// What a browser sends of a form with these values that nobody has changed, as names and values.
pub fn unchanged(form: &Value) -> Vec<(String, String)> {
    let mut fields = vec![("version".to_owned(), form["version"].as_str().expect("a version").to_owned())];
    for (name, value) in form["values"].as_object().expect("values have names") {
        match value {
            Value::String(text) => fields.push((name.clone(), text.clone())),
            Value::Array(values) => {
                for (place, value) in values.iter().enumerate() {
                    let rows = value.as_object().into_iter().flatten();
                    fields.extend(rows.map(|(column, text)| {
                        (format!("{column}_{}", place + 1), text.as_str().expect("a text").to_owned())
                    }));
                    fields.extend(value.as_str().map(|text| (name.clone(), text.to_owned())));
                }
            }
            _ => {}
        }
    }
    // Boxes are not in the order in which they were chosen, and fields of one line have no ends of lines.
    fields.reverse();
    fields
        .iter_mut()
        .filter(|(name, _)| name != "scheme")
        .for_each(|(_, value)| value.retain(|char| !matches!(char, '\r' | '\n')));
    fields
}

/// Returns fields as the body of a request.
pub fn body(fields: &[(String, String)]) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    fields.join("&")
}

pub fn token(link: &str) -> String {
    link.rsplit('/').next().unwrap().to_owned()
}

pub fn encoded(url: &str) -> String {
    url.replace(':', "%3A").replace('/', "%2F")
}
