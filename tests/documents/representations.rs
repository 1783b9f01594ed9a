//! A row is shown over HTTP as its webhook sends it: the same bytes, whatever its types are and whoever asks.

use std::collections::HashMap;

use postgres::Client;
use testkit::receiver::Receiver;
use testkit::{Need, ask, lacks, refused, run, subscribe, wait_for_empty_queue};

use crate::payloads::{COLUMNS, TYPES};
use crate::{PATH, cluster, entity_of};

/// Settings that change how values are written.
const ODD: &str = "SET datestyle = 'German'; SET intervalstyle = iso_8601; SET timezone = 'Asia/Kolkata';
                   SET extra_float_digits = -5; SET bytea_output = escape; SET xmlbinary = hex";

/// An application with a table of all types, and a receiver of its webhooks.
struct Application {
    client: Client,
    receiver: Receiver,
}

impl Application {
    /// `None` if this Postgres lacks a type.
    fn new(database: &str) -> Option<Self> {
        let mut client = cluster().create_database(database);
        if lacks(&mut client, Need::Xml) {
            return None;
        }
        let columns: Vec<_> = COLUMNS.iter().map(|(name, kind, _)| format!("{} {kind}", quoted(name))).collect();
        run(&mut client, TYPES);
        run(
            &mut client,
            &format!(
                "CREATE TABLE own ();
                 CREATE TABLE sample (gone int, id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, {});
                 CREATE VIEW seen AS SELECT * FROM sample; ALTER TABLE sample DROP COLUMN gone CASCADE;
                 CREATE OR REPLACE VIEW seen AS SELECT * FROM sample",
                columns.join(", ")
            ),
        );
        let receiver = Receiver::start();
        let (_, secret) = subscribe(&mut client, &receiver.url(PATH), "ticket.created", &[]);
        receiver.secret(PATH, &secret);
        Some(Self { client, receiver })
    }

    fn watch(&mut self, columns: &[&str]) {
        let watch = r#"SELECT hydra.webhook_watch('sample', 'ticket.created', 'insert', "only" => $1)"#;
        self.client.execute(watch, &[&columns]).expect("a watch");
    }

    /// Inserts a row for each value of these columns, and one with the first value of each.
    fn insert(&mut self, columns: &[(&str, &str, &[&str])]) {
        let literal =
            |(_, kind, _): &(&str, &str, &[&str]), value: &str| format!("'{}'::{kind}", value.replace('\'', "''"));
        for column in columns {
            for value in column.2 {
                let insert = format!("INSERT INTO sample ({}) VALUES ({})", quoted(column.0), literal(column, value));
                run(&mut self.client, &insert);
            }
        }
        let names: Vec<_> = columns.iter().map(|(name, ..)| quoted(name)).collect();
        let values: Vec<_> = columns.iter().map(|column| literal(column, column.2[0])).collect();
        run(&mut self.client, &format!("INSERT INTO sample ({}) VALUES ({})", names.join(", "), values.join(", ")));
    }

