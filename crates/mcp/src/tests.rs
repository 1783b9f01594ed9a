//! Messages as clients send them, and what they get.

use serde_json::{Value, json};

use crate::{
    Answer, Asked, Capabilities, Elicitation, Failure, InputRequired, Request, Server, Tool, ToolResult, page, read,
    relay,
};

const NEW: &str = "2026-07-28";

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A request of the newest revision, whose headers repeat its body.
fn stateless(method: &str, params: Value) -> (Vec<(String, String)>, Value) {
    let mut all = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": NEW,
                                   "io.modelcontextprotocol/clientCapabilities": {}}});
    for (name, value) in params.as_object().unwrap() {
        all[name] = value.clone();
    }
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": all});
    let passed = relay::pass(body.to_string().as_bytes()).unwrap();
    (passed.headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(), body)
}

fn asked(headers: &[(String, String)], body: &Value) -> Result<Request, (u16, Value)> {
    read(headers, body.to_string().as_bytes()).map_err(|answer| (answer.status, json(&answer)))
}

fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

/// The status and code with which a message is refused.
fn refused(headers: &[(String, String)], body: &Value) -> (u16, i64) {
    let (status, body) = asked(headers, body).expect_err("it is refused");
    assert_eq!(body["jsonrpc"], "2.0");
    assert!(body["error"]["message"].is_string(), "{body}");
    (status, body["error"]["code"].as_i64().unwrap())
}

fn server() -> Server {
    let text = |text: &str| text.to_owned();
    Server { name: text("hydra"), title: text("Hydra"), version: text("1"), instructions: text("Read.") }
}

fn tool(name: &str) -> Tool {
    Tool {
        name: name.to_owned(),
        title: name.to_owned(),
        description: "It reads.".to_owned(),
        input: json!({"type": "object"}),
        output: None,
        reads_only: true,
        is_destructive: false,
        is_idempotent: true,
    }
}

