//! What all requests of a gateway share.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use serde_json::json;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use crate::call::{Call, Failure, Reply};
use crate::certificates;
use crate::credentials::Credentials;
use crate::log::Log;
use crate::pool::{Lent, Pool, Purpose};
use crate::problem::{Problem, is_passing};
use crate::settings::{Fault, Settings};

/// Requests that are being read or answered. Connections that are idle do not count.
const UNDER_WAY: usize = 512;
/// Bytes of bodies that are being read or passed on.
const BODIES: usize = 64 << 20;
/// Bytes of answers that clients have not read. Above it, no request is accepted.
const UNREAD: usize = 128 << 20;
/// `hydra.serve` ends by itself after 10 s, and a test after 62 s. This is how much later the gateway does.
const LATER: Duration = Duration::from_secs(2);
const LONGEST_TEST: Duration = Duration::from_secs(62);
/// `hydra.serve` ends at the latest so long after it was cancelled.
const GRACE: Duration = Duration::from_secs(8);

/// How far the end of the gateway has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Running,
    /// No new connection is accepted, and each answer is the last of its connection.
    Ending,
    /// Connections without a request are closed.
    Closing,
}

/// Where it listens, and where it takes mail.
pub type Addresses = (String, Option<String>);

/// What a reload replaces.
pub struct Live {
    pub settings: Settings,
    /// Where it listens.
    pub address: String,
    /// Where it takes mail.
    pub mail_address: Option<String>,
    pub pool: Arc<Pool>,
    pub tls: Option<Arc<ServerConfig>>,
}

pub struct Gateway {
    live: RwLock<Arc<Live>>,
    pub log: Log,
    pub credentials: Credentials,
    pub stage: watch::Sender<Stage>,
    pub under_way: Arc<Semaphore>,
    pub bodies: Arc<Semaphore>,
    pub unread: Arc<AtomicUsize>,
    /// Open connections, and who waits for the last to close.
    pub open: AtomicUsize,
    pub closed: Notify,
    /// Requests since the last heartbeat.
    pub requests: AtomicU64,
}

impl Gateway {
    pub fn new(live: Live, log: Log) -> Arc<Self> {
        Arc::new(Self {
            live: RwLock::new(Arc::new(live)),
            log,
            credentials: Credentials::default(),
            stage: watch::Sender::new(Stage::Running),
            under_way: Arc::new(Semaphore::new(UNDER_WAY)),
            bodies: Arc::new(Semaphore::new(BODIES >> 10)),
            unread: Arc::default(),
            open: AtomicUsize::new(0),
            closed: Notify::new(),
            requests: AtomicU64::new(0),
        })
    }

    pub fn live(&self) -> Arc<Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes new settings hold for all requests from now on. Requests under way keep theirs.
    pub fn replace(&self, live: Live) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
    }

    pub fn is_ending(&self) -> bool {
        *self.stage.borrow() != Stage::Running
    }

    /// Returns a share of the requests under way, which is given back when it is dropped.
    pub fn begin(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let overload = || Problem::unavailable().with_detail("The gateway has too many requests under way.");
        if self.unread.load(Ordering::Relaxed) > UNREAD {
            return Err(overload());
        }
        self.under_way.clone().try_acquire_owned().map_err(|_| overload())
    }

    /// Makes a call, and returns its reply after it has committed. The call is made to its end even if nobody waits for
    /// the reply any more.
    pub async fn ask(&self, call: &Call, purpose: Purpose) -> Result<Reply, Problem> {
        let mut result = self.try_once(call, purpose).await?;
        if call.reads() && result.as_ref().is_err_and(Failure::is_of_connection) {
            result = self.try_once(call, purpose).await?;
        }
        result.map_err(|failure| self.problem(&failure))
    }

    async fn try_once(&self, call: &Call, purpose: Purpose) -> Result<Result<Reply, Failure>, Problem> {
        let live = self.live();
        let busy = |_| Problem::unavailable().with_detail("No connection to the database became free in time.");
        let lent = live.pool.lend(purpose).await.map_err(busy)?;
        let limit = LATER
            + match purpose {
                Purpose::Test => LONGEST_TEST,
                _ => live.settings.request_timeout,
            };
        let made = tokio::spawn(make(call.clone(), lent, limit));
        // It does not end within the limit if it has to be cancelled, and the client is not kept waiting for that.
        match timeout(limit, made).await {
            Ok(Ok(Some(result))) => Ok(result),
            Ok(Err(_)) => Err(Problem::internal()),
            Ok(Ok(None)) | Err(_) => Err(Problem::unavailable().with_detail("The database did not answer in time.")),
        }
    }

    fn problem(&self, failure: &Failure) -> Problem {
        let (code, problem) = match failure {
            Failure::Sql(code) if is_passing(code) => (code.as_str(), Problem::unavailable()),
            Failure::Sql(code) => (code.as_str(), Problem::internal()),
            Failure::Lost => ("connection lost", Problem::unavailable()),
            Failure::Unreadable => ("unreadable answer", Problem::internal()),
        };
        self.log.event("error", "call_failed", json!({"reason": code}));
        problem
    }
}

/// Makes a call on a connection, which goes back to the pool unless it is broken. Returns none if the call had to be cancelled.
async fn make(call: Call, lent: Lent, limit: Duration) -> Option<Result<Reply, Failure>> {
    let (result, is_broken) = {
        let mut making = std::pin::pin!(call.make(lent.client(), lent.begins()));
        if let Ok(result) = timeout(limit, &mut making).await {
            let is_broken = result.as_ref().is_err_and(Failure::is_of_connection);
            (Some(result), is_broken)
        } else {
            lent.cancel().await;
            let ended = timeout(GRACE, making).await;
            (None, ended.is_err())
        }
    };
    if is_broken {
        lent.close();
    }
    result
}

impl Live {
    /// Returns what the settings mean. A pool that is the same as the former one is kept.
    pub fn of(settings: Settings, (address, mail_address): Addresses, former: Option<&Live>) -> Result<Self, Fault> {
        let tls = settings.certificate.as_ref().map(certificates::of_gateway).transpose()?;
        let kept = former.filter(|former| former.settings.database == settings.database);
        let pool = kept.map_or_else(|| Pool::start(&settings.database), |former| former.pool.clone());
        Ok(Self { settings, address, mail_address, pool, tls })
    }
}
