//! Finds the end of the body of an answer.

use super::head::Framing;

/// No chunk is longer.
const MAX_CHUNK: u64 = 1 << 40;

/// What is left of a body.
#[derive(Debug)]
pub enum Body {
    /// This many bytes.
    Length(u64),
    Chunked(Chunk),
    /// All that comes until the connection ends.
    Close,
}

/// Where the next byte of a chunked body belongs.
#[derive(Debug, Clone, Copy)]
pub enum Chunk {
    /// To the line with the size of a chunk: to its digits, which make this number so far.
    Size(Option<u64>),
    /// To the rest of this line.
    AfterSize(u64),
    /// To a chunk, of which this many bytes are left.
    Data(u64),
    /// To the line break after a chunk.
    AfterData,
    /// To the lines after the last chunk. Says whether the present line is empty so far.
    Trailer { is_empty: bool },
}

/// How far a body was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    More,
    /// The body has ended. Has the number of bytes up to its end.
    Complete(usize),
    /// The input contradicts the form of the body.
    Bad,
}

impl Body {
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(length) => Body::Length(length),
            Framing::Chunked => Body::Chunked(Chunk::Size(None)),
            Framing::Close => Body::Close,
        }
    }

    /// Reads the next input, and passes the bytes of the body to `keep`.
    pub fn read(&mut self, input: &[u8], mut keep: impl FnMut(&[u8])) -> Progress {
        match self {
            Body::Length(left) => {
                let data = part(input, *left);
                keep(data);
                *left -= data.len() as u64;
                if *left == 0 { Progress::Complete(data.len()) } else { Progress::More }
            }
            Body::Chunked(chunk) => read_chunks(chunk, input, keep),
            Body::Close => {
                keep(input);
                Progress::More
            }
        }
    }
}

fn read_chunks(chunk: &mut Chunk, input: &[u8], mut keep: impl FnMut(&[u8])) -> Progress {
    let mut at = 0;
    while let Some(byte) = input.get(at) {
        if let Chunk::Data(left) = chunk {
            let data = part(&input[at..], *left);
            keep(data);
            at += data.len();
            *left -= data.len() as u64;
            if *left == 0 {
                *chunk = Chunk::AfterData;
            }
            continue;
        }
        at += 1;
        *chunk = match (*chunk, *byte) {
            (Chunk::Trailer { is_empty: true }, b'\n') => return Progress::Complete(at),
            (chunk, byte) => match chunk.after(byte) {
                Some(next) => next,
                None => return Progress::Bad,
            },
        };
    }
    Progress::More
}

impl Chunk {
    /// Returns where the byte after this one belongs. `None` if this one should not be here.
    fn after(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Chunk::Size(Some(size)) | Chunk::AfterSize(size), b'\n') => match size {
                0 => Chunk::Trailer { is_empty: true },
                size => Chunk::Data(size),
            },
            (Chunk::Size(Some(size)), b'\r' | b';' | b' ' | b'\t') => Chunk::AfterSize(size),
            (Chunk::Size(size), digit) => {
                let size = size.unwrap_or_default();
                let digit = (digit as char).to_digit(16).filter(|_| size < MAX_CHUNK)?;
                Chunk::Size(Some(size << 4 | u64::from(digit)))
            }
            (Chunk::AfterSize(size), _) => Chunk::AfterSize(size),
            (Chunk::AfterData, b'\r') => Chunk::AfterData,
            (Chunk::AfterData, b'\n') => Chunk::Size(None),
            (Chunk::AfterData, _) => return None,
            (Chunk::Trailer { is_empty }, b'\r') => Chunk::Trailer { is_empty },
            (Chunk::Trailer { .. }, byte) => Chunk::Trailer { is_empty: byte == b'\n' },
            (Chunk::Data(left), _) => Chunk::Data(left),
        })
    }
}

/// The beginning of the input, as far as it is in the next `left` bytes.
fn part(input: &[u8], left: u64) -> &[u8] {
    &input[..input.len().min(usize::try_from(left).unwrap_or(usize::MAX))]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body in pieces of each size. Returns its bytes, and how many bytes are left after it.
    #[track_caller]
    fn read(framing: Framing, input: &str) -> Option<(String, usize)> {
        let in_pieces = |size: usize| {
            let (mut body, mut kept, mut read) = (Body::new(framing), Vec::new(), 0);
            for piece in input.as_bytes().chunks(size) {
                match body.read(piece, |data| kept.extend_from_slice(data)) {
                    Progress::More => read += piece.len(),
                    Progress::Complete(amount) => {
                        return Some((String::from_utf8(kept).expect("text"), input.len() - read - amount));
                    }
                    Progress::Bad => return None,
                }
            }
            None
        };
        let whole = in_pieces(usize::MAX);
        [1, 2, 3, 5].into_iter().for_each(|size| assert_eq!(in_pieces(size), whole, "{input:?} in pieces of {size}"));
        whole
    }

    fn complete(body: &str, left: usize) -> Option<(String, usize)> {
        Some((body.to_owned(), left))
    }

    #[test]
    fn a_body_with_a_length_ends_there() {
        assert_eq!(read(Framing::Length(2), "okrest"), complete("ok", 4));
        assert_eq!(read(Framing::Length(3), "ok"), None);
        assert_eq!(read(Framing::Close, "ok"), None);
    }

    #[test]
    fn a_chunked_body_ends_after_its_last_chunk_and_its_trailer() {
        for (input, left) in [
            ("2\r\nok\r\n0\r\n\r\n", 0),
            ("1\r\no\r\n1\r\nk\r\n0\r\n\r\nrest", 4),
            ("2\nok\n0\n\n", 0),
            ("02 ;name=value\r\nok\r\n00\r\nTrailer: x\r\nAnother: y\r\n\r\n", 0),
        ] {
            assert_eq!(read(Framing::Chunked, input), complete("ok", left), "{input:?}");
        }
        assert_eq!(read(Framing::Chunked, "0000000000000000A\r\n0123456789\r\n0\r\n\r\n"), complete("0123456789", 0));
    }

    #[test]
    fn a_chunked_body_that_is_none_is_refused() {
        for input in ["ok", "\r\n", ";x\r\n", "-1\r\n", "2\r\nokay\r\n", "fffffffffffffffff\r\n"] {
            assert_eq!(read(Framing::Chunked, input), None, "{input:?}");
        }
    }
}
