//! Reads and writes text in the form of URLs: `application/x-www-form-urlencoded`, which bodies of forms and queries are, and parts of paths.

/// The fields in the order in which they were sent.
#[derive(Debug, Default)]
pub struct Form(Vec<(String, String)>);

/// No form of ours has more fields.
const MAX_FIELDS: usize = 2000;

impl Form {
    /// Returns `None` if the text is not valid: not UTF-8, a wrong escape, a NUL, which no text of Postgres can have, or too
    /// many fields.
    pub fn parse(text: &[u8]) -> Option<Self> {
        // Browsers send the ends of lines as CR LF.
        let lines = |text: String| text.replace("\r\n", "\n");
        let fields = pairs(text)?.into_iter().map(|(name, value)| (lines(name), lines(value)));
        Some(Self(fields.collect()))
    }

    /// Returns the value of a field that is not empty, without the space around it.
    pub fn get<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.given(name).find(|value| !value.is_empty())
    }

    /// Returns the value of a field with the space around it.
    pub fn exact(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Returns all values of a field that are not empty.
    pub fn all<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        self.given(name).filter(|value| !value.is_empty()).collect()
    }

    fn given<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.trim())
    }
}

/// Returns the names and values of the fields exactly as they were sent. `None` as for [`Form::parse`].
pub fn pairs(text: &[u8]) -> Option<Vec<(String, String)>> {
    let fields = text.split(|byte| *byte == b'&').filter(|field| !field.is_empty()).map(|field| {
        let end = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
        let value = field.get(end + 1..).unwrap_or_default();
        Some((decoded(&field[..end], b' ')?, decoded(value, b' ')?))
    });
    let fields: Vec<_> = fields.take(MAX_FIELDS + 1).collect::<Option<_>>()?;
    (fields.len() <= MAX_FIELDS).then_some(fields)
}

/// Returns a part of a path without its escapes. A plus is a plus there. `None` as for [`Form::parse`].
pub fn unescaped(part: &str) -> Option<String> {
    decoded(part.as_bytes(), b'+')
}

/// Returns a text as part of a path, or as the name or value of a parameter.
pub fn escaped(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}

/// Returns a text without its escapes; `plus` is what a plus means.
fn decoded(text: &[u8], plus: u8) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => plus,
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => *byte,
        });
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_browsers_send_them() {
        let form = Form::parse(b"name=CRM+%C3%BC%26&list=a&list=&list=+b+&lines=1%0D%0A2&empty&=x&&a=b=c").unwrap();
        assert_eq!(form.get("name"), Some("CRM ü&"));
        assert_eq!(form.all("list"), ["a", "b"]);
        assert_eq!(Form::parse(b"body=+1%0D%0A").unwrap().exact("body"), Some(" 1\n"));
        assert_eq!(form.get("lines"), Some("1\n2"));
        assert_eq!((form.get("empty"), form.get("absent"), form.get("a")), (None, None, Some("b=c")));
    }

    #[test]
    fn parts_of_a_path_and_parameters_are_read_exactly() {
        assert_eq!(unescaped("a%2Fb+c%20"), Some("a/b+c ".into()));
        assert_eq!((unescaped("%"), unescaped("%00"), unescaped("%ff")), (None, None, None));
        assert_eq!(escaped("a/ü +.~"), "a%2F%C3%BC%20%2B.~");
        assert_eq!(unescaped(&escaped("a/ü +.~")), Some("a/ü +.~".into()));
        assert_eq!(pairs(b"a=+x%0D%0A&a"), Some(vec![("a".into(), " x\r\n".into()), ("a".into(), String::new())]));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for wrong in [&b"a=%"[..], b"a=%4", b"a=%zz", b"a=%ff", b"a=\xff", b"a=%00", b"%00=a", b"a=%+1"] {
            assert!(Form::parse(wrong).is_none(), "{}", String::from_utf8_lossy(wrong));
        }
        assert!(Form::parse(&b"a&".repeat(2000)).is_some());
        assert!(Form::parse(&b"a&".repeat(2001)).is_none());
    }
}