#[test]
fn a_client_of_the_newest_revision_is_served_without_a_handshake() {
    let (headers, body) = stateless("tools/call", json!({"name": "list_tickets", "arguments": {"limit": 5}}));
    let request = asked(&headers, &body).unwrap();
    assert_eq!(
        request.asked,
        Asked::CallTool {
            name: "list_tickets".into(),
            arguments: json!({"limit": 5}).as_object().unwrap().clone(),
            arguments_text: "{\"limit\":5}".into(),
            request_state: None,
            input_responses: Default::default(),
            capabilities: Capabilities::default(),
        }
    );
    let result = ToolResult { texts: vec!["one".into()], structured: Some("{\"n\":1.10}".into()), is_error: false };
    let answer = request.called(&server(), &result);
    assert_eq!(answer.status, 200);
    // Not 1.1: the number is that of the database.
    assert!(answer.body.contains("\"structuredContent\":{\"n\":1.10}"), "{}", answer.body);
    let body = json(&answer);
    assert_eq!((&body["id"], &body["result"]["resultType"]), (&json!(7), &json!("complete")));
    assert_eq!(body["result"]["content"], json!([{"type": "text", "text": "one"}]));
    assert_eq!(body["result"]["isError"], false);
    assert_eq!(body["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["version"], "1");
}

#[test]
fn arguments_keep_the_digits_that_were_sent() {
    let body = br#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                    "params": {"name": "t", "arguments": {"n": 9007199254740993.10, "a": [1e400]}}}"#;
    let Asked::CallTool { arguments_text, .. } = read(&[], body).unwrap().asked else { panic!() };
    assert_eq!(arguments_text, r#"{"n": 9007199254740993.10, "a": [1e400]}"#);
    let body = br#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "par\u0061ms": {"name": "t",
                    "arguments": {"n": 1}, "arguments": {"n": 12345678901234567890.10}}}"#;
    let Asked::CallTool { arguments_text, .. } = read(&[], body).unwrap().asked else { panic!() };
    assert_eq!(arguments_text, r#"{"n": 12345678901234567890.10}"#);
    let body = br#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "t", "arguments": null}}"#;
    let Asked::CallTool { arguments_text, .. } = read(&[], body).unwrap().asked else { panic!() };
    assert_eq!(arguments_text, "{}");
}

#[test]
fn it_learns_which_revisions_there_are() {
    let (headers, body) = stateless("server/discover", json!({}));
    let result = json(&asked(&headers, &body).unwrap().discovered(&server()))["result"].take();
    assert_eq!(result["supportedVersions"], json!(["2026-07-28", "2025-11-25", "2025-06-18"]));
    assert_eq!(result["capabilities"], json!({"tools": {}}));
    assert_eq!((&result["cacheScope"], &result["instructions"]), (&json!("private"), &json!("Read.")));
    assert!(result["ttlMs"].is_u64());
}

#[test]
fn a_client_of_an_older_revision_begins_with_a_handshake() {
    let body = json!({"jsonrpc": "2.0", "id": "a", "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}});
    for headers in [headers(&[]), headers(&[("mcp-protocol-version", "2024-11-05")])] {
        let request = asked(&headers, &body).unwrap();
        let Asked::Initialize { revision } = &request.asked else { panic!("{request:?}") };
        let answer = json(&request.initialized(&server(), revision));
        assert_eq!((&answer["id"], &answer["result"]["protocolVersion"]), (&json!("a"), &json!("2025-06-18")));
        assert_eq!(answer["result"]["serverInfo"]["name"], "hydra");
    }
    for (wanted, agreed) in [("2024-11-05", "2025-11-25"), ("2026-07-28", "2025-11-25"), ("2025-11-25", "2025-11-25")] {
        assert_eq!(crate::Revision::agreed(wanted).name(), agreed);
    }
}

#[test]
fn after_the_handshake_it_pings_and_calls_with_its_revision_in_a_header_or_without() {
    for headers in [headers(&[]), headers(&[("Mcp-Protocol-Version", "2025-11-25")])] {
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        let request = asked(&headers, &ping).unwrap();
        assert_eq!(request.asked, Asked::Ping);
        assert_eq!(json(&request.pong()), json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
        let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"});
        let result = json(&asked(&headers, &list).unwrap().tools(&server(), &[tool("t")], None))["result"].take();
        // It has nothing that this revision does not know.
        assert_eq!(result.as_object().unwrap().keys().collect::<Vec<_>>(), ["tools"]);
        assert_eq!(result["tools"][0]["annotations"]["readOnlyHint"], true);
        let unknown = json!({"jsonrpc": "2.0", "id": 3, "method": "server/discover"});
        assert_eq!(refused(&headers, &unknown), (200, -32601));
    }
}

#[test]
fn a_notification_is_accepted_without_an_answer() {
    for method in ["notifications/initialized", "notifications/cancelled", "notifications/of/later"] {
        let request = asked(&[], &json!({"jsonrpc": "2.0", "method": method})).unwrap();
        assert_eq!(request.asked, Asked::Notification);
        assert_eq!(request.noticed(), Answer { status: 202, body: String::new() });
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let id = json!({"jsonrpc": "2.0", "method": "ping", "id": 1});
    for (body, code) in [
        (json!([id]), -32600),
        (json!("ping"), -32600),
        (json!({"jsonrpc": "1.0", "method": "ping", "id": 1}), -32600),
        (json!({"jsonrpc": "2.0", "method": "ping", "id": null}), -32600),
        (json!({"jsonrpc": "2.0", "method": "ping", "id": 1.5}), -32600),
        (json!({"jsonrpc": "2.0", "method": "ping", "id": {}}), -32600),
        (json!({"jsonrpc": "2.0", "id": 1, "result": {}}), -32600),
    ] {
        assert_eq!(refused(&[], &body), (400, code), "{body}");
    }
    for body in [&b"{"[..], b"", b"\xff", &[b'['; 100_000]] {
        let answer = read(&[], body).unwrap_err();
        assert_eq!((answer.status, &json(&answer)["error"]["code"]), (400, &json!(-32700)));
    }
    let params = json!({"jsonrpc": "2.0", "method": "ping", "id": 1, "params": [1]});
    assert_eq!(refused(&[], &params).1, -32602);
}

#[test]
fn a_number_of_any_size_can_be_an_argument_and_a_whole_one_an_id() {
    let call = |id: &str, arguments: &str| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"x","arguments":{arguments}}}}}"#
        );
        read(&[], body.as_bytes()).map_err(|answer| json(&answer)["error"]["code"].as_i64())
    };
    let large = r#"{"n":1e400,"of":[-1e999,{"m":1}],"t":"\u00e4"}"#;
    let Ok(Request { asked: Asked::CallTool { arguments, arguments_text, .. }, .. }) = call("1", large) else {
        panic!("it is a call");
    };
    assert_eq!(Value::Object(arguments).to_string(), r#"{"n":1e+400,"of":[-1e+999,{"m":1}],"t":"ä"}"#);
    assert_eq!(arguments_text, large);
    assert_eq!(call("12.0", "{}").expect("a call").id.expect("an id").to_string(), "12.0");
    for (id, arguments, code) in
        [("1e400", "{}", -32600), ("1", "{\"n\":1e}", -32700), ("1", "{\"n\":1e400,\"t\":\"\\ud800\"}", -32700)]
    {
        assert_eq!(call(id, arguments), Err(Some(code)), "{id} {arguments}");
    }
}

#[test]
fn the_headers_must_repeat_the_body() {
    let (good, body) = stateless("tools/call", json!({"name": "grüß"}));
    assert!(asked(&good, &body).is_ok());
    let with = |name: &str, value: &str| {
        let mut headers = good.clone();
        headers.retain(|(other, _)| other != name);
        if !value.is_empty() {
            headers.push((name.to_owned(), value.to_owned()));
        }
        headers
    };
    for (name, value) in [
        ("MCP-Protocol-Version", ""),
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Mcp-Method", ""),
        ("Mcp-Method", "tools/list"),
        ("Mcp-Method", "TOOLS/CALL"),
        ("Mcp-Name", ""),
        ("Mcp-Name", "grüß"),
        ("Mcp-Name", "other"),
        ("Mcp-Name", "=?base64?Z3LDvMOf"),
        ("Mcp-Name", "=?base64?Z3LDvMO?="),
    ] {
        assert_eq!(refused(&with(name, value), &body), (400, -32020), "{name}: {value}");
    }
    let mut twice = good.clone();
    twice.push(("mcp-method".into(), "tools/call".into()));
    assert_eq!(refused(&twice, &body), (400, -32020));
    // Spaces around a value, and the case of a name, mean nothing.
    assert!(asked(&with("Mcp-Name", " =?base64?Z3LDvMOf?= "), &body).is_ok());
    let loud: Vec<_> = good.iter().map(|(name, value)| (name.to_uppercase(), value.clone())).collect();
    assert!(asked(&loud, &body).is_ok());
}

#[test]
fn a_request_of_the_newest_revision_needs_its_metadata() {
    let (headers, body) = stateless("server/discover", json!({}));
    for (pointer, name) in [
        ("/params", "_meta"),
        ("/params/_meta", "io.modelcontextprotocol/protocolVersion"),
        ("/params/_meta", "io.modelcontextprotocol/clientCapabilities"),
    ] {
        let mut body = body.clone();
        body.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(name);
        assert_eq!(refused(&headers, &body), (400, -32602), "{name}");
    }
}

#[test]
fn a_revision_that_is_not_spoken_is_refused_with_those_that_are() {
    for revision in ["2099-01-01", "2025-03-26", "v999.0.0"] {
        let (mut headers, mut body) = stateless("server/discover", json!({}));
        body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(revision);
        headers[0].1 = revision.to_owned();
        let (status, answer) = asked(&headers, &body).unwrap_err();
        assert_eq!((status, &answer["error"]["code"], &answer["id"]), (400, &json!(-32022), &json!(7)));
        assert_eq!(answer["error"]["data"]["requested"], revision);
        assert_eq!(answer["error"]["data"]["supported"][0], NEW);
        // Also of an older kind, after the handshake.
        let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
        assert_eq!(refused(&headers[..1], &ping), (400, -32022));
    }
}

#[test]
fn an_unknown_method_is_not_found() {
    for method in ["initialize", "ping", "resources/list", "prompts/get", "subscriptions/listen", "unknown/method"] {
        let (headers, body) = stateless(method, json!({}));
        assert_eq!(refused(&headers, &body), (404, -32601), "{method}");
    }
}

#[test]
fn parameters_of_another_type_are_refused() {
    for (method, params) in [
        ("tools/list", json!({"cursor": 1})),
        ("tools/call", json!({})),
        ("tools/call", json!({"name": "t", "arguments": []})),
        ("tools/call", json!({"name": "t", "requestState": {}})),
        ("tools/call", json!({"name": "t", "inputResponses": "yes"})),
    ] {
        let (headers, body) = stateless(method, params);
        assert_eq!(refused(&headers, &body), (400, -32602), "{body}");
    }
}

#[test]
fn an_unknown_tool_is_an_error_of_the_protocol() {
    let (headers, body) = stateless("tools/call", json!({"name": "t"}));
    let answer = asked(&headers, &body).unwrap().failed(&Failure::unknown_tool("t"));
    assert_eq!(answer.status, 200);
    assert_eq!(json(&answer)["error"], json!({"code": -32602, "message": "Unknown tool: t"}));
    assert_eq!(json(&asked(&headers, &body).unwrap().failed(&Failure::internal()))["error"]["code"], -32603);
}

#[test]
fn a_tool_can_ask_the_user_of_a_client_that_can_do_so() {
    let cases = [
        (json!({}), false, false),
        (json!({"elicitation": {}}), true, false),
        (json!({"elicitation": {"form": {}}}), true, false),
        (json!({"elicitation": {"url": {}}}), false, true),
        (json!({"elicitation": {"form": {}, "url": {}}}), true, true),
        (json!({"elicitation": true}), false, false),
    ];
    for (declared, form, page) in cases {
        let state = json!({"name": "t", "requestState": "s", "inputResponses": {"ok": {"action": "accept"}}});
        let (headers, mut body) = stateless("tools/call", state);
        body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] = declared;
        let request = asked(&headers, &body).unwrap();
        let Asked::CallTool { request_state, input_responses, capabilities, .. } = &request.asked else { panic!() };
        assert_eq!(*capabilities, Capabilities { form, page }, "{body}");
        assert_eq!(request_state.as_deref(), Some("s"));
        assert_eq!(input_responses["ok"]["action"], "accept");
    }
}

