//! Bodies: those of requests, which are read whole and within limits, and those of answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::problem::Problem;

/// How much of an answer is handed to the HTTP library at once. The rest is counted as unread.
const PIECE: usize = 16 << 10;

/// A body, and its share of the memory for bodies, which is given back when it is dropped.
pub struct Received {
    pub bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// Reads a body. It has at most `limit` bytes; one that says that it is larger is not read at all.
pub async fn receive(
    body: Incoming,
    limit: usize,
    patience: Duration,
    memory: &Arc<Semaphore>,
) -> Result<Received, Problem> {
    let hint = body.size_hint();
    if hint.lower() > limit as u64 {
        return Err(Problem::too_large(limit));
    }
    // Whatever does not say its length may become as large as permitted.
    let size = hint.exact().map_or(limit, |exact| exact as usize);
    if size == 0 {
        return Ok(Received { bytes: Bytes::new(), _share: None });
    }
    let share = memory.clone().try_acquire_many_owned(size.div_ceil(1 << 10) as u32);
    let share = share.map_err(|_| Problem::unavailable().with_detail("The gateway has too many bodies under way."))?;
    let bytes = timeout(patience, collect(body, limit)).await.map_err(|_| Problem::timed_out())??;
    Ok(Received { bytes, _share: Some(share) })
}

async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, Problem> {
    // No memory is taken before there is something to put into it.
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::broken_body())?;
        let Some(data) = frame.data_ref() else { continue };
        if collected.len() + data.len() > limit {
            return Err(Problem::too_large(limit));
        }
        collected.extend_from_slice(data);
    }
    Ok(collected.freeze())
}

/// The body of an answer, which is counted until the client has read it.
pub struct Sent {
    rest: Bytes,
    unread: Option<Unread>,
}

struct Unread {
    bytes: usize,
    of: Arc<AtomicUsize>,
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Sent {
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self { rest: bytes.into(), unread: None }
    }

    pub fn count(&mut self, of: &Arc<AtomicUsize>) {
        let bytes = self.rest.len();
        of.fetch_add(bytes, Ordering::Relaxed);
        self.unread = Some(Unread { bytes, of: of.clone() });
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = self.get_mut();
        if body.rest.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(body.rest.split_to(body.rest.len().min(PIECE))))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
