use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn answering(lookup: impl Fn(&str) -> Result<Vec<IpAddr>, LookupError> + Send + Sync + 'static) -> Directory {
    Directory::new(Box::new(lookup))
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
    let limit = Duration::from_millis(200);
    std::thread::scope(|scope| {
        for number in 0..3 * MAX_THREADS {
            let directory = &directory;
            scope.spawn(move || directory.addresses(&format!("dead{number}.example"), limit).unwrap_err());
        }
    });
    {
        let state = directory.0.lock();
        assert_eq!((state.threads, state.queue.len(), state.names.len()), (MAX_THREADS, 0, MAX_THREADS));
    }
    assert_eq!(started.load(Ordering::Relaxed), MAX_THREADS);
    drop(revive);
    assert!(directory.addresses("receiver.example", PATIENCE).is_ok());
}

#[test]
fn a_bounded_number_of_names_is_kept() {
    let directory = answering(|_| Ok(vec![address()]));
    for number in 0..2000 {
        directory.addresses(&format!("name{number}.example"), PATIENCE).unwrap();
    }
    assert!(directory.0.lock().names.len() <= 1024);
}

#[test]
fn waiting_ends_when_the_directory_closes() {
    let (directory, _revive, started) = with_dead_names();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| directory.addresses("dead.example", PATIENCE));
        while started.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        directory.close();
        assert_eq!(waiting.join().unwrap(), Err(LookupError::TimedOut));
    });
}
