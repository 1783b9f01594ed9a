//! Numbers as people read them.

/// Returns a number with a comma between thousands.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a share as a percentage. It is 100 % only if nothing is missing, and 0 % only if there is nothing.
pub fn percentage(share: f64) -> String {
    let rounded = (share * 1000.0).round() / 10.0;
    let shown = match share {
        _ if share > 0.0 && rounded < 0.1 => 0.1,
        _ if share < 1.0 && rounded > 99.9 => 99.9,
        _ => rounded,
    };
    format!("{shown} %")
}

/// Returns a time in milliseconds or, if it is long, in seconds.
pub fn milliseconds(ms: f64) -> String {
    match ms {
        _ if ms < 10.0 => format!("{} ms", (ms * 10.0).round() / 10.0),
        _ if ms < 1000.0 => format!("{} ms", ms.round()),
        _ => format!("{} s", (ms / 100.0).round() / 10.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!([0, 999, 1000, -1234567].map(grouped), ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!(
            [0.0, 0.00001, 0.5, 0.985, 0.99999, 1.0].map(percentage),
            ["0 %", "0.1 %", "50 %", "98.5 %", "99.9 %", "100 %"]
        );
        assert_eq!([0.44, 12.5, 999.0, 1250.0].map(milliseconds), ["0.4 ms", "13 ms", "999 ms", "1.3 s"]);
    }
}
