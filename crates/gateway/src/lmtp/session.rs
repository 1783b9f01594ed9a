//! Talks with one mail server.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use super::command::{self, Command, Fault};
use super::data::Data;
use super::delivery::{self, BUSY, Envelope, LATER, Reply, TOO_LARGE};
use crate::gateway::{Gateway, Stage};

const MAX_RECIPIENTS: usize = 100;
/// A mail server that does not understand us would go on for ever.
const MAX_FAULTS: usize = 20;
const IDLE: Duration = Duration::from_secs(300);
const WRITE: Duration = Duration::from_secs(30);
/// Of a whole message.
const MESSAGE: Duration = Duration::from_secs(600);
const READ: usize = 64 << 10;
/// Memory for messages is taken in pieces of so many kB.
const PIECE: u32 = 256;

pub struct Session<S> {
    gateway: Arc<Gateway>,
    peer: IpAddr,
    stream: S,
    /// Bytes that were received and not used.
    received: BytesMut,
    replies: Vec<u8>,
    has_greeted: bool,
    from: Option<String>,
    recipients: Vec<String>,
    faults: usize,
}

enum Next {
    Command(Vec<u8>),
    /// The mail server has gone, or is silent, or the gateway ends.
    End(Option<Reply>),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub fn new(gateway: Arc<Gateway>, peer: IpAddr, stream: S) -> Self {
        Self {
            gateway,
            peer,
            stream,
            received: BytesMut::new(),
            replies: Vec::new(),
            has_greeted: false,
            from: None,
            recipients: Vec::new(),
            faults: 0,
        }
    }

    /// Talks until the end of the connection.
    pub async fn run(mut self) -> io::Result<()> {
        self.reply(Reply(220, "Hydra Webhooks LMTP"));
        loop {
            match self.next().await? {
                Next::Command(line) => {
                    let is_over = self.obey(&line).await?;
                    if is_over || self.faults > MAX_FAULTS {
                        return self.flush().await;
                    }
                }
                Next::End(reply) => {
                    reply.into_iter().for_each(|reply| self.reply(reply));
                    return self.flush().await;
                }
            }
        }
    }