    /// What was sent, by the id of the row.
    fn sent(&mut self) -> HashMap<String, Result<String, String>> {
        wait_for_empty_queue(&mut self.client);
        let requests = self.receiver.requests(PATH);
        let rows = self.client.query("SELECT id::text FROM sample", &[]).expect("rows");
        let ids: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(requests.len(), ids.len(), "one request for each row");
        let id_of = |body: &str| {
            let rest = body.split_once("\"entity_id\":\"").expect("an id").1;
            rest.split_once('"').expect("its end").0.to_owned()
        };
        requests
            .iter()
            .map(|request| id_of(request.text()))
            .zip(&requests)
            .map(|(id, request)| {
                let entity = entity_of(request, Some(&id));
                (id, entity)
            })
            .collect()
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The representation of a row in one of these forms; the SQLSTATE of what makes it fail.
fn shown(client: &mut Client, source: &str, id: &str, columns: &[&str]) -> Result<String, String> {
    let sql = format!("SELECT hydra._representation(t, $1) FROM {source} AS t WHERE id = {id}");
    let row = client.query_one(&sql, &[&columns]);
    row.map(|row| row.get(0)).map_err(|error| error.code().expect("an error of Postgres").code().to_owned())
}

#[test]
fn a_representation_has_the_bytes_of_the_webhook_for_every_type() {
    let Some(mut application) = Application::new("representations") else { return };
    let mut names: Vec<&str> = COLUMNS.iter().map(|(name, ..)| *name).collect();
    names.push("id");
    application.watch(&names);
    application.insert(&COLUMNS);
    let sent = application.sent();
    assert!(sent.len() > COLUMNS.len(), "{} rows are few", sent.len());

    let client = &mut application.client;
    let mut failed = 0;
    for (id, entity) in &sent {
        for settings in ["RESET ALL", ODD] {
            run(client, settings);
            for source in ["sample", "seen", "(SELECT * FROM sample)", "(SELECT s.* FROM seen AS s OFFSET 0)"] {
                match (entity, shown(client, source, id, &names)) {
                    (Ok(entity), Ok(shown)) => assert_eq!(*entity, shown, "{id} of {source}"),
                    (Err(why), Err(code)) => {
                        assert_eq!(
                            why,
                            &format!("the entity cannot be rendered (SQLSTATE {code})"),
                            "{id} of {source}"
                        );
                        failed += 1;
                    }
                    (entity, shown) => panic!("{id} of {source}: sent {entity:?}, shown {shown:?}"),
                }
            }
        }
    }
    assert_eq!(failed, 8, "one value raises an error");
    let zone: String = ask(client, "SELECT current_setting('timezone')");
    assert_eq!(zone, "Asia/Kolkata", "what the session has set still holds");
    println!("{} rows have the same bytes in 8 ways", sent.len());
}

#[test]
fn each_column_alone_has_the_text_that_it_has_in_the_whole_row() {
    let Some(mut application) = Application::new("alone") else { return };
    let mut choices = HashMap::new();
    for (name, kind, values) in COLUMNS {
        application.watch(&[name]);
        application.insert(&[(name, kind, values)]);
        let last: i32 = ask(&mut application.client, "SELECT max(id) FROM sample");
        choices.extend((last - values.len() as i32..=last).map(|id| (id.to_string(), name)));
    }
    let sent = application.sent();
    let client = &mut application.client;
    for (id, entity) in &sent {
        let column = choices[id];
        let sql =
            format!("SELECT row_to_json(t)::text FROM (SELECT {} FROM sample WHERE id = {id}) AS t", quoted(column));
        let postgres = client.query_one(&sql, &[]).map(|row| row.get::<_, String>(0));
        match (entity, postgres) {
            (Ok(entity), Ok(text)) => {
                assert_eq!(*entity, text, "{column}");
                assert_eq!(shown(client, "sample", id, &[column]), Ok(text), "{column}");
            }
            (Err(why), Err(error)) => {
                let code = error.code().expect("an error of Postgres").code();
                assert_eq!(why, &format!("the entity cannot be rendered (SQLSTATE {code})"), "{column}");
            }
            (entity, postgres) => panic!("{column}: sent {entity:?}, Postgres {postgres:?}"),
        }
    }
    println!("{} rows of {} columns", sent.len(), COLUMNS.len());
}

#[test]
fn a_representation_has_the_columns_that_are_there_in_the_order_of_the_table() {
    let mut client = cluster().create_database("represented_columns");
    run(
        &mut client,
        "CREATE TABLE part (id int, gone int, name text, stock int); INSERT INTO part VALUES (1, 2, 'bolt', 3)",
    );
    run(&mut client, "ALTER TABLE part DROP COLUMN gone, ADD COLUMN more int DEFAULT 4");
    let all = ["more", "id", "gone", "stock", "ctid"];
    assert_eq!(shown(&mut client, "part", "1", &all).as_deref(), Ok(r#"{"id":1,"stock":3,"more":4}"#));
    assert_eq!(shown(&mut client, "part", "1", &["gone"]).as_deref(), Ok("{}"));
    let other = "(SELECT stock, id, 5 AS more, 6 AS other FROM part)";
    assert_eq!(shown(&mut client, other, "1", &all).as_deref(), Ok(r#"{"stock":3,"id":1,"more":5}"#));
    // Rows of one query may have different types.
    run(
        &mut client,
        "CREATE TABLE special (extra int) INHERITS (part); INSERT INTO special VALUES (2, 'nut', 7, 8, 9)",
    );
    assert_eq!(shown(&mut client, "part", "2", &["id", "extra"]).as_deref(), Ok(r#"{"id":2}"#));
    refused(&mut client, "SELECT hydra._representation(1, '{a}')", "42804");
    let none: Option<String> = ask(&mut client, "SELECT hydra._representation(NULL::part, '{id}')");
    assert_eq!(none, None);
}

#[test]
fn a_row_that_is_too_large_to_be_shown_is_refused_before_it_takes_memory() {
    let mut client = cluster().create_database("represented_large");
    run(&mut client, "CREATE TABLE part (id int, large text, numbers numeric[])");
    run(
        &mut client,
        "INSERT INTO part VALUES (1, repeat('x', 17 << 20), ARRAY(SELECT 1e131071 FROM generate_series(1, 8000)))",
    );
    for column in ["large", "numbers"] {
        let sql = format!("SELECT hydra._representation(t, '{{id,{column}}}') FROM part AS t");
        let error = refused(&mut client, &sql, "54000");
        assert!(error.message.contains("too large to be shown"), "{error:?}");
    }
    assert_eq!(shown(&mut client, "part", "1", &["id"]).as_deref(), Ok(r#"{"id":1}"#));
    run(&mut client, "UPDATE part SET large = repeat('x', 15 << 20)");
    assert_eq!(shown(&mut client, "part", "1", &["large"]).map(|text| text.len()), Ok((15 << 20) + 12));
}
