//! The same over HTTP: what a gateway could understand otherwise than the database.

use std::io::{Read, Write};
use std::net::TcpStream;

use testkit::{Gateway, PATIENCE};

use crate::World;
use crate::world::MARK;

/// Sends a request line and headers, and returns the status and the whole answer.
fn send(gateway: &Gateway, line: &str, headers: &[String]) -> (String, String) {
    let address = &gateway.address;
    let mut stream = TcpStream::connect(address).expect("the gateway listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{}\r\n", headers.concat());
    stream.write_all(request.as_bytes()).expect("the gateway reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    (answer.split(' ').nth(1).unwrap_or_default().to_owned(), answer)
}

#[test]
fn no_request_over_http_gets_what_another_tenant_has() {
    let world = World::new("attack_http");
    let gateway = Gateway::start(&world.bench);
    let bearer = |key: &str| format!("Authorization: Bearer {key}\r\n");
    let (own, theirs) = (bearer(&world.attacker), bearer(&world.owner));
    let (status, shown) = send(&gateway, "GET /api/v1/tickets/7007", std::slice::from_ref(&theirs));
    assert!(status == "200" && shown.contains(MARK), "there is something to get: {shown}");
    let header = |name: &str, value: &str| format!("{name}: {value}\r\n");
    let wanted = "GET /api/v1/tickets/7007".to_owned();
    let absolute = format!("GET {}/api/v1/tickets/7007", gateway.url());
    for (name, line, headers, refused) in [
        ("a tenant is in a header", wanted.clone(), vec![own.clone(), header("X-Tenant-Id", "globex")], "404"),
        ("the seam's own headers are believed", wanted.clone(), vec![own.clone(), header("Hydra-Key", "2")], "404"),
        (
            "the path is that of a header",
            "GET /api/v1/tickets/7".into(),
            vec![
                own.clone(),
                header("X-Original-URL", "/api/v1/tickets/7007"),
                header("X-Rewrite-URL", "/api/v1/tickets/7007"),
            ],
            "404",
        ),
        ("the key is in the query", format!("{wanted}?access_token={}", world.owner), vec![own.clone()], "400"),
        ("the key is in a cookie", wanted.clone(), vec![format!("Cookie: key={}\r\n", world.owner)], "401"),
        ("the key is in another scheme", wanted.clone(), vec![theirs.replace("Bearer", "Basic")], "401"),
        ("the address is a whole URL", absolute, vec![own.clone()], "400"),
        ("the slash is escaped", "GET /api/v1%2Ftickets%2F7007".into(), vec![own.clone()], "404"),
        ("dots are removed from the path", "GET /api/v1/tickets/1/../7007".into(), vec![own.clone()], "404"),
        (
            "a connection header takes the key away",
            wanted.clone(),
            vec![own.clone(), header("Connection", "authorization")],
            "404",
        ),
    ] {
        let (status, answer) = send(&gateway, &line, &headers);
        assert!(!answer.contains(MARK), "{name}: {answer}");
        assert_eq!(status, refused, "{name}: {answer}");
    }
    // Which of two keys counts could differ from what a proxy believes.
    for both in [[own.clone(), theirs.clone()], [theirs, own]] {
        let (status, answer) = send(&gateway, &wanted, &both);
        assert!(status.starts_with('4') && !answer.contains(MARK), "two keys: {answer}");
    }
}
