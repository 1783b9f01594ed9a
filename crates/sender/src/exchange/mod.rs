//! One attempt: a signed POST and its answer, on a connection that never blocks.
//!
//! | module | what it does |
//! |---|---|
//! | `message` | writes the head of the request |
//! | `head`, `body` | find the end of the head and of the body of an answer |
//! | `answer` | reads the answer, and keeps what is recorded |
//! | `failure` | says why no answer came |
//! | `target` | what is the same for all requests to a URL |

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use wire::attempt::Outcome;
use wire::request::Request;

use crate::event_loop::Ticket;
use crate::rules::Rules;
use crate::transport::{End, Socket};

mod answer;
mod body;
mod failure;
mod head;
mod message;
mod target;

pub use answer::read_answer;
pub(crate) use failure::Trouble;
pub(crate) use target::{Host, Target};

use answer::{Next, Reader};

/// A body of at most this many bytes is copied behind the head: sending one part takes the kernel less time than two.
const SMALL_BODY: usize = 4096;

/// A request that was started.
pub struct Exchange {
    pub request: Request,
    pub target: Rc<Target>,
    pub rules: Arc<Rules>,
    /// The time that is signed.
    at: SystemTime,
    /// When the time limit ends.
    pub until: Instant,
    ticket: Ticket,
    sending: Sending,
    /// Why the rest of the request could not be sent. It is reported if no answer can be read.
    write_error: Option<Trouble>,
    /// Whether the connection was used before.
    is_reused: bool,
    /// Whether the request was sent before, on a connection that was closed.
    is_repeated: bool,
    reader: Reader,
}

/// How much of the request was sent.
enum Sending {
    Nothing,
    /// All but the rest of the head, and this many bytes of the body.
    Part {
        head: Vec<u8>,
        body: usize,
    },
    All,
}

/// What is to be done with the connection of an exchange.
pub enum Step {
    Wait,
    /// The attempt has an answer. Says whether the connection can be used again.
    Finish {
        is_reusable: bool,
    },
    Fail(Trouble),
}

impl Exchange {
    /// `pending` has the number of bytes of all incomplete heads of answers.
    pub fn new(
        request: Request,
        target: Rc<Target>,
        rules: Arc<Rules>,
        ticket: Ticket,
        pending: Rc<Cell<usize>>,
    ) -> Self {
        Self {
            at: ticket.at(),
            until: ticket.started() + request.endpoint.timeout,
            request,
            target,
            rules,
            ticket,
            sending: Sending::Nothing,
            write_error: None,
            is_reused: false,
            is_repeated: false,
            reader: Reader::new(pending),
        }
    }

    pub fn is_begun(&self) -> bool {
        !matches!(self.sending, Sending::Nothing)
    }

    /// Sends the request, as far as the socket takes it. `head` is memory to build the head in.
    pub fn begin(&mut self, socket: &mut Socket, head: &mut Vec<u8>, is_reused: bool) {
        self.is_reused = is_reused;
        head.clear();
        message::write_head(head, self.target.beginning(), &self.request, self.at);
        let (length, mut body) = (head.len(), self.request.body.as_bytes());
        let whole = length + body.len();
        if body.len() <= SMALL_BODY {
            head.extend_from_slice(body);
            body = &[];
        }
        self.sending = match socket.write(head, body) {
            Ok(taken) if taken == whole => Sending::All,
            Ok(taken) => {
                Sending::Part { head: head[taken.min(length)..length].to_vec(), body: taken.saturating_sub(length) }
            }
            Err(error) => {
                self.write_error = Some(error.into());
                Sending::All
            }
        };
    }

    /// Whether nothing can be sent any more, so that only reading shows what the receiver said.
    pub fn is_cut_off(&self) -> bool {
        self.write_error.is_some()
    }

    /// Continues to send, and reads what has come. To be called when the poller has reported something. `ends`: the
    /// receiver may have closed its side.
    ///
    /// A receiver may answer before it has read the whole request, for example because the body is too large, and then
    /// never read the rest, or reset the connection. So nothing waits until a request is sent, and after a failed write,
    /// what has arrived is read first.
    pub fn advance(&mut self, socket: &mut Socket, buffer: &mut [u8], ends: bool) -> Step {
        self.send(socket);
        let ends = ends || self.write_error.is_some();
        let reader = &mut self.reader;
        let mut result = Ok(Next::ReadMore);
        let end = socket.read(buffer, ends, |input| {
            result = reader.read(input);
            if result == Ok(Next::ReadMore) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        match (result, end) {
            (Err(bad), _) => Step::Fail(Trouble::BadAnswer(bad)),
            (Ok(Next::Finish { is_reusable }), _) => {
                Step::Finish { is_reusable: is_reusable && self.is_sent() && socket.is_flushed() }
            }
            (Ok(Next::ReadMore), Ok(End::Closed)) => {
                let closed = || io::Error::from(ErrorKind::UnexpectedEof).into();
                Step::Fail(self.write_error.take().unwrap_or_else(closed))
            }
            (Ok(Next::ReadMore), Err(trouble)) => Step::Fail(self.write_error.take().unwrap_or(trouble)),
            (Ok(Next::ReadMore), Ok(_)) => Step::Wait,
        }
    }

    fn send(&mut self, socket: &mut Socket) {
        let all = self.request.body.as_bytes();
        if let Sending::Part { head, body } = &mut self.sending {
            match socket.write(head, &all[*body..]) {
                Ok(taken) => {
                    *body += taken.saturating_sub(head.len());
                    head.drain(..taken.min(head.len()));
                    if head.is_empty() && *body == all.len() {
                        self.sending = Sending::All;
                    }
                }
                Err(error) => self.stop_sending(error),
            }
        } else if let Err(error) = socket.flush() {
            self.stop_sending(error);
        }
    }

    fn stop_sending(&mut self, error: io::Error) {
        self.write_error = Some(error.into());
        self.sending = Sending::All;
    }

    fn is_sent(&self) -> bool {
        matches!(self.sending, Sending::All) && self.write_error.is_none()
    }

    /// Whether the request is to be sent again on a new connection. A receiver may close a resting connection at the
    /// moment when it is used again. Then the request was most likely not read. Both together are one attempt.
    pub fn may_be_repeated(&self, trouble: &Trouble) -> bool {
        self.is_reused && !self.is_repeated && !self.reader.has_input() && trouble.is_hang_up()
    }

    /// Prepares it for being sent again.
    pub fn rewind(&mut self) {
        self.sending = Sending::Nothing;
        self.write_error = None;
        self.is_repeated = true;
    }

    /// Reports the answer that was read.
    pub fn finish(mut self) {
        fault::point("answer");
        if let Some(answer) = self.reader.answer(self.at) {
            self.ticket.conclude(Outcome::Answered(answer));
        }
    }

    /// Reports that no answer came. Errors after the head of an answer change nothing: the receiver has answered.
    pub fn fail(mut self, trouble: &Trouble) {
        fault::point("answer");
        let answering = self.reader.has_input();
        let outcome = match self.reader.answer(self.at) {
            Some(answer) => Outcome::Answered(answer),
            None => Outcome::Failed(trouble.failure(answering, self.rules.roots.is_complete())),
        };
        self.ticket.conclude(outcome);
    }

    /// Reports that no request was made.
    pub fn give_back(self) {
        self.ticket.conclude(Outcome::NotStarted);
    }
}
