//! Random transactions: savepoints within savepoints, exceptions, two-phase commits. What is received is what was
//! committed, once each.

use std::collections::BTreeSet;

use postgres::Client;
use rand::RngExt;
use rand::rngs::StdRng;
use testkit::receiver::entity_ids;
use testkit::{Bench, Cluster, chance, number};

use crate::PATH;

/// More subtransactions than a backend keeps in shared memory.
const MANY: usize = 70;

/// Writes the SQL of one transaction after another. Each row that it inserts is an event.
struct Author {
    chance: StdRng,
    rows: u32,
}

impl Author {
    /// The second is the statement that ends it, if a later one does.
    fn transaction(&mut self) -> (String, Option<&'static str>) {
        let work = self.work(0);
        let (end, later) = match self.chance.random_range(0..10) {
            0..5 => ("COMMIT", None),
            5..7 => ("ROLLBACK", None),
            7 | 8 => ("PREPARE TRANSACTION 'later'", Some("COMMIT PREPARED 'later'")),
            _ => ("PREPARE TRANSACTION 'later'", Some("ROLLBACK PREPARED 'later'")),
        };
        (format!("BEGIN; {work} {end};"), later)
    }

    fn work(&mut self, depth: usize) -> String {
        (0..self.chance.random_range(1..5)).map(|_| self.step(depth)).collect()
    }

    fn step(&mut self, depth: usize) -> String {
        match self.chance.random_range(0..100) {
            0..60 => self.insert(),
            60..80 if depth < 4 => {
                let (inner, name) = (self.work(depth + 1), format!("s{depth}"));
                let end = if self.chance.random_bool(0.5) { "ROLLBACK TO" } else { "RELEASE" };
                format!("SAVEPOINT {name}; {inner} {end} {name};")
            }
            80..95 => {
                // A block that fails is rolled back, and the transaction continues.
                let (before, inside) = (self.insert(), self.insert());
                let fails = if self.chance.random_bool(0.5) { "RAISE division_by_zero;" } else { "" };
                format!(
                    "DO $$ BEGIN {before} BEGIN {inside} {fails} EXCEPTION WHEN division_by_zero THEN NULL; END; END $$;"
                )
            }
            95 => (0..MANY).map(|_| format!("SAVEPOINT many; {}", self.insert())).collect(),
            _ => self.insert(),
        }
    }

    fn insert(&mut self) -> String {
        self.rows += 1;
        format!("INSERT INTO ticket VALUES ({});", self.rows)
    }
}

fn numbers(client: &mut Client, sql: &str) -> BTreeSet<String> {
    client.query(sql, &[]).expect("a query").iter().map(|row| row.get(0)).collect()
}

/// A short run; `HYDRA_TRANSACTIONS=5000` makes it a long one, `HYDRA_SEED` repeats one.
#[test]
fn of_random_transactions_exactly_what_was_committed_is_received() {
    let transactions = number("HYDRA_TRANSACTIONS").unwrap_or(500);
    let cluster = Cluster::start(&[("max_prepared_transactions", "10")]);
    let mut bench = Bench::new(&cluster, "transactions");
    bench.subscribe(PATH, "ticket.created", &[]);
    bench.run("CREATE TABLE ticket (id int PRIMARY KEY)");
    bench.run("SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert')");
    let mut author = Author { chance: chance(), rows: 0 };
    for _ in 0..transactions {
        let (transaction, later) = author.transaction();
        bench.run(&transaction);
        later.into_iter().for_each(|end| bench.run(end));
    }
    bench.wait_for_empty_queue();

    let committed = numbers(&mut bench.client, "SELECT id::text FROM ticket");
    let requests = bench.receiver.requests(PATH);
    let received: BTreeSet<String> = entity_ids(&requests).into_iter().collect();
    assert_eq!(received, committed);
    assert_eq!(requests.len(), committed.len(), "each once");
    let written: i64 = author.rows.into();
    assert!(committed.len() as i64 * 10 > written && bench.ask::<i64>("SELECT count(*) FROM ticket") < written);
    println!("{transactions} transactions, {written} rows written, {} committed and received", committed.len());
}
