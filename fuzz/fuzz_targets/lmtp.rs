//! LMTP: where a message ends does not depend on the pieces in which it arrives, and nothing but CR LF dot CR LF ends it.
//!
//! Input: a byte that chooses the size of the pieces, and bytes of a connection.
#![no_main]

use gateway::lmtp::command;
use gateway::lmtp::data::Data;
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1000;

fuzz_target!(|input: &[u8]| {
    let Some((&size, bytes)) = input.split_first() else { return };
    let whole = read(bytes, bytes.len().max(1));
    assert_eq!(whole, read(bytes, usize::from(size) % 16 + 1), "it depends on the pieces");
    let end = if bytes.starts_with(b".\r\n") {
        Some(3)
    } else {
        bytes.windows(5).position(|window| window == b"\r\n.\r\n").map(|at| at + 5)
    };
    assert_eq!(whole.0, end, "another end");
    assert!(whole.3.len() <= LIMIT && (!whole.1 || whole.3.is_empty()));
    let _ = command::parse(bytes);
});

/// Returns where the message ends, whether it is too large or has a bare line end, and the message.
fn read(bytes: &[u8], piece: usize) -> (Option<usize>, bool, bool, Vec<u8>) {
    let mut data = Data::new(LIMIT);
    let (mut at, mut end) = (0, None);
    for piece in bytes.chunks(piece) {
        if let Some(taken) = data.take(piece) {
            end = Some(at + taken);
            break;
        }
        at += piece.len();
    }
    (end, data.is_too_large, data.has_bare_end, data.into_message())
}
