//! Columns of a resource: what each is as a member of an object, and which value one can be created with.

use serde_json::{Map, Value, json};

use crate::types::{Type, or_null};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub of: Type,
    pub nullable: bool,
    /// Whether a new row needs no value of it.
    pub has_default: bool,
    pub comment: Option<String>,
    /// All values that it can have, if these are few.
    pub choices: Option<Vec<String>>,
}

impl Column {
    /// Returns the schema of a value that is there.
    pub fn value(&self) -> Value {
        let mut schema = self.of.schema();
        if let Some(choices) = &self.choices {
            schema["enum"] = choices.iter().map(|choice| self.choice(choice)).collect();
        }
        schema
    }

    /// Returns the schema of the member of an object.
    pub fn member(&self) -> Value {
        let mut schema = if self.nullable { or_null(self.value()) } else { self.value() };
        if let Some(comment) = &self.comment {
            schema["description"] = json!(comment);
        }
        schema
    }

    pub fn example(&self) -> Value {
        match self.choices.as_deref() {
            Some([first, ..]) => self.choice(first),
            _ => self.of.example(&self.name),
        }
    }

    fn choice(&self, choice: &str) -> Value {
        match self.of {
            Type::Integer(_) => choice.parse::<i64>().map_or_else(|_| json!(choice), |number| json!(number)),
            _ => json!(choice),
        }
    }

    /// Whether a new row must be given a value of it.
    pub fn is_needed(&self) -> bool {
        !self.nullable && !self.has_default
    }
}

/// Returns the members of an object with these columns.
pub fn members(columns: &[Column]) -> Value {
    columns.iter().map(|column| (column.name.clone(), column.member())).collect::<Map<_, _>>().into()
}

pub fn names<'a>(columns: impl IntoIterator<Item = &'a Column>) -> Value {
    columns.into_iter().map(|column| json!(column.name)).collect()
}
