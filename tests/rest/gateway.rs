//! The same through a gateway, over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use testkit::Gateway;

use crate::Desk;

/// Makes a request, and returns status, head and body of the answer.
fn ask(gateway: &Gateway, key: &str, method: &str, path: &str, headers: &str) -> (u16, String, String) {
    let address = &gateway.address;
    let mut stream = TcpStream::connect(address).expect("the gateway listens");
    stream.set_read_timeout(Some(Duration::from_secs(90))).expect("a timeout");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the gateway reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head}"));
    (status, head.to_ascii_lowercase(), body.to_owned())
}

#[test]
fn a_client_follows_a_list_reads_a_row_and_asks_whether_it_has_changed() {
    let desk = Desk::new("rest_gateway");
    let gateway = Gateway::start(&desk.bench);
    let (mut path, mut pages) = ("/api/v1/tickets?limit=1&sort=-id".to_owned(), 0);
    loop {
        let (status, head, body) = ask(&gateway, &desk.key, "GET", &path, "");
        assert_eq!(status, 200, "{body}");
        assert!(head.contains("ratelimit:") && head.contains("content-type: application/json"), "{head}");
        pages += 1;
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let Some(cursor) = body["next_cursor"].as_str() else { break };
        path = format!("/api/v1/tickets?limit=1&sort=-id&cursor={cursor}");
    }
    assert_eq!(pages, 3);
    let (status, head, body) = ask(&gateway, &desk.key, "GET", "/api/v1/tickets/1", "");
    assert_eq!(status, 200, "{body}");
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an ETag").to_owned();
    let known = format!("If-None-Match: {etag}\r\n");
    let (status, head, body) = ask(&gateway, &desk.key, "GET", "/api/v1/tickets/1", &known);
    assert_eq!((status, body.as_str()), (304, ""), "{head}");
    let (status, head, body) = ask(&gateway, &desk.key, "HEAD", "/api/v1/tickets/1", "");
    assert_eq!((status, body.as_str()), (200, ""), "{head}");
    assert!(head.contains(&etag), "{head}");
    for (path, status) in
        [("/api/v1/tickets/3", 404), ("/api/v1/tickets?colour=red", 400), ("/api/v1/tickets?id=x", 422)]
    {
        let (found, head, body) = ask(&gateway, &desk.key, "GET", path, "");
        assert_eq!(found, status, "{body}");
        assert!(head.contains("application/problem+json") && head.contains("ratelimit:"), "{head}");
    }
}

#[test]
fn requests_with_a_wrong_path_or_parameter_count_too() {
    let mut desk = Desk::new("rest_quota");
    let gateway = Gateway::start(&desk.bench);
    let key = desk.key("'{tickets:read}', tenant_id => 'acme', requests_per_minute => 1");
    let status = || ask(&gateway, &key, "GET", "/api/v1/tickets?colour=red", "").0;
    assert_eq!(status(), 400);
    // Not more than one is granted in a minute, however slow this machine is.
    assert!((0..5).any(|_| status() == 429));
}
