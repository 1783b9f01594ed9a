//! The connection of a client, as the HTTP library sees it.
//!
//! It passes on the bytes of requests that `framing` accepts, and each head only when it is whole. Instead of what
//! `framing` refuses, it passes on a request of its own, which says what was refused; so the answer is made like any
//! other. It gives up clients that send the head too slowly, do not read what was answered, or have nothing to say.
//!
//! The library reads from a connection only while no request of it is being answered, so all times are those of the
//! client.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::framing::{Body, Fault, HeadSearch, LIMITS, read_head};

/// The header of the request that stands for one that was refused.
pub const REFUSED: &str = "hydra-refused";

/// How much is read of a head at once.
const PIECE: usize = 4096;
/// How much and how long is read of a connection that was closed, so that its client gets the answer: a connection that
/// is closed with unread data is reset, and then the client may lose what it has not read yet.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 << 20;

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until a request begins.
    pub idle: Duration,
    /// From its first byte until its head is whole.
    pub head: Duration,
    /// Until some of the answer is read.
    pub write: Duration,
}

pub struct Guard<S> {
    stream: S,
    /// Bytes that were read and not passed on: those of a head that is not whole yet, or of the next request.
    held: Vec<u8>,
    /// How many of them are to be passed on, and how many were.
    cleared: usize,
    passed: usize,
    state: State,
    patience: Patience,
    timer: Option<Pin<Box<Sleep>>>,
    writing: Option<Pin<Box<Sleep>>>,
    lingered: Option<usize>,
}

enum State {
    /// Whether the timer runs, and whether it is that of a head that has begun.
    Head {
        search: HeadSearch,
        armed: bool,
        began: bool,
    },
    Body(Body),
    /// Nothing more is read.
    Refused,
}

