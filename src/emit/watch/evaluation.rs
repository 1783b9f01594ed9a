//! Evaluates the expressions of a watch, and chooses the columns that it sends.
//!
//! Expressions run as the user whose transaction it is, like the body of a trigger function: nothing here changes the
//! user. Names in expressions mean what they meant to the author, because they are resolved with the `search_path` that
//! is in the trigger's arguments. Entity and tenant do not depend on the settings of the session either, see
//! `fixed_settings`; a condition does, as the WHEN clause of a trigger.
//!
//! A watch does not make a statement fail because it no longer fits: because something that it names was dropped or
//! renamed, or because the user lacks a privilege. Postgres may find that out when it plans the expression or when it
//! runs it; the effect is the same. Without its condition or its tenant it is not known whether to send the event, or
//! to whom. So it is kept and not sent, see `kept`. Without its entity it is sent without it.
//!
//! If entity or tenant fail for the data of a row, the event is sent without its entity, and it has a tenant if the
//! tenant expression did not fail. If a condition fails for the data of a row, the statement fails.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::prelude::*;

use super::condition::Condition;
use super::definition::{Definition, Expressions};
use super::misfit::{self, Effect, Misfit};
use super::queries::Queries;
use super::query::{Answer, Plan};
use super::sql;
use super::table::Table;
use crate::backend::fixed_settings::with_fixed_settings;
use crate::backend::subtransaction::{Failure, in_subtransaction};
use crate::emit::entity::{
    Change, MAX_ID_BYTES, Projection, RawJsonb, RenderOptions, RenderResult, Rendered, Unsendable,
};

/// The maximum number of evaluators that a session keeps. When it is reached, all are dropped.
const MAX_KEPT: usize = 256;

/// Evaluates the expressions of one trigger for one table.
pub struct Evaluator {
    trigger: pg_sys::Oid,
    definition: Definition<String>,
    /// The version of the table when the plans were made.
    version: u64,
    queries: Queries,
    condition: Option<Condition>,
    /// The columns that are sent; `None`: all, or those of an expression.
    columns: Option<Projection>,
    /// For one row: its tenant and entity.
    one: OnceCell<Plan>,
    /// For one row: only its tenant.
    tenant: OnceCell<Plan>,
    /// For one row: only its entity.
    entity: OnceCell<Plan>,
    /// For many rows at once: tenant and entity of each.
    many: OnceCell<Plan>,
}

/// What becomes of a row.
pub enum Outcome {
    /// Its event can be sent, perhaps without its entity.
    Event(RenderResult),
    /// The watch does not fit, so its event is kept and not sent.
    Kept(RenderResult, Misfit),
}

/// The results of the expressions for one row.
struct Values {
    tenant: Option<String>,
    entity: Option<RenderResult>,
}

thread_local! {
    static EVALUATORS: RefCell<HashMap<(pg_sys::Oid, Table), Rc<Evaluator>>> = RefCell::new(HashMap::new());
}

impl Evaluator {
    /// Returns the evaluator that this session keeps for the trigger, or a new one if the trigger or the table has
    /// changed.
    pub fn of_trigger(trigger: pg_sys::Oid, definition: &Definition<&str>, table: Table) -> Rc<Self> {
        let kept = EVALUATORS.with_borrow(|kept| kept.get(&(trigger, table)).cloned());
        let is_current =
            |kept: &Rc<Self>| kept.version == table.version() && kept.definition.map(String::as_str) == *definition;
        if let Some(kept) = kept.filter(is_current) {
            return kept;
        }
        let new = Rc::new(Self::new(trigger, definition, table));
        // Removed evaluators are dropped after the borrow has ended, because freeing a plan calls Postgres.
        let removed = EVALUATORS.with_borrow_mut(|kept| {
            let all = if kept.len() >= MAX_KEPT { std::mem::take(kept) } else { HashMap::new() };
            (all, kept.insert((trigger, table), Rc::clone(&new)))
        });
        drop(removed);
        new
    }

