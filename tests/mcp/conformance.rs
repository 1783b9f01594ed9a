//! The tests that the makers of the protocol have for servers. What of them fails, and why, is in `clients/expected-*.yml`.
//!
//! They cannot send a key, so something between adds it, as a proxy would.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use testkit::lacks_node;

use crate::Office;

/// Passes requests on with a key, one for each connection. Returns its URL.
fn with_key(gateway: &str, key: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
    let (gateway, key) = (gateway.to_owned(), key.to_owned());
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let (gateway, key) = (gateway.clone(), key.clone());
            thread::spawn(move || pass_on(client, &gateway, &key));
        }
    });
    url
}

fn pass_on(client: TcpStream, gateway: &str, key: &str) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if client.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let lower = line.to_ascii_lowercase();
        if let Some(text) = lower.strip_prefix("content-length:") {
            length = text.trim().parse().unwrap_or(0);
        }
        if line == "\r\n" {
            break;
        }
        if !lower.starts_with("connection:") {
            head += &line;
        }
    }
    head += &format!("Authorization: Bearer {key}\r\nConnection: close\r\n\r\n");
    let mut body = vec![0; length];
    client.read_exact(&mut body)?;
    let mut server = TcpStream::connect(gateway)?;
    server.write_all(&[head.as_bytes(), &body].concat())?;
    io::copy(&mut server, client.get_mut())?;
    Ok(())
}

/// Runs all scenarios of a revision. It fails if one fails that should not, or one does not that should.
#[track_caller]
fn check(revision: &str, database: &str) {
    let office = Office::open(database);
    let url = with_key(&office.gateway.address, &office.key);
    let installed = PathBuf::from(env::var_os("HYDRA_MCP_CLIENTS").expect("HYDRA_MCP_CLIENTS is set: run `make test`"));
    let output = Command::new("node")
        .arg("--import")
        .arg(format!("{}/tests/mcp/clients/older-node.mjs", env!("CARGO_MANIFEST_DIR")))
        .arg(installed.join("npm/node_modules/@modelcontextprotocol/conformance/dist/index.js"))
        .args(["server", "--url", &url, "--requirements", revision, "--expected-failures"])
        .arg(format!("{}/tests/mcp/clients/expected-{revision}.yml", env!("CARGO_MANIFEST_DIR")))
        // It writes a directory of results otherwise.
        .current_dir(env::temp_dir())
        .output()
        .expect("node runs; run `make prepare`");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

#[test]
fn the_newest_revision_is_spoken_as_its_makers_test_it() {
    if !lacks_node(20) {
        check("2026-07-28", "conformance_new");
    }
}

#[test]
fn the_revision_before_is_spoken_as_its_makers_test_it() {
    if !lacks_node(20) {
        check("2025-11-25", "conformance_old");
    }
}
