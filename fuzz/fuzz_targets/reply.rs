//! What is kept of an answer, and when it asks for the next attempt.
//!
//! Input: a line of `Retry-After`, then the body.
#![no_main]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use delivery::retry::{delay, is_expired};
use libfuzzer_sys::fuzz_target;
use sender::read_answer;
use wire::attempt::EXCERPT_BYTES;

const DAY: Duration = Duration::from_secs(24 * 3600);

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (line, body) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let now = UNIX_EPOCH + Duration::from_secs(1_777_487_580);
    let head: [&[u8]; 3] = [b"HTTP/1.1 503 Busy\r\nRetry-After: ", line, b"\r\n\r\n"];
    // A head may be too large.
    let Ok(answer) = read_answer([&*head.concat(), body], now) else { return };
    let answer = answer.expect("the head is complete");

    assert_eq!(answer.status, 503);
    assert!(answer.excerpt.len() <= EXCERPT_BYTES && !answer.excerpt.contains(is_left_out));
    let head = &body[..body.len().min(EXCERPT_BYTES)];
    if let Ok(text) = str::from_utf8(head) {
        assert_eq!(answer.excerpt, text.replace(is_left_out, ""), "valid text is kept as it is");
    }
    schedule(answer.retry_after, body, now);
});

/// A schedule that is made of these bytes, with a failure after each attempt.
fn schedule(retry_after: Option<Duration>, bytes: &[u8], now: SystemTime) {
    let schedule: Vec<_> = bytes.iter().take(50).map(|byte| 7 * DAY / 255 * u32::from(*byte)).collect();
    let longest = schedule.iter().max().copied().unwrap_or_default();
    for (failures, planned) in (1..).zip(&schedule) {
        let pause = delay(&schedule, failures, retry_after, 0.0).expect("one more attempt");
        assert!(pause >= *planned && pause <= longest, "{pause:?} of {schedule:?} after {failures} failures");
        assert!(pause >= retry_after.unwrap_or_default().min(longest));
    }
    assert_eq!(delay(&schedule, schedule.len() + 1, retry_after, 1.0), None);
    assert!(!is_expired(&schedule, Duration::from_secs(60), longest));
    // Every pause can be added to a time.
    let _ = now + retry_after.unwrap_or_default();
}

/// Whether excerpts leave this character out.
fn is_left_out(char: char) -> bool {
    char.is_control() && !matches!(char, '\n' | '\t')
}
