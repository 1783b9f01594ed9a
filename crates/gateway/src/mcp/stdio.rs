//! `hydra-gateway mcp`: passes on the messages of a client that has started this program, for clients that can send no
//! header with a key.
//!
//! Each line of standard input is a message, and each line of standard output an answer; nothing else is written there. Messages
//! stand for themselves, so several are under way at a time, and answers come in any order. The end of the input ends the
//! program, after the last answer.

use std::collections::HashMap;
use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;
use std::{env, thread};

use bytes::Bytes;
use mcp::relay::{self, Passed};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use super::destination::Destination;
use crate::options::Relay;
use crate::settings::Fault;

/// Messages under way.
const UNDER_WAY: usize = 8;
/// The longest line, as the largest body of a gateway.
const LONGEST: u64 = 1 << 20;

/// Runs until the input ends.
pub async fn run(options: &Relay) -> Result<(), Fault> {
    let key = env::var("HYDRA_API_KEY").map_err(|_| {
        Fault::new(
            "there is no API key",
            "Set the environment variable HYDRA_API_KEY to what hydra.api_key_create has returned.",
        )
    })?;
    let destination = Arc::new(Destination::new(options, key.trim().to_owned())?);
    let (lines, mut received) = mpsc::channel(UNDER_WAY);
    let reader = thread::Builder::new().name("input".into()).spawn(move || read_lines(&lines));
    reader
        .map_err(|error| Fault::new(format!("cannot start a thread: {error}"), "The system may be out of memory."))?;
    let mut under_way = UnderWay::new();
    while let Some(line) = received.recv().await {
        match relay::pass(&line) {
            Ok(passed) => under_way.begin(&destination, passed, line).await,
            Err(answer) => say(&answer),
        }
    }
    under_way.finish().await;
    destination.end().await;
    Ok(())
}

/// Messages that have been passed on and not been answered.
struct UnderWay {
    tasks: JoinSet<()>,
    places: Arc<Semaphore>,
    /// By the id, so that they can be cancelled.
    handles: HashMap<String, AbortHandle>,
}

impl UnderWay {
    fn new() -> Self {
        Self { tasks: JoinSet::new(), places: Arc::new(Semaphore::new(UNDER_WAY)), handles: HashMap::new() }
    }

    /// Passes on a message when there is a place for it.
    async fn begin(&mut self, destination: &Arc<Destination>, passed: Passed, line: Bytes) {
        while self.tasks.try_join_next().is_some() {}
        self.handles.retain(|_, handle| !handle.is_finished());
        if let Some(cancelled) = passed.cancels.as_ref().and_then(|id| self.handles.remove(&id.to_string())) {
            cancelled.abort();
        }
        let Ok(place) = self.places.clone().acquire_owned().await else { return };
        let (destination, id) = (destination.clone(), passed.id.clone());
        let handle = self.tasks.spawn(async move {
            let _place = place;
            let answer = match destination.send(passed.headers.clone(), line).await {
                Ok((status, body)) => passed.answer(status, &body),
                Err((status, why)) => {
                    eprintln!("{}", json!({"level": "error", "event": "not_passed_on", "reason": why}));
                    passed.refused(status, &why)
                }
            };
            if let Some(answer) = answer {
                say(&answer);
            }
        });
        if let Some(id) = id {
            self.handles.insert(id.to_string(), handle);
        }
    }

    async fn finish(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Writes a line. If nobody reads it, the input will end soon.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn read_lines(lines: &mpsc::Sender<Bytes>) {
    let mut input = io::stdin().lock();
    while let Ok(Some(line)) = read_line(&mut input) {
        let is_blank = line.iter().all(u8::is_ascii_whitespace);
        if !is_blank && lines.blocking_send(line.into()).is_err() {
            return;
        }
    }
}

/// Returns the next line, or none at the end. Of a line that is too long, the first part is returned, which is no message.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if input.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == LONGEST && line.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_to_the_last_and_one_that_is_too_long_hides_no_other() {
        let long = "x".repeat(LONGEST as usize + 5);
        let exact = "y".repeat(LONGEST as usize - 1);
        let text = format!("a\n\n{long}\n{exact}\nb");
        let (mut input, mut lengths) = (text.as_bytes(), Vec::new());
        while let Some(line) = read_line(&mut input).unwrap() {
            lengths.push(line.len());
        }
        assert_eq!(lengths, [2, 1, LONGEST as usize, LONGEST as usize, 1]);
    }
}
