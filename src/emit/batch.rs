//! Many events of one type, written by one query.

use std::collections::HashMap;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;

use super::insert::next_id;
use super::known::{EventType, Known};
use super::planned::Outcome;
use super::thin_or_refused;
use crate::store::Statement;
use crate::wake;

thread_local! {
    static INSERT_EVENTS: Statement = const { Statement::new(include_str!("../../sql/queries/insert_events.sql")) };
}

/// Events as columns.
#[derive(Default)]
pub struct Batch {
    entity_ids: Vec<Option<String>>,
    tenants: Vec<Option<String>>,
    entities: Vec<Option<String>>,
    problems: Vec<Option<String>>,
    /// Each list of targets once, one after the other, and where in it that of each event begins and ends.
    targets: Vec<i64>,
    first: Vec<i32>,
    last: Vec<i32>,
}

impl Batch {
    /// Those that somebody wants.
    pub fn of(outcomes: impl Iterator<Item = Outcome>, event_type: &EventType) -> Self {
        let mut batch = Self::default();
        let mut lists: HashMap<Option<String>, (i32, i32)> = HashMap::new();
        for outcome in outcomes {
            let (rendered, problem) = thin_or_refused(outcome, event_type);
            let list = lists.get(&rendered.tenant_id).copied().filter(|_| !event_type.is_filtered());
            let (first, last) = list.unwrap_or_else(|| {
                let entity = problem.is_none().then_some(rendered.text.as_str());
                let list = batch.add_targets(event_type.targets_for(rendered.tenant_id.as_deref(), entity));
                lists.insert(rendered.tenant_id.clone(), list);
                list
            });
            if first > last {
                continue;
            }
            batch.entity_ids.push(rendered.entity_id);
            batch.tenants.push(rendered.tenant_id);
            batch.entities.push(problem.is_none().then_some(rendered.text));
            batch.problems.push(problem);
            batch.first.push(first);
            batch.last.push(last);
        }
        batch
    }

    /// Where they are, counted from 1, as SQL does.
    fn add_targets(&mut self, targets: Vec<i64>) -> (i32, i32) {
        let first = self.targets.len() as i32 + 1;
        self.targets.extend(targets);
        (first, self.targets.len() as i32)
    }

    pub fn insert(self, known: &Known, event_type: &EventType) {
        if self.first.is_empty() {
            return;
        }
        let ids: Vec<i64> = self.first.iter().map(|_| next_id(known)).collect();
        let args: [DatumWithOid<'_>; 10] = [
            event_type.name.clone().into(),
            event_type.entity_type.clone().into(),
            self.entity_ids.into(),
            self.tenants.into(),
            self.entities.into(),
            self.problems.into(),
            self.targets.into(),
            self.first.into(),
            self.last.into(),
            ids.into(),
        ];
        known.as_owner(|| {
            INSERT_EVENTS.with(|insert| {
                Spi::connect_mut(|client| {
                    insert.write(client, &args);
                });
            });
        });
        wake::at_commit();
    }
}
