//! Mail: a gateway takes messages by LMTP, as a mail server hands them over, and functions of the application get them.

use std::sync::OnceLock;

use testkit::gateway::{Gateway, login};
use testkit::{Bench, Cluster, run};

mod adapter;
mod example;
mod lmtp;
mod outage;
mod postfix;
mod refusals;
mod taking;
mod threads;

use lmtp::Server;

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        // Each gateway has eight.
        let cluster = Cluster::start_shared(&[("max_connections", "200")]);
        prepare(&cluster);
        cluster
    })
}

fn prepare(cluster: &Cluster) {
    let roles = "CREATE ROLE far_gateway LOGIN IN ROLE hydra_gateway; CREATE ROLE desk IN ROLE hydra_emitter";
    run(&mut cluster.connect("postgres"), roles);
}

/// Starts a gateway that takes mail, and returns when it can answer.
fn gateway(cluster: &Cluster, database: &str, arguments: &[&str]) -> Gateway {
    let arguments = [&["--lmtp-listen", "127.0.0.1:0"], arguments].concat();
    Gateway::start_for(&login(cluster, database), &arguments).when_ready()
}

/// The server whose results the channel trusts, and an address that it has found authentic.
const PROVEN: &str = "Authentication-Results: mx.helpdesk.test; dmarc=pass header.from=example.com\r\n";

/// An application that opens a ticket for each message without a thread, and keeps what its function was told.
const APPLICATION: &str = "
    CREATE SCHEMA desk;
    CREATE TABLE desk.tickets (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, subject text);
    CREATE TABLE desk.calls (message jsonb, who text, tenant text);
    CREATE FUNCTION desk.take(message jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
    DECLARE ticket bigint;
    BEGIN
        INSERT INTO desk.calls VALUES (message, current_user, hydra.current_tenant());
        CASE message ->> 'subject'
            WHEN 'boom' THEN RAISE EXCEPTION 'the function is broken';
            WHEN 'slow' THEN PERFORM pg_sleep(60);
            ELSE NULL;
        END CASE;
        IF message -> 'thread' <> 'null' THEN
            RETURN jsonb_build_object('reopened', message #> '{verdict,may_reopen}');
        END IF;
        INSERT INTO desk.tickets (subject) VALUES (message ->> 'subject') RETURNING id INTO ticket;
        RETURN jsonb_build_object('entity_type', 'ticket', 'entity_id', ticket);
    END $$;
    GRANT USAGE ON SCHEMA desk TO desk;
    GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA desk TO desk;
    ALTER FUNCTION desk.take(jsonb) OWNER TO desk;
    SELECT hydra.mail_channel_create('Support@helpdesk.test', 'desk.take', tenant_id => 'acme',
                                     trusted_server => 'mx.helpdesk.test', timeout => '8 s');";

/// A database with the application, a gateway, and a mail server that talks to it.
struct Office {
    bench: Bench<'static>,
    gateway: Gateway,
}

impl Office {
    fn new(database: &str) -> Self {
        let mut bench = Bench::new(cluster(), database);
        bench.run(APPLICATION);
        let gateway = gateway(cluster(), database, &[]);
        Self { bench, gateway }
    }

    fn connect(&self) -> Server {
        Server::greet(&self.gateway.mail_address())
    }

    /// Hands a message over to the channel, and returns the reply.
    #[track_caller]
    fn send(&self, message: &str) -> String {
        self.connect().deliver("ann@example.com", &["support@helpdesk.test"], message).remove(0)
    }

    /// The same for a message that is taken.
    #[track_caller]
    fn taken(&self, message: &str) {
        assert_eq!(self.send(message), "250 2.0.0 Taken", "{message}");
    }

    /// Part of what the function was told about the latest message, as JSON.
    #[track_caller]
    fn told(&mut self, path: &str) -> String {
        let sql = "SELECT coalesce((message #> $1::text::text[])::text, 'missing') FROM desk.calls ORDER BY ctid DESC LIMIT 1";
        self.bench.client.query_one(sql, &[&path]).unwrap_or_else(|error| panic!("{path}: {error:?}")).get(0)
    }

    fn count(&mut self, table: &str) -> i64 {
        self.bench.ask(&format!("SELECT count(*) FROM {table}"))
    }
}

/// A message of Ann, with other fields before its subject.
fn message(fields: &str, subject: &str, text: &str) -> String {
    let text = text.replace('\n', "\r\n");
    format!(
        "{fields}From: Ann Archer <ann@example.com>\r\nTo: support@helpdesk.test\r\nSubject: {subject}\r\n\r\n{text}\r\n"
    )
}
