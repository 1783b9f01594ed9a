//! Whether the sender is proven.
//!
//! Anybody can write any address into `From`. The server that took the message from the Internet checks signatures and
//! policies, and writes its results into a field `Authentication-Results` (RFC 8601), with its name in front. Only the
//! fields with the name that the channel trusts count, and they prove an address only where what was checked belongs to
//! the domain of `From`:
//!
//! - `dmarc=pass`, and no other mention of dmarc, or
//! - `dkim=pass` with a domain that is that of `From`, or one above it. SPF alone proves nothing about `From`.
//!
//! That server has to remove fields with its own name that the message came with, as RFC 8601 demands. In case that it
//! does not: its own are above those, so the topmost field that mentions a method decides, and for dmarc a
//! contradiction refutes.

use crate::fields::{Field, values};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sender {
    Proven,
    /// Why it is not.
    Unproven(String),
}

struct ResultOf {
    method: String,
    result: String,
    properties: Vec<(String, String)>,
}

impl ResultOf {
    fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Judges the sender of a message: the domain of the only address in `From`, and the server that is trusted.
pub fn judge(fields: &[Field], domain: Option<&str>, trusted: Option<&str>) -> Sender {
    let unproven = |why: &str| Sender::Unproven(why.to_owned());
    let Some(trusted) = trusted else {
        return unproven("the channel names no server whose results are trusted");
    };
    let Some(domain) = domain else {
        return unproven("From does not have exactly one address");
    };
    let trusted_fields: Vec<Vec<ResultOf>> =
        values(fields, "authentication-results").filter_map(|value| results(value, trusted)).collect();
    if trusted_fields.is_empty() {
        return Sender::Unproven(format!("there are no results of {trusted}"));
    }
    let all = |method: &'static str| {
        trusted_fields.iter().flatten().filter(move |result| result.method == method).collect::<Vec<_>>()
    };
    let dmarc = all("dmarc");
    let is_of_from =
        |result: &ResultOf| result.property("header.from").is_none_or(|from| from.eq_ignore_ascii_case(domain));
    if !dmarc.is_empty() && dmarc.iter().all(|result| result.result == "pass" && is_of_from(result)) {
        return Sender::Proven;
    }
    let topmost = trusted_fields.iter().find(|field| field.iter().any(|result| result.method == "dkim"));
    let is_aligned = |result: &&ResultOf| {
        result.method == "dkim"
            && result.result == "pass"
            && signer(result).is_some_and(|signer| covers(&signer, domain))
    };
    // A domain whose policy the message has failed is not helped by a signature.
    let has_failed = dmarc.iter().any(|result| result.result == "fail");
    match topmost.is_some_and(|field| field.iter().any(|result| is_aligned(&result))) && !has_failed {
        true => Sender::Proven,
        false => Sender::Unproven(format!("{trusted} did not find it authentic")),
    }
}

/// Returns the domain that has signed.
fn signer(result: &ResultOf) -> Option<String> {
    let domain = result.property("header.d").or_else(|| result.property("header.i")?.rsplit('@').next())?;
    Some(domain.trim_start_matches('@').to_ascii_lowercase())
}

/// Whether a signature of this domain is one of the other domain: they are the same, or the other one is below it.
fn covers(signer: &str, domain: &str) -> bool {
    let domain = domain.to_ascii_lowercase();
    signer == domain || signer.contains('.') && domain.strip_suffix(signer).is_some_and(|rest| rest.ends_with('.'))
}

/// Reads a field; `None` if it is not one of the trusted server.
fn results(value: &str, trusted: &str) -> Option<Vec<ResultOf>> {
    let value = without_comments(value);
    let mut parts = value.split(';');
    let name = parts.next()?.split_whitespace().next()?;
    if !name.eq_ignore_ascii_case(trusted) {
        return None;
    }
    Some(parts.filter_map(result).collect())
}

fn result(part: &str) -> Option<ResultOf> {
    let spaced = part.replace('=', " = ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut pairs = words
        .windows(3)
        .filter(|pair| pair[1] == "=")
        .map(|pair| (pair[0].to_ascii_lowercase(), pair[2].trim_matches('"').to_owned()));
    let (method, result) = pairs.next()?;
    let method = method.split('/').next().unwrap_or_default().to_owned();
    Some(ResultOf { method, result: result.to_ascii_lowercase(), properties: pairs.collect() })
}

fn without_comments(value: &str) -> String {
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    let mut text = String::new();
    for char in value.chars() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth > 0 => {
                depth -= 1;
                text.push(' ');
                continue;
            }
            _ => {}
        }
        // A semicolon in a text in quotation marks separates nothing.
        if depth == 0 {
            text.push(if quoted && char == ';' { ' ' } else { char });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields;

    fn is_proven(header: &str) -> bool {
        judge(&fields::of(header.as_bytes()), Some("example.com"), Some("mx.helpdesk.test")) == Sender::Proven
    }

    #[test]
    fn a_result_of_the_trusted_server_proves_the_domain_of_from() {
        for header in [
            "Authentication-Results: mx.helpdesk.test; dmarc=pass (p=reject) header.from=example.com",
            "Authentication-Results: MX.Helpdesk.test 1; spf=fail; dkim=pass header.d=example.com header.s=a",
            "Authentication-Results: mx.helpdesk.test;\n dkim=fail header.d=other.test;\n dkim=pass (2048-bit key; x) header.i=@example.com",
            "Authentication-Results: mx.helpdesk.test; dkim = pass header.d = example.com",
        ] {
            assert!(is_proven(header), "{header}");
        }
        let below = fields::of(b"Authentication-Results: mx; dkim=pass header.d=example.com");
        assert_eq!(judge(&below, Some("mail.example.com"), Some("mx")), Sender::Proven);
    }

    #[test]
    fn nothing_else_does() {
        for header in [
            "",
            "Authentication-Results: elsewhere.test; dmarc=pass header.from=example.com",
            "Authentication-Results: (mx.helpdesk.test) evil.test; dmarc=pass",
            "Authentication-Results: mx.helpdesk.test.evil.test; dmarc=pass",
            "Authentication-Results: mx.helpdesk.test; spf=pass smtp.mailfrom=example.com",
            "Authentication-Results: mx.helpdesk.test; dkim=pass header.d=evil.test",
            "Authentication-Results: mx.helpdesk.test; dkim=pass header.d=com",
            "Authentication-Results: mx.helpdesk.test; dkim=pass header.d=ample.com",
            "Authentication-Results: mx.helpdesk.test; dkim=none (dkim=pass header.d=example.com)",
            "Authentication-Results: mx.helpdesk.test; dkim=none reason=\"; dkim=pass header.d=example.com\"",
            "Authentication-Results: mx.helpdesk.test; dmarc=pass header.from=evil.test",
            "Authentication-Results: mx.helpdesk.test; dmarc=fail; dkim=pass header.d=example.com",
            // The second one came with the message.
            "Authentication-Results: mx.helpdesk.test; dmarc=none\nAuthentication-Results: mx.helpdesk.test; dmarc=pass",
            "Authentication-Results: mx.helpdesk.test; dkim=none\nAuthentication-Results: mx.helpdesk.test; dkim=pass header.d=example.com",
        ] {
            assert!(!is_proven(header), "{header}");
        }
        let passed = fields::of(b"Authentication-Results: mx; dmarc=pass");
        assert!(matches!(judge(&passed, Some("example.com"), None), Sender::Unproven(_)));
        assert!(matches!(judge(&passed, None, Some("mx")), Sender::Unproven(_)));
    }
}
