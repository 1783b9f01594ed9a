//! Finds out whether this database may send, and loads the subscriptions.
//!
//! All of it is loaded again when an event type or a preset has changed, when an overlap of two secrets ends, and when the
//! configuration of the server was reloaded. When a subscription or its secrets have changed, only this subscription is
//! loaded again.

use std::collections::BTreeSet;
use std::time::Instant;

use delivery::dispatch::Dispatch;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use wire::ids::{Installation, SubscriptionId};
use wire::secret::Keys;

use super::extension;
use super::reader::Reader;
use super::timetable::Timetable;
use crate::adoption::Adoption;
use crate::backend::activity::DISPATCHER as NAME;
use crate::backend::{Failure, transaction};
use crate::slots::{Slot, State};
use crate::store::Store;
use crate::{keys, settings};

pub struct Configuration {
    slot: &'static Slot,
    extension: pg_sys::Oid,
    database: String,
    /// The installation that this database is. `None`: it is a copy that was not adopted, and must not send.
    installation: Option<Installation>,
    /// Whether the database has become another installation while this dispatcher ran.
    has_new_identity: bool,
    /// The keys of `key_file`. If it cannot be used now, those that it had before.
    keys: Keys,
    /// What is wrong with `key_file`.
    key_file_problem: Option<String>,
    /// Subscriptions whose secrets cannot be read.
    unreadable: BTreeSet<SubscriptionId>,
    settings: settings::Values,
}

impl Configuration {
    pub fn new(slot: &'static Slot, extension: pg_sys::Oid, database: String) -> Self {
        let settings = settings::values();
        Self {
            slot,
            extension,
            database,
            installation: None,
            has_new_identity: false,
            keys: Keys::default(),
            key_file_problem: None,
            unreadable: BTreeSet::new(),
            settings,
        }
    }

    pub fn has_identity(&self) -> bool {
        self.installation.is_some()
    }

    pub fn has_new_identity(&self) -> bool {
        self.has_new_identity
    }

    pub fn database(&self) -> &str {
        &self.database
    }

    /// Returns whether the extension that this dispatcher works for still exists. If not, records that in the slot.
    pub fn extension_exists(&self) -> Result<bool, Failure> {
        match extension::find()? {
            Some(extension) if extension == self.extension => return Ok(true),
            // Dropped and created again: everything in memory belongs to the former extension.
            Some(_) => self.slot.set_state(State::Ended),
            None => self.slot.set_state(State::Absent),
        }
        Ok(false)
    }

    /// Loads the configuration and passes it on. Returns false if the dispatcher has to end: the extension is gone, or the
    /// database has become another installation.
    pub fn load(
        &mut self,
        store: &Store,
        dispatch: &mut Dispatch,
        reader: &mut Reader,
        timetable: &mut Timetable,
    ) -> Result<bool, Failure> {
        if !self.extension_exists()? {
            return Ok(false);
        }
        self.load_keys();
        let keys = &self.keys;
        let (identity, subscriptions) = transaction(c"read the subscriptions", || {
            (store.read.identity(), store.read.subscriptions(settings::max_in_flight(), keys))
        })?;
        let installation = identity.adopted();
        if self.installation.is_some() && installation != self.installation {
            // What is in memory may have been deleted with the queue of the former installation.
            self.has_new_identity = true;
            self.slot.set_state(State::Ended);
            return Ok(false);
        }
        self.installation = installation;
        let adoption = match installation {
            Some(_) => None,
            None => transaction(c"find out what waits in a copy", Adoption::find)?,
        };
        self.enter(self.state(), adoption, dispatch);
        fault::point("load");
        self.set_unreadable(subscriptions.unreadable);
        timetable.set_overlap_end(subscriptions.stale_at);
        reader.read_again_if(dispatch.are_cancelled(&subscriptions.list));
        dispatch.set_subscriptions(subscriptions.list, Instant::now());
        reader.set_subscriptions(dispatch);
        Ok(true)
    }

