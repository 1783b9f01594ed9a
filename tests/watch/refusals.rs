//! What cannot be watched.

use testkit::{ask, refusal, refused, run};

use crate::{PARTS, database};

#[test]
fn invalid_watches_are_refused_with_detail_and_hint() {
    let mut client = database("refusals");
    run(
        &mut client,
        &format!(
            "{PARTS}; CREATE VIEW seen AS SELECT * FROM part; CREATE MATERIALIZED VIEW kept AS SELECT 1; CREATE SEQUENCE s"
        ),
    );
    for (arguments, code) in [
        ("NULL, 'part.created', 'insert'", "22004"),
        ("'part', NULL, 'insert'", "22004"),
        ("'part', 'part.created', NULL", "22004"),
        ("'part', 'part.created', 'insert', level => NULL", "22004"),
        ("'part', 'part.exploded', 'insert'", "42704"),
        ("'part', '', 'insert'", "42704"),
        ("'part', 'webhook.test', 'insert'", "42939"),
        ("'part', 'part.created', ''", "22023"),
        ("'part', 'part.created', 'upsert'", "22023"),
        ("'part', 'part.created', 'truncate'", "22023"),
        ("'part', 'part.created', 'insert or'", "22023"),
        ("'part', 'part.created', repeat('insert or ', 20000000) || 'insert'", "22023"),
        ("'part', 'part.created', 'insert', entity => 'to_jsonb(new)' || repeat(' ', 300000)", "22023"),
        ("'part', 'part.created', 'insert', tenant => '1' || repeat(' ', 300000)", "22023"),
        ("'part', 'part.created', 'insert', condition => 'true' || repeat(' ', 300000)", "22023"),
        ("'part', 'part.created', 'insert', level => 'table'", "22023"),
        ("'part', 'part.created', 'insert or update', level => 'statement'", "0A000"),
        ("'part', 'part.created', 'insert', columns => '{stock}'", "22023"),
        ("'part', 'part.updated', 'update', columns => '{}'", "22023"),
        ("'part', 'part.updated', 'update', columns => '{stock,NULL}'", "22023"),
        ("'part', 'part.updated', 'update', columns => '{stock,stock}'", "22023"),
        ("'part', 'part.updated', 'update', columns => '{{stock},{name}}'", "22023"),
        ("'part', 'part.updated', 'update', columns => '{Stock}'", "42703"),
        ("'part', 'part.updated', 'update', columns => '{ctid}'", "42703"),
        ("'part', 'part.updated', 'update', columns => '{stock}', level => 'row', condition => ''", "42601"),
        (r#"'part', 'part.created', 'insert', "only" => '{id}', "except" => '{stock}'"#, "22023"),
        (r#"'part', 'part.created', 'insert', "only" => '{id}', entity => 'to_jsonb(new)'"#, "22023"),
        (r#"'part', 'part.created', 'insert', "except" => '{id}', entity => 'to_jsonb(new)'"#, "22023"),
        (r#"'part', 'part.created', 'insert', "only" => '{}'"#, "22023"),
        (r#"'part', 'part.created', 'insert', "except" => '{}'"#, "22023"),
        (r#"'part', 'part.created', 'insert', "only" => '{id,NULL}'"#, "22023"),
        (r#"'part', 'part.created', 'insert', "except" => '{id,id}'"#, "22023"),
        (r#"'part', 'part.created', 'insert', "only" => '{{id},{name}}'"#, "22023"),
        (r#"'part', 'part.created', 'insert', "only" => '{Id}'"#, "42703"),
        (r#"'part', 'part.created', 'insert', "except" => '{nothing}'"#, "42703"),
        (r#"'part', 'part.created', 'insert', "only" => '{ctid}'"#, "42703"),
        ("'seen', 'part.created', 'insert'", "42809"),
        ("'kept', 'part.created', 'insert'", "42809"),
        ("'s', 'part.created', 'insert'", "42809"),
        ("1::regclass, 'part.created', 'insert'", "42P01"),
        ("'hydra.event', 'part.created', 'insert'", "42809"),
        ("'part', 'part.created', 'insert', 'true) EXECUTE FUNCTION x(); DROP TABLE part; --'", "42601"),
        ("'part', 'part.created', 'insert', entity => '1) FROM pg_class WHERE (true'", "42601"),
        ("'part', 'part.created', 'insert', entity => '1, 2'", "42601"),
        ("'part', 'part.created', 'insert', entity => 'to_jsonb($1)'", "42601"),
        ("'part', 'part.created', 'insert', entity => ''", "42601"),
        ("'part', 'part.created', 'insert', entity => 'new.colour'", "42703"),
        ("'part', 'part.created', 'insert', entity => 'new.stock +'", "42601"),
        ("'part', 'part.created', 'insert', entity => 'new.stock'", "42846"),
        ("'part', 'part.created', 'insert', entity => 'to_jsonb(old)'", "42703"),
        ("'part', 'part.created', 'insert', entity => 'to_jsonb(old.id)'", "42P01"),
        ("'part', 'part.created', 'insert or update', entity => 'to_jsonb(old.id)'", "42P01"),
        ("'part', 'part.deleted', 'delete', tenant => 'new.tenant_id'", "42P01"),
        ("'part', 'part.created', 'insert', entity => 'jsonb_agg(new.id)'", "42803"),
        ("'part', 'part.created', 'insert', entity => 'to_jsonb(count(*))'", "42803"),
        ("'part', 'part.created', 'insert', entity => 'to_jsonb(row_number() OVER ())'", "42P20"),
        ("'part', 'part.created', 'insert', entity => 'to_jsonb(generate_series(1, 2))'", "0A000"),
        ("'part', 'part.created', 'insert', tenant => '(SELECT generate_series(1, 2) + new.nothing)'", "42703"),
        ("'part', 'part.created', 'insert', 'new.colour = 1'", "42703"),
        ("'part', 'part.created', 'insert', 'old.stock = 1'", "42P01"),
        ("'part', 'part.created', 'insert', 'new.stock'", "42804"),
        ("'part', 'part.created', 'insert', 'count(*) > 1'", "42803"),
        ("'part', 'part.created', 'insert', 'new.stock', level => 'statement'", "42804"),
        ("'part', 'part.created', 'insert', 'old.stock > 0', level => 'statement'", "42P01"),
    ] {
        refused(&mut client, &format!("SELECT hydra.webhook_watch({arguments})"), code);
    }
    // Errors of Postgres itself.
    for (arguments, code) in
        [("'pg_class', 'part.created', 'insert'", "42501"), ("'nowhere', 'part.created', 'insert'", "42P01")]
    {
        assert_eq!(refusal(&mut client, &format!("SELECT hydra.webhook_watch({arguments})")).code, code, "{arguments}");
    }
    assert_eq!(ask::<i64>(&mut client, "SELECT count(*) FROM hydra.webhook_watches"), 0, "no watch was created");
}
