//! Paths and schemas of a table or view of the application.

use serde_json::{Value, json};

use crate::column::{Column, members, names};
use crate::parameters::{self, query};
use crate::responses::{self, answer, reference};
use crate::{Named, changes};

#[derive(Debug, Clone)]
pub struct Resource {
    pub name: String,
    pub description: Option<String>,
    pub id: Column,
    /// Those of a row as it is shown, in the order of the table.
    pub columns: Vec<Column>,
    pub creatable: Vec<Column>,
    pub updatable: Vec<Column>,
    pub filterable: Vec<Column>,
    pub sortable: Vec<String>,
    pub deletable: bool,
}

impl Resource {
    pub fn described(&self) -> String {
        self.description.clone().unwrap_or_else(|| format!("Rows of {}.", self.name))
    }

    /// Returns what can be done, as methods of the list and of one row.
    pub fn methods(&self, may_read: bool, may_write: bool) -> Vec<&'static str> {
        [
            ("GET", may_read),
            ("POST", may_write && !self.creatable.is_empty()),
            ("PATCH", may_write && !self.updatable.is_empty()),
            ("DELETE", may_write && self.deletable),
        ]
        .into_iter()
        .filter_map(|(method, is_there)| is_there.then_some(method))
        .collect()
    }

    /// Returns the paths with the operations that are permitted.
    pub fn paths(&self, may_read: bool, may_write: bool) -> Vec<Named> {
        let methods = self.methods(may_read, may_write);
        let has = |method: &str| methods.contains(&method);
        let (mut list, mut one) = (json!({}), json!({}));
        if has("GET") {
            list["get"] = self.list();
            one["get"] = self.get();
        }
        if has("POST") {
            list["post"] = self.create();
        }
        if has("PATCH") {
            one["patch"] = self.update();
        }
        if has("DELETE") {
            one["delete"] = self.delete();
        }
        if one != json!({}) {
            one["parameters"] = json!([parameters::id(&self.id)]);
        }
        [(format!("/{}", self.name), list), (format!("/{}/{{id}}", self.name), one)]
            .into_iter()
            .filter(|(_, operations)| *operations != json!({}))
            .collect()
    }

    pub fn schemas(&self) -> Vec<Named> {
        let row = json!({
            "type": "object",
            "description": self.described(),
            "properties": members(&self.columns),
            "required": names(&self.columns),
        });
        let body = |columns: &[Column]| json!({"type": "object", "properties": members(columns), "additionalProperties": false});
        let mut new = body(&self.creatable);
        new["required"] = names(self.creatable.iter().filter(|column| column.is_needed()));
        new["examples"] = json!([self.example(|column| column.is_needed())]);
        let mut changes = body(&self.updatable);
        changes["examples"] = json!([self.updatable.first().map(|column| json!({&column.name: column.example()}))]);
        vec![
            (self.name.clone(), row),
            (format!("{}.new", self.name), new),
            (format!("{}.changes", self.name), changes),
            (format!("{}.page", self.name), responses::page(&self.name)),
        ]
    }

    /// Returns a body that creates a row, of the columns that it needs or, if it needs none, of the first one.
    fn example(&self, is_in: impl Fn(&Column) -> bool) -> Value {
        let mut example = json!({});
        let some = self.creatable.iter().any(&is_in);
        let shown = self.creatable.iter().enumerate().filter(|(at, column)| is_in(column) || !some && *at == 0);
        for (_, column) in shown {
            example[&column.name] = column.example();
        }
        example
    }

    fn operation(&self, verb: &str, summary: &str, scope: &str) -> Value {
        let scope = format!("{}:{scope}", self.name);
        json!({
            "operationId": format!("{verb}_{}", self.name),
            "tags": [self.name],
            "summary": summary,
            "description": format!("Needs the scope `{scope}`."),
            "security": [{"bearer": [scope]}],
        })
    }

    fn row(&self) -> Value {
        reference("schemas", &self.name)
    }

    /// Returns the columns by which a list can be sorted. The id is always one of them.
    fn orders(&self) -> Vec<&str> {
        let others = self.sortable.iter().map(String::as_str).filter(|name| *name != self.id.name);
        std::iter::once(self.id.name.as_str()).chain(others).collect()
    }

    fn list(&self) -> Value {
        let mut operation = self.operation("list", &format!("List {}", self.name.replace('_', " ")), "read");
        operation["parameters"] = query(&self.filterable, &self.orders()).into();
        let page = reference("schemas", &format!("{}.page", self.name));
        operation["responses"] = responses::of_list(page);
        operation["responses"]["304"] = responses::not_modified();
        operation["responses"]["200"]["headers"]["ETag"] = reference("headers", "ETag");
        operation
    }

    fn get(&self) -> Value {
        let mut operation = self.operation("get", "Get one by its id", "read");
        operation["parameters"] = json!([reference("parameters", "If-None-Match")]);
        operation["responses"] = responses::with_problems(
            json!({
                "200": answer("The row", self.row(), &["ETag"]),
                "304": responses::not_modified(),
            }),
            &[400, 404, 422],
        );
        operation
    }

    fn create(&self) -> Value {
        let mut created = answer("The new row", self.row(), &["Location", "ETag", "Idempotency-Replayed"]);
        created["links"] = self.links();
        changes::create(self.operation("create", "Create one", "write"), &format!("{}.new", self.name), created)
    }

    /// Returns what can be done with a row that was just created.
    fn links(&self) -> Value {
        let can = [
            ("get", self.columns.iter().any(|column| column.name == self.id.name)),
            ("update", !self.updatable.is_empty()),
            ("delete", self.deletable),
        ];
        let verbs = can.iter().filter(|(_, is_there)| *is_there).map(|(verb, _)| *verb);
        changes::links(&self.name, &self.id.name, verbs)
    }

    fn update(&self) -> Value {
        let operation = self.operation("update", "Change one", "write");
        changes::update(operation, &format!("{}.changes", self.name), changes::changed("The row", self.row()))
    }

    fn delete(&self) -> Value {
        changes::delete(self.operation("delete", "Delete one", "write"))
    }
}
