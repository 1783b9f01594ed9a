//! Functions of the application as tools: who may register which, what a model is told of one, and what a call does.

use serde_json::{Value, json};
use testkit::{ask, refusal, refused, run};

use crate::{Office, cluster};

/// Registers a function, made by `sql`, as a tool of the toolset `desk`.
#[track_caller]
fn register(office: &mut Office, function: &str, sql: &str, more: &str) {
    let comment = format!("COMMENT ON FUNCTION app.{function} IS 'Does something.'");
    let register = format!("SELECT hydra.tool_register('app.{function}', toolset => 'desk'{more})");
    office.bench.run(&format!("{sql}; {comment}; {register}"));
}

/// A key that sees all tools of the toolset.
#[track_caller]
fn desk_key(office: &mut Office) -> String {
    office.key("mcp,desk:read,desk:write,tickets:read", "tenant_id => 'acme'")
}

#[track_caller]
fn tool(office: &Office, key: &str, name: &str) -> Value {
    let answer = office.request(key, "tools/list", json!({}));
    let tools = answer.json()["result"]["tools"].take();
    let found = tools.as_array().unwrap().iter().find(|tool| tool["name"] == name);
    found.unwrap_or_else(|| panic!("no tool {name}: {tools}")).clone()
}

#[test]
fn a_function_is_described_by_its_comment_and_its_arguments() {
    let mut office = Office::open("registered_described");
    office.bench.run(
        "CREATE DOMAIN app.urgency AS text CHECK (VALUE IN ('low', 'high'));
         CREATE TYPE app.channel AS ENUM ('mail', 'phone');
         CREATE FUNCTION app.find(number bigint, urgency app.urgency, since interval DEFAULT '4 hours', via app.channel DEFAULT NULL,
                                  tags text[] DEFAULT '{}', VARIADIC more int[] DEFAULT '{}')
             RETURNS TABLE (id bigint) LANGUAGE sql STABLE AS 'SELECT 1::bigint';
         COMMENT ON FUNCTION app.find IS E'Finds something.\nnumber: Its number\nurgency:How bad it is\n\nUse it often.';
         CREATE FUNCTION app.change(a int) RETURNS void LANGUAGE sql AS '';
         COMMENT ON FUNCTION app.change IS 'Changes something.';
         SELECT hydra.tool_register('app.find(bigint, app.urgency, interval, app.channel, text[], int[])', toolset => 'desk');
         SELECT hydra.tool_register('app.change(int)', 'change_it', 'Change it', toolset => 'desk', destructive => true)",
    );
    let key = desk_key(&mut office);
    assert_eq!(
        office.names(&key),
        ["approval_status", "change_it", "find", "get_tickets", "list_tickets", "what_would_happen"]
    );
    let find = tool(&office, &key, "find");
    assert_eq!((&find["title"], &find["description"]), (&json!("Find"), &json!("Finds something.\n\nUse it often.")));
    assert_eq!(find["annotations"], json!({"readOnlyHint": true, "openWorldHint": false}));
    let (input, properties) = (&find["inputSchema"], &find["inputSchema"]["properties"]);
    assert_eq!((&input["required"], &input["additionalProperties"]), (&json!(["number", "urgency"]), &json!(false)));
    assert_eq!(properties["number"], json!({"type": "integer", "format": "int64", "description": "Its number"}));
    let urgency = json!({"type": "string", "enum": ["low", "high"], "description": "How bad it is"});
    assert_eq!(properties["urgency"], urgency);
    assert_eq!(properties["since"], json!({"type": "string", "default": "04:00:00"}));
    assert_eq!(properties["via"], json!({"type": "string", "enum": ["mail", "phone"]}));
    assert_eq!(properties["tags"], json!({"type": "array", "items": {"type": "string"}}));
    assert_eq!(properties["more"]["items"]["type"], "integer");
    assert_eq!(properties["limit"]["maximum"], 50, "{properties}");
    let change = tool(&office, &key, "change_it");
    assert_eq!((&change["title"], &change["annotations"]["destructiveHint"]), (&json!("Change it"), &json!(true)));
    assert!(change["description"].as_str().unwrap().starts_with("Changes something."), "{change}");
    // Who may only read does not see what writes.
    let reader = office.key("mcp,desk:read", "tenant_id => 'acme'");
    assert_eq!(office.names(&reader), ["find"]);
    let answer = office.request(&reader, "tools/call", json!({"name": "change_it", "arguments": {"a": 1}}));
    assert_eq!(answer.json()["error"]["code"], -32602, "{answer:?}");
}

