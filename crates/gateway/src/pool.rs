//! Connections to the database.
//!
//! A pool has a fixed number of places. The task of a place connects, hands the connection out for one transaction at a
//! time, waits until it breaks, and connects again, at intervals that grow. So there is never more than one connection
//! per place, whatever happens to them.
//!
//! Who waits for a connection waits for a second at most. Two kinds of requests may have a part of the connections only,
//! so that they cannot keep out the others: those that send a test, which wait for somebody else's server, and those of
//! strangers, whose credentials have not been accepted before.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::certificates;
use crate::conninfo::Target;
use crate::settings::Database;

/// How long a request waits for a connection.
const WAIT: Duration = Duration::from_secs(1);
/// How many connections wait for servers of others.
const TESTS: usize = 2;
/// The pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A connection that lived for less time counts as an attempt that failed.
const SHORT_LIFE: Duration = Duration::from_secs(1);
const CANCEL: Duration = Duration::from_secs(2);

/// What a connection is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Known,
    Stranger,
    Test,
}

pub struct Pool {
    idle: Mutex<Vec<Connection>>,
    /// One permit for each idle connection.
    free: Arc<Semaphore>,
    tests: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    /// `None`: the last attempt to connect has worked.
    trouble: watch::Sender<Option<String>>,
}

pub struct Connection {
    pub client: Client,
    /// Whether calls need BEGIN and COMMIT, see [`crate::call`].
    begins: AtomicBool,
    cancel: MakeRustlsConnect,
    /// Ends the connection without waiting for the server.
    end: Arc<Notify>,
}

/// A connection for one transaction. It goes back to the pool when it is dropped.
pub struct Lent {
    connection: Option<Connection>,
    pool: Arc<Pool>,
    _share: Option<OwnedSemaphorePermit>,
}

/// No connection became free in time.
#[derive(Debug)]
pub struct Busy;

impl Pool {
    pub fn start(database: &Database) -> Arc<Self> {
        let count = database.connections;
        let pool = Arc::new(Self {
            idle: Mutex::default(),
            free: Arc::new(Semaphore::new(0)),
            tests: Arc::new(Semaphore::new(TESTS.min(count.div_ceil(2)))),
            strangers: Arc::new(Semaphore::new(count.div_ceil(2))),
            trouble: watch::Sender::new(None),
        });
        for _ in 0..count {
            tokio::spawn(keep_place(Arc::downgrade(&pool), database.targets.clone()));
        }
        pool
    }

    /// Waits for a connection.
    pub async fn lend(self: &Arc<Self>, purpose: Purpose) -> Result<Lent, Busy> {
        let share = match purpose {
            Purpose::Known => None,
            Purpose::Stranger => Some(self.strangers.clone()),
            Purpose::Test => Some(self.tests.clone()),
        };
        let lend = async {
            let share = match share {
                Some(share) => Some(share.acquire_owned().await.map_err(|_| Busy)?),
                None => None,
            };
            loop {
                self.free.acquire().await.map_err(|_| Busy)?.forget();
                let connection = self.idle().pop();
                // The task of a broken connection connects again.
                if let Some(connection) = connection.filter(|connection| !connection.client.is_closed()) {
                    return Ok(Lent { connection: Some(connection), pool: self.clone(), _share: share });
                }
            }
        };
        timeout(WAIT, lend).await.unwrap_or(Err(Busy))
    }

    /// Returns a channel with the reason for which no connection can be made.
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    fn put(&self, connection: Connection) {
        self.idle().push(connection);
        self.free.add_permits(1);
    }

    fn report(&self, trouble: Option<String>) {
        self.trouble.send_if_modified(|former| std::mem::replace(former, trouble.clone()) != trouble);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    pub fn client(&self) -> &Client {
        &self.connection.as_ref().expect("it is taken at the end only").client
    }

    pub fn begins(&self) -> &AtomicBool {
        &self.connection.as_ref().expect("it is taken at the end only").begins
    }

    /// Asks the server to end what runs.
    pub async fn cancel(&self) {
        let connection = self.connection.as_ref().expect("it is taken at the end only");
        let _ = timeout(CANCEL, connection.client.cancel_token().cancel_query(connection.cancel.clone())).await;
    }

    /// Closes the connection, whatever the server is doing. It does not go back to the pool.
    pub fn close(mut self) {
        self.connection.take().expect("it is taken at the end only").end.notify_one();
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|connection| !connection.client.is_closed()) {
            self.pool.put(connection);
        }
    }
}

/// Keeps one place of a pool filled, as long as the pool is used.
async fn keep_place(pool: Weak<Pool>, targets: Vec<Target>) {
    let mut pause = FIRST_PAUSE;
    while pool.strong_count() > 0 {
        let began = Instant::now();
        match connect(&targets).await {
            Ok((connection, driver)) => {
                let end = connection.end.clone();
                match pool.upgrade() {
                    Some(pool) => {
                        pool.report(None);
                        pool.put(connection);
                    }
                    None => return,
                }
                tokio::select! {
                    _ = driver => {}
                    () = end.notified() => {}
                }
            }
            Err(error) => {
                if let Some(pool) = pool.upgrade() {
                    pool.report(Some(error));
                }
            }
        }
        if began.elapsed() > SHORT_LIFE {
            pause = FIRST_PAUSE;
        }
        // Not all at the same time.
        sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

type Driver = std::pin::Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

/// Connects to the first target that lets us.
async fn connect(targets: &[Target]) -> Result<(Connection, Driver), String> {
    let mut errors = Vec::new();
    for target in targets {
        match connect_to(target).await {
            Ok(connected) => return Ok(connected),
            Err(error) if errors.contains(&error) => {}
            Err(error) => errors.push(error),
        }
    }
    Err(errors.join("; "))
}

async fn connect_to(target: &Target) -> Result<(Connection, Driver), String> {
    let tls = MakeRustlsConnect::new(certificates::of_database(&target.check)?);
    let cancel = tls.clone();
    let (client, driver): (Client, Driver) = if target.config.get_ssl_mode() == SslMode::Disable {
        let (client, driver) = target.config.connect(NoTls).await.map_err(|error| reason(&error))?;
        (client, Box::pin(driver))
    } else {
        let (client, driver) = target.config.connect(tls).await.map_err(|error| reason(&error))?;
        (client, Box::pin(driver))
    };
    Ok((Connection { client, begins: AtomicBool::new(false), cancel, end: Arc::default() }, driver))
}

/// Returns why there is no connection. What the server says has no password in it.
fn reason(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(db), _) => format!("{} (SQLSTATE {})", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}