#[test]
fn the_question_and_the_state_go_to_the_client() {
    let form = Elicitation::Form { message: "Delete?".into(), schema: json!({"type": "object", "properties": {}}) };
    let page = Elicitation::Page { message: "Look".into(), url: "https://h.example/a".into() };
    let required = InputRequired { questions: vec![("ok".into(), form), ("look".into(), page)], state: "s".into() };
    let (headers, body) = stateless("tools/call", json!({"name": "t"}));
    let result = json(&asked(&headers, &body).unwrap().input_required(&server(), &required))["result"].take();
    assert_eq!((&result["resultType"], &result["requestState"]), (&json!("input_required"), &json!("s")));
    let ok = &result["inputRequests"]["ok"];
    assert_eq!((&ok["method"], &ok["params"]["mode"]), (&json!("elicitation/create"), &json!("form")));
    assert_eq!(result["inputRequests"]["look"]["params"]["url"], "https://h.example/a");
    assert!(result.get("ttlMs").is_none(), "{result}");
    let old = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "t"}});
    let answer = asked(&[], &old).unwrap().input_required(&server(), &required);
    assert_eq!((answer.status, &json(&answer)["error"]["code"]), (400, &json!(-32021)));
    assert_eq!(json(&answer)["error"]["data"]["requiredCapabilities"], json!({"elicitation": {}}));
}

