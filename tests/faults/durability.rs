//! Commits that are not on disk yet.

use testkit::{Cluster, run};

use crate::{PATH, insert, settle, tickets, under_load};

#[test]
fn a_commit_that_is_not_on_disk_yet_is_never_delivered_before_it_is() {
    // The WAL writer sleeps for as long as it can, so that nothing but the dispatcher brings commits to disk.
    let cluster = Cluster::start(&[("wal_writer_delay", "10s"), ("checkpoint_timeout", "1h")]);
    let bench = tickets(&cluster, "lazy_commits", &[]);
    for _ in 0..5 {
        under_load(&bench, "SET synchronous_commit = off", || {
            bench.wait_for(PATH, bench.receiver.received(PATH) + 100);
            cluster.kill9_everything();
        });
        cluster.start_again();
        settle(&bench);
    }
}

#[test]
fn a_commit_of_a_transaction_that_began_long_ago_is_not_delivered_before_it_is_on_disk() {
    // As above; nor does the WAL writer wake up because there is much to write.
    let settings = [("wal_writer_delay", "10s"), ("wal_writer_flush_after", "1GB"), ("checkpoint_timeout", "1h")];
    let cluster = Cluster::start(&settings);
    let bench = tickets(&cluster, "late_commits", &[]);
    for ticket in 1..=3 {
        let mut client = bench.session();
        run(&mut client, "BEGIN; SET LOCAL synchronous_commit = off");
        run(&mut client, &insert(ticket, ticket));
        run(
            &mut bench.session(),
            "DO $$ BEGIN FOR n IN 1..60000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$",
        );
        run(&mut client, "COMMIT");
        bench.wait_for(PATH, ticket);
        cluster.kill9_everything();
        cluster.start_again();
        settle(&bench);
    }
}
