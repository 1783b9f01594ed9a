//! The rows of `hydra.webhook_history`.

use std::time::SystemTime;

use postgres::Client;

#[derive(Debug)]
pub struct Attempt {
    pub delivery: String,
    pub subscription: i64,
    pub event_id: i64,
    pub event: String,
    pub attempt: i32,
    pub status: Option<i32>,
    pub class: Option<String>,
    pub error: Option<String>,
    pub excerpt: Option<String>,
    pub ms: Option<i32>,
    pub at: SystemTime,
    pub next_at: Option<SystemTime>,
}

/// Returns all attempts, ordered by subscription, event and number.
pub fn history(client: &mut Client) -> Vec<Attempt> {
    let sql = "SELECT delivery_id::text, subscription_id, event_id, event, attempt, status_code, error_class, error,
                      response_excerpt, response_ms, attempted_at, next_attempt_at
               FROM hydra.webhook_history ORDER BY subscription_id, event_id, attempt";
    let rows = client.query(sql, &[]).expect("the history can be read");
    let attempts = rows.iter().map(|row| Attempt {
        delivery: row.get(0),
        subscription: row.get(1),
        event_id: row.get(2),
        event: row.get(3),
        attempt: row.get(4),
        status: row.get(5),
        class: row.get(6),
        error: row.get(7),
        excerpt: row.get(8),
        ms: row.get(9),
        at: row.get(10),
        next_at: row.get(11),
    });
    attempts.collect()
}
