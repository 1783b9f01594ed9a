//! What is refused: unknown event types, read-only transactions, triggers that cannot work.

use crate::{bench, trigger, watch};

#[test]
fn an_unknown_event_type_is_refused_with_the_call_that_registers_it() {
    let mut bench = bench("unknown_type");
    let unknown = bench.refused("SELECT hydra.webhook_emit('ticket.exploded', '{}')", "42704");
    assert!(unknown.message.contains("\"ticket.exploded\""), "{unknown:?}");
    assert!(unknown.hint.contains("hydra.webhook_register_event_type('ticket.exploded'"), "{unknown:?}");
    // The hint is a statement that works.
    bench.run(&unknown.hint);
    bench.run("SELECT hydra.webhook_emit('ticket.exploded', '{}')");

    // No event type can have such a name.
    let odd = bench.refused("SELECT hydra.webhook_emit('o''neill.created', '{}')", "42704");
    assert!(!odd.hint.contains("register"), "{odd:?}");
    bench.refused("SELECT hydra.webhook_emit(NULL, '{}')", "22004");
    bench.refused("SELECT hydra.webhook_emit('', '{}')", "42704");
    for own in ["webhook.test", "webhook.anything"] {
        bench.refused(&format!("SELECT hydra.webhook_emit('{own}', '{{}}')"), "42939");
    }

    watch(&mut bench, "id int");
    bench.run(&format!("CREATE TABLE bad (id int); {}", trigger("bad", "part.exploded")));
    let unknown = bench.refused("INSERT INTO bad VALUES (1)", "42704");
    assert!(unknown.message.contains("\"part.exploded\""), "{unknown:?}");
    assert_eq!(bench.ask::<i64>("SELECT count(*) FROM bad"), 0);
}

#[test]
fn a_read_only_transaction_cannot_emit() {
    let mut bench = bench("read_only");
    for event in ["ticket.created", "account.created"] {
        let sql = format!("BEGIN READ ONLY; SELECT hydra.webhook_emit('{event}', '{{}}')");
        assert_eq!(bench.refusal(&sql).code, "25006", "whether or not {event} is wanted");
        bench.run("ROLLBACK");
    }
}

#[test]
fn the_trigger_function_refuses_a_trigger_that_it_cannot_serve() {
    let mut bench = bench("misuse");
    bench.run("CREATE TABLE part (id int); CREATE VIEW seen AS SELECT * FROM part");
    let wrong = [
        ("BEFORE INSERT ON part FOR EACH ROW", "'part.created'"),
        ("AFTER INSERT ON part FOR EACH STATEMENT", "'part.created'"),
        ("AFTER INSERT ON part FOR EACH ROW", ""),
        ("AFTER INSERT ON part FOR EACH ROW", "'part.created', 'acme'"),
        ("INSTEAD OF INSERT ON seen FOR EACH ROW", "'part.created'"),
    ];
    for (when, arguments) in wrong {
        let table = if when.contains("seen") { "seen" } else { "part" };
        bench.run(&format!("CREATE TRIGGER emit {when} EXECUTE FUNCTION hydra.webhook_emit_row({arguments})"));
        let refusal = bench.refused(&format!("INSERT INTO {table} VALUES (1)"), "39P01");
        assert!(refusal.hint.contains("AFTER INSERT"), "{refusal:?}");
        bench.run(&format!("DROP TRIGGER emit ON {table}"));
    }
    bench.run(
        "CREATE TRIGGER emit AFTER TRUNCATE ON part
         FOR EACH STATEMENT EXECUTE FUNCTION hydra.webhook_emit_row('part.deleted')",
    );
    bench.refused("TRUNCATE part", "39P01");
}

#[test]
fn a_tenant_that_is_longer_than_a_tenant_of_an_entity_can_be_is_refused() {
    let mut bench = bench("long_tenant");
    let emit =
        |length: usize| format!("SELECT hydra.webhook_emit('ticket.created', '{{\"id\": 1}}', repeat('x', {length}))");
    assert!(bench.ask::<Option<i64>>(&emit(1024)).is_some());
    for length in [1025, 20_000_000] {
        let long = bench.refused(&emit(length), "22023");
        assert!(long.detail.contains(&length.to_string()) && long.detail.contains("1024"), "{long:?}");
    }
    // Bytes count, not characters; and it does not matter whether anybody wants the event.
    bench.refused("SELECT hydra.webhook_emit('ticket.created', '{}', repeat('é', 513))", "22023");
    bench.refused("SELECT hydra.webhook_emit('account.created', '{}', repeat('x', 1025))", "22023");
}

#[test]
fn an_error_about_an_unknown_event_type_is_short_whatever_its_name_is() {
    let mut bench = bench("long_unknown_type");
    for name in ["repeat('x', 20000000)", "'webhook.' || repeat('x', 20000000)"] {
        let unknown = bench.refused(&format!("SELECT hydra.webhook_emit({name}, '{{}}')"), "42704");
        assert!(unknown.message.len() + unknown.detail.len() + unknown.hint.len() < 500, "{unknown:?}");
    }
}
