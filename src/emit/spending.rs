//! Limits the time that filters take together. Each has a limit of its own, but there can be very many of them, and the transaction of
//! the application waits for all.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use pgrx::prelude::*;
use wire::ids::SubscriptionId;

use super::Filter;

/// Filters that are slower than this are to blame if all together take too long. Most take some microseconds.
const SLOW: Duration = Duration::from_millis(5);

/// The filters of one event, or of the events of one transaction of the dispatcher.
pub struct Spending {
    limit: Duration,
    spent: Cell<Duration>,
    /// Whether the limit was exceeded, and slow filters are to blame.
    is_over: Cell<bool>,
    slow: RefCell<Vec<(SubscriptionId, Filter)>>,
}

impl Spending {
    pub const fn new(limit: Duration) -> Self {
        Self { limit, spent: Cell::new(Duration::ZERO), is_over: Cell::new(false), slow: RefCell::new(Vec::new()) }
    }

    /// Whether no time is left. Then events pass.
    pub fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Runs a filter. If no time is left afterwards, the slow ones are not tried again for some time.
    pub fn measured<R>(&self, subscription: SubscriptionId, filter: &Filter, run: impl FnOnce() -> R) -> R {
        let began = Instant::now();
        let result = run();
        let took = began.elapsed();
        self.spent.set(self.spent.get() + took);
        if took > SLOW {
            self.slow.borrow_mut().push((subscription, filter.clone()));
        }
        if self.spent.get() >= self.limit && !self.slow.borrow().is_empty() {
            self.is_over.set(true);
            self.spare_the_slow();
        }
        result
    }

    fn spare_the_slow(&self) {
        let slow = self.slow.take();
        let ids: Vec<String> = slow.iter().map(|(subscription, _)| subscription.to_string()).collect();
        slow.iter().for_each(|(subscription, filter)| filter.spare(*subscription));
        ereport!(
            PgLogLevel::WARNING,
            PgSqlErrorCode::ERRCODE_QUERY_CANCELED,
            format!("the filters of an event took too long together; those that were left were not applied"),
            format!(
                "For ten minutes this session sends all events of their event types to subscriptions {}. Simplify their filters with hydra.webhook_update().",
                ids.join(", ")
            )
        );
    }
}
