//! Decides which changed rows meet the condition of a watch.
//!
//! Most conditions are false for most changes, so they have to be cheap. A condition that only compares columns by
//! built-in functions is compiled, and costs little more than in the WHEN clause of a trigger. Any other condition is
//! evaluated by a query, in a subtransaction: what it calls or reads can change, so it can fail although the data of
//! the row is right.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use super::compiled::Compiled;
use super::definition::Expressions;
use super::queries::Queries;
use super::query::Plan;
use crate::backend::fixed_settings::with_fixed_syntax;
use crate::backend::subtransaction::{Failure, catching_syntax_or_access, in_subtransaction};
use crate::emit::entity::Change;

pub struct Condition {
    text: String,
    form: RefCell<Option<Form>>,
    /// For one row.
    one: OnceCell<Plan>,
    /// For many rows at once.
    many: OnceCell<Plan>,
}

/// How the condition is evaluated.
#[derive(Clone)]
enum Form {
    Compiled(Rc<Compiled>),
    Query,
}

impl Form {
    fn is_intact(&self) -> bool {
        match self {
            Self::Compiled(compiled) => compiled.is_intact(),
            Self::Query => true,
        }
    }
}

impl Condition {
    pub fn new(text: &str) -> Self {
        let (one, many) = (OnceCell::new(), OnceCell::new());
        Self { text: text.to_owned(), form: RefCell::new(None), one, many }
    }

    /// Returns for each change whether it meets the condition, or why that is not known: the condition is not valid for
    /// the table, or the user lacks a privilege. If the condition fails for the data of a row, so does the statement.
    /// To be called with the settings of the session, in which a condition means the same as in the WHEN clause of a
    /// trigger.
    pub fn verdicts(&self, queries: &Queries, changes: &[Change]) -> Vec<Result<bool, Failure>> {
        match self.form(queries) {
            Ok(Form::Compiled(compiled)) => compiled.verdicts(queries, changes),
            Ok(Form::Query) => self.verdicts_by_query(queries, changes),
            Err(failure) => changes.iter().map(|_| Err(failure.clone())).collect(),
        }
    }

    /// Returns how the condition is evaluated; finds it out at the first use, and again after an error.
    fn form(&self, queries: &Queries) -> Result<Form, Failure> {
        let known = self.form.borrow().clone();
        if let Some(known) = known.filter(Form::is_intact) {
            return Ok(known);
        }
        let compile = || with_fixed_syntax(|| queries.with_path(|| Compiled::new(&self.text, queries.table)));
        let form =
            catching_syntax_or_access(compile)?.map_or(Form::Query, |compiled| Form::Compiled(Rc::new(compiled)));
        // What it replaces is dropped after the borrow has ended, because freeing memory calls Postgres.
        let former = self.form.replace(Some(form.clone()));
        drop(former);
        Ok(form)
    }

    fn verdicts_by_query(&self, queries: &Queries, changes: &[Change]) -> Vec<Result<bool, Failure>> {
        let expressions = Expressions { condition: Some(self.text.as_str()), ..Expressions::default() };
        if let [_, _, ..] = changes {
            let all: Vec<&Change> = changes.iter().collect();
            let evaluate = || with_fixed_syntax(|| queries.many(&self.many, &expressions, &all, |_| ()));
            if let Ok(answers) = in_subtransaction(evaluate) {
                return answers.iter().map(|answer| Ok(answer.is_some())).collect();
            }
            // It failed for one of the rows. Now each row is evaluated alone.
        }
        let evaluate = |change: &Change| {
            catching_syntax_or_access(|| {
                with_fixed_syntax(|| queries.one(&self.one, &expressions, change, |_| ())).is_some()
            })
        };
        changes.iter().map(evaluate).collect()
    }
}
