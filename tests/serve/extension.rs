//! The extension is dropped while gateways make requests.

use testkit::{PATIENCE, ask, run, wait_until};

use crate::visitor::Visitor;
use crate::{Request, Seam};

/// A request needs several tables, which DROP EXTENSION locks one after the other.
#[test]
fn dropping_the_extension_and_a_request_never_block_each_other() {
    let mut seam = Seam::new("dropped");
    let Visitor { mut gateway, session } = Visitor::new(&mut seam.bench, "'hydra_admin'");
    run(&mut gateway, "BEGIN");
    let heartbeat = r#"{"gateway": "00000000-0000-4000-8000-000000000001", "version": "1", "address": "x", "requests": 1,
                        "used": []}"#;
    let beat = Request { body: heartbeat.as_bytes(), ..Request::new("gateway", None, "POST", "/heartbeat") };
    assert_eq!(beat.call(&mut gateway).unwrap().status, 200);

    let mut admin = seam.bench.session();
    let pid: i32 = ask(&mut admin, "SELECT pg_backend_pid()");
    let drop = std::thread::spawn(move || run(&mut admin, "DROP EXTENSION hydra_webhooks CASCADE"));
    wait_until("DROP EXTENSION waits for the request", PATIENCE, || {
        ask(&mut seam.bench.client, &format!("SELECT EXISTS (SELECT FROM pg_locks WHERE pid = {pid} AND NOT granted)"))
    });

    let page = Request::new("console", Some(&session), "GET", "/settings/webhooks");
    assert_eq!(page.call(&mut gateway).unwrap().status, 200);
    run(&mut gateway, "COMMIT");
    drop.join().expect("DROP EXTENSION ends without a deadlock");
}
