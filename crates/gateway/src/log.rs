//! The log: one line of JSON for each request and each event, on standard error.
//!
//! Requests do not wait for whoever reads the log: lines are handed to a thread. If that cannot keep up, lines are left
//! out and counted. No line has a secret: paths are shortened, and neither queries nor cookies nor bodies are logged.

use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How many lines may wait.
const LINES: usize = 4096;
/// How long the first line waits for others. So a busy gateway does not wake this thread for each of them.
const MOMENT: Duration = Duration::from_millis(20);
/// How long the end of the program waits for the last lines.
const PATIENCE: Duration = Duration::from_secs(1);

enum Message {
    Line(String),
    /// Answered when all lines before it are written.
    Flush(SyncSender<()>),
}

pub struct Log {
    messages: SyncSender<Message>,
    left_out: AtomicU64,
}

impl Log {
    pub fn start() -> Self {
        let (messages, waiting) = sync_channel(LINES);
        thread::Builder::new().name("log".into()).spawn(move || write(&waiting)).expect("a thread can be started");
        Self { messages, left_out: AtomicU64::new(0) }
    }

    /// Logs an event with what is known about it, a JSON object.
    pub fn event(&self, level: &str, event: &str, mut about: Value) {
        let mut line = Map::new();
        line.insert("time".into(), json!(now()));
        line.insert("level".into(), json!(level));
        line.insert("event".into(), json!(event));
        if let Some(about) = about.as_object_mut() {
            line.append(about);
        }
        let left_out = self.left_out.swap(0, Ordering::Relaxed);
        if left_out > 0 {
            line.insert("lines_left_out".into(), json!(left_out));
        }
        if self.messages.try_send(Message::Line(Value::Object(line).to_string())).is_err() {
            self.left_out.fetch_add(left_out + 1, Ordering::Relaxed);
        }
    }

    /// Returns when the lines so far are written, or after a second.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.messages.try_send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(PATIENCE);
        }
    }
}

fn write(messages: &Receiver<Message>) {
    let mut out = BufWriter::with_capacity(64 << 10, io::stderr());
    while let Ok(first) = messages.recv() {
        // Whoever waits for the lines is not kept waiting; otherwise one write has the lines of a moment.
        if let Message::Line(_) = &first {
            thread::sleep(MOMENT);
        }
        for message in std::iter::once(first).chain(messages.try_iter()) {
            // There is nowhere to report that the log cannot be written.
            match message {
                Message::Line(line) => drop(writeln!(out, "{line}")),
                Message::Flush(done) => {
                    let _ = out.flush();
                    let _ = done.send(());
                }
            }
        }
        let _ = out.flush();
    }
}

fn now() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}