    /// Loads these subscriptions, which have changed, and passes them on. Returns false if more than that has changed, so that
    /// everything has to be loaded.
    pub fn load_changed(
        &mut self,
        changed: &[SubscriptionId],
        store: &Store,
        dispatch: &mut Dispatch,
        reader: &mut Reader,
        timetable: &mut Timetable,
    ) -> Result<bool, Failure> {
        self.load_keys();
        let (identity, read) = transaction(c"read changed subscriptions", || {
            let read = store.read.some_subscriptions(changed, settings::max_in_flight(), &self.keys);
            (store.read.identity(), read)
        })?;
        // A copy must never send, however it comes about.
        if identity.adopted() != self.installation {
            return Ok(false);
        }
        fault::point("load");
        let others = self.unreadable.iter().filter(|id| !changed.contains(id)).copied();
        self.set_unreadable(others.chain(read.unreadable).collect());
        timetable.add_overlap_end(read.stale_at);
        reader.read_again_if(dispatch.are_cancelled(&read.list));
        dispatch.change_subscriptions(changed, read.list, Instant::now());
        reader.change_subscriptions(dispatch, changed);
        Ok(true)
    }

    /// Reads the keys. If the file cannot be used, the keys that it had before stay. Without keys, sealed secrets
    /// cannot be read.
    fn load_keys(&mut self) {
        let problem = match keys::read() {
            Ok(keys) => {
                self.keys = keys;
                None
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(problem) = problem.as_ref().filter(|_| problem != self.key_file_problem) {
            warning!("{NAME}: hydra_webhooks.key_file: {problem}");
        }
        self.key_file_problem = problem;
    }

    /// Returns whether the keys of `key_file` are used.
    pub fn uses_key_file(&self) -> bool {
        self.key_file_problem.is_none()
    }

    /// Returns the state in which the database should be.
    fn state(&self) -> State {
        match (self.has_identity(), settings::enabled()) {
            (false, _) => State::Foreign,
            (true, false) => State::Off,
            (true, true) => State::Running,
        }
    }

    /// Starts or stops sending, according to the state.
    fn enter(&mut self, state: State, adoption: Option<Adoption>, dispatch: &mut Dispatch) {
        let former = self.slot.state();
        if state != State::Running {
            // Prevents the start of further requests, also of those that were handed out already. When
            // `load` then passes the subscriptions on, they come with new gates, which are open.
            dispatch.close_gates();
        } else if former != State::Running {
            dispatch.begin_sending(Instant::now());
        }
        self.slot.set_state(state);
        if state != former {
            self.log_entry(state, former, adoption);
        }
    }

    fn log_entry(&self, state: State, former: State, adoption: Option<Adoption>) {
        let database = &self.database;
        if let Some(Adoption { origin, waiting, advice }) = adoption {
            let message = format!("{NAME}: nothing is sent from database \"{database}\": {origin}");
            ErrorReport::new(PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, message, NAME)
                .set_detail(format!("Events and deliveries that wait: {waiting}."))
                .set_hint(format!("{advice}."))
                .report(PgLogLevel::WARNING);
            return;
        }
        match state {
            State::Off => log!("{NAME}: hydra_webhooks.enabled is off; nothing is sent from database \"{database}\""),
            _ if former == State::Foreign => log!("{NAME}: database \"{database}\" was adopted; its events are sent"),
            _ => log!("{NAME}: events of database \"{database}\" are sent"),
        }
    }

    fn set_unreadable(&mut self, unreadable: BTreeSet<SubscriptionId>) {
        if !unreadable.is_subset(&self.unreadable) {
            let ids: Vec<_> = unreadable.iter().map(ToString::to_string).collect();
            warning!("{NAME}: nothing is sent to subscriptions {}: their secrets cannot be read", ids.join(", "));
        }
        self.slot.report_unreadable(unreadable.len());
        self.unreadable = unreadable;
    }

    /// Logs which settings have changed. To be called after a reload of the server's configuration.
    pub fn log_changed_settings(&mut self) {
        let new = settings::values();
        let changed = self.settings.changed(&new);
        if !changed.is_empty() {
            log!("{NAME}: configuration of database \"{}\" changed: {}", self.database, changed.join(", "));
        }
        self.settings = new;
    }
}
