//! The tools that call a function of the application, which `hydra.tool_register` has made.
//!
//! What a model is told about one is read off the catalog: names, types and defaults of the arguments, and the comment of the
//! function. A tool whose function is gone, or has become one that no tool may call, does not exist: see `hydra.tool_function`.

use ::mcp::Tool;
use openapi::Argument as Described;
use pgrx::prelude::*;
use pgrx::{JsonB, Spi};
use serde::Deserialize;

use super::function::{Function, Shape};
use super::resources::paging;
use super::tools::{Does, Found};
use crate::serve::identity::as_owner;
use crate::serve::rest::attribute::Declared;
use crate::serve::rest::{Call, schema};
use crate::store::Statement;

/// Returns those that the key can call.
pub fn all(call: &Call<'_>) -> impl Iterator<Item = Found> {
    read(call, None).into_iter().map(Stored::found)
}

pub fn find(call: &Call<'_>, name: &str) -> Option<Found> {
    read(call, Some(name)).pop().map(Stored::found)
}

fn read(call: &Call<'_>, name: Option<&str>) -> Vec<Stored> {
    const FIND_TOOLS: &str = include_str!("../../../sql/queries/find_tools.sql");
    thread_local! {
        static FIND: Statement = const { Statement::reading(FIND_TOOLS, &[c"tool"]) };
    }
    let arguments = [name.into(), call.key.scopes.clone().into()];
    let find = || {
        Spi::connect(|client| {
            FIND.with(|find| {
                let rows = find.read(client, &arguments).filter_map(|row| row.first::<JsonB>());
                rows.map(|JsonB(stored)| serde_json::from_value(stored).expect("a tool")).collect()
            })
        })
    };
    as_owner(find)
}

/// What the statement returns.
#[derive(Deserialize)]
struct Stored {
    name: String,
    title: String,
    toolset: String,
    writes: bool,
    destructive: bool,
    idempotent: bool,
    rehearsable: bool,
    comment: String,
    call: String,
    returns_set: bool,
    shape: Shape,
    member: Option<String>,
    arguments: Vec<Argument>,
}

/// An argument of a function.
#[derive(Deserialize)]
pub struct Argument {
    pub name: String,
    /// Its name in statements.
    pub quoted: String,
    /// Its type in statements, with its schema.
    pub type_name: String,
    pub type_oid: pg_sys::Oid,
    pub is_variadic: bool,
    /// An SQL expression. Without one, the argument must be given.
    pub default: Option<String>,
    choices: Option<Vec<String>>,
}

impl Argument {
    fn described(&self) -> Described {
        Described {
            name: self.name.clone(),
            of: schema::of(Declared { type_oid: self.type_oid, modifier: -1, dimensions: 0 }),
            choices: self.choices.clone(),
            default: self.default.clone(),
        }
    }
}

impl Stored {
    fn found(self) -> Found {
        let arguments = self.arguments.iter().map(Argument::described).collect();
        let described = openapi::Function { comment: self.comment, arguments };
        let has_pages = self.returns_set && !self.writes;
        let tool = Tool {
            name: self.name,
            title: self.title,
            description: described.description(),
            input: described.input(paging().into_iter().filter(|_| has_pages)),
            output: None,
            reads_only: !self.writes,
            is_destructive: self.destructive,
            is_idempotent: self.idempotent || !self.writes,
        };
        let function = Function {
            writes: self.writes,
            is_rehearsable: self.rehearsable,
            call: self.call,
            arguments: self.arguments,
            returns_set: self.returns_set,
            shape: self.shape,
            member: self.member,
        };
        match self.writes {
            true => Found::writes(&self.toolset, tool, Does::Function(function)),
            false => Found { tool, toolset: self.toolset, does: Does::Function(function) },
        }
    }
}
