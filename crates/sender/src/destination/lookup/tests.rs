use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::super::{DestinationPolicy, vet};
use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

const THREADS: usize = 100;

fn answering(lookup: impl Fn(&str) -> Result<Vec<IpAddr>, LookupError> + Send + Sync + 'static) -> Directory {
    Directory::new(THREADS, Box::new(lookup))
}

impl Directory {
    /// Waits for the addresses of a name, as a request does that is asked to answer within `limit`.
    fn addresses(&self, name: &str, limit: Duration) -> LookupResult {
        self.addresses_at(Instant::now(), name, limit)
    }

    /// Does the same at another time, which the directory takes for the present one.
    fn addresses_at(&self, now: Instant, name: &str, limit: Duration) -> LookupResult {
        let (send, result) = mpsc::channel();
        match self.ask(name, now, move |result| send.send(result).unwrap_or_default()) {
            Asked::Known(result) => result,
            Asked::Awaited { ticket, meanwhile } => {
                let meanwhile = meanwhile.map(|(from, addresses)| (from - now, addresses));
                let limit = meanwhile.as_ref().map_or(limit, |(from, _)| *from);
                result.recv_timeout(limit).unwrap_or_else(|_| {
                    self.withdraw(ticket);
                    meanwhile.map(|(_, addresses)| addresses).ok_or(LookupError::TimedOut)
                })
            }
        }
    }
}

fn address() -> IpAddr {
    IpAddr::from([192, 0, 2, 1])
}

