//! Orders of lists for types that do not compare as their text does.

use serde_json::Value;
use testkit::{Need, lacks};

use crate::Desk;

/// A table with a column of this type, values for it, and the same value or null in several rows.
fn desk(database: &str, before: &str, of_type: &str, values: &str) -> Desk {
    Desk::with(
        database,
        &format!(
            "{before};
             CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL DEFAULT 'acme', v {of_type});
             CREATE INDEX ON things (tenant_id, v, id);
             GRANT SELECT ON things TO hydra_api;
             INSERT INTO things (v) SELECT v FROM unnest(ARRAY[{values}]::{of_type}[]) AS v, generate_series(1, 3) ORDER BY random();
             INSERT INTO things (v) SELECT NULL FROM generate_series(1, 4);
             INSERT INTO things (tenant_id, v) SELECT 'globex', v FROM things"
        ),
        "'public.things', 'tickets'",
    )
}

/// Walks the list in both directions with different sizes of pages, and compares with ORDER BY of Postgres.
#[track_caller]
fn check(desk: &mut Desk) {
    let key = desk.key.clone();
    for (sort, order) in
        [("v", "v, id"), ("-v", "v DESC, id DESC"), ("v,-id", "v, id DESC"), ("-v,id", "v DESC, id"), ("id,v", "id")]
    {
        let expected: Vec<i64> =
            desk.bench.ask(&format!("SELECT array_agg(id ORDER BY {order}) FROM things WHERE tenant_id = 'acme'"));
        for limit in [1, 2, 3, 5, 100] {
            let rows = desk.walk(&key, &format!("/api/v1/tickets?sort={sort}&limit={limit}"));
            let found: Vec<i64> = rows.iter().map(|row: &Value| row["id"].as_i64().expect("an id")).collect();
            assert_eq!(found, expected, "sort={sort} limit={limit}");
        }
    }
}

#[test]
fn numerics_floats_and_intervals_are_ordered_by_value() {
    check(&mut desk(
        "order_numeric",
        "",
        "numeric(20,4)",
        "'10', '9', '-1', '1.5', '1.50', '0', 'NaN', '100000000000.0001'",
    ));
    check(&mut desk(
        "order_float",
        "",
        "float8",
        "'0.1', '0.2', '1e300', '-Infinity', 'Infinity', 'NaN', '-0', '0', '0.30000000000000004'",
    ));
    check(&mut desk(
        "order_interval",
        "",
        "interval",
        "'1 month', '30 days', '720 hours', '1 year', '-1 day', '29 days 24:00:00.000001'",
    ));
}

#[test]
fn texts_are_ordered_by_the_collation_of_their_column() {
    let values = "'a', 'B', 'b', 'A', 'ä', 'z', 'é', 'e', '', ' ', '_', E'\\\\', 'a,b', '10', '9'";
    check(&mut desk("order_text", "", "text", values));
    check(&mut desk("order_c", "CREATE DOMAIN c_text AS text COLLATE \"C\"", "c_text", values));
    let icu = "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
               CREATE DOMAIN ci_text AS text COLLATE ci";
    if !lacks(&mut crate::cluster().connect("postgres"), Need::Icu) {
        check(&mut desk("order_ci", icu, "ci_text", values));
    }
    check(&mut desk("order_bpchar", "", "char(5)", "'a', 'a  ', 'b', 'B', ''"));
    check(&mut desk("order_varchar", "", "varchar(3)", "'abc', 'ab', 'abd'"));
}

#[test]
fn times_are_ordered_by_the_instant() {
    check(&mut desk(
        "order_timestamptz",
        "",
        "timestamptz",
        "'2026-10-25 02:30+02', '2026-10-25 02:30+01', '2026-10-25 00:30Z', 'infinity', '-infinity', '0044-03-15 BC', '2026-01-01 00:00:00.000001Z', '2026-01-01Z'",
    ));
    check(&mut desk("order_date", "", "date", "'2026-01-02', '2025-12-31', 'infinity', '0044-03-15 BC'"));
}

#[test]
fn enums_uuids_arrays_and_others_are_ordered_as_postgres_orders_them() {
    check(&mut desk(
        "order_enum",
        "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'a')",
        "mood",
        "'happy', 'sad', 'a', 'ok'",
    ));
    check(&mut desk(
        "order_uuid",
        "",
        "uuid",
        "'ffffffff-0000-0000-0000-000000000000', '0fffffff-0000-0000-0000-000000000000'",
    ));
    check(&mut desk("order_inet", "", "inet", "'10.0.0.2', '10.0.0.10', '::1', '10.0.0.0/8'"));
    check(&mut desk("order_bytea", "", "bytea", "'\\x00', '\\xff', '\\x7f00'"));
    check(&mut desk("order_boolean", "", "boolean", "true, false"));
    check(&mut desk("order_range", "", "int4range", "'[1,5)', '[1,3)', '(,1)', 'empty'"));
}

