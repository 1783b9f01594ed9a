//! How many events led to what is being processed.
//!
//! Our webhook can make another system send a request to one of our adapters, whose flow emits an event, which is sent as
//! a webhook, and so on. So each event has a count: zero outside of an inbound request, and otherwise one more than the
//! request had. It is sent as `X-Hydra-Hops`, and a request with [`MOST`] hops is not processed any more.
//!
//! The count is kept in the memory of this process, where every emit finds it, that of a trigger too.

use std::cell::Cell;

/// A request that so many events led to is part of a loop.
pub const MOST: i16 = 5;

thread_local! {
    static CURRENT: Cell<Option<i16>> = const { Cell::new(None) };
}

/// Runs `body` while an inbound event with so many hops is being processed.
pub fn with_hops<R>(hops: i16, body: impl FnOnce() -> R) -> R {
    struct Restored(Option<i16>);
    impl Drop for Restored {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restored = Restored(CURRENT.replace(Some(hops)));
    body()
}

/// Returns the hops that a request states. What cannot be read is none: a sender that passes no count on has none either.
pub fn stated(header: Option<&str>) -> i16 {
    let digits =
        header.map(str::trim).filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.map_or(0, |digits| digits.parse().unwrap_or(i16::MAX))
}

/// Says why an event with so many hops is not processed.
pub fn reason(hops: i16) -> String {
    format!("loop: {hops} events of this database have led to it, and no more than {MOST} may")
}

/// Returns the hops of an event that is emitted now.
pub fn of_new_event() -> i16 {
    CURRENT.get().map_or(0, |hops| hops.saturating_add(1))
}