impl State {
    fn head() -> Self {
        Self::Head { search: HeadSearch::default(), armed: false, began: false }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    pub fn new(stream: S, patience: Patience) -> Self {
        Self {
            stream,
            held: Vec::new(),
            cleared: 0,
            passed: 0,
            state: State::head(),
            patience,
            timer: None,
            writing: None,
            lingered: None,
        }
    }

    /// Waits until there is a head to pass on. Returns false if the client has gone or has not sent anything in time.
    /// Until then the connection costs next to no memory.
    pub async fn has_request(&mut self) -> bool {
        poll_fn(|cx| self.poll_head(cx)).await.unwrap_or(false)
    }

    /// Reads a head, and returns true when something is to be passed on.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            if self.passed < self.cleared {
                return Poll::Ready(Ok(true));
            }
            let State::Head { search, armed, began } = &mut self.state else { return Poll::Pending };
            match search.find(&self.held, &LIMITS) {
                Ok(None) => {}
                Ok(Some(length)) => {
                    match read_head(&self.held[..length], &LIMITS) {
                        Ok(body) => self.clear_head(length, Body::new(body)),
                        Err(fault) => self.refuse(fault),
                    }
                    continue;
                }
                Err(fault) => {
                    self.refuse(fault);
                    continue;
                }
            }
            let has_begun = !self.held.is_empty();
            if !*armed || *began != has_begun {
                (*armed, *began) = (true, has_begun);
                let patience = if has_begun { self.patience.head } else { self.patience.idle };
                set_timer(&mut self.timer, Instant::now() + patience);
            }
            let mut piece = [0; PIECE];
            let mut piece = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.stream).poll_read(cx, &mut piece)? {
                Poll::Ready(()) if piece.filled().is_empty() => return Poll::Ready(Ok(false)),
                Poll::Ready(()) => self.held.extend_from_slice(piece.filled()),
                Poll::Pending => {
                    ready!(poll_timer(&mut self.timer, cx));
                    if self.held.is_empty() {
                        return Poll::Ready(Ok(false));
                    }
                    self.refuse(Fault::Slow);
                }
            }
        }
    }

    fn clear_head(&mut self, length: usize, body: Body) {
        self.cleared = length;
        self.timer = None;
        self.state = if body.is_over() { State::head() } else { State::Body(body) };
    }

    fn refuse(&mut self, fault: Fault) {
        let number = Fault::ALL.iter().position(|other| *other == fault).expect("it is one of all");
        let head = format!("GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n{REFUSED}: {number}\r\n\r\n");
        self.held = head.into_bytes();
        (self.cleared, self.passed) = (self.held.len(), 0);
        self.timer = None;
        self.state = State::Refused;
    }

    /// Passes on bytes that are held.
    fn pass(&mut self, into: &mut ReadBuf<'_>) {
        let count = into.remaining().min(self.cleared - self.passed);
        into.put_slice(&self.held[self.passed..self.passed + count]);
        self.passed += count;
        if self.passed == self.cleared {
            if self.held.len() == self.cleared {
                // Frees the memory, which an idle connection does not need.
                self.held = Vec::new();
            } else {
                self.held.drain(..self.cleared);
            }
            (self.cleared, self.passed) = (0, 0);
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let State::Body(body) = &mut self.state else { return Poll::Ready(Ok(())) };
        let malformed = |fault: Fault| io::Error::new(io::ErrorKind::InvalidData, fault.detail());
        if !self.held.is_empty() {
            self.cleared = body.take(&self.held).map_err(malformed)?;
            if body.is_over() {
                self.state = State::head();
            }
            self.pass(into);
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        let count = body.take(&into.filled()[before..]).map_err(malformed)?;
        // What follows belongs to the next request.
        self.held.extend_from_slice(&into.filled()[before + count..]);
        into.set_filled(before + count);
        if body.is_over() {
            self.state = State::head();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and drops what the client still sends, for a while.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.lingered.is_none() {
            self.lingered = Some(0);
            set_timer(&mut self.timer, Instant::now() + LINGER);
        }
        let mut piece = [0; PIECE];
        loop {
            let mut piece = ReadBuf::new(&mut piece);
            match Pin::new(&mut self.stream).poll_read(cx, &mut piece) {
                Poll::Ready(Ok(())) if !piece.filled().is_empty() => {
                    let lingered = self.lingered.get_or_insert(0);
                    *lingered += piece.filled().len();
                    if *lingered > LINGER_BYTES {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return poll_timer(&mut self.timer, cx),
            }
        }
    }
}

fn set_timer(timer: &mut Option<Pin<Box<Sleep>>>, until: Instant) {
    match timer {
        Some(timer) => timer.as_mut().reset(until),
        None => *timer = Some(Box::pin(sleep_until(until))),
    }
}

fn poll_timer(timer: &mut Option<Pin<Box<Sleep>>>, cx: &mut Context<'_>) -> Poll<()> {
    match timer {
        Some(timer) => timer.as_mut().poll(cx),
        None => Poll::Pending,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        if guard.passed == guard.cleared {
            if let State::Body(_) = guard.state {
                return guard.poll_body(cx, into);
            }
            if !ready!(guard.poll_head(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
        guard.pass(into);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guard<S> {
    /// Gives up the client if it does not read for too long.
    fn watch_writing<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        if self.writing.is_none() {
            set_timer(&mut self.writing, Instant::now() + self.patience.write);
        }
        ready!(poll_timer(&mut self.writing, cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let written = Pin::new(&mut guard.stream).poll_write(cx, bytes);
        guard.watch_writing(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let written = Pin::new(&mut guard.stream).poll_write_vectored(cx, pieces);
        guard.watch_writing(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        let flushed = Pin::new(&mut guard.stream).poll_flush(cx);
        guard.watch_writing(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        if guard.lingered.is_none() {
            let shut = Pin::new(&mut guard.stream).poll_shutdown(cx);
            ready!(guard.watch_writing(cx, shut))?;
            if matches!(guard.state, State::Head { .. }) {
                return Poll::Ready(Ok(()));
            }
        }
        guard.poll_linger(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests;
