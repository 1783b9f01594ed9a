//! Logs what happens to subscriptions and deliveries: each change of the state of a subscription one time, and at most
//! once a minute how many deliveries were given up.

use std::time::{Duration, Instant};

use delivery::subscription::DisabledReason;
use delivery::writes::Verdicts;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use wire::ids::SubscriptionId;

use super::NAME;

/// How long deliveries that are given up are counted before the first message, and between two messages.
const FIRST: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_secs(60);

pub struct Journal {
    database: String,
    /// The number of deliveries that were given up since this was last logged.
    given_up: usize,
    logged_at: Option<Instant>,
}

impl Journal {
    pub fn new(database: String) -> Self {
        Self { database, given_up: 0, logged_at: None }
    }

    /// Logs what was just written about subscriptions. `disabled` are those that were disabled because of it.
    pub fn log_health(&self, part: &Verdicts, disabled: &[SubscriptionId]) {
        let database = &self.database;
        for id in disabled {
            let reason = part.disabled.get(id).copied().map_or("", explain);
            let message = format!("{NAME}: subscription {id} of database \"{database}\" was disabled: {reason}");
            ErrorReport::new(PgSqlErrorCode::ERRCODE_WARNING, message, NAME)
                .set_detail("Events that it would receive are kept for hydra_webhooks.retention.")
                .set_hint(format!("SELECT hydra.webhook_resume({id}, missed => 'send') resumes it."))
                .report(PgLogLevel::WARNING);
        }
        for (fails, what) in [(true, "began to fail"), (false, "answer again")] {
            let mut ids: Vec<i64> = part.turned.iter().filter(|(_, is)| **is == fails).map(|(id, _)| id.0).collect();
            if !ids.is_empty() {
                ids.sort_unstable();
                let ids = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                log!("{NAME}: endpoints of database \"{database}\" {what}; subscriptions: {ids}");
            }
        }
    }

    pub fn note_given_up(&mut self, deliveries: usize) {
        self.given_up += deliveries;
    }

    /// How long to wait before the deliveries that were given up are logged; `None` if there are none.
    pub fn wait(&self) -> Option<Duration> {
        let rest = self.logged_at.map(|at| EVERY.saturating_sub(at.elapsed()));
        (self.given_up > 0).then(|| rest.unwrap_or_default().max(FIRST))
    }

    /// Logs how many deliveries were given up, if any were.
    pub fn log_given_up(&mut self) {
        let count = std::mem::take(&mut self.given_up);
        if count == 0 {
            return;
        }
        let deliveries = if count == 1 { "1 delivery was".into() } else { format!("{count} deliveries were") };
        let when = if self.logged_at.is_some_and(|at| at.elapsed() < 2 * EVERY) { " in the last minute" } else { "" };
        let message = format!("{NAME}: {deliveries} given up{when} in database \"{}\"", self.database);
        ErrorReport::new(PgSqlErrorCode::ERRCODE_WARNING, message, NAME)
            .set_hint("hydra.webhook_failed lists them; hydra.webhook_replay() sends them again.")
            .report(PgLogLevel::WARNING);
        self.logged_at = Some(Instant::now());
    }
}

fn explain(reason: DisabledReason) -> &'static str {
    match reason {
        DisabledReason::Gone => "its endpoint answered with status 410",
        DisabledReason::Failures => "as many attempts as disable_after allows have failed in a row",
        DisabledReason::Stale => "no attempt has succeeded for the time that stale_after allows",
    }
}
