//! The list of all open sockets, so that a stop can end requests that hang: a blocked read can be ended early only by
//! shutting down its socket.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The sockets of all connections of all threads.
#[derive(Debug, Default)]
pub struct OpenSockets(Mutex<Sockets>);

#[derive(Debug, Default)]
struct Sockets {
    list: Vec<Weak<TcpStream>>,
    cut: bool,
}

impl OpenSockets {
    /// Refuses new connections after [`cut`](Self::cut), before time is spent on opening them.
    pub fn admit(&self) -> io::Result<()> {
        self.lock().admit()
    }

    /// Adds a socket to the list. Refuses it after [`cut`](Self::cut).
    pub fn add(&self, stream: &Arc<TcpStream>) -> io::Result<()> {
        let mut sockets = self.lock();
        sockets.admit()?;
        // Remove closed sockets only when the list would have to grow. Searching the list for them each time would cost
        // more than it saves.
        if sockets.list.len() == sockets.list.capacity() {
            sockets.list.retain(|socket| socket.strong_count() > 0);
        }
        sockets.list.push(Arc::downgrade(stream));
        Ok(())
    }

    /// Shuts down all sockets, which ends all exchanges at once, and refuses all later ones.
    pub fn cut(&self) {
        let mut sockets = self.lock();
        sockets.cut = true;
        for socket in sockets.list.drain(..).filter_map(|socket| socket.upgrade()) {
            // This fails if the socket is closed already.
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