    fn new(trigger: pg_sys::Oid, definition: &Definition<&str>, table: Table) -> Self {
        Self {
            trigger,
            definition: definition.map(|text| (*text).to_owned()),
            version: table.version(),
            queries: Queries::new(definition, table),
            condition: definition.expressions.condition.map(Condition::new),
            columns: definition.chooses_columns().then(|| chosen(trigger, definition, table)),
            one: OnceCell::new(),
            tenant: OnceCell::new(),
            entity: OnceCell::new(),
            many: OnceCell::new(),
        }
    }

    /// Returns what becomes of the changes, without those that do not meet the condition. To be called with the
    /// settings of the session.
    pub fn outcomes(&self, changes: &[Change], options: RenderOptions<'_>) -> Vec<Outcome> {
        let options = RenderOptions { columns: self.columns.as_ref(), ..options };
        let (mut meeting, mut doubtful) = (Vec::new(), Vec::new());
        match &self.condition {
            None => meeting.extend(changes),
            Some(condition) => {
                for (change, verdict) in changes.iter().zip(condition.verdicts(&self.queries, changes)) {
                    match verdict {
                        Ok(true) => meeting.push(change),
                        Ok(false) => {}
                        Err(failure) => doubtful.push((change, failure)),
                    }
                }
            }
        }
        if meeting.is_empty() && doubtful.is_empty() {
            return Vec::new();
        }
        with_fixed_settings(|| {
            let kept = doubtful.into_iter().map(|(change, failure)| {
                let misfit = self.misfit("condition", failure, Effect::Kept);
                match self.outcome_of(change, options) {
                    Outcome::Event(entity) | Outcome::Kept(entity, _) => Outcome::Kept(entity, misfit),
                }
            });
            kept.chain(self.outcomes_of(&meeting, options)).collect()
        })
    }

    /// Returns what becomes of rows that meet the condition.
    fn outcomes_of(&self, changes: &[&Change], options: RenderOptions<'_>) -> Vec<Outcome> {
        let Expressions { entity, tenant, .. } = &self.definition.expressions;
        match changes {
            _ if entity.is_none() && tenant.is_none() => {
                changes.iter().map(|change| Outcome::Event(change.render(options))).collect()
            }
            [] => Vec::new(),
            [change] => vec![self.outcome_of(change, options)],
            _ => match in_subtransaction(|| self.values_of_all(changes, options)) {
                Ok(values) => {
                    let changes = changes.iter().zip(values);
                    changes.map(|(change, values)| Outcome::Event(self.complete(change, values, options))).collect()
                }
                // An expression failed for one of the rows. Now each row is evaluated alone, so that the others are not
                // affected.
                Err(_) => changes.iter().map(|change| self.outcome_of(change, options)).collect(),
            },
        }
    }

    /// Returns what becomes of a row that meets the condition.
    fn outcome_of(&self, change: &Change, options: RenderOptions<'_>) -> Outcome {
        let Expressions { entity, tenant, .. } = &self.definition.expressions;
        if entity.is_none() && tenant.is_none() {
            return Outcome::Event(change.render(options));
        }
        let values = in_subtransaction(|| {
            self.queries.one(&self.one, &self.values(), change, |answer| Values::read(answer, options))
        });
        match values {
            Ok(values) => {
                Outcome::Event(self.complete(change, values.expect("an answer without a condition"), options))
            }
            Err(failure) => self.outcome_of_failed(change, failure, options),
        }
    }

    /// Returns what becomes of a row whose tenant or entity failed.
    fn outcome_of_failed(&self, change: &Change, failure: Failure, options: RenderOptions<'_>) -> Outcome {
        let mut rest = change.sent().without_text(options);
        if self.definition.expressions.tenant.is_some() {
            match in_subtransaction(|| self.tenant_of(change, options)) {
                Ok(tenant) => rest.tenant_id = tenant,
                Err(failure) if failure.is_of_syntax_or_access() => {
                    let misfit = self.misfit("tenant", failure, Effect::Kept);
                    return Outcome::Kept(self.entity_without_tenant(change, options), misfit);
                }
                Err(failure) => {
                    rest.tenant_id = None;
                    self.misfit("tenant", failure.clone(), Effect::SentThin);
                    return Outcome::Event(Err(Unsendable::not_rendered(failure, rest)));
                }
            }
        }
        self.misfit("entity", failure.clone(), Effect::SentThin);
        Outcome::Event(Err(Unsendable::not_rendered(failure, rest)))
    }

