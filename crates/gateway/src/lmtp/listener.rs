//! Accepts connections of mail servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::session::{CROWDED, Session};
use crate::gateway::Gateway;
use crate::listener::Open;

/// A mail server opens a few; Postfix 20.
const MAX_CONNECTIONS: usize = 200;
/// After an error such as too many open files.
const PAUSE: Duration = Duration::from_millis(20);

/// Accepts connections until `stop` is told or dropped.
pub async fn accept(gateway: Arc<Gateway>, listener: TcpListener, mut stop: oneshot::Receiver<()>) {
    let count = Arc::new(AtomicUsize::new(0));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => return,
        };
        let Ok((mut stream, peer)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (open, _) = Open::new(&gateway);
        let (gateway, count) = (gateway.clone(), count.clone());
        tokio::spawn(async move {
            if count.fetch_add(1, Ordering::AcqRel) < MAX_CONNECTIONS {
                // What fails is the connection: the mail server notices it and tries again.
                let _ = Session::new(gateway, peer.ip(), stream).run().await;
            } else {
                let refusal = format!("{} {}\r\n", CROWDED.0, CROWDED.1);
                let _ = timeout(Duration::from_secs(1), stream.write_all(refusal.as_bytes())).await;
            }
            count.fetch_sub(1, Ordering::AcqRel);
            drop(open);
        });
    }
}
