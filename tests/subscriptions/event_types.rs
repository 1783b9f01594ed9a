//! Event types that are removed, and names that are not registered.

use testkit::run;

use crate::bench;

const NAMES: &str = "SELECT array_agg(name ORDER BY name) FROM hydra.webhook_event_types WHERE origin <> 'extension'";

#[test]
fn an_event_type_is_removed_unless_something_names_it() {
    let mut bench = bench("types_removed");
    let remove = "SELECT hydra.webhook_unregister_event_type('order.creatd')";
    bench.run("SELECT hydra.webhook_register_event_type('order.creatd'); CREATE TABLE orders (id int)");
    let uses = [
        (
            "SELECT hydra.webhook_create('http://127.0.0.1:9/', '{ticket.created,order.creatd}')",
            "subscription 1",
            "SELECT hydra.webhook_delete(1)",
        ),
        (
            "SELECT hydra.webhook_watch('orders', 'order.creatd', 'insert')",
            "of public.orders",
            "SELECT hydra.webhook_unwatch('orders', 'order.creatd')",
        ),
        (
            "SELECT hydra.inbound_create('in', '{\"*\": {\"event\": \"order.creatd\"}}')",
            "inbound adapter 1",
            "SELECT hydra.inbound_delete(1)",
        ),
    ];
    for (use_it, named, end) in uses {
        bench.run(use_it);
        let refused = bench.refused(remove, "2BP01");
        assert!(refused.detail.contains(named), "{refused:?}");
        bench.run(end);
    }
    let mut session = bench.session();
    run(&mut session, "SELECT hydra.webhook_emit('order.creatd', '{}')");
    bench.run(remove);
    let emitted = testkit::refused(&mut session, "SELECT hydra.webhook_emit('order.creatd', '{}')", "42704");
    assert!(emitted.message.contains("is not registered"), "{emitted:?}");
    bench.refused(remove, "42704");
    bench.refused("SELECT hydra.webhook_unregister_event_type(NULL)", "42704");
    bench.refused("SELECT hydra.webhook_unregister_event_type('webhook.delivery_failed')", "42939");
    // It can be registered again.
    bench.run("SELECT hydra.webhook_register_event_type('order.creatd'); SELECT hydra.webhook_unregister_event_type('order.creatd')");
}

#[test]
fn one_call_removes_a_catalogue_but_for_what_is_in_use() {
    let mut bench = bench("types_catalogue");
    bench.subscribe("/", "part.created", &[]);
    bench.run("SELECT hydra.webhook_register_event_type('booking.created', 'Ours')");
    assert_eq!(bench.ask::<i64>("SELECT hydra.webhook_unregister_catalogue('helpdesk')"), 11);
    assert_eq!(bench.ask::<i64>("SELECT hydra.webhook_unregister_catalogue('field_service')"), 12);
    assert_eq!(bench.ask::<Vec<String>>(NAMES), ["booking.created", "part.created"]);
    assert_eq!(bench.ask::<i64>("SELECT hydra.webhook_unregister_catalogue('field_service')"), 0);
    bench.refused("SELECT hydra.webhook_unregister_catalogue('crm')", "42704");
}

#[test]
fn a_mistyped_event_type_is_answered_with_the_one_that_was_meant() {
    let mut bench = bench("types_meant");
    bench.run("SELECT hydra.webhook_register_event_type('order.created'); CREATE TABLE orders (id int)");
    for call in [
        "hydra.webhook_emit('order.creatd', '{}')",
        "hydra.webhook_watch('orders', 'order.creatd', 'insert')",
        "hydra.webhook_create('http://127.0.0.1:9/', '{order.creatd}')",
        "hydra.inbound_create('in', '{\"*\": {\"event\": \"order.creatd\"}}')",
    ] {
        let refused = bench.refused(&format!("SELECT {call}"), "42704");
        assert!(
            refused
                .hint
                .starts_with("Did you mean \"order.created\"? Otherwise: SELECT hydra.webhook_register_event_type("),
            "{refused:?}"
        );
    }
    let refused = bench.refused("SELECT hydra.webhook_emit('invoice.paid', '{}')", "42704");
    assert!(refused.hint.starts_with("SELECT hydra.webhook_register_event_type("), "{refused:?}");
}
