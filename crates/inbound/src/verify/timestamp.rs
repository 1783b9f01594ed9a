//! The time of a request, and how far it may be from the clock.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::request::required;
use super::signature::Header;
use super::{Denied, Stage, Step};
use crate::arriving::Arriving;
use crate::path::Path;
use crate::scheme::{Scheme, TimeFormat};

/// Returns the time as it is written in a header.
pub fn written<'a>(
    scheme: &'a Scheme,
    header: &Header<'a>,
    arriving: &Arriving<'a>,
) -> Result<Option<&'a str>, Denied> {
    let Some(timestamp) = &scheme.timestamp else {
        return Ok(None);
    };
    if let Some(name) = &timestamp.header {
        return required(arriving, name.as_str(), Stage::Timestamp).map(Some);
    }
    let Some(name) = &timestamp.part else {
        return Ok(None);
    };
    let mut parts = header.parts(name);
    match (parts.next(), parts.next()) {
        (Some(value), None) => Ok(Some(value)),
        _ => Err(Denied::new(Stage::Timestamp, format!("the signature header has not exactly one part {name}"))),
    }
}

pub fn path(scheme: &Scheme) -> Option<&Path> {
    scheme.timestamp.as_ref()?.path.as_ref()
}

pub fn in_body(path: &Path, payload: &Value) -> Result<String, Denied> {
    let missing = || Denied::new(Stage::Timestamp, format!("the body has no time at {}", path.as_str()));
    path.text(payload).ok_or_else(missing)
}

/// Reads a time and compares it with the clock. Returns it in milliseconds since 1970.
pub fn in_window(
    scheme: &Scheme,
    written: Option<&str>,
    now_ms: i64,
    steps: &mut Vec<Step>,
) -> Result<Option<i64>, Denied> {
    match (&scheme.timestamp, written) {
        (Some(timestamp), Some(written)) => {
            near(written, timestamp.format, timestamp.tolerance, now_ms, steps).map(Some)
        }
        _ => Ok(None),
    }
}

pub fn near(
    written: &str,
    format: TimeFormat,
    tolerance: u32,
    now_ms: i64,
    steps: &mut Vec<Step>,
) -> Result<i64, Denied> {
    let form = match format {
        TimeFormat::S => "unix seconds",
        TimeFormat::Ms => "unix milliseconds",
        TimeFormat::Rfc3339 => "a time as in RFC 3339",
    };
    let unreadable = || Denied::new(Stage::Timestamp, "the time of the request cannot be read");
    let at = read(written, format).ok_or_else(|| unreadable().detail(format!("It should be {form}.")))?;
    let distance = now_ms.abs_diff(at);
    let (seconds, direction) = (distance / 1000, if at > now_ms { "after" } else { "before" });
    if distance > u64::from(tolerance) * 1000 {
        let detail = format!("It is {seconds} s {direction} the clock of this server. {tolerance} s are allowed.");
        return Err(Denied::new(Stage::Timestamp, "the time of the request is too far from the clock").detail(detail));
    }
    let says = format!("it was made {seconds} s {direction} the time of the clock; {tolerance} s are allowed");
    steps.push(Step { stage: Stage::Timestamp, says });
    Ok(at)
}

fn read(written: &str, format: TimeFormat) -> Option<i64> {
    // Enough until the year 5138, and far from an overflow.
    let digits = |most: usize| {
        let digits = (1..=most).contains(&written.len()) && written.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| written.parse::<i64>().ok()).flatten()
    };
    match format {
        TimeFormat::S => digits(11).map(|seconds| seconds * 1000),
        TimeFormat::Ms => digits(14),
        TimeFormat::Rfc3339 => {
            let time = OffsetDateTime::parse(written, &Rfc3339).ok()?;
            i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
        }
    }
}
