//! Keeps the plan of a statement, which is made at the first use.

use std::cell::OnceCell;

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys::PgOid;
use pgrx::spi::{OwnedPreparedStatement, SpiClient};

use super::row::Rows;

pub struct Statement {
    sql: &'static str,
    plan: OnceCell<OwnedPreparedStatement>,
}

impl Statement {
    pub const fn new(sql: &'static str) -> Self {
        Self { sql, plan: OnceCell::new() }
    }

    /// Runs a statement that reads. `args` must have the same types at every call.
    pub fn read<'conn>(&self, client: &SpiClient<'conn>, args: &[DatumWithOid<'_>]) -> Rows<'conn> {
        let plan = self.plan.get_or_init(|| client.prepare(self.sql, &types(args)).expect("SPI prepares").keep());
        client.select(plan, None, args).expect("SPI reads");
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

fn types(args: &[DatumWithOid<'_>]) -> Vec<PgOid> {
    args.iter().map(|arg| PgOid::from(arg.oid())).collect()
}
