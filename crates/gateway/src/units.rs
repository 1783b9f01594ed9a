//! Sizes and times with units, as Postgres writes them in its settings.

use std::time::Duration;

/// Reads a number of bytes: `1MB`, `64kB`, `500`. As in Postgres, a unit is a power of 1024.
pub fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text);
    let factor: usize = match unit {
        "" | "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        _ => return Err(format!("\"{text}\" is not a size such as 512kB or 1MB; the units are B, kB, MB and GB")),
    };
    let size = number.and_then(|number| usize::try_from(number).ok()?.checked_mul(factor));
    size.ok_or_else(|| format!("\"{text}\" is not a size such as 512kB or 1MB"))
}

/// Reads a time: `10s`, `500ms`, `1min`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("\"{text}\" is not a time such as 500ms or 10s; the units are ms, s, min and h")),
    };
    let milliseconds = number.and_then(|number| number.checked_mul(factor));
    milliseconds.map(Duration::from_millis).ok_or_else(|| format!("\"{text}\" is not a time such as 500ms or 10s"))
}

/// Returns the number and the unit, which may have blanks between them.
fn split(text: &str) -> (Option<u64>, &str) {
    let text = text.trim();
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok(), text[end..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_the_units_of_postgres() {
        assert_eq!(size("1MB"), Ok(1 << 20));
        assert_eq!(size(" 64 kB "), Ok(64 << 10));
        assert_eq!(size("500"), Ok(500));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("250 ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1min"), Ok(Duration::from_secs(60)));
        for text in ["", "MB", "1mb", "1 M", "-1", "1.5MB", "99999999999999999999", "99999999999GB", "1é"] {
            assert!(size(text).is_err_and(|error| error.contains(text)), "{text}");
        }
        for text in ["10", "s", "10 seconds", "-1s", "99999999999999999h", "é"] {
            assert!(duration(text).is_err_and(|error| error.contains(text)), "{text}");
        }
    }
}
