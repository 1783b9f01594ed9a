//! The sockets that threads may be blocked on. Only shutting down its socket ends a blocked read in time, so a stop needs to
//! know them all.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// All connections of all threads, so that a stop can end them.
#[derive(Debug, Default)]
pub struct OpenSockets(Mutex<Sockets>);

#[derive(Debug, Default)]
struct Sockets {
    list: Vec<Weak<TcpStream>>,
    cut: bool,
}

impl OpenSockets {
    /// Refuses a connection after the cut, before time is spent on it.
    pub fn admit(&self) -> io::Result<()> {
        self.lock().admit()
    }

    pub fn add(&self, stream: &Arc<TcpStream>) -> io::Result<()> {
        let mut sockets = self.lock();
        sockets.admit()?;
        // Only when the list would grow: to look through it each time would cost more than it saves.
        if sockets.list.len() == sockets.list.capacity() {
            sockets.list.retain(|socket| socket.strong_count() > 0);
        }
        sockets.list.push(Arc::downgrade(stream));
        Ok(())
    }

    /// Ends every exchange at once, and each one to come.
    pub fn cut(&self) {
        let mut sockets = self.lock();
        sockets.cut = true;
        for socket in sockets.list.drain(..).filter_map(|socket| socket.upgrade()) {
            // Fails if it is closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sockets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sockets {
    fn admit(&self) -> io::Result<()> {
        match self.cut {
            true => Err(ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }
}
