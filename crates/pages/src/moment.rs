//! Times and durations in words. Each time has the exact one with it, for programs and on hover.

use maud::{Markup, html};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The time at which a page was made.
pub struct Now(Option<OffsetDateTime>);

impl Now {
    pub fn new(text: &str) -> Self {
        Self(parse(text))
    }

    /// Shows a time as its distance from now.
    pub fn tell(&self, text: &str) -> Markup {
        let Some(time) = parse(text) else { return html! { (text) } };
        html! { time datetime=(text) title=(exact(time)) { (self.words(text)) } }
    }

    /// Returns a time as its distance from now, where only text is possible.
    pub fn words(&self, text: &str) -> String {
        match (parse(text), self.0) {
            (Some(time), Some(now)) => distance((time - now).whole_seconds()).unwrap_or_else(|| date(time)),
            (Some(time), None) => exact(time),
            (None, _) => text.into(),
        }
    }

    pub fn is_before(&self, text: &str) -> bool {
        matches!((self.0, parse(text)), (Some(now), Some(time)) if now < time)
    }
}

/// Whether a time is later than another one.
pub fn is_later(one: &str, other: &str) -> bool {
    matches!((parse(one), parse(other)), (Some(one), Some(other)) if one > other)
}

/// Shows the exact time.
pub fn exactly(text: &str) -> Markup {
    match parse(text) {
        Some(time) => html! { time datetime=(text) { (exact(time)) } },
        None => html! { (text) },
    }
}

/// Returns the time of day of a full hour, such as `05:00`.
pub fn hour_of_day(text: &str) -> String {
    parse(text).map_or_else(|| text.to_owned(), |time| format!("{:02}:{:02}", time.hour(), time.minute()))
}

/// Infinity, which Postgres has, is no such time.
fn parse(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)
}

fn date(time: OffsetDateTime) -> String {
    format!("{} {} {}", time.day(), time.month(), time.year())
}

fn exact(time: OffsetDateTime) -> String {
    format!("{}, {:02}:{:02}:{:02} UTC", date(time), time.hour(), time.minute(), time.second())
}

/// Returns `None` for what is so far away that a date says more.
fn distance(seconds: i64) -> Option<String> {
    let long = seconds.abs();
    let words = match long {
        0..5 => return Some(if seconds > 0 { "in a moment".into() } else { "just now".into() }),
        5..MINUTE => count(long, "second"),
        MINUTE..HOUR => count(long / MINUTE, "minute"),
        HOUR..DAY => count(long / HOUR, "hour"),
        _ if long < 30 * DAY => count(long / DAY, "day"),
        _ => return None,
    };
    Some(if seconds < 0 { format!("{words} ago") } else { format!("in {words}") })
}

/// Returns a number with its noun, such as `2 hours`.
pub fn count(number: i64, noun: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{} {noun}{end}", crate::figures::grouped(number))
}

/// Returns an interval as Postgres writes it in short words: `1 day 00:02:30` is `1 day 2 min 30 s`. What is written in
/// another way is returned as it is.
pub fn interval(text: &str) -> String {
    short(text).unwrap_or_else(|| text.to_owned())
}

fn short(text: &str) -> Option<String> {
    let (before, clock) = match text.rsplit_once(' ') {
        Some((before, last)) if last.contains(':') => (Some(before), last),
        None if text.contains(':') => (None, text),
        _ => return None,
    };
    let mut parts = clock.split(':');
    let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    let (hours, minutes, seconds) = (whole(hours)?, whole(minutes)?, seconds.parse::<f64>().ok()?);
    let mut words: Vec<String> = before.map(str::to_owned).into_iter().collect();
    words.extend((hours > 0).then(|| format!("{hours} h")));
    words.extend((minutes > 0).then(|| format!("{minutes} min")));
    words.extend((seconds > 0.0 || words.is_empty()).then(|| format!("{seconds} s")));
    Some(words.join(" "))
}

fn whole(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-26T05:00:00.123Z";

    fn told(time: &str) -> String {
        Now::new(NOW).tell(time).into_string()
    }

    #[test]
    fn times_are_told_in_words_and_exactly() {
        assert_eq!(
            told("2026-11-26T04:57:00.9+00:00"),
            r#"<time datetime="2026-11-26T04:57:00.9+00:00" title="26 November 2026, 04:57:00 UTC">2 minutes ago</time>"#
        );
        for (time, words) in [
            ("2026-11-26T05:00:00Z", "just now"),
            ("2026-11-26T05:00:03Z", "in a moment"),
            ("2026-11-26T04:59:30Z", "30 seconds ago"),
            ("2026-11-26T04:59:00Z", "1 minute ago"),
            ("2026-11-26T05:59:59Z", "in 59 minutes"),
            ("2026-11-26T06:00:01Z", "in 1 hour"),
            ("2026-11-26T06:00:01+01:00", "just now"),
            ("2026-11-26T03:00:00Z", "2 hours ago"),
            ("2026-11-25T05:00:00Z", "1 day ago"),
            ("2026-10-01T05:00:00Z", "1 October 2026"),
            ("2027-11-26T05:00:00Z", "26 November 2027"),
        ] {
            assert!(told(time).contains(&format!(">{words}</time>")), "{time}: {}", told(time));
        }
    }

    #[test]
    fn what_is_no_time_is_shown_as_it_is() {
        assert_eq!(told("infinity"), "infinity");
        assert_eq!(told("<b>"), "&lt;b&gt;");
        assert!(Now::new("soon").tell(NOW).into_string().contains(">26 November 2026, 05:00:00 UTC<"));
    }

    #[test]
    fn intervals_of_postgres_get_short() {
        for (interval, words) in [
            ("00:00:08", "8 s"),
            ("00:00:00.25", "0.25 s"),
            ("00:10:00", "10 min"),
            ("12:00:30", "12 h 30 s"),
            ("1 day 02:00:00", "1 day 2 h"),
            ("5 days", "5 days"),
            ("00:00:00", "0 s"),
            ("a:b:c", "a:b:c"),
            ("-00:00:01", "-00:00:01"),
        ] {
            assert_eq!(super::interval(interval), words);
        }
    }
}
