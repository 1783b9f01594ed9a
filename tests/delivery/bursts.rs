//! The first burst after a start, to a receiver that has one thread for all its connections.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use testkit::{Cluster, StopMode, history, rounds, run, subscribe, wait_for_empty_queue};

const ROWS: usize = 5000;
const ENDPOINTS: usize = 3;

/// An Express application, as a receiver of webhooks is often written.
struct Express {
    process: Child,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Express {
    fn start() -> Self {
        let installed =
            PathBuf::from(env::var_os("HYDRA_MCP_CLIENTS").expect("HYDRA_MCP_CLIENTS is set: run `make test`"));
        let mut process = Command::new("node")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/delivery/express.js"))
            .env("NODE_PATH", installed.join("npm/node_modules"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run node: {error}; run `make prepare`"));
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut port = String::new();
        output.read_line(&mut port).expect("it writes its port");
        Self { process, output, port: port.trim().parse().expect("a port") }
    }

    /// Ends it, and returns how many requests came, and how many deliveries they were for.
    fn end(mut self) -> (usize, usize) {
        drop(self.process.stdin.take());
        let mut counts = String::new();
        self.output.read_to_string(&mut counts).expect("it writes what came");
        self.process.wait().expect("it ends");
        let mut counts = counts.split_whitespace().map(|count| count.parse().expect("a number"));
        (counts.next().expect("requests"), counts.next().expect("deliveries"))
    }
}

/// `HYDRA_ROUNDS=20` makes it a long one.
#[test]
fn no_attempt_of_the_first_burst_after_a_start_fails_and_each_delivery_arrives_once() {
    for _ in 0..rounds(1) {
        let cluster = Cluster::start(&[]);
        let mut client = cluster.create_database("burst");
        run(
            &mut client,
            "CREATE TABLE orders (id bigint PRIMARY KEY, note text);
             SELECT hydra.webhook_register_event_type('order.created', 'An order', 'order', 'id');
             SELECT hydra.webhook_watch('orders', 'order.created', 'insert')",
        );
        let express = Express::start();
        for endpoint in 0..ENDPOINTS {
            let url = format!("http://127.0.0.1:{}/{endpoint}", express.port);
            // A busy machine may keep the receiver waiting. A request that is lost ends at the time limit, whatever it is.
            subscribe(&mut client, &url, "order.created", &["timeout => '60 s'"]);
        }
        cluster.stop(StopMode::Fast);
        cluster.start_again();

        let mut client = cluster.connect("burst");
        let rows: String = (1..=ROWS).map(|id| format!("{id}\tan order of some size\n")).collect();
        let mut copy = client.copy_in("COPY orders FROM STDIN").expect("COPY begins");
        copy.write_all(rows.as_bytes()).expect("rows are sent");
        copy.finish().expect("COPY ends");
        wait_for_empty_queue(&mut client);

        // By default, it has the attempts that failed and the retries.
        let failed = history(&mut client);
        assert!(failed.is_empty(), "{} attempts, such as {:?}", failed.len(), failed[0]);
        assert_eq!(express.end(), (ENDPOINTS * ROWS, ENDPOINTS * ROWS));
    }
}