#[test]
fn a_composite_value_without_values_in_it_is_not_taken_for_no_value() {
    let address = "CREATE TYPE addr AS (street text, zip int)";
    let values = "ROW('a',1)::addr, ROW('a',NULL)::addr, ROW(NULL,NULL)::addr, ROW(NULL,5)::addr, ROW('b',2)::addr, ROW('c',NULL)::addr";
    let home = format!("{address}; CREATE DOMAIN home AS addr CHECK ((VALUE).zip IS DISTINCT FROM 0)");
    for (database, before, of_type) in [("order_composite", address, "addr"), ("order_home", &home, "home")] {
        let mut desk = desk(database, before, of_type, &values.replace("::addr", &format!("::{of_type}")));
        check(&mut desk);
        for (filter, condition) in [
            ("v[null]=true", "v IS NOT DISTINCT FROM NULL"),
            ("v[null]=false", "v IS DISTINCT FROM NULL"),
            ("v[ne]=(a,1)", "v IS DISTINCT FROM ROW('a',1)::addr"),
            ("v[null]=false&v[ne]=(,)", "v <> ROW(NULL,NULL)::addr"),
        ] {
            let expected: Vec<i64> = desk
                .bench
                .ask(&format!("SELECT array_agg(id ORDER BY id) FROM things WHERE tenant_id = 'acme' AND {condition}"));
            assert_eq!(desk.get(&format!("/api/v1/tickets?{filter}")).ids(), expected, "{filter}");
        }
    }
}

#[test]
fn a_type_that_lies_in_another_schema_is_compared_by_its_own_operators() {
    // Its order is backwards. Its operators are found neither in pg_catalog nor in public; with the cast to integer that
    // it has, others would be.
    let own = "CREATE SCHEMA own; GRANT USAGE ON SCHEMA own TO hydra_api;
        CREATE TYPE own.back AS (n integer);
        CREATE FUNCTION own.cmp(a own.back, b own.back) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS 'SELECT pg_catalog.btint4cmp(b.n, a.n)';
        CREATE FUNCTION own.lt(a own.back, b own.back) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a.n > b.n';
        CREATE FUNCTION own.le(a own.back, b own.back) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a.n >= b.n';
        CREATE FUNCTION own.eq(a own.back, b own.back) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a.n = b.n';
        CREATE FUNCTION own.ge(a own.back, b own.back) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a.n <= b.n';
        CREATE FUNCTION own.gt(a own.back, b own.back) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT a.n < b.n';
        CREATE OPERATOR own.< (LEFTARG = own.back, RIGHTARG = own.back, FUNCTION = own.lt, COMMUTATOR = OPERATOR(own.>));
        CREATE OPERATOR own.<= (LEFTARG = own.back, RIGHTARG = own.back, FUNCTION = own.le);
        CREATE OPERATOR own.= (LEFTARG = own.back, RIGHTARG = own.back, FUNCTION = own.eq);
        CREATE OPERATOR own.>= (LEFTARG = own.back, RIGHTARG = own.back, FUNCTION = own.ge);
        CREATE OPERATOR own.> (LEFTARG = own.back, RIGHTARG = own.back, FUNCTION = own.gt);
        CREATE OPERATOR CLASS own.back_ops DEFAULT FOR TYPE own.back USING btree AS
            OPERATOR 1 own.<, OPERATOR 2 own.<=, OPERATOR 3 own.=, OPERATOR 4 own.>=, OPERATOR 5 own.>, FUNCTION 1 own.cmp(own.back, own.back)";
    check(&mut desk(
        "order_own",
        own,
        "own.back",
        "ROW(1)::own.back, ROW(10)::own.back, ROW(2)::own.back, ROW(-5)::own.back",
    ));
}

#[test]
fn several_columns_with_nulls_are_walked_in_each_combination_of_directions() {
    let mut desk = Desk::with(
        "order_several",
        "CREATE TABLE things (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant_id text NOT NULL DEFAULT 'acme', a int, b text);
         CREATE INDEX ON things (tenant_id, a, id); CREATE INDEX ON things (tenant_id, b, id);
         GRANT SELECT ON things TO hydra_api;
         INSERT INTO things (a, b) SELECT a, b FROM unnest('{1,2,NULL}'::int[]) AS a, unnest('{x,y,NULL}'::text[]) AS b, generate_series(1, 2) ORDER BY random()",
        "'public.things', 'tickets'",
    );
    let key = desk.key.clone();
    for (sort, order) in [
        ("a,b", "a, b, id"),
        ("-a,b", "a DESC, b, id"),
        ("a,-b", "a, b DESC, id DESC"),
        ("-b,-a", "b DESC, a DESC, id DESC"),
        ("-b,a,-id", "b DESC, a, id DESC"),
        ("b,-a,id", "b, a DESC, id"),
    ] {
        let expected: Vec<i64> = desk.bench.ask(&format!("SELECT array_agg(id ORDER BY {order}) FROM things"));
        for limit in [1, 2, 4] {
            let rows = desk.walk(&key, &format!("/api/v1/tickets?sort={sort}&limit={limit}"));
            let found: Vec<i64> = rows.iter().map(|row| row["id"].as_i64().expect("an id")).collect();
            assert_eq!(found, expected, "sort={sort} limit={limit}");
        }
    }
}
