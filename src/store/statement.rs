//! A statement that is planned at its first use and kept.

use std::cell::OnceCell;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::PgOid;
use pgrx::spi::{OwnedPreparedStatement, SpiClient, SpiHeapTupleData, SpiTupleTable};
use pgrx::{FromDatum, IntoDatum};

pub struct Statement {
    sql: &'static str,
    plan: OnceCell<OwnedPreparedStatement>,
}

impl Statement {
    pub const fn new(sql: &'static str) -> Self {
        Self { sql, plan: OnceCell::new() }
    }

    /// Reads. `args` have the same types at every call.
    pub fn read<'conn>(&self, client: &SpiClient<'conn>, args: &[DatumWithOid<'_>]) -> SpiTupleTable<'conn> {
        let plan = self.plan.get_or_init(|| client.prepare(self.sql, &types(args)).expect("SPI prepares").keep());
        client.select(plan, None, args).expect("SPI reads")
    }

    /// Writes. `args` have the same types at every call.
    pub fn write<'conn>(&self, client: &mut SpiClient<'conn>, args: &[DatumWithOid<'_>]) -> SpiTupleTable<'conn> {
        let plan = self.plan.get_or_init(|| client.prepare_mut(self.sql, &types(args)).expect("SPI prepares").keep());
        client.update(plan, None, args).expect("SPI writes")
    }
}

fn types(args: &[DatumWithOid<'_>]) -> Vec<PgOid> {
    args.iter().map(|arg| PgOid::from(arg.oid())).collect()
}

/// A column that may be null, by its place from 1.
pub fn maybe<T: IntoDatum + FromDatum>(row: &SpiHeapTupleData<'_>, column: usize) -> Option<T> {
    row.get(column).expect("a column of this type")
}

/// A column that is never null, by its place from 1.
pub fn value<T: IntoDatum + FromDatum>(row: &SpiHeapTupleData<'_>, column: usize) -> T {
    maybe(row, column).expect("a column that is not null")
}
