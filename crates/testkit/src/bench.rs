//! A database with the extension, a superuser's session in it, and a receiver.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::sync::Arc;

use postgres::Client;
use postgres::types::FromSqlOwned;

use crate::receiver::{Receiver, Request};
use crate::wait_until;
use crate::{
    Attempt, Cluster, PATIENCE, Refusal, ask, history, refusal, refused, run, subscribe, wait_for_empty_queue,
};

pub struct Bench<'a> {
    pub cluster: &'a Cluster,
    pub database: String,
    /// The session of the superuser. It ends with the server; [`Bench::session`] connects again.
    pub client: Client,
    pub receiver: Receiver,
}

impl<'a> Bench<'a> {
    pub fn new(cluster: &'a Cluster, database: &str) -> Bench<'a> {
        let client = cluster.create_database(database);
        Bench { cluster, database: database.into(), client, receiver: Receiver::start() }
    }

    /// Returns another session of the superuser.
    pub fn session(&self) -> Client {
        self.cluster.connect(&self.database)
    }

    /// Returns a session of a new role, which is a member of `groups` and has no other privileges.
    pub fn session_of_new_role(&self, role: &str, groups: &[&str]) -> Client {
        self.cluster.connect_as_new_role(&self.database, role, groups)
    }

    #[track_caller]
    pub fn run(&mut self, sql: &str) {
        run(&mut self.client, sql);
    }

    /// Runs a query that returns one value, and returns this value.
    #[track_caller]
    pub fn ask<T: FromSqlOwned>(&mut self, sql: &str) -> T {
        ask(&mut self.client, sql)
    }

    #[track_caller]
    pub fn refusal(&mut self, sql: &str) -> Refusal {
        refusal(&mut self.client, sql)
    }

    #[track_caller]
    pub fn refused(&mut self, sql: &str, code: &str) -> Refusal {
        refused(&mut self.client, sql, code)
    }

    /// Creates a subscription for a path of the receiver, which then verifies signatures with the secret.
    #[track_caller]
    pub fn subscribe(&mut self, path: &str, event_types: &str, more: &[&str]) -> (i64, String) {
        let (id, secret) = subscribe(&mut self.client, &self.receiver.url(path), event_types, more);
        self.receiver.secret(path, &secret);
        (id, secret)
    }

    /// Emits an event with this JSON as its entity. Returns the id of the event, or `None` if no subscription wants it.
    #[track_caller]
    pub fn emit(&mut self, event_type: &str, entity: &str) -> Option<i64> {
        let sql = "SELECT hydra.webhook_emit($1, $2::text::jsonb)";
        let row = self.client.query_one(sql, &[&event_type, &entity]);
        row.unwrap_or_else(|error| panic!("{event_type} {entity}: {error:?}")).get(0)
    }

    /// Emits `ticket.created` for the ticket with this id.
    #[track_caller]
    pub fn emit_ticket(&mut self, id: impl Display) -> Option<i64> {
        self.emit("ticket.created", &format!("{{\"id\": \"{id}\"}}"))
    }

    /// Emits `ticket.created` for many tickets, in one transaction.
    #[track_caller]
    pub fn emit_tickets(&mut self, ids: RangeInclusive<usize>) {
        self.run(&format!(
            "SELECT count(hydra.webhook_emit('ticket.created', jsonb_build_object('id', n::text)))
             FROM generate_series({}, {}) AS n",
            ids.start(),
            ids.end()
        ));
    }

    /// Waits for requests on a path of the receiver.
    #[track_caller]
    pub fn wait_for(&self, path: &str, requests: usize) -> Vec<Arc<Request>> {
        self.receiver.wait_for(path, requests, PATIENCE)
    }

    #[track_caller]
    pub fn wait_for_empty_queue(&mut self) {
        wait_for_empty_queue(&mut self.client);
    }

    /// Returns a column of a subscription in `hydra.webhook_subscriptions`, as text; null is the empty text.
    #[track_caller]
    pub fn column(&mut self, id: i64, column: &str) -> String {
        self.ask(&format!("SELECT coalesce(({column})::text, '') FROM hydra.webhook_subscriptions WHERE id = {id}"))
    }

    #[track_caller]
    pub fn wait_for_column(&mut self, id: i64, column: &str, value: &str) {
        wait_until(format!("{column} of subscription {id} is {value}"), PATIENCE, || self.column(id, column) == value);
    }

    /// Returns the number of rows of a table or view of the extension.
    #[track_caller]
    pub fn count(&mut self, relation: &str) -> i64 {
        self.ask(&format!("SELECT count(*) FROM hydra.{relation}"))
    }

    #[track_caller]
    pub fn wait_for_count(&mut self, relation: &str, count: i64) {
        wait_until(format!("{relation} has {count} rows"), PATIENCE, || self.count(relation) == count);
    }

    pub fn history(&mut self) -> Vec<Attempt> {
        history(&mut self.client)
    }

    #[track_caller]
    pub fn wait_for_history(&mut self, rows: i64) -> Vec<Attempt> {
        self.wait_for_count("webhook_history", rows);
        self.history()
    }

    /// Waits until this attempt for the one delivery in the retry queue has failed, and returns the id of the delivery.
    #[track_caller]
    pub fn wait_for_failed_attempt(&mut self, attempt: i32) -> String {
        // If the caller was slow, later attempts may have failed, too.
        let failed = "SELECT id::text FROM hydra.delivery WHERE attempts >= $1 AND claimed_by IS NULL";
        let mut found = None;
        wait_until(format!("attempt {attempt} has failed"), PATIENCE, || {
            found = self.client.query_opt(failed, &[&attempt]).expect("the queue can be read").map(|row| row.get(0));
            found.is_some()
        });
        found.expect("wait_until returns when it is found")
    }

    /// Waits until the one delivery has been given up, and returns its id.
    #[track_caller]
    pub fn wait_for_failed_delivery(&mut self) -> String {
        self.wait_for_count("webhook_failed", 1);
        self.ask("SELECT delivery_id::text FROM hydra.webhook_failed")
    }
}
