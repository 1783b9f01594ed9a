//! Functions of the application, described to who calls them: what the comment says, and a JSON schema of the arguments.
//!
//! A line `number: Number of the ticket` in the comment is about the argument of that name. All other lines are about the function.

use serde_json::{Map, Value, json};

use crate::types::Type;

#[derive(Debug, Clone)]
pub struct Function {
    pub comment: String,
    pub arguments: Vec<Argument>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    pub name: String,
    pub of: Type,
    /// All values that it can have, if these are few.
    pub choices: Option<Vec<String>>,
    /// An SQL expression. Without one, the argument must be given.
    pub default: Option<String>,
}

impl Function {
    /// Returns what the comment says about the function.
    pub fn description(&self) -> String {
        let lines: Vec<&str> = self.comment.lines().filter(|line| self.about(line).is_none()).collect();
        lines.join("\n").trim().to_owned()
    }

    /// Returns the schema of an object with the arguments and these additional members.
    pub fn input(&self, additional: impl IntoIterator<Item = (String, Value)>) -> Value {
        let own = self.arguments.iter().map(|argument| (argument.name.clone(), self.member(argument)));
        let members: Map<String, Value> = own.chain(additional).collect();
        let mut input = json!({"type": "object", "properties": members, "additionalProperties": false});
        let needed: Vec<&str> =
            self.arguments.iter().filter(|a| a.default.is_none()).map(|a| a.name.as_str()).collect();
        if !needed.is_empty() {
            input["required"] = json!(needed);
        }
        input
    }

    fn member(&self, argument: &Argument) -> Value {
        let mut schema = argument.schema();
        let about = self.comment.lines().find_map(|line| self.about(line).filter(|(name, _)| *name == argument.name));
        if let Some((_, text)) = about {
            schema["description"] = json!(text);
        }
        if let Some(default) = argument.default.as_deref().and_then(constant) {
            schema["default"] = default;
        }
        schema
    }

    /// Returns the argument that a line is about, and what it says.
    fn about<'a>(&self, line: &'a str) -> Option<(&'a str, &'a str)> {
        let (name, text) = line.trim().split_once(':')?;
        let is_argument = self.arguments.iter().any(|argument| argument.name == name);
        (is_argument && !text.trim().is_empty()).then(|| (name, text.trim()))
    }
}

impl Argument {
    fn schema(&self) -> Value {
        let of_element = |element: &Type| match &self.choices {
            Some(choices) => json!({"type": "string", "enum": choices}),
            // Models are not told that a part can be null: few understand a list of types.
            None => element.schema_without_nulls(),
        };
        fn with_elements(of: &Type, of_element: &impl Fn(&Type) -> Value) -> Value {
            match of {
                Type::List(element) => json!({"type": "array", "items": with_elements(element, of_element)}),
                other => of_element(other),
            }
        }
        with_elements(&self.of, &of_element)
    }
}

/// Returns the value of a constant as Postgres prints it: `20`, `true`, `'4 hours'::interval`.
fn constant(expression: &str) -> Option<Value> {
    if let Some(rest) = expression.strip_prefix('\'') {
        let (text, of) = rest.rsplit_once("'::")?;
        let is_plain = !text.replace("''", "").contains('\'') && of.bytes().all(|byte| byte != b'\'' && byte != b'(');
        let text = text.replace("''", "'");
        return match of {
            "integer" | "bigint" | "smallint" | "numeric" => serde_json::from_str(&text).ok(),
            _ => (is_plain && !of.ends_with(']')).then(|| json!(text)),
        };
    }
    match expression {
        "true" => Some(json!(true)),
        "false" => Some(json!(false)),
        _ if expression.starts_with(|first: char| first.is_ascii_digit()) => serde_json::from_str(expression).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(name: &str) -> Type {
        match name.strip_suffix("[]") {
            Some(element) => Type::List(Box::new(typed(element))),
            None => Type::parse(name),
        }
    }

    fn argument(name: &str, of: &str, default: Option<&str>) -> Argument {
        Argument { name: name.into(), of: typed(of), choices: None, default: default.map(str::to_owned) }
    }

    #[test]
    fn lines_about_arguments_describe_them_and_the_rest_describes_the_function() {
        let comment =
            "Answers a ticket.\nnumber: Number of the ticket\nNote: the customer gets a mail.\n  body:  What to say \n";
        let arguments = vec![argument("number", "bigint", None), argument("body", "text", None)];
        let function = Function { comment: comment.into(), arguments };
        assert_eq!(function.description(), "Answers a ticket.\nNote: the customer gets a mail.");
        let input = function.input([("limit".into(), json!({}))]);
        assert_eq!(input["properties"]["number"]["description"], "Number of the ticket");
        assert_eq!(input["properties"]["body"], json!({"type": "string", "description": "What to say"}));
        assert_eq!(input["properties"]["limit"], json!({}));
        assert_eq!(input["required"], json!(["number", "body"]));
    }

    #[test]
    fn what_has_a_default_need_not_be_given_and_a_constant_is_told() {
        let defaults = [
            ("20", json!(20)),
            ("true", json!(true)),
            ("'4 hours'::interval", json!("4 hours")),
            ("'it''s'::text", json!("it's")),
            ("'-1'::integer", json!(-1)),
        ];
        for (expression, expected) in defaults {
            assert_eq!(constant(expression), Some(expected), "{expression}");
        }
        for expression in [
            "now()",
            "NULL::text",
            "('a'::text || 'b'::text)",
            "'a'::text || 'b'::text",
            "CURRENT_DATE",
            "1 + 1",
            "'{}'::text[]",
        ] {
            assert_eq!(constant(expression), None, "{expression}");
        }
        let arguments =
            vec![argument("since", "interval", Some("'4 hours'::interval")), argument("at", "date", Some("now()"))];
        let input = Function { comment: "x".into(), arguments }.input([]);
        assert_eq!(input["properties"]["since"]["default"], "4 hours");
        assert!(input.get("required").is_none() && input["properties"]["at"].get("default").is_none(), "{input}");
    }

    #[test]
    fn choices_are_those_of_the_value_or_of_the_elements_of_a_list() {
        let choices = Some(vec!["low".to_owned(), "high".to_owned()]);
        let of = |of: Type| Argument { name: "p".into(), of, choices: choices.clone(), default: None }.schema();
        assert_eq!(of(Type::Text(None)), json!({"type": "string", "enum": ["low", "high"]}));
        let list = json!({"type": "array", "items": {"type": "string", "enum": ["low", "high"]}});
        assert_eq!(of(Type::List(Box::new(Type::Text(None)))), list);
        assert_eq!(argument("n", "integer[]", None).schema()["items"]["type"], "integer");
    }
}
