//! Keeps the plan of a statement, which is made at the first use.

use std::cell::OnceCell;
use std::ffi::CStr;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::PgOid;
use pgrx::spi::{OwnedPreparedStatement, SpiClient};
use pgrx::{Spi, pg_sys};

use super::row::Rows;
use crate::tables::lock_to_read;

pub struct Statement {
    sql: &'static str,
    /// The tables that it reads, if it must not take them for empty, see [`lock_to_read`].
    reads: &'static [&'static CStr],
    plan: OnceCell<OwnedPreparedStatement>,
}

impl Statement {
    pub const fn new(sql: &'static str) -> Self {
        Self { sql, reads: &[], plan: OnceCell::new() }
    }

    /// A statement that reads these tables and must not take them for empty while they are being rewritten.
    pub const fn reading(sql: &'static str, reads: &'static [&'static CStr]) -> Self {
        Self { sql, reads, plan: OnceCell::new() }
    }

    /// Runs a statement that reads. `args` must have the same types at every call.
    pub fn read<'conn>(&self, client: &SpiClient<'conn>, args: &[DatumWithOid<'_>]) -> Rows<'conn> {
        let plan = self.plan.get_or_init(|| client.prepare(self.sql, &types(args)).expect("SPI prepares").keep());
        if self.reads.is_empty() {
            client.select(plan, None, args).expect("SPI reads");
        } else {
            lock_to_read(self.reads);
            // SAFETY: the snapshot is popped again; an error aborts the transaction, which pops it as well.
            unsafe {
                pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
                client.select(plan, None, args).expect("SPI reads");
                pg_sys::PopActiveSnapshot();
            }
        }
        // SAFETY: the rows do not outlive the connection.
        unsafe { Rows::of_last_statement() }
    }

    /// Runs a statement that writes. `args` must have the same types at every call.
    pub fn write<'conn>(&self, client: &mut SpiClient<'conn>, args: &[DatumWithOid<'_>]) -> Rows<'conn> {
        let plan = self.plan.get_or_init(|| client.prepare_mut(self.sql, &types(args)).expect("SPI prepares").keep());
        client.update(plan, None, args).expect("SPI writes");
        // SAFETY: the rows do not outlive the connection.
        unsafe { Rows::of_last_statement() }
    }
}

/// Runs a statement that reads, and does not keep its plan. The functions of pgrx that return a single value would assign a
/// transaction id, which fails on a standby.
pub fn read_once<R>(sql: &str, args: &[DatumWithOid<'_>], take: impl FnOnce(Rows<'_>) -> R) -> R {
    Spi::connect(|client| {
        client.select(sql, None, args).expect("SPI reads");
        // SAFETY: the rows do not outlive the connection.
        take(unsafe { Rows::of_last_statement() })
    })
}

fn types(args: &[DatumWithOid<'_>]) -> Vec<PgOid> {
    args.iter().map(|arg| PgOid::from(arg.oid())).collect()
}
