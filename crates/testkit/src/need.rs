//! What a test needs that not every server has.

use std::io::{self, Write};
use std::process::Command;

use postgres::Client;

use crate::ask;

pub enum Need {
    /// This major version, or a newer one.
    Version(i32),
    /// An extension or library of contrib.
    Contrib(&'static str),
    /// The type `xml`, which a server can be built without.
    Xml,
    /// ICU, which a server can be built without.
    Icu,
}

/// Returns whether the server lacks this, and says so. The test then has nothing to show.
pub fn lacks(client: &mut Client, need: Need) -> bool {
    let (has_it, what) = match need {
        Need::Version(major) => (version(client) >= major, format!("PostgreSQL {major}")),
        Need::Contrib(library) => (has_library(client, library), library.into()),
        Need::Xml => (client.simple_query("SELECT '<a/>'::xml").is_ok(), "libxml".into()),
        Need::Icu => {
            let create = "CREATE COLLATION pg_temp.tried (provider = icu, locale = 'und')";
            (client.simple_query(create).is_ok(), "ICU".into())
        }
    };
    if !has_it {
        // Not by a macro: what they print is hidden if the test passes.
        let _ = writeln!(io::stderr(), "skipped, because the server has no {what}: {}", test());
    }
    !has_it
}

/// Returns whether Node is older than this major version, and says so.
pub fn lacks_node(major: u32) -> bool {
    let version = Command::new("node").arg("--version").output().expect("there is node").stdout;
    let version = String::from_utf8_lossy(&version).into_owned();
    let found = version.trim_start_matches('v').split('.').next().and_then(|found| found.parse::<u32>().ok());
    let is_old = found.is_none_or(|found| found < major);
    if is_old {
        let _ = writeln!(
            io::stderr(),
            "skipped, because Node {major} is needed and this is {}: {}",
            version.trim(),
            test()
        );
    }
    is_old
}

/// Returns the major version of the server.
pub fn version(client: &mut Client) -> i32 {
    ask(client, "SELECT current_setting('server_version_num')::int / 10000")
}

fn has_library(client: &mut Client, library: &str) -> bool {
    let exists = "(pg_stat_file(setting || '/' || $1 || '.so', true)).size IS NOT NULL";
    let sql = format!("SELECT {exists} FROM pg_config WHERE name = 'PKGLIBDIR'");
    client.query_one(&sql, &[&library]).expect("the directory of libraries can be read").get(0)
}

/// Returns the name of the test, which is that of its thread.
fn test() -> String {
    std::thread::current().name().unwrap_or("a test").into()
}
