//! How many events of each watch were kept, or sent without their entity, since the server started, and why the latest.
//!
//! They are in shared memory and not in a table: sessions that write to a watched table would wait for each other, and a
//! rollback would take the count with it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, PgLwLock, pg_shmem_init};

use super::text::Text;

/// The maximum number of watches of a cluster whose errors are remembered. If there are more, the one that failed longest
/// ago is forgotten.
const MAX_WATCHES: usize = 256;

/// The errors of one watch.
#[derive(Clone, Copy, Default)]
pub struct WatchErrors {
    database: u32,
    /// The trigger; 0 in a free entry.
    trigger: u32,
    table: u32,
    pub count: i64,
    /// When the latest occurred, in microseconds since 1970.
    at: i64,
    message: Text<400>,
    code: Text<60>,
}

#[derive(Clone, Copy)]
struct All([WatchErrors; MAX_WATCHES]);

impl Default for All {
    fn default() -> Self {
        Self([WatchErrors::default(); MAX_WATCHES])
    }
}

// SAFETY: plain numbers and bytes, which no process reads or writes without the lock.
unsafe impl PGRXSharedMemory for All {}

// SAFETY: the name is ours.
static ALL: PgLwLock<All> = unsafe { PgLwLock::new(c"hydra_webhooks_watch_errors") };

/// Requests the shared memory. To be called while the postmaster loads the library.
pub fn init() {
    pg_shmem_init!(ALL);
}

/// Counts errors of a trigger of this table. `message` is that of the latest, and `code` what everybody may know of it. Does
/// nothing if the extension is not preloaded.
pub fn count(trigger: pg_sys::Oid, table: pg_sys::Oid, errors: usize, message: &str, code: &str) {
    if super::shared().is_none() {
        return;
    }
    let (database, trigger) = (here(), trigger.to_u32());
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
    let (message, code) = (Text::new(message), Text::new(code));
    let mut all = ALL.exclusive();
    let known = all.0.iter().position(|entry| (entry.database, entry.trigger) == (database, trigger));
    // A free entry has never failed.
    let place = known.or_else(|| (0..MAX_WATCHES).min_by_key(|index| all.0[*index].at)).unwrap_or_default();
    let before = if known.is_some() { all.0[place].count } else { 0 };
    let count = before + errors as i64;
    all.0[place] = WatchErrors { database, trigger, table: table.to_u32(), count, at, message, code };
}

/// Returns what is known of these triggers of this database; `None` if nothing can be known, because the extension is not
/// preloaded.
pub fn of(triggers: &[pg_sys::Oid]) -> Option<Vec<WatchErrors>> {
    super::shared()?;
    let database = here();
    let is_asked = |entry: &&WatchErrors| {
        entry.database == database && triggers.iter().any(|trigger| trigger.to_u32() == entry.trigger)
    };
    let all = ALL.share();
    Some(all.0.iter().filter(is_asked).copied().collect())
}

fn here() -> u32 {
    // SAFETY: set when the backend connected, and never changed.
    unsafe { pg_sys::MyDatabaseId }.to_u32()
}

impl WatchErrors {
    pub fn table(&self) -> pg_sys::Oid {
        self.table.into()
    }

    pub fn at(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.at.try_into().unwrap_or(0))
    }

    pub fn message(&self) -> String {
        self.message.read()
    }

    pub fn code(&self) -> String {
        self.code.read()
    }
}