    /// Returns the next command. Replies are sent when nothing more has been received, so that commands may be sent at once.
    async fn next(&mut self) -> io::Result<Next> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line = self.received.split_to(end + 1);
                return Ok(match line.strip_suffix(b"\r\n") {
                    Some(line) if line.len() <= command::LONGEST => Next::Command(line.to_vec()),
                    Some(_) => Next::End(Some(Reply(500, "5.5.2 The line is too long"))),
                    None => Next::End(Some(Reply(500, "5.5.2 Lines end with CR LF"))),
                });
            }
            if self.received.len() > command::LONGEST {
                return Ok(Next::End(Some(Reply(500, "5.5.2 The line is too long"))));
            }
            self.flush().await?;
            let mut stage = self.gateway.stage.subscribe();
            let ends = async {
                // Between two messages, so that none is cut off.
                match self.from {
                    None => drop(stage.wait_for(|stage| *stage != Stage::Running).await),
                    Some(_) => drop(stage.wait_for(|stage| *stage == Stage::Closing).await),
                }
            };
            tokio::select! {
                read = timeout(IDLE, self.stream.read_buf(&mut self.received)) => match read {
                    Ok(Ok(1..)) => {}
                    Ok(_) => return Ok(Next::End(None)),
                    Err(_) => return Ok(Next::End(Some(Reply(421, "4.4.2 Too long without a command")))),
                },
                () = ends => return Ok(Next::End(Some(Reply(421, "4.3.2 The gateway ends")))),
            }
        }
    }

    /// Returns whether the session is over.
    async fn obey(&mut self, line: &[u8]) -> io::Result<bool> {
        let command = match command::parse(line) {
            Ok(command) => command,
            Err(fault) => {
                self.fault(match fault {
                    Fault::Unknown => Reply(500, "5.5.1 The command is not known"),
                    Fault::Syntax => Reply(501, "5.5.4 The command cannot be read"),
                    Fault::Parameter => Reply(555, "5.5.4 A parameter is not known"),
                });
                return Ok(false);
            }
        };
        match command {
            Command::Lhlo => self.greet(),
            Command::Hello => self.fault(Reply(500, "5.5.1 This is LMTP: send LHLO")),
            Command::Mail { from, size } => self.begin(from, size),
            Command::Rcpt { to } => self.add(to).await,
            Command::Data => return self.data().await,
            Command::Rset => {
                self.reset();
                self.reply(Reply(250, "2.0.0 OK"));
            }
            Command::Noop => self.reply(Reply(250, "2.0.0 OK")),
            Command::Vrfy => self.reply(Reply(252, "2.5.2 Send RCPT")),
            Command::Quit => {
                self.reply(Reply(221, "2.0.0 Bye"));
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn greet(&mut self) {
        self.reset();
        self.has_greeted = true;
        let size = self.gateway.live().settings.max_mail;
        let lines = format!(
            "250-Hydra Webhooks\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE {size}\r\n"
        );
        self.replies.extend_from_slice(lines.as_bytes());
    }

    fn begin(&mut self, from: String, size: Option<usize>) {
        if !self.has_greeted || self.from.is_some() {
            return self.fault(Reply(503, "5.5.1 Not now"));
        }
        if size.is_some_and(|size| size > self.gateway.live().settings.max_mail) {
            return self.reply(TOO_LARGE);
        }
        self.from = Some(from);
        self.reply(Reply(250, "2.1.0 OK"));
    }

    async fn add(&mut self, to: String) {
        let Some(from) = &self.from else {
            return self.fault(Reply(503, "5.5.1 Send MAIL first"));
        };
        if self.recipients.len() >= MAX_RECIPIENTS {
            return self.reply(Reply(452, "4.5.3 Too many recipients"));
        }
        let reply = delivery::check(&self.gateway, &Envelope { from, to: &to, peer: self.peer }).await;
        if reply.0 == 250 {
            self.recipients.push(to);
        }
        self.reply(reply);
    }

    /// Takes a message, and replies once for each recipient. Returns whether the session is over.
    async fn data(&mut self) -> io::Result<bool> {
        if self.recipients.is_empty() {
            self.fault(Reply(503, "5.5.1 There are no recipients"));
            return Ok(false);
        }
        self.reply(Reply(354, "Send the message"));
        self.flush().await?;
        let Some((data, _memory, refusal)) = self.receive().await? else { return Ok(true) };
        let from = self.from.take().unwrap_or_default();
        let recipients = std::mem::take(&mut self.recipients);
        let refusal = match (data.is_too_large, data.has_bare_end) {
            _ if refusal.is_some() => refusal,
            (true, _) => Some(TOO_LARGE),
            (_, true) => Some(Reply(554, "5.6.0 Lines end with CR LF")),
            _ => None,
        };
        let message = Bytes::from(data.into_message());
        for to in &recipients {
            let envelope = Envelope { from: &from, to, peer: self.peer };
            let reply = match refusal {
                Some(refusal) => refusal,
                None => delivery::deliver(&self.gateway, &envelope, message.clone()).await,
            };
            self.reply(reply);
            // Each at once: the mail server need not send to this one again, whatever becomes of the next.
            self.flush().await?;
        }
        self.reset();
        Ok(false)
    }

    /// Receives a message, with its share of the memory and the reason for which it was not kept. `None`: the mail server
    /// has gone or takes too long.
    async fn receive(&mut self) -> io::Result<Option<(Data, Vec<OwnedSemaphorePermit>, Option<Reply>)>> {
        let deadline = Instant::now() + MESSAGE;
        let mut data = Data::new(self.gateway.live().settings.max_mail);
        let (mut memory, mut refusal) = (Vec::new(), None);
        loop {
            let received = self.received.split();
            if let Some(end) = data.take(&received) {
                self.received.extend_from_slice(&received[end..]);
                return Ok(Some((data, memory, refusal)));
            }
            while refusal.is_none() && memory.len() * (PIECE as usize * 1024) < data.size() {
                match self.gateway.bodies.clone().try_acquire_many_owned(PIECE) {
                    Ok(share) => memory.push(share),
                    Err(_) => {
                        refusal = Some(BUSY);
                        memory.clear();
                        data.discard();
                    }
                }
            }
            self.received.reserve(READ);
            match timeout_at(deadline, timeout(IDLE, self.stream.read_buf(&mut self.received))).await {
                Ok(Ok(Ok(1..))) => {}
                _ => return Ok(None),
            }
        }
    }

    fn reset(&mut self) {
        self.from = None;
        self.recipients.clear();
    }

    fn fault(&mut self, reply: Reply) {
        self.faults += 1;
        self.reply(reply);
    }

    fn reply(&mut self, Reply(code, text): Reply) {
        self.replies.extend_from_slice(format!("{code} {text}\r\n").as_bytes());
    }

    async fn flush(&mut self) -> io::Result<()> {
        let replies = std::mem::take(&mut self.replies);
        if replies.is_empty() {
            return Ok(());
        }
        let write = async {
            self.stream.write_all(&replies).await?;
            self.stream.flush().await
        };
        timeout(WRITE, write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// What a mail server is told that comes when there are too many.
pub const CROWDED: Reply = Reply(421, LATER.1);
