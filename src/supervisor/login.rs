//! How the gateway logs in: as a role of its own, with a password that is new at each start.
//!
//! Postgres gets only the SCRAM verifier of the password, and the gateway gets the password through a pipe. So the
//! password is in no statement, no log and no file. With `hydra_webhooks.gateway_conninfo` the administrator decides.

use std::ffi::CStr;

use pgrx::prelude::*;
use rand::RngExt;
use wire::scram;
use wire::supervised::Login as Places;

use super::ROLE;
use crate::backend::{Failure, transaction};
use crate::settings;

pub struct Login {
    /// Connection strings, of which the first that works is used. They contain the password.
    pub dsns: Vec<String>,
    /// A line of `pg_hba.conf` that lets the gateway in. `None`: the administrator has chosen how it logs in.
    pub pg_hba_line: Option<String>,
    conninfo: Option<String>,
}

impl Login {
    /// Gives the gateway a new password.
    pub fn renew(database: &str) -> Result<Self, Failure> {
        if let Some(conninfo) = settings::gateway::conninfo() {
            return Ok(Self { dsns: vec![conninfo.clone()], pg_hba_line: None, conninfo: Some(conninfo) });
        }
        let password = hex::encode(rand::rng().random::<[u8; 32]>());
        let verifier = scram::verifier(&password, rand::rng().random());
        transaction(c"set the password of the gateway", || set_verifier(&verifier))?;
        let places = Places {
            socket_directories: &setting(c"unix_socket_directories"),
            listen_addresses: &setting(c"listen_addresses"),
            port: &setting(c"port"),
            role: ROLE,
            database,
            password: &password,
        };
        Ok(Self { dsns: places.dsns(), pg_hba_line: Some(places.pg_hba_line()), conninfo: None })
    }

    /// Returns whether the administrator still wants the gateway to log in this way.
    pub fn is_current(&self) -> bool {
        self.conninfo == settings::gateway::conninfo()
    }
}

/// Sets what Postgres stores of the password. The function is not called by a statement: auto_explain logs the parameters
/// of statements.
fn set_verifier(verifier: &str) {
    const FIND: &str = "SELECT 'hydra._set_gateway_verifier(text)'::pg_catalog.regprocedure::pg_catalog.oid";
    let function: Option<pg_sys::Oid> = Spi::get_one(FIND).expect("SPI reads");
    let function = function.expect("a function that does not exist is an error");
    // SAFETY: a function with one argument of type text, which returns no null.
    unsafe { pg_sys::OidFunctionCall1Coll(function, pg_sys::InvalidOid, verifier.into_datum().expect("not null")) };
}

/// Returns the value of a parameter of the server, also of one that only superusers may see.
fn setting(name: &CStr) -> String {
    // SAFETY: the name is a C string; the result is a C string or null, and copied at once.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        if value.is_null() { String::new() } else { CStr::from_ptr(value).to_string_lossy().into_owned() }
    }
}
