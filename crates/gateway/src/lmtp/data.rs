//! Finds the end of a message, and takes the dots away that were put in front of lines with a dot.

/// The bytes of one message as they arrive.
pub struct Data {
    message: Vec<u8>,
    limit: usize,
    state: State,
    pub is_too_large: bool,
    /// Whether a CR or an LF stood alone.
    pub has_bare_end: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    InLine,
    /// After CR.
    Return,
    /// After a dot at the start of a line.
    Dot,
    DotReturn,
}

impl Data {
    pub fn new(limit: usize) -> Self {
        Self { message: Vec::new(), limit, state: State::LineStart, is_too_large: false, has_bare_end: false }
    }

    /// Takes bytes. Returns how many of them belong to the message with its end, if it ends here.
    pub fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            // Whole pieces of lines at once.
            if self.state == State::InLine {
                let length =
                    bytes[at..].iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len() - at);
                self.add(&bytes[at..at + length]);
                at += length;
                if at == bytes.len() {
                    break;
                }
            }
            let byte = bytes[at];
            at += 1;
            if self.step(byte) {
                return Some(at);
            }
        }
        None
    }

    /// Returns whether the message has ended.
    fn step(&mut self, byte: u8) -> bool {
        self.state = match (self.state, byte) {
            (State::DotReturn, b'\n') => return true,
            (State::Return, b'\n') => {
                self.add(b"\r\n");
                State::LineStart
            }
            (State::LineStart, b'.') => State::Dot,
            (State::Dot, b'\r') => State::DotReturn,
            (state, byte) => {
                match state {
                    // The dot was put in front of the line.
                    State::Dot => {}
                    State::Return => self.bare(b"\r"),
                    State::DotReturn => self.bare(b"\r"),
                    State::LineStart | State::InLine => {}
                }
                match byte {
                    b'\r' => State::Return,
                    b'\n' => {
                        self.bare(b"\n");
                        State::InLine
                    }
                    byte => {
                        self.add(&[byte]);
                        State::InLine
                    }
                }
            }
        };
        false
    }

    fn bare(&mut self, end: &[u8]) {
        self.has_bare_end = true;
        self.add(end);
    }

    /// What is too large is read to its end and not kept.
    fn add(&mut self, bytes: &[u8]) {
        if self.message.len() + bytes.len() > self.limit {
            self.is_too_large = true;
            self.message = Vec::new();
        }
        if !self.is_too_large {
            self.message.extend_from_slice(bytes);
        }
    }

    /// The bytes that are kept.
    pub fn size(&self) -> usize {
        self.message.len()
    }

    /// Forgets the message, which is read to its end all the same.
    pub fn discard(&mut self) {
        self.limit = 0;
        self.add(b"x");
    }

    pub fn into_message(self) -> Vec<u8> {
        self.message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the message, and the bytes after it.
    fn read(bytes: &[u8], piece: usize) -> Option<(Data, usize)> {
        let mut data = Data::new(100);
        let mut before = 0;
        for piece in bytes.chunks(piece) {
            if let Some(end) = data.take(piece) {
                return Some((data, before + end));
            }
            before += piece.len();
        }
        None
    }

    #[test]
    fn a_message_ends_with_a_dot_between_whole_line_ends_in_whatever_pieces_it_comes() {
        for piece in 1..20 {
            let (data, end) = read(b"one\r\n..two\r\n.x\r\n\r\n.\r\nQUIT\r\n", piece).unwrap();
            assert!(!data.has_bare_end && !data.is_too_large);
            assert_eq!((data.into_message(), end), (b"one\r\n.two\r\nx\r\n\r\n".to_vec(), 21), "{piece}");
            let (data, end) = read(b".\r\nQUIT", piece).unwrap();
            assert_eq!((data.into_message(), end), (Vec::new(), 3));
        }
    }

    #[test]
    fn no_other_line_end_ends_a_message() {
        for trick in ["x\n.\n", "x\n.\r\n", "x\r.\r", "x\r\n.\n", "x\r\n.\r", "x\r\r\n.\r\r\n", "\n.\r\n", "x\r.\r\n"] {
            let bytes = format!("{trick}MAIL FROM:<evil@x>\r\n.\r\n");
            for piece in 1..6 {
                let (data, end) = read(bytes.as_bytes(), piece).unwrap();
                assert_eq!(end, bytes.len(), "{trick:?}");
                assert!(data.has_bare_end, "{trick:?}");
            }
        }
    }

    #[test]
    fn what_is_too_large_is_read_to_its_end_and_not_kept() {
        let bytes = [&[b'x'; 200][..], b"\r\n.\r\n"].concat();
        let (data, end) = read(&bytes, 7).unwrap();
        assert!(data.is_too_large && data.size() == 0 && end == bytes.len());
    }
}
