use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(60);

fn guarded(buffer: usize, patience: Patience) -> (DuplexStream, Guard<DuplexStream>) {
    let (client, stream) = duplex(buffer);
    (client, Guard::new(stream, patience))
}

const PATIENT: Patience = Patience { idle: LONG, head: LONG, write: LONG };

#[tokio::test]
async fn requests_are_passed_on_byte_for_byte() {
    let (mut client, mut guard) = guarded(1 << 16, PATIENT);
    let bytes = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello\
        POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n\
        GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    assert!(guard.has_request().await);
    let mut passed = Vec::new();
    let mut piece = [0; 7];
    loop {
        match guard.read(&mut piece).await.unwrap() {
            0 => break,
            count => passed.extend_from_slice(&piece[..count]),
        }
    }
    assert_eq!(passed, bytes);
}

#[tokio::test]
async fn a_request_that_is_refused_is_replaced_and_nothing_is_read_after_it() {
    let (mut client, mut guard) = guarded(1 << 16, PATIENT);
    client.write_all(b"GET / HTTP/1.1\nHost: x\n\nGET /secret HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(guard.has_request().await);
    let mut passed = vec![0; 1000];
    let count = guard.read(&mut passed).await.unwrap();
    let number = Fault::ALL.iter().position(|fault| *fault == Fault::LineEnd).unwrap();
    let passed = String::from_utf8(passed[..count].to_vec()).unwrap();
    assert!(passed.ends_with(&format!("{REFUSED}: {number}\r\n\r\n")) && !passed.contains("secret"), "{passed}");
    assert!(tokio::time::timeout(SHORT, guard.read(&mut [0; 10])).await.is_err(), "nothing more");
}

#[tokio::test]
async fn who_says_nothing_is_given_up_and_who_stops_in_a_head_is_told_so() {
    let (_client, mut guard) = guarded(100, Patience { idle: SHORT, ..PATIENT });
    assert!(!guard.has_request().await);
    let (mut client, mut guard) = guarded(100, Patience { head: SHORT, ..PATIENT });
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert!(guard.has_request().await);
    assert!(matches!(guard.state, State::Refused));
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_last_request_too() {
    let (mut client, mut guard) = guarded(100, Patience { idle: SHORT, ..PATIENT });
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut passed = vec![0; request.len()];
    guard.read_exact(&mut passed).await.unwrap();
    assert_eq!(guard.read(&mut passed).await.unwrap(), 0);
    assert_eq!(guard.held.capacity(), 0, "it holds no memory");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let (_client, mut guard) = guarded(10, Patience { write: SHORT, ..PATIENT });
    let error = guard.write_all(&[b'x'; 100]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}