#[test]
fn a_name_is_looked_up_once_for_a_while() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let directory = answering(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(vec![address()])
    });
    for _ in 0..3 {
        assert_eq!(*directory.addresses("receiver.example", PATIENCE).unwrap(), [address()]);
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn a_failure_is_remembered_for_a_while_too() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let directory = answering(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Err(LookupError::Unknown)
    });
    for _ in 0..3 {
        assert_eq!(directory.addresses("receiver.example", PATIENCE), Err(LookupError::Unknown));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn a_name_without_an_address_is_unknown() {
    let directory = answering(|_| Ok(Vec::new()));
    assert_eq!(directory.addresses("receiver.example", PATIENCE), Err(LookupError::Unknown));
}

#[test]
fn a_panic_in_a_lookup_is_a_failure_and_the_next_name_is_found() {
    let directory = answering(|name| match name {
        "faulty.example" => panic!("in a lookup"),
        _ => Ok(vec![address()]),
    });
    assert_eq!(directory.addresses("faulty.example", PATIENCE), Err(LookupError::Unanswered));
    assert!(directory.addresses("receiver.example", PATIENCE).is_ok());
}

/// A directory in which names that begin with "dead" are answered only when the sender is dropped. Also returns the
/// number of lookups that have started.
fn with_dead_names() -> (Directory, mpsc::Sender<()>, Arc<AtomicUsize>) {
    let (revive, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let started = Arc::new(AtomicUsize::new(0));
    let counter = started.clone();
    let directory = answering(move |name| {
        counter.fetch_add(1, Ordering::Relaxed);
        if name.starts_with("dead") {
            let _ = wait.lock().unwrap().recv();
        }
        Ok(vec![address()])
    });
    (directory, revive, started)
}

#[test]
fn a_name_that_is_not_answered_takes_its_own_time_limit_and_delays_no_other_name() {
    let (directory, revive, _) = with_dead_names();
    let limit = Duration::from_millis(50);
    assert_eq!(directory.addresses("dead.example", limit), Err(LookupError::TimedOut));
    assert!(directory.addresses("receiver.example", PATIENCE).is_ok());
    drop(revive);
    assert!(directory.addresses("dead.example", PATIENCE).is_ok());
}

#[test]
fn names_that_are_not_answered_hold_a_bounded_number_of_threads_and_leave_nothing_queued() {
    let (directory, revive, started) = with_dead_names();
    // So long that all threads have begun, also on a busy machine.
    let limit = Duration::from_secs(2);
    std::thread::scope(|scope| {
        for number in 0..3 * THREADS {
            let directory = &directory;
            scope.spawn(move || directory.addresses(&format!("dead{number}.example"), limit).unwrap_err());
        }
    });
    let for_new = THREADS - THREADS_FOR_KNOWN - THREADS / 4;
    {
        let state = directory.0.lock();
        let threads = state.rooms.each_ref().map(|room| room.threads);
        assert_eq!((threads, state.names.len()), ([0, for_new, 0], for_new));
        assert!(state.rooms.iter().all(|room| room.queue.is_empty()));
    }
    assert_eq!(started.load(Ordering::Relaxed), for_new);
    drop(revive);
    assert!(directory.addresses("receiver.example", PATIENCE).is_ok());
}

#[test]
fn names_that_hang_delay_no_name_that_has_addresses_although_it_is_looked_up_again() {
    let (directory, _revive, started) = with_dead_names();
    assert!(directory.addresses("receiver.example", PATIENCE).is_ok());
    let limit = Duration::from_millis(50);
    std::thread::scope(|scope| {
        for number in 0..3 * THREADS {
            let directory = &directory;
            scope.spawn(move || directory.addresses(&format!("dead{number}.example"), limit).unwrap_err());
        }
    });
    // A thread may have taken a name and not begun yet.
    let underway = || directory.0.lock().names.values().filter(|entry| entry.lookup.is_some()).count();
    let deadline = Instant::now() + PATIENCE;
    while started.load(Ordering::Relaxed) != 1 + underway() {
        assert!(Instant::now() < deadline, "some lookups do not begin");
        std::thread::yield_now();
    }
    let before = started.load(Ordering::Relaxed);
    let later = Instant::now() + 2 * REMEMBERED;
    assert!(directory.addresses_at(later, "receiver.example", PATIENCE).is_ok());
    assert_eq!(started.load(Ordering::Relaxed), before + 1, "it was looked up, and not taken from memory");
}

#[test]
fn names_whose_lookup_has_failed_delay_no_new_name() {
    let (directory, revive, _) = with_dead_names();
    directory.0.lock().names.extend((0..2 * THREADS).map(|number| {
        let failed = Some((LookupError::Unanswered, Instant::now()));
        (format!("dead{number}.example"), Entry { failed, ..Entry::default() })
    }));
    let limit = Duration::from_millis(50);
    std::thread::scope(|scope| {
        for number in 0..2 * THREADS {
            let directory = &directory;
            scope.spawn(move || directory.addresses(&format!("dead{number}.example"), limit).unwrap_err());
        }
    });
    assert!(directory.addresses("receiver.example", PATIENCE).is_ok());
    drop(revive);
}

/// A directory whose lookups do what is set last. Also returns how to set it.
fn changing() -> (Directory, mpsc::Sender<()>, Arc<Mutex<Option<LookupResult>>>) {
    let (revive, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let result = Arc::new(Mutex::new(Some(Ok([address()].into()))));
    let present = result.clone();
    let directory = answering(move |_| {
        let present = present.lock().unwrap().clone();
        present.map(|result: LookupResult| result.map(|found| found.to_vec())).unwrap_or_else(|| {
            let _ = wait.lock().unwrap().recv();
            Ok(vec![address()])
        })
    });
    (directory, revive, result)
}

#[test]
fn a_name_whose_server_no_longer_answers_keeps_its_addresses_and_one_that_is_gone_does_not() {
    let (directory, _revive, result) = changing();
    let mut now = Instant::now();
    assert!(directory.addresses_at(now, "receiver.example", PATIENCE).is_ok());
    let mut ask_later = |then: Option<LookupResult>| {
        *result.lock().unwrap() = then;
        now += 2 * REMEMBERED;
        directory.addresses_at(now, "receiver.example", PATIENCE)
    };
    assert_eq!(*ask_later(Some(Err(LookupError::Unanswered))).unwrap(), [address()]);
    let other = IpAddr::from([192, 0, 2, 2]);
    assert_eq!(*ask_later(Some(Ok([other].into()))).unwrap(), [other]);
    assert_eq!(ask_later(Some(Err(LookupError::Unknown))), Err(LookupError::Unknown));
    assert_eq!(ask_later(Some(Err(LookupError::Unanswered))), Err(LookupError::Unanswered));
}

#[test]
fn a_lookup_that_hangs_delays_a_name_with_addresses_for_a_moment_and_only_once() {
    let (directory, _revive, result) = changing();
    assert!(directory.addresses("receiver.example", PATIENCE).is_ok());
    *result.lock().unwrap() = None;
    let later = Instant::now() + 2 * REMEMBERED;
    let started = Instant::now();
    assert!(directory.addresses_at(later, "receiver.example", PATIENCE).is_ok());
    assert!(started.elapsed() >= LONG && started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());
    let asked = directory.ask("receiver.example", later + LONG, |_| panic!("nobody waits"));
    assert!(matches!(asked, Asked::Known(Ok(_))), "the second one does not wait");
    let too_old = directory.ask("receiver.example", later + USABLE, |_| ());
    assert!(matches!(too_old, Asked::Awaited { meanwhile: None, .. }));
}

#[test]
fn a_bounded_number_of_names_is_kept() {
    let directory = answering(|_| Ok(vec![address()]));
    for number in 0..MAX_NAMES + 100 {
        directory.addresses(&format!("name{number}.example"), PATIENCE).unwrap();
    }
    assert!(directory.0.lock().names.len() <= MAX_NAMES);
}

#[test]
fn nobody_is_called_back_when_the_directory_was_closed() {
    let (directory, revive, started) = with_dead_names();
    let (send, result) = mpsc::channel();
    directory.ask("dead.example", Instant::now(), move |result| send.send(result).unwrap());
    while started.load(Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    directory.close();
    drop(revive);
    assert!(result.recv_timeout(PATIENCE).is_err());
}

/// The name server answers with a public address, a loopback address, and both, in turns.
#[test]
fn a_name_that_changes_its_address_never_leads_to_this_machine() {
    let asked = AtomicUsize::new(0);
    let public = IpAddr::from([93, 184, 215, 14]);
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let directory = answering(move |_| {
        Ok(match asked.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => vec![public],
            1 => vec![loopback],
            _ => vec![public, loopback],
        })
    });
    let (mut reached, mut refused) = (0, 0);
    for turn in 0..1000 {
        let found = directory.addresses(&format!("name-{turn}.example"), PATIENCE).unwrap();
        match vet(&found, 443, &DestinationPolicy::default()) {
            Ok(vetted) => {
                assert!(vetted.iter().all(|address| address.ip() == public), "{vetted:?}");
                reached += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert_eq!((reached, refused), (334, 666));
}
