//! The same through a gateway, over HTTP.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use testkit::Gateway;

use crate::Shop;

/// What came back: the status, the head in lower case, the body.
type Response = (u16, String, String);

fn ask(gateway: &Gateway, key: &str, method: &str, path: &str, headers: &[&str], body: &str) -> Response {
    let address = &gateway.address;
    let mut stream = TcpStream::connect(address).expect("the gateway listens");
    stream.set_read_timeout(Some(Duration::from_secs(90))).expect("a timeout");
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("the gateway reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head}"));
    (status, head.to_ascii_lowercase(), body.to_owned())
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned)
}

const JSON: &str = "Content-Type: application/json";

#[test]
fn a_client_creates_changes_and_removes_a_row_over_http() {
    let shop = Shop::new("http");
    let (one, two) = (Gateway::start(&shop.bench), Gateway::start(&shop.bench));
    let create = |gateway: &Gateway| {
        let headers = [JSON, "Idempotency-Key: 5f1c-1"];
        ask(gateway, &shop.key, "POST", "/api/v1/tickets", &headers, r#"{"subject": "Grüße"}"#)
    };
    let (status, head, body) = create(&one);
    assert_eq!(status, 201, "{body}");
    assert_eq!(header(&head, "content-type").as_deref(), Some("application/json"), "{head}");
    // Repeated at another gateway.
    let (status, again, repeated) = create(&two);
    assert_eq!((status, &repeated, header(&again, "idempotency-replayed").as_deref()), (201, &body, Some("true")));
    let place = header(&head, "location").expect("a place");
    let etag = header(&head, "etag").expect("an ETag");
    let matching = format!("If-Match: {etag}");
    let change = |body: &str| ask(&one, &shop.key, "PATCH", &place, &[JSON, &matching], body);
    let (status, _, changed) = change(r#"{"status": "closed"}"#);
    assert_eq!(status, 200, "{changed}");
    let (status, head, refused) = change(r#"{"status": "open"}"#);
    assert_eq!(status, 412, "{refused}");
    assert_eq!(header(&head, "content-type").as_deref(), Some("application/problem+json"), "{head}");
    let (status, _, read) = ask(&two, &shop.key, "GET", &place, &[], "");
    assert_eq!((status, read), (200, changed));
    let (status, head, body) = ask(&two, &shop.key, "DELETE", &place, &[], "");
    assert_eq!((status, body.as_str()), (204, ""), "{head}");
    // The type of a form is not that of JSON.
    let form = "Content-Type: application/x-www-form-urlencoded";
    assert_eq!(ask(&one, &shop.key, "POST", "/api/v1/tickets", &[form], "subject=x").0, 415);
}