#[test]
fn arguments_of_every_type_arrive_as_they_were_sent_and_defaults_hold() {
    let mut office = Office::open("registered_arguments");
    register(
        &mut office,
        "echo(bigint,numeric,text,timestamptz,boolean,jsonb,json,text[],app.place,uuid,date,int[])",
        "CREATE TYPE app.place AS (x int, y text);
         CREATE FUNCTION app.echo(n bigint, d numeric DEFAULT NULL, t text DEFAULT 'it''s', at timestamptz DEFAULT NULL, b boolean DEFAULT true,
                                  j jsonb DEFAULT NULL, js json DEFAULT NULL, a text[] DEFAULT NULL, p app.place DEFAULT NULL, u uuid DEFAULT NULL,
                                  \"when\" date DEFAULT '2026-01-02', VARIADIC v int[] DEFAULT '{}')
             RETURNS json LANGUAGE sql STABLE AS $$
             SELECT json_build_object('n', n, 'd', d, 't', t, 'at', at, 'b', b, 'j', j, 'js', js, 'a', a, 'p', p, 'u', u, 'when', \"when\", 'v', v) $$",
        "",
    );
    let key = desk_key(&mut office);
    let given = r#"{"n":9007199254740993,"d":1.10,"t":"O'Neil \\ \"x\"; --","at":"2026-03-01T10:00:00+02:00","b":false,"j":{"b":1,"a":[1.0]},
        "js":{"b":1, "a":2},"a":["x,y","{z}",null],"p":{"x":1,"y":"two"},"u":"5f2c0a4e-8f0d-4c1b-9d59-0a4a7f3a1e21","when":"2026-12-24","v":[3,4]}"#;
    let message =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{given}}}}}"#);
    let answer = office.post(&key, &[], &message);
    for part in [
        "9007199254740993",
        "1.10",
        r#"O'Neil \\ \"x\"; --"#,
        "2026-03-01T08:00:00+00:00",
        r#"["x,y","{z}",null]"#,
        r#"{"x":1,"y":"two"}"#,
        r#"{"a": [1.0], "b": 1}"#,
        r#"{"b":1, "a":2}"#,
        "2026-12-24",
        "[3,4]",
    ] {
        assert!(answer.body.contains(part), "{part}: {answer:?}");
    }
    let defaults = office.data(&key, "echo", json!({"n": 1, "d": null, "t": null}));
    assert_eq!(
        (&defaults["t"], &defaults["b"], &defaults["when"]),
        (&json!("it's"), &json!(true), &json!("2026-01-02"))
    );
    assert_eq!((&defaults["d"], &defaults["v"]), (&json!(null), &json!([])), "{defaults}");
    for (arguments, told) in [
        (json!({}), "The argument n is missing."),
        (json!({"n": null}), "The argument n is missing."),
        (json!({"n": 1, "m": 2}), "no argument m. It has"),
        (json!({"n": "1"}), "The argument n must be a number."),
        (json!({"n": 1, "t": {"a": 1}}), "The argument t must be a string."),
        (json!({"n": 1, "a": "x"}), "The argument a must be an array of strings."),
        (json!({"n": 1.5}), "The argument n is not accepted: invalid input syntax for type bigint: \"1.5\""),
        (json!({"n": 1, "u": "x"}), "The argument u is not accepted: invalid input syntax for type uuid"),
        (
            json!({"n": 1, "when": "2026-02-30"}),
            "The argument when is not accepted: date/time field value out of range",
        ),
        (json!({"n": 1, "t": "a\u{0}"}), "The argument t is not accepted"),
        (json!({"n": 1, "limit": 3}), "no argument limit"),
    ] {
        let explanation = office.explanation(&key, "echo", arguments.clone());
        assert!(explanation.contains(told), "{arguments}: {explanation}");
    }
}

