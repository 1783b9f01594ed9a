//! Reads `application/x-www-form-urlencoded` bytes. Some providers sign the fields, so names and values are kept as bytes.

/// Far more than any provider sends.
const MAX_FIELDS: usize = 2000;

pub type Field = (Vec<u8>, Vec<u8>);

/// Returns the fields in the order in which they were sent, or `None` if there are too many. An escape that is not valid
/// stands for itself, as in browsers.
pub fn fields(text: &[u8]) -> Option<Vec<Field>> {
    let fields = text.split(|byte| *byte == b'&').filter(|field| !field.is_empty()).map(|field| {
        let end = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
        (decoded(&field[..end]), decoded(field.get(end + 1..).unwrap_or_default()))
    });
    let fields: Vec<_> = fields.take(MAX_FIELDS + 1).collect();
    (fields.len() <= MAX_FIELDS).then_some(fields)
}

/// Returns the first value of a parameter of a query.
pub fn parameter(query: &str, name: &str) -> Option<Vec<u8>> {
    fields(query.as_bytes())?.into_iter().find(|(field, _)| field == name.as_bytes()).map(|(_, value)| value)
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let (byte, after) = match (byte, after) {
            (b'+', after) => (b' ', after),
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => (high * 16 + low, after),
                _ => (b'%', &rest[1..]),
            },
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_keep_their_order_and_their_bytes() {
        let expected: [(&[u8], &[u8]); 5] =
            [(b"b", b" x\r\n"), (b"a", b"1=2"), (b"a", b""), (b"%zz", b"%"), (b"\xff", b"\0")];
        let fields = fields(b"b=+x%0D%0A&a=1=2&&a&%zz=%&%ff=%00").unwrap();
        let fields: Vec<(&[u8], &[u8])> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_form_with_too_many_fields_is_refused() {
        assert!(fields(&b"a&".repeat(MAX_FIELDS)).is_some());
        assert!(fields(&b"a&".repeat(MAX_FIELDS + 1)).is_none());
    }
}
