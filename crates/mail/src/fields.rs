//! The fields of a header as they were written, for those whose meaning is read here.

/// A field: its name in lower case, and its value without line ends.
#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    pub value: String,
}

/// Reads the fields of a header, in their order. What is no field is left out.
pub fn of(header: &[u8]) -> Vec<Field> {
    let header = String::from_utf8_lossy(header);
    let mut fields: Vec<Field> = Vec::new();
    for line in header.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        if line.starts_with([' ', '\t']) {
            if let Some(last) = fields.last_mut() {
                last.value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push(Field { name: name.trim_end().to_ascii_lowercase(), value: value.trim().to_owned() });
        }
    }
    fields
}

/// Returns the value of the first field of this name.
pub fn value<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    values(fields, name).next()
}

pub fn values<'a>(fields: &'a [Field], name: &str) -> impl Iterator<Item = &'a str> {
    fields.iter().filter(move |field| field.name == name).map(|field| field.value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_go_on_belong_to_their_field() {
        let fields = of(b"Subject: one\r\n two\r\nX-A : b\nnothing\n\n");
        assert_eq!(value(&fields, "subject"), Some("one two"));
        assert_eq!(value(&fields, "x-a"), Some("b"));
        assert_eq!(fields.len(), 2);
    }
}