#[test]
fn arguments_are_taken_as_they_are_described_and_members_that_a_type_does_not_have_are_refused() {
    let mut office = Office::open("registered_parts");
    register(
        &mut office,
        "take(jsonb,app.places,app.counts,oid,numeric,int)",
        "CREATE TYPE app.place AS (x int, y text); CREATE DOMAIN app.spot AS app.place; CREATE DOMAIN app.places AS app.spot[];
         CREATE DOMAIN app.small AS int CHECK (VALUE < 100); CREATE DOMAIN app.counts AS app.small[];
         CREATE FUNCTION app.take(j jsonb, p app.places DEFAULT NULL, c app.counts DEFAULT NULL, o oid DEFAULT NULL, n numeric DEFAULT 0,
                                  k int DEFAULT 0) RETURNS jsonb LANGUAGE sql STABLE AS $$
             SELECT jsonb_build_object('j', j IS NULL, 'p', to_jsonb(p), 'c', to_jsonb(c), 'o', o, 'large', n > 1e399) $$",
        "",
    );
    let key = desk_key(&mut office);
    let properties = tool(&office, &key, "take")["inputSchema"]["properties"].take();
    let place = json!({"type": "object", "properties": {"x": {"type": "integer", "format": "int32"}, "y": {"type": "string"}},
                       "additionalProperties": false});
    assert_eq!(properties["p"], json!({"type": "array", "items": place}));
    assert_eq!(properties["c"], json!({"type": "array", "items": {"type": "integer", "format": "int32"}}));
    assert_eq!((&properties["o"], &properties["j"]), (&json!({"type": "string"}), &json!({})));
    let taken = office.data(&key, "take", json!({"j": null, "p": [{"x": 1}], "c": [7], "o": "9"}));
    assert_eq!(taken, json!({"j": false, "p": [{"x": 1, "y": null}], "c": [7], "o": "9", "large": false}));
    let told = office.explanation(&key, "take", json!({"j": 1, "p": [{"x": 1}, {"z": 1}]}));
    assert_eq!(told, "The tool has no argument p[1].z.");
    let told = office.explanation(&key, "take", json!({"j": 1, "p": [{"x": "1"}]}));
    assert_eq!(told, "The argument p[0].x must be a number.");
    assert_eq!(office.explanation(&key, "take", json!({})), "The argument j is missing.");
    let call =
        r#"{"jsonrpc":"2.0","id":12.0,"method":"tools/call","params":{"name":"take","arguments":{"j":1,"n":1e400}}}"#;
    let answer = office.post(&key, &[], call).json();
    assert_eq!(
        (&answer["id"], &answer["result"]["structuredContent"]["large"]),
        (&json!(12.0), &json!(true)),
        "{answer}"
    );
    // A whole number is one however it is written.
    assert_eq!(office.data(&office.key, "get_tickets", json!({"id": 12.0}))["id"], 12);
    assert_eq!(office.data(&key, "take", json!({"j": 12.0, "k": 12.0}))["j"], false);
    let told = office.explanation(&key, "take", json!({"j": 1, "k": 12.5}));
    assert!(told.contains("argument k is not accepted"), "{told}");
}