    /// Returns the expressions without the condition.
    fn values(&self) -> Expressions<&str> {
        Expressions { condition: None, ..self.definition.expressions.map(String::as_str) }
    }

    fn values_of_all(&self, changes: &[&Change], options: RenderOptions<'_>) -> Vec<Values> {
        let read = |answer: &Answer| Values::read(answer, options);
        let values = self.queries.many(&self.many, &self.values(), changes, read);
        values.into_iter().map(|values| values.expect("an answer without a condition")).collect()
    }

    fn tenant_of(&self, change: &Change, options: RenderOptions<'_>) -> Option<String> {
        let only = Expressions { entity: None, ..self.values() };
        self.queries.one(&self.tenant, &only, change, |answer| Values::read(answer, options))?.tenant
    }

    /// Returns the entity of a row whose tenant is not known.
    fn entity_without_tenant(&self, change: &Change, options: RenderOptions<'_>) -> RenderResult {
        let only = Expressions { tenant: None, ..self.values() };
        let values =
            in_subtransaction(|| self.queries.one(&self.entity, &only, change, |answer| Values::read(answer, options)));
        match values {
            Ok(values) => {
                let entity = values.expect("an answer without a condition").entity;
                self.complete(change, Values { tenant: None, entity }, options)
            }
            Err(failure) => {
                let rest = Rendered { tenant_id: None, ..change.sent().without_text(options) };
                Err(Unsendable::not_rendered(failure, rest))
            }
        }
    }

    /// Completes the results with values of the row: the entity if it has no expression, and the id and the tenant if
    /// the entity has none. If there is a tenant expression, its result is used even if it is null.
    fn complete(&self, change: &Change, values: Values, options: RenderOptions<'_>) -> RenderResult {
        let row = change.sent();
        let expressions = &self.definition.expressions;
        let mut entity = match values.entity {
            Some(entity) => entity,
            None if expressions.entity.is_some() => Ok(Rendered { text: "null".into(), ..row.without_text(options) }),
            None => change.render(options),
        };
        let rendered = match &mut entity {
            Ok(rendered) => rendered,
            Err(unsendable) => &mut unsendable.rest,
        };
        if expressions.entity.is_some() {
            let ids = row.without_text(options);
            rendered.entity_id = rendered.entity_id.take().or(ids.entity_id);
            rendered.tenant_id = rendered.tenant_id.take().or(ids.tenant_id);
        }
        if expressions.tenant.is_some() {
            rendered.tenant_id = values.tenant;
        }
        entity
    }

    /// Reports that a part of the watch failed, and returns how.
    fn misfit(&self, part: &'static str, failure: Failure, effect: Effect) -> Misfit {
        let definition = self.definition.map(String::as_str);
        let misfit = Misfit { part, failure, effect };
        misfit.report(self.trigger, self.version, &definition, self.queries.table);
        misfit
    }
}

/// Returns the columns that a watch sends, and reports those that it names and that do not exist.
fn chosen(trigger: pg_sys::Oid, definition: &Definition<&str>, table: Table) -> Projection {
    for (argument, column) in definition.named_columns().filter(|(argument, _)| *argument != "column") {
        if !table.has_column(column) {
            misfit::report_missing_column(trigger, argument, column, definition.event, table);
        }
    }
    table.columns(|column| match definition.only.is_empty() {
        true => !definition.except.contains(&column),
        false => definition.only.contains(&column),
    })
}

impl Values {
    fn read(answer: &Answer, options: RenderOptions<'_>) -> Self {
        // Copied only if it is short: Rust aborts the process if there is no memory for a copy.
        let tenant = answer.get::<&str>(sql::TENANT).filter(|tenant| tenant.len() <= MAX_ID_BYTES).map(str::to_owned);
        let entity = answer.get::<RawJsonb>(sql::ENTITY).map(|entity| entity.render(options));
        Self { tenant, entity }
    }
}
