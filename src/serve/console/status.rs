//! Shows whether events are being sent, and which gateways run.

use serde_json::json;

use super::visit::Visit;
use crate::serve::answer::Answer;
use crate::serve::problem::Problem;
use crate::serve::sql;

const WORKER: &str = "SELECT pg_catalog.to_jsonb(w) FROM hydra.webhook_worker_status AS w";
const GATEWAYS: &str =
    "SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(g) ORDER BY g.live DESC, g.started_at), '[]')
                        FROM (SELECT g.id AS gateway, g.version, g.address, g.started_at, g.seen_at, g.live, g.requests
                              FROM hydra.gateways AS g) AS g";

/// It is about the whole installation, and not for visitors of a tenant.
pub fn show(visit: &Visit<'_>) -> Result<Answer, Problem> {
    if visit.tenant().is_some() {
        return Err(Problem::not_found());
    }
    Ok(visit.page(200, "status", json!({"worker": sql::json(WORKER, &[]), "gateways": sql::json(GATEWAYS, &[])})))
}
