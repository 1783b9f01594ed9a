//! What load balancers ask: whether the process lives, and whether it can answer requests.

use bytes::Bytes;

use crate::answer::Answer;
use crate::call::Call;
use crate::gateway::Gateway;
use crate::pool::Purpose;
use crate::problem::Problem;
use crate::route::Surface;

/// Asks the database. Nobody needs a credential for this, so it counts as a request of a stranger.
pub async fn ready(gateway: &Gateway) -> Result<Answer, Problem> {
    if gateway.is_ending() {
        return Err(Problem::unavailable().with_detail("The gateway is about to end."));
    }
    let call = Call {
        surface: Surface::Gateway.name(),
        credential: None,
        method: "GET".into(),
        path: "/heartbeat".into(),
        query: None,
        headers: Vec::new(),
        body: Bytes::new(),
        peer: None,
    };
    let _share = gateway.begin()?;
    let reply = gateway.ask(&call, Purpose::Stranger).await?;
    // There is no such page. But an extension with another version of the interface would have answered 503.
    if reply.status == 405 {
        Ok(Answer::text(200, "ready\n"))
    } else {
        Err(Problem::unavailable().with_detail("The gateway and the database have different versions."))
    }
}
