//! Transactions as chance would have them: savepoints within savepoints, exceptions, two-phase commits. What is received is
//! what was committed, once each.

use std::collections::BTreeSet;

use postgres::Client;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use testkit::cluster::Cluster;
use testkit::receiver::Receiver;
use testkit::{ask, number, run, subscribe, wait_for_empty_queue};

const PATH: &str = "/";

/// More subtransactions than a backend shows others at a time.
const MANY: usize = 70;

/// Writes the SQL of one transaction after another. Each row that it inserts is an event.
struct Author {
    chance: StdRng,
    rows: u32,
}

impl Author {
    /// And what ends it, if that is for later.
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
                // A block that fails takes what it did along, and the transaction goes on.
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

/// A short run; `HYDRA_TRANSACTIONS=5000` makes it a long one, `HYDRA_SEED` one that was before.
#[test]
fn of_any_transactions_what_is_received_is_what_was_committed() {
    let transactions = number("HYDRA_TRANSACTIONS").unwrap_or(500);
    let seed = number("HYDRA_SEED").unwrap_or_else(rand::random);
    println!("HYDRA_SEED={seed}");
    let cluster = Cluster::start(&[("max_prepared_transactions", "10")]);
    let mut client = cluster.create_database("transactions");
    let receiver = Receiver::start();
    subscribe(&mut client, &receiver.url(PATH), "ticket.created", &[]);
    run(&mut client, "CREATE TABLE ticket (id int PRIMARY KEY)");
    run(&mut client, "SELECT hydra.webhook_watch('ticket', 'ticket.created', 'insert')");
    let mut author = Author { chance: StdRng::seed_from_u64(seed), rows: 0 };
    for _ in 0..transactions {
        let (transaction, later) = author.transaction();
        run(&mut client, &transaction);
        later.into_iter().for_each(|end| run(&mut client, end));
    }
    wait_for_empty_queue(&mut client);

    let committed = numbers(&mut client, "SELECT id::text FROM ticket");
    let requests = receiver.requests(PATH);
    let received: BTreeSet<String> = requests
        .iter()
        .map(|request| {
            let body: serde_json::Value = serde_json::from_slice(&request.body).expect("the body is JSON");
            body["data"]["entity_id"].as_str().expect("a string").to_owned()
        })
        .collect();
    assert_eq!(received, committed);
    assert_eq!(requests.len(), committed.len(), "each once");
    let written: i64 = author.rows.into();
    assert!(committed.len() as i64 * 10 > written && ask::<i64>(&mut client, "SELECT count(*) FROM ticket") < written);
    println!("{transactions} transactions, {written} rows written, {} committed and received", committed.len());
}
