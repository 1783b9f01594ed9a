//! One call of `hydra.serve`, in its packed form, in a transaction of its own.
//!
//! A statement alone is a transaction, which has committed when the server is ready for the next one; only then is the answer used.
//! Such a transaction has the isolation level that the role or the database has by default. If that is another one than
//! `serve` needs, `serve` says so, and does nothing. From then on the connection sends BEGIN and COMMIT too, all three
//! statements at once: if the call fails, the transaction is in a failed state when COMMIT arrives, which then rolls back.
//! No statement has a name, because a pooler may execute each transaction in another session.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::join3;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};
use wire::packed::{self, Headers};

/// The version of the interface.
const PROTOCOL: i32 = 1;

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
const SERVE: &str = "SELECT hydra.serve_packed($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const COMMIT: &str = "COMMIT";

/// The header with which `serve` asks for BEGIN.
const BEGIN_WANTED: &str = "hydra-begin";

/// What is passed on.
#[derive(Debug, Clone)]
pub struct Call {
    pub surface: &'static str,
    pub credential: Option<[u8; 32]>,
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: Headers,
    pub body: Bytes,
    pub peer: Option<IpAddr>,
}

/// What it returned.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Headers,
    pub body: Bytes,
}

#[derive(Debug)]
pub enum Failure {
    /// The SQLSTATE.
    Sql(String),
    /// The connection has ended. Whether the transaction has committed is not known.
    Lost,
    /// The answer is not what this version of the interface has.
    Unreadable,
}

impl Failure {
    /// Whether it was the connection, or its session, that failed. Then the call may work on another one.
    pub fn is_of_connection(&self) -> bool {
        match self {
            Self::Lost => true,
            // Sessions that an administrator or a crash has ended, and failures of the connection itself.
            Self::Sql(code) => matches!(code.as_str(), "57P01" | "57P02" | "57P03" | "57P05") || code.starts_with("08"),
            Self::Unreadable => false,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.code() {
            Some(code) => Self::Sql(code.code().to_owned()),
            None => Self::Lost,
        }
    }
}

impl Call {
    /// Whether it only reads, so that it may be made again.
    pub fn reads(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD")
    }

    /// Makes the call. `begins` says whether this connection sends BEGIN and COMMIT.
    pub async fn make(&self, client: &Client, begins: &AtomicBool) -> Result<Reply, Failure> {
        if !begins.load(Ordering::Relaxed) {
            let reply = self.reply(client, false).await?;
            if !reply.headers.iter().any(|(name, _)| name == BEGIN_WANTED) {
                return Ok(reply);
            }
            begins.store(true, Ordering::Relaxed);
        }
        self.reply(client, true).await
    }

    async fn reply(&self, client: &Client, begins: bool) -> Result<Reply, Failure> {
        let headers = packed::headers(&self.headers);
        let body = (!self.body.is_empty()).then_some(&self.body[..]);
        let peer = self.peer.map(|peer| peer.to_string());
        let credential = self.credential.as_ref().map(|credential| &credential[..]);
        let parameters: [(&(dyn ToSql + Sync), Type); 9] = [
            (&PROTOCOL, Type::INT4),
            (&self.surface, Type::TEXT),
            (&credential, Type::BYTEA),
            (&self.method, Type::TEXT),
            (&self.path, Type::TEXT),
            (&self.query, Type::TEXT),
            (&headers, Type::BYTEA),
            (&body, Type::BYTEA),
            (&peer, Type::TEXT),
        ];
        let served = client.query_typed(SERVE, &parameters);
        let rows = match begins {
            false => served.await?,
            true => {
                // Each sends its message when it is polled for the first time, in this order.
                let (begun, rows, committed) =
                    join3(client.batch_execute(BEGIN), served, client.batch_execute(COMMIT)).await;
                begun?;
                let rows = rows?;
                committed?;
                rows
            }
        };
        Reply::read(rows.first().ok_or(Failure::Unreadable)?)
    }
}

impl Reply {
    fn read(row: &Row) -> Result<Self, Failure> {
        let bytes: &[u8] = row.try_get(0).map_err(|_| Failure::Unreadable)?;
        let (status, headers, body) = packed::read_answer(bytes).ok_or(Failure::Unreadable)?;
        let status = u16::try_from(status).map_err(|_| Failure::Unreadable)?;
        Ok(Self { status, headers, body: Bytes::copy_from_slice(body) })
    }
}