#[test]
fn the_list_of_tools_has_pages_that_miss_none() {
    let mut tools: Vec<Tool> = (0..120).map(|number| tool(&format!("t{number:03}"))).collect();
    let (mut cursor, mut names) = (None, Vec::new());
    loop {
        let (page, next) = page(&tools, cursor.as_deref()).unwrap();
        names.extend(page.iter().map(|tool| tool.name.clone()));
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(names, tools.iter().map(|tool| tool.name.clone()).collect::<Vec<_>>());
    // The last tool of a page may be gone when the next is read.
    let (_, next) = page(&tools, None).unwrap();
    tools.remove(49);
    assert_eq!(page(&tools, next.as_deref()).unwrap().0[0].name, "t050");
    assert_eq!(page(&tools[..50], None).unwrap().1, None);
    assert_eq!(page(&[], None).unwrap(), (&[][..], None));
    for cursor in ["", "!", "/w==", "_w"] {
        assert_eq!(page(&tools, Some(cursor)).unwrap_err().code, -32602, "{cursor}");
    }
    let (headers, body) = stateless("tools/list", json!({"cursor": "dDA0OQ"}));
    let request = asked(&headers, &body).unwrap();
    assert_eq!(request.asked, Asked::ListTools { cursor: Some("dDA0OQ".into()) });
    let result = json(&request.tools(&server(), &tools[..1], Some("x")))["result"].take();
    assert_eq!((&result["nextCursor"], &result["cacheScope"]), (&json!("x"), &json!("private")));
    assert_eq!(result["tools"][0]["inputSchema"], json!({"type": "object"}));
}

#[test]
fn annotations_say_what_a_tool_may_do() {
    let writes = Tool { reads_only: false, is_destructive: true, is_idempotent: false, ..tool("t") };
    let annotations = serde_json::from_str::<Value>(&writes.to_json()).unwrap()["annotations"].take();
    let expected =
        json!({"readOnlyHint": false, "destructiveHint": true, "idempotentHint": false, "openWorldHint": true});
    assert_eq!(annotations, expected);
}

#[test]
fn a_line_is_passed_on_with_the_headers_that_repeat_it() {
    let (headers, body) = stateless("tools/call", json!({"name": " a "}));
    let names: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [("MCP-Protocol-Version", NEW), ("Mcp-Method", "tools/call"), ("Mcp-Name", "=?base64?IGEg?=")];
    assert_eq!(names, expected);
    let passed = relay::pass(body.to_string().as_bytes()).unwrap();
    let answer = b"{\"jsonrpc\": \"2.0\",\n \"id\": 7, \"result\": {}}\r\n";
    assert_eq!(passed.answer(200, answer).unwrap().trim_end(), "{\"jsonrpc\": \"2.0\",  \"id\": 7, \"result\": {}}");
}

#[test]
fn a_line_that_does_not_get_through_is_answered_too() {
    let passed = relay::pass(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}").unwrap();
    let problem = br#"{"title": "No.", "detail": "The key is gone.", "status": 401}"#;
    for (status, body, why) in [
        (401, &problem[..], "No. The key is gone."),
        (503, br#"{"title": "Busy."}"#, "Busy."),
        (502, b"<html>", "HTTP status 502"),
        (502, b"\xff", "HTTP status 502"),
    ] {
        let answer: Value = serde_json::from_str(&passed.answer(status, body).unwrap()).unwrap();
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 1, "error": {"code": status, "message": why}}));
    }
    let notification = relay::pass(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}").unwrap();
    assert_eq!((notification.answer(202, b""), notification.refused(503, "x")), (None, None));
    let cancels = br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}"#;
    assert_eq!(relay::pass(cancels).unwrap().cancels, crate::Id::of(&json!("a")));
    assert_eq!(notification.cancels, None);
    let error: Value = serde_json::from_str(&relay::pass(b"what").unwrap_err()).unwrap();
    assert_eq!(error["error"]["code"], -32700);
}
