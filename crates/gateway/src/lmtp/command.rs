//! Reads commands.

/// Of a command, in bytes, with its end. RFC 5321 asks for 512, and extensions make it longer.
pub const LONGEST: usize = 2048;
/// RFC 5321 has 256; addresses in UTF-8 have more bytes.
const LONGEST_PATH: usize = 1000;

#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Lhlo,
    /// Of SMTP, which is not spoken here.
    Hello,
    /// The return path, and the size of the message if it was stated.
    Mail {
        from: String,
        size: Option<usize>,
    },
    Rcpt {
        to: String,
    },
    Data,
    Rset,
    Noop,
    Vrfy,
    Quit,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    Unknown,
    Syntax,
    /// A parameter that is not known.
    Parameter,
}

/// Reads a command, a line without its end.
pub fn parse(line: &[u8]) -> Result<Command, Fault> {
    let line = str::from_utf8(line).map_err(|_| Fault::Syntax)?;
    if line.contains(|char: char| char.is_control()) {
        return Err(Fault::Syntax);
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let bare = |command| if rest.trim().is_empty() { Ok(command) } else { Err(Fault::Syntax) };
    match word.to_ascii_uppercase().as_str() {
        "LHLO" if rest.trim().is_empty() => Err(Fault::Syntax),
        "LHLO" => Ok(Command::Lhlo),
        "HELO" | "EHLO" => Ok(Command::Hello),
        "MAIL" => mail(rest),
        "RCPT" => rcpt(rest),
        "DATA" => bare(Command::Data),
        "RSET" => bare(Command::Rset),
        "QUIT" => bare(Command::Quit),
        "NOOP" => Ok(Command::Noop),
        "VRFY" => Ok(Command::Vrfy),
        _ => Err(Fault::Unknown),
    }
}

fn mail(rest: &str) -> Result<Command, Fault> {
    let (from, parameters) = path(rest, "FROM:")?;
    let mut size = None;
    for parameter in parameters.split_ascii_whitespace() {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name.to_ascii_uppercase().as_str() {
            "SIZE" => size = Some(value.parse().map_err(|_| Fault::Syntax)?),
            "BODY" if ["7BIT", "8BITMIME"].iter().any(|body| value.eq_ignore_ascii_case(body)) => {}
            "SMTPUTF8" if value.is_empty() => {}
            _ => return Err(Fault::Parameter),
        }
    }
    Ok(Command::Mail { from, size })
}

fn rcpt(rest: &str) -> Result<Command, Fault> {
    let (to, parameters) = path(rest, "TO:")?;
    match (to.is_empty(), parameters.trim().is_empty()) {
        (true, _) => Err(Fault::Syntax),
        (_, false) => Err(Fault::Parameter),
        _ => Ok(Command::Rcpt { to }),
    }
}

/// Reads an address in angle brackets after `name`. Returns it, and what follows.
fn path<'a>(rest: &'a str, name: &str) -> Result<(String, &'a str), Fault> {
    let is_named = rest.get(..name.len()).is_some_and(|given| given.eq_ignore_ascii_case(name));
    let rest = rest.get(name.len()..).filter(|_| is_named).ok_or(Fault::Syntax)?;
    let rest = rest.trim_start_matches(' ').strip_prefix('<').ok_or(Fault::Syntax)?;
    // A local part in quotation marks may contain the bracket.
    let mut quoted = false;
    let mut escaped = false;
    let end = rest.find(|char| {
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '>' if !quoted => return true,
            _ => {}
        }
        false
    });
    let (path, after) = rest.split_at(end.ok_or(Fault::Syntax)?);
    // A route in front of the address is obsolete, and is skipped.
    let address = if path.starts_with('@') { path.split_once(':').map_or(path, |(_, address)| address) } else { path };
    let after = &after[1..];
    if address.len() > LONGEST_PATH || address.contains(['<', ' ']) || !(after.is_empty() || after.starts_with(' ')) {
        return Err(Fault::Syntax);
    }
    Ok((address.to_owned(), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read() {
        let mail = |from: &str, size| Ok(Command::Mail { from: from.into(), size });
        let rcpt = |to: &str| Ok(Command::Rcpt { to: to.into() });
        for (line, command) in [
            ("LHLO mx.example.com", Ok(Command::Lhlo)),
            ("lhlo [127.0.0.1]", Ok(Command::Lhlo)),
            ("EHLO x", Ok(Command::Hello)),
            ("MAIL FROM:<>", mail("", None)),
            ("mail from:<a@b.c> size=12 BODY=8BITMIME smtputf8", mail("a@b.c", Some(12))),
            ("MAIL FROM: <a@b.c>", mail("a@b.c", None)),
            ("RCPT TO:<support+x@helpdesk.test>", rcpt("support+x@helpdesk.test")),
            ("RCPT TO:<@relay.test:a@b.c>", rcpt("a@b.c")),
            ("RCPT TO:<\"a>b\"@c.d>", rcpt("\"a>b\"@c.d")),
            ("DATA", Ok(Command::Data)),
            ("NOOP x", Ok(Command::Noop)),
            ("QUIT ", Ok(Command::Quit)),
        ] {
            assert_eq!(parse(line.as_bytes()), command, "{line}");
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for (line, fault) in [
            ("", Fault::Unknown),
            ("GET / HTTP/1.1", Fault::Unknown),
            ("BDAT 3 LAST", Fault::Unknown),
            ("LHLO", Fault::Syntax),
            ("DATA x", Fault::Syntax),
            ("MAIL", Fault::Syntax),
            ("MAIL FROM:a@b.c", Fault::Syntax),
            ("MAIL FROM:<a@b.c", Fault::Syntax),
            ("MAIL FROM:<a@b.c>x", Fault::Syntax),
            ("MAIL FROM:<a@b.c> SIZE=x", Fault::Syntax),
            ("MAIL FROM:<a@b.c> AUTH=x", Fault::Parameter),
            ("RCPT TO:<>", Fault::Syntax),
            ("RCPT TO:<a b@c.d>", Fault::Syntax),
            ("RCPT TO:<a@b.c> NOTIFY=NEVER", Fault::Parameter),
            ("RCPT TO:<a@b.c>\rRCPT TO:<d@e.f>", Fault::Syntax),
        ] {
            assert_eq!(parse(line.as_bytes()), Err(fault), "{line}");
        }
        assert_eq!(parse(b"RCPT TO:<\xff@b.c>"), Err(Fault::Syntax));
        let long = format!("RCPT TO:<{}@b.c>", "a".repeat(LONGEST_PATH));
        assert_eq!(parse(long.as_bytes()), Err(Fault::Syntax));
    }
}
