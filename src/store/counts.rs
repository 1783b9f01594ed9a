//! Counts attempts by subscription and hour, and by event type, tenant and result.

use delivery::histogram::TIMES;
use delivery::tally::{AttemptResult, Attempts, Combination, Tally, Total, WITH_EVENT_TYPE, WITH_TENANT};
use pgrx::Spi;
use pgrx::spi::SpiClient;

use super::force_new_plans;
use super::statement::Statement;

pub struct Counts {
    add_counts: Statement,
    add_attempt_counts: Statement,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            add_counts: Statement::new(include_str!("../../sql/queries/add_counts.sql")),
            add_attempt_counts: Statement::new(include_str!("../../sql/queries/add_attempt_counts.sql")),
        }
    }
}

impl Counts {
    /// Adds these counts to those that are stored: both tables have the same totals.
    pub fn add(&self, tally: &Tally) {
        let totals: Vec<(i64, i64, Total)> =
            tally.iter().map(|(id, hour, counts)| (id.0, hour as i64, counts.total())).collect();
        let args = [
            totals.iter().map(|(id, _, _)| *id).collect::<Vec<_>>().into(),
            totals.iter().map(|(_, hour, _)| *hour).collect::<Vec<_>>().into(),
            totals.iter().map(|(_, _, total)| total.delivered).collect::<Vec<_>>().into(),
            totals.iter().map(|(_, _, total)| total.failed_attempts).collect::<Vec<_>>().into(),
            totals.iter().map(|(_, _, total)| total.failed).collect::<Vec<_>>().into(),
            totals.iter().flat_map(|(_, _, total)| total.times.counts()).collect::<Vec<_>>().into(),
            (TIMES as i64).into(),
        ];
        force_new_plans();
        Spi::connect_mut(|client| {
            self.add_counts.write(client, &args);
            self.add_attempt_counts(client, tally);
        });
    }

    fn add_attempt_counts(&self, client: &mut SpiClient<'_>, tally: &Tally) {
        let rows = tally.iter().flat_map(|(id, hour, counts)| {
            counts.iter().map(move |(combination, attempts)| (id.0, hour as i64, combination, attempts))
        });
        let rows: Vec<(i64, i64, &Combination, &Attempts)> = rows.collect();
        let combinations = || rows.iter().map(|(_, _, combination, _)| *combination);
        let attempts = || rows.iter().map(|(_, _, _, attempts)| *attempts);
        let status = |combination: &Combination| match combination.result {
            AttemptResult::Status(status) => i32::from(status),
            AttemptResult::NoAnswer(_) => 0,
        };
        let error_class = |combination: &Combination| match combination.result {
            AttemptResult::Status(_) => "",
            AttemptResult::NoAnswer(class) => class.as_str(),
        };
        let args = [
            rows.iter().map(|(id, _, _, _)| *id).collect::<Vec<_>>().into(),
            rows.iter().map(|(_, hour, _, _)| *hour).collect::<Vec<_>>().into(),
            combinations().map(|known| known.event_type.as_deref().unwrap_or_default()).collect::<Vec<_>>().into(),
            combinations().map(|known| known.tenant_id.as_deref().unwrap_or_default()).collect::<Vec<_>>().into(),
            combinations().map(status).collect::<Vec<_>>().into(),
            combinations().map(error_class).collect::<Vec<_>>().into(),
            combinations().map(|known| known.others).collect::<Vec<_>>().into(),
            attempts().map(|attempts| attempts.number).collect::<Vec<_>>().into(),
            attempts().map(|attempts| attempts.failed).collect::<Vec<_>>().into(),
            attempts().flat_map(|attempts| attempts.times.counts()).collect::<Vec<_>>().into(),
            (TIMES as i64).into(),
            (WITH_TENANT as i64).into(),
            (WITH_EVENT_TYPE as i64).into(),
        ];
        self.add_attempt_counts.write(client, &args);
    }
}