#[test]
fn what_a_function_returns_becomes_an_object() {
    let mut office = Office::open("registered_results");
    for (function, result, expected) in [
        (
            "an_object()",
            "jsonb LANGUAGE sql STABLE AS $$ SELECT '{\"a\": 1.50}'::jsonb $$",
            serde_json::from_str(r#"{"a": 1.50}"#).unwrap(),
        ),
        ("a_list()", "jsonb LANGUAGE sql STABLE AS $$ SELECT '[1]'::jsonb $$", json!({"result": [1]})),
        ("a_number()", "numeric LANGUAGE sql STABLE AS 'SELECT 2'", json!({"result": 2})),
        ("no_text()", "text LANGUAGE sql STABLE AS 'SELECT NULL::text'", json!({"result": null})),
        ("nothing()", "void LANGUAGE sql STABLE AS ''", json!({"result": null})),
        ("a_row()", "app.pair LANGUAGE sql STABLE AS $$ SELECT 1, 'x' $$", json!({"a": 1, "b": "x"})),
        ("no_row()", "app.pair LANGUAGE sql STABLE AS 'SELECT 1, $$x$$ WHERE false'", json!({"result": null})),
        ("texts()", "SETOF text LANGUAGE sql STABLE AS $$ VALUES ('x'), ('y') $$", json!(["x", "y"])),
        ("pairs()", "SETOF app.pair LANGUAGE sql STABLE AS $$ VALUES (1, 'x') $$", json!([{"a": 1, "b": "x"}])),
        ("columns()", "TABLE (a int, b int) LANGUAGE sql STABLE AS 'SELECT 1, 2'", json!([{"a": 1, "b": 2}])),
        ("a_column()", "TABLE (a int) LANGUAGE sql STABLE AS 'SELECT 1'", json!([{"a": 1}])),
        ("no_rows()", "TABLE (a int) LANGUAGE sql STABLE AS 'SELECT 1 WHERE false'", json!([])),
    ] {
        office.bench.run(
            "DO $$ BEGIN CREATE TYPE app.pair AS (a int, b text); EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        );
        register(&mut office, function, &format!("CREATE FUNCTION app.{function} RETURNS {result}"), "");
        let key = office.key("mcp,desk:read", "tenant_id => 'acme'");
        let data = office.data(&key, function.trim_end_matches("()"), json!({}));
        match expected.is_array() {
            true => assert_eq!(data, json!({"data": expected, "has_more": false, "next_cursor": null}), "{function}"),
            false => assert_eq!(data, expected, "{function}"),
        }
    }
    register(
        &mut office,
        "named(int)",
        "CREATE FUNCTION app.named(a int, OUT twice int) LANGUAGE sql STABLE AS 'SELECT 2 * a'",
        "",
    );
    let key = office.key("mcp,desk:read", "tenant_id => 'acme'");
    assert_eq!(office.data(&key, "named", json!({"a": 4})), json!({"twice": 8}));
}

#[test]
fn rows_are_returned_page_by_page_to_the_last_one() {
    let mut office = Office::open("registered_pages");
    register(
        &mut office,
        "rows(int,int)",
        "CREATE FUNCTION app.rows(most int, size int DEFAULT 1) RETURNS TABLE (id int, text text) LANGUAGE sql STABLE AS
         $$ SELECT n, repeat('x', size) FROM generate_series(1, most) AS n ORDER BY n $$",
        "",
    );
    let key = desk_key(&mut office);
    let all = |arguments: Value| {
        let (mut ids, mut sizes, mut cursor) = (Vec::new(), Vec::new(), json!(null));
        loop {
            let mut arguments = arguments.clone();
            arguments["cursor"] = cursor;
            let page = office.data(&key, "rows", arguments);
            assert!(page.to_string().len() <= 100_000, "{} bytes", page.to_string().len());
            sizes.push(crate::ids(&page).len());
            ids.extend(crate::ids(&page));
            cursor = page["next_cursor"].clone();
            assert_eq!(page["has_more"], cursor.is_string(), "{cursor}");
            if cursor.is_null() {
                return (ids, sizes);
            }
        }
    };
    assert_eq!(all(json!({"most": 45})), ((1..=45).collect(), vec![20, 20, 5]));
    assert_eq!(all(json!({"most": 10, "limit": 5})), ((1..=10).collect(), vec![5, 5]));
    let (ids, sizes) = all(json!({"most": 25, "size": 9000, "limit": 50}));
    assert_eq!((ids, sizes), ((1..=25).collect(), vec![11, 11, 3]));
    for (arguments, told) in [
        (json!({"most": 1, "limit": 51}), "a number from 1 to 50"),
        (json!({"most": 1, "limit": 0}), "a number from 1 to 50"),
        (json!({"most": 1, "cursor": "x"}), "not a next_cursor"),
        (json!({"most": 1, "cursor": "-1"}), "not a next_cursor"),
        (json!({"most": 1, "cursor": "99999999999999999999"}), "not a next_cursor"),
        (json!({"most": 1, "size": 200000}), "a tool returns at most 100000"),
    ] {
        let explanation = office.explanation(&key, "rows", arguments.clone());
        assert!(explanation.contains(told), "{arguments}: {explanation}");
    }
}

#[test]
fn a_function_acts_as_the_role_of_the_key_and_in_its_tenant() {
    let mut office = Office::open("registered_acting");
    office.bench.run(
        "ALTER TABLE app.tickets ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON app.tickets USING (tenant_id = (SELECT hydra.current_tenant()));
         GRANT EXECUTE ON FUNCTION hydra.current_tenant() TO app; GRANT USAGE ON SCHEMA hydra TO app;
         CREATE TABLE app.closed (id int); CREATE TABLE app.loot (what text); GRANT INSERT ON app.loot TO app",
    );
    let acting = "CREATE FUNCTION app.acting() RETURNS jsonb LANGUAGE sql STABLE AS $$
        SELECT jsonb_build_object('role', current_user, 'path', current_setting('search_path'), 'tenant', hydra.current_tenant(),
                                  'tickets', (SELECT count(*) FROM app.tickets)) $$";
    register(&mut office, "acting()", acting, "");
    register(
        &mut office,
        "peek()",
        "CREATE FUNCTION app.peek() RETURNS SETOF app.closed LANGUAGE sql STABLE AS 'SELECT * FROM app.closed'",
        "",
    );
    register(
        &mut office,
        "steal()",
        "CREATE FUNCTION app.steal() RETURNS int LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO app.loot VALUES ('x'); RETURN 1; END $$",
        ", writes => false",
    );
    register(
        &mut office,
        "explain(text)",
        "CREATE FUNCTION app.explain(what text) RETURNS int LANGUAGE plpgsql STABLE AS $$
         BEGIN
             IF what = 'raised' THEN
                 RAISE EXCEPTION 'There is no such room.' USING DETAIL = 'It was closed.', HINT = 'Ask for another one.';
             END IF;
             RAISE EXCEPTION 'secret of another row' USING ERRCODE = 'unique_violation', DETAIL = 'Key (a)=(secret) exists.';
         END $$",
        "",
    );
    let key = desk_key(&mut office);
    let acting = office.data(&key, "acting", json!({}));
    assert_eq!((&acting["role"], &acting["tenant"], &acting["tickets"]), (&json!("app"), &json!("acme"), &json!(108)));
    assert_eq!(acting["path"], "pg_catalog, public, pg_temp");
    assert_eq!(office.explanation(&key, "peek", json!({})), "This is not permitted.");
    // Whatever was said of a function, it does not write before somebody has seen what.
    let explanation = office.explanation(&key, "steal", json!({}));
    assert!(explanation.contains("method is not allowed"), "{explanation}");
    assert_eq!(office.bench.ask::<i64>("SELECT count(*) FROM app.loot"), 0);
    let told = office.explanation(&key, "explain", json!({"what": "raised"}));
    assert!(told.contains("There is no such room.") && told.contains("Ask for another one."), "{told}");
    let hidden = office.explanation(&key, "explain", json!({"what": "else"}));
    assert!(!hidden.contains("secret"), "{hidden}");
}

#[test]
fn no_other_function_of_the_same_name_is_called() {
    let mut office = Office::open("registered_overloaded");
    register(
        &mut office,
        "greet(bigint,text)",
        "CREATE FUNCTION app.greet(n bigint, name text DEFAULT 'you') RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'right ' || name $$",
        "",
    );
    for arguments in ["n int", "n bigint", "n bigint, name varchar", "n anyelement", "VARIADIC n bigint[]"] {
        office.bench.run(&format!(
            "CREATE FUNCTION app.greet({arguments}) RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'wrong' $$"
        ));
    }
    let key = desk_key(&mut office);
    assert_eq!(office.data(&key, "greet", json!({"n": 1})), json!({"result": "right you"}));
    assert_eq!(office.data(&key, "greet", json!({"n": 1, "name": "Ann"})), json!({"result": "right Ann"}));
    // Postgres cannot decide between these two, so neither is called.
    office.bench.run(
        "CREATE FUNCTION app.greet(n bigint, name text, c int DEFAULT 1) RETURNS text LANGUAGE sql STABLE AS $$ SELECT 'wrong' $$",
    );
    let answer = office.request(&key, "tools/call", json!({"name": "greet", "arguments": {"n": 1}}));
    assert_eq!(answer.json()["error"]["code"], -32602, "{answer:?}");
    let problem: String = office.bench.ask("SELECT problem FROM hydra.tools");
    assert!(problem.contains("cannot tell it from app.greet(n bigint, name text, c integer)"), "{problem}");
    office.bench.run("DROP FUNCTION app.greet(bigint, text, int)");
    assert_eq!(office.data(&key, "greet", json!({"n": 1})), json!({"result": "right you"}));
}

#[test]
fn a_tool_whose_function_has_changed_does_not_exist_and_the_view_says_why() {
    let mut office = Office::open("registered_gone");
    let create = "CREATE FUNCTION app.ask(a int) RETURNS int LANGUAGE sql STABLE AS 'SELECT a'";
    register(&mut office, "ask(int)", create, "");
    let key = desk_key(&mut office);
    assert_eq!(office.data(&key, "ask", json!({"a": 3})), json!({"result": 3}));
    let problem = "SELECT coalesce(problem, 'none') FROM hydra.tools";
    assert_eq!(office.bench.ask::<String>(problem), "none");
    for (change, told, back) in [
        ("ALTER FUNCTION app.ask(int) RENAME TO asked", "dropped", "ALTER FUNCTION app.asked(int) RENAME TO ask"),
        ("ALTER FUNCTION app.ask(int) OWNER TO app", "another role", "ALTER FUNCTION app.ask(int) OWNER TO postgres"),
        ("ALTER FUNCTION app.ask(int) SECURITY DEFINER", "a superuser", "ALTER FUNCTION app.ask(int) SECURITY INVOKER"),
        ("COMMENT ON FUNCTION app.ask(int) IS NULL", "no comment", "COMMENT ON FUNCTION app.ask(int) IS 'Asks.'"),
    ] {
        office.bench.run(change);
        let said: String = office.bench.ask(problem);
        assert!(said.contains(told), "{change}: {said}");
        let answer = office.request(&key, "tools/call", json!({"name": "ask", "arguments": {"a": 3}}));
        assert_eq!(answer.json()["error"]["code"], -32602, "{change}: {answer:?}");
        assert!(!office.names(&key).contains(&"ask".to_owned()), "{change}");
        office.bench.run(back);
        assert_eq!(office.data(&key, "ask", json!({"a": 3})), json!({"result": 3}), "{back}");
    }
    office.bench.run(
        "DROP FUNCTION app.ask(int); CREATE FUNCTION app.ask(a bigint) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'",
    );
    assert!(office.bench.ask::<String>(problem).contains("other arguments"));
    office.bench.run("DROP FUNCTION app.ask(bigint)");
    office.bench.run(&format!(
        "{create}; COMMENT ON FUNCTION app.ask(int) IS 'Asks.'; REVOKE ALL ON FUNCTION app.ask(int) FROM PUBLIC"
    ));
    assert!(office.bench.ask::<String>(problem).contains("No role that an API key acts as"));
    assert_eq!(office.explanation(&key, "ask", json!({"a": 3})), "This is not permitted.");
    assert!(office.bench.ask::<bool>("SELECT hydra.tool_unregister('ask') AND NOT hydra.tool_unregister('ask')"));
    assert!(!office.names(&key).contains(&"ask".to_owned()));
}

#[test]
fn what_cannot_be_a_tool_is_refused_with_what_can_be_done() {
    let mut office = Office::open("registered_refused");
    office.bench.run(
        "CREATE FUNCTION app.fine(a int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
         CREATE FUNCTION app.mute() RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION app.nameless(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION app.odd(\"größe\" int) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION app.limited(\"limit\" int) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION app.confirmed(confirmation text) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION app.anything(a anyelement) RETURNS int LANGUAGE sql AS 'SELECT 1';
         CREATE FUNCTION app.anyof(VARIADIC a \"any\") RETURNS text LANGUAGE internal AS 'pg_num_nulls';
         CREATE FUNCTION app.a_record() RETURNS record LANGUAGE sql AS 'SELECT 1, 2';
         CREATE FUNCTION app.a_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE PROCEDURE app.a_procedure() LANGUAGE sql AS '';
         CREATE AGGREGATE app.total(int) (sfunc = int4pl, stype = int);
         CREATE FUNCTION app.powerful() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
         CREATE FUNCTION app.writer() RETURNS int LANGUAGE sql AS 'SELECT 1';
         DO $$ DECLARE f regprocedure; BEGIN
             FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'app'::regnamespace AND proname <> 'mute' AND prokind = 'f' LOOP
                 EXECUTE format('COMMENT ON FUNCTION %s IS ''x''', f);
             END LOOP;
         END $$",
    );
    for (arguments, code, told) in [
        ("NULL", "42883", "a function of the application"),
        ("'app.mute()'", "42809", "COMMENT ON FUNCTION app.mute() IS"),
        ("'app.nameless(int)'", "42809", "has no name"),
        ("'app.odd(int)'", "42809", "\"größe\""),
        ("'app.limited(int)'", "42809", "limit"),
        ("'app.confirmed(text)'", "42809", "confirmation"),
        ("'app.anything(anyelement)'", "42809", "anyelement"),
        ("'app.anyof(\"any\")'", "42809", "\"any\""),
        ("'app.a_record()'", "42809", "record"),
        ("'app.a_trigger()'", "42809", "trigger"),
        ("'app.a_procedure()'", "42809", "a procedure"),
        ("'app.total(int)'", "42809", "an aggregate"),
        ("'app.powerful()'", "42809", "SECURITY DEFINER"),
        ("'pg_catalog.pg_read_file(text)'", "42809", "does not belong to the application"),
        ("'hydra.webhook_delete(bigint)'", "42809", "does not belong to the application"),
        ("'app.fine(int)', 'Fine'", "22023", "letters from a to z"),
        ("'app.fine(int)', 'webhook_fine'", "42939", "webhook_"),
        ("'app.fine(int)', 'system_status'", "42939", "The extension has"),
        ("'app.fine(int)', 'approval_status'", "42939", "The extension has"),
        ("'app.fine(int)', 'list_tickets'", "42710", "resource \"tickets\""),
        ("'app.fine(int)', 'delete_tickets'", "42710", "resource \"tickets\""),
        ("'app.fine(int)', title => ''", "22023", "1 to 200"),
        ("'app.fine(int)', toolset => 'A'", "22023", "toolset"),
        ("'app.fine(int)', scope => 'mcp'", "22023", "<name>:read"),
        ("'app.fine(int)', destructive => true", "22023", "destructive"),
        ("'app.fine(int)', rehearsable => false", "22023", "rehearsal"),
        ("'app.writer()', scope => 'desk:read'", "22023", "<name>:write"),
        ("'app.writer()', toolset => 'webhooks'", "22023", "not webhooks"),
    ] {
        let refusal = office.bench.refused(&format!("SELECT hydra.tool_register({arguments})"), code);
        let whole = format!("{} {} {}", refusal.message, refusal.detail, refusal.hint);
        assert!(whole.contains(told), "{arguments}: {refusal:?}");
    }
    assert_eq!(office.bench.count("tools"), 0);
    // Nor does a resource take the name of a tool.
    office.bench.run("SELECT hydra.tool_register('app.fine(int)', 'get_cases')");
    let refusal = office.bench.refused("SELECT hydra.api_expose('app.tickets', 'cases')", "42710");
    assert!(refusal.detail.contains("get_cases"), "{refusal:?}");
    // Registering again replaces.
    office.bench.run("SELECT hydra.tool_register('app.fine(int)', 'get_cases', 'Other', scope => 'tickets:read')");
    assert_eq!(
        office.bench.ask::<String>("SELECT title || ' ' || scope || ' ' || function FROM hydra.tools"),
        "Other tickets:read app.fine(integer)"
    );
}

#[test]
fn only_the_owner_of_a_function_registers_it_and_only_who_administers_may() {
    let mut office = Office::open("registered_owner");
    office.bench.run(
        "CREATE FUNCTION app.ask(a int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
         COMMENT ON FUNCTION app.ask(int) IS 'Asks.'; ALTER FUNCTION app.ask(int) OWNER TO app;
         CREATE FUNCTION app.other() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'; COMMENT ON FUNCTION app.other() IS 'x';
         GRANT USAGE ON SCHEMA app TO PUBLIC",
    );
    let mut admin = office.bench.session_of_new_role("registering_admin", &["hydra_admin"]);
    let foreign = refused(&mut admin, "SELECT hydra.tool_register('app.ask(int)')", "42501");
    assert!(foreign.detail.contains("app"), "{foreign:?}");
    office.bench.run("SELECT hydra.tool_register('app.ask(int)')");
    refused(&mut admin, "SELECT hydra.tool_unregister('ask')", "42501");
    office.bench.run("ALTER FUNCTION app.other() OWNER TO registering_admin");
    let taken = refused(&mut admin, "SELECT hydra.tool_register('app.other()', 'ask')", "42710");
    assert!(taken.detail.contains("app.ask"), "{taken:?}");
    run(&mut admin, "SELECT hydra.tool_register('app.other()')");
    assert_eq!(
        ask::<String>(&mut admin, "SELECT created_by FROM hydra.tools WHERE name = 'other'"),
        "registering_admin"
    );
    let mut member = office.bench.session_of_new_role("registering_member", &["hydra_member"]);
    assert_eq!(refusal(&mut member, "SELECT hydra.tool_register('app.ask(int)')").code, "42501");
    assert_eq!(ask::<i64>(&mut member, "SELECT count(*) FROM hydra.tools WHERE problem IS NULL"), 2);
    // What is gone can be removed by everybody who administers.
    office.bench.run("DROP FUNCTION app.ask(int)");
    assert!(ask::<bool>(&mut admin, "SELECT hydra.tool_unregister('ask')"));
}

#[test]
fn a_client_that_asks_for_toolsets_has_no_other_tools() {
    let mut office = Office::open("registered_toolsets");
    register(&mut office, "ask()", "CREATE FUNCTION app.ask() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'", "");
    office.bench.run(
        "SELECT hydra.api_expose('app.tickets', 'cases', readable => '{id,tenant_id}', filterable => '{}', sortable => '{}', toolset => 'crm')",
    );
    let key = office.key("mcp,desk:read,tickets:read,cases:read,webhooks:read", "tenant_id => 'acme'");
    let names = |query: &str| office.names_at(&key, &format!("/mcp{query}"));
    assert_eq!(names("?toolsets=desk"), ["ask"]);
    assert_eq!(names("?toolsets=crm,%20desk"), ["ask", "get_cases", "list_cases"]);
    assert_eq!(names("?toolsets=data&toolsets=desk"), ["ask", "get_tickets", "list_tickets"]);
    assert_eq!(names("?toolsets=automation"), ["event_types", "webhook_failures", "webhook_subscriptions"]);
    assert_eq!(names("?toolsets=").len(), 8);
    let call = |query: &str, name: &str| {
        office.request_at(&key, &format!("/mcp{query}"), "tools/call", json!({"name": name, "arguments": {}})).json()
    };
    assert_eq!(call("?toolsets=desk", "ask")["result"]["structuredContent"], json!({"result": 1}));
    assert_eq!(call("?toolsets=crm", "ask")["error"]["code"], -32602);
    assert_eq!(call("?toolsets=desk", "list_tickets")["error"]["code"], -32602);
    for unknown in ["nothing", "Desk", "desk,nothing"] {
        let answer = office.request_at(&key, &format!("/mcp?toolsets={unknown}"), "tools/list", json!({}));
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.body.contains("There are: automation, crm, data, desk."), "{answer:?}");
    }
    // What the key may not call is not told.
    let narrow = office.key("mcp,tickets:read", "tenant_id => 'acme'");
    let answer = office.request_at(&narrow, "/mcp?toolsets=desk", "tools/list", json!({}));
    assert!(answer.status == 400 && answer.body.contains("There are: automation, data."), "{answer:?}");
    let output = crate::stdio::tools_of(&office, "registered_toolsets", &key, "desk,crm");
    assert_eq!(output, vec![vec!["ask", "get_cases", "list_cases"]; 2]);
}

#[test]
fn a_role_that_may_not_execute_the_function_is_named() {
    let mut office = Office::open("registered_notice");
    office.bench.run(
        "CREATE SCHEMA closed; CREATE FUNCTION closed.f() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
         COMMENT ON FUNCTION closed.f() IS 'x'; REVOKE ALL ON FUNCTION closed.f() FROM PUBLIC",
    );
    let mut psql = cluster().program("psql");
    let statement = "SELECT hydra.tool_register('closed.f()')";
    let output =
        psql.args(["-X", "-d", "registered_notice", "-U", "postgres", "-c", statement]).output().expect("psql runs");
    let said = String::from_utf8_lossy(&output.stderr);
    for part in [
        "role hydra_api may not execute",
        "GRANT USAGE ON SCHEMA closed TO hydra_api; GRANT EXECUTE ON FUNCTION closed.f() TO hydra_api;",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
