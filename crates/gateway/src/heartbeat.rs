//! The report that a gateway makes every five seconds: that it lives, and which keys were used. It learns how many
//! gateways share the quotas, and which keys were revoked.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::call::{Call, Reply};
use crate::credentials::Use;
use crate::gateway::Gateway;
use crate::pool::Purpose;
use crate::problem::Problem;
use crate::route::Surface;

const INTERVAL: Duration = Duration::from_secs(5);
const FAREWELL: Duration = Duration::from_secs(1);

/// Identifies this gateway, from its start to its end.
pub struct Heart {
    gateway: Arc<Gateway>,
    id: String,
}

#[derive(Deserialize)]
struct State {
    live: u32,
    #[serde(default)]
    revoked: Vec<String>,
}

impl Heart {
    pub fn new(gateway: Arc<Gateway>) -> Self {
        let id = hex::encode(rand::random::<[u8; 16]>());
        Self { gateway, id }
    }

    /// Reports until the gateway ends.
    pub async fn beat(&self) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut had_trouble = false;
        loop {
            ticks.tick().await;
            let trouble = self.report().await.err();
            if let Some(trouble) = trouble.as_ref().filter(|_| !had_trouble) {
                self.gateway.log.event("error", "heartbeat_failed", trouble.body(""));
            }
            had_trouble = trouble.is_some();
        }
    }

    async fn report(&self) -> Result<(), Problem> {
        let credentials = &self.gateway.credentials;
        let used = credentials.report();
        let requests = self.gateway.requests.swap(0, Ordering::Relaxed);
        let body = json!({
            "gateway": self.id,
            "version": env!("CARGO_PKG_VERSION"),
            "address": self.gateway.live().address,
            "requests": requests,
            "used": used.iter().map(|(key, used)| describe(*key, *used)).collect::<Vec<_>>(),
        });
        let result = self.post("/heartbeat", &body).await.and_then(|reply| match reply.status {
            200 => serde_json::from_slice(&reply.body).map_err(|_| Problem::internal()),
            status => Err(Problem::unavailable().with_detail(said(status, &reply.body))),
        });
        let state: State = result.inspect_err(|_| {
            credentials.unreport(used);
            self.gateway.requests.fetch_add(requests, Ordering::Relaxed);
        })?;
        credentials.set_live(state.live);
        for stored in state.revoked {
            let mut bytes = [0; 32];
            if hex::decode_to_slice(&stored, &mut bytes).is_ok() {
                credentials.forget(&bytes);
            }
        }
        Ok(())
    }

    /// Reports what is left to report, and that the gateway ends.
    pub async fn stop(&self) {
        let farewell = async {
            let _ = self.report().await;
            let _ = self.post("/stop", &json!({"gateway": self.id})).await;
        };
        let _ = timeout(FAREWELL, farewell).await;
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Reply, Problem> {
        let call = Call {
            surface: Surface::Gateway.name(),
            credential: None,
            method: "POST".into(),
            path: path.into(),
            query: None,
            headers: vec![("content-type".into(), "application/json".into())],
            body: Bytes::from(body.to_string()),
            peer: None,
        };
        self.gateway.ask(&call, Purpose::Known).await
    }
}

/// What the database answered, for the log: for example that its version does not fit.
fn said(status: u16, problem: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(problem).unwrap_or_default();
    format!("The database answered {status}. {}", problem["detail"].as_str().unwrap_or_default())
}

fn describe(key: i64, used: Use) -> Value {
    let last_at = OffsetDateTime::from_unix_timestamp(used.last_at).ok().and_then(|at| at.format(&Rfc3339).ok());
    json!({"key": key, "requests": used.requests, "last_at": last_at})
}
