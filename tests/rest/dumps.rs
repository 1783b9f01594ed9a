//! A dump has the resources.

use testkit::run;

use crate::{Desk, cluster, create_key, request};

#[test]
fn a_restored_dump_shows_what_the_database_showed() {
    let desk = Desk::new("dumped");
    let dump = desk.bench.cluster.program("pg_dump").args(["--dbname", "dumped"]).output().expect("pg_dump runs");
    assert!(dump.status.success(), "{dump:?}");
    let script = String::from_utf8(dump.stdout).expect("text");
    run(&mut cluster().connect("postgres"), "CREATE DATABASE restored TEMPLATE template0");
    let mut psql = desk.bench.cluster.program("psql");
    let mut psql = psql
        .args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", "restored"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("psql runs");
    std::io::Write::write_all(&mut psql.stdin.take().expect("a pipe"), script.as_bytes()).expect("psql reads");
    assert!(psql.wait().expect("psql ends").success());
    let mut client = cluster().connect("restored");
    let key = create_key(&mut client, "'{tickets:read}', tenant_id => 'acme'");
    let mut gateway = cluster().connect_as("restored", "far_gateway");
    assert_eq!(request(&mut gateway, Some(&key), "GET", "/api/v1/tickets?status=open", "[]").ids(), [1, 2, 4]);
    run(&mut client, "SELECT hydra.api_expose('app.tickets', 'cases')");
    drop((client, gateway));
}
