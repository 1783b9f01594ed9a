//! `hydra-gateway mcp`: the program that a client starts.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use testkit::gateway::{Gateway, login, program};
use testkit::{PATIENCE, wait_until};

use crate::{Office, cluster};

fn command(environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program());
    command.arg("mcp").env_clear().envs(environment.iter().copied());
    command
}

/// Gives the program these lines and the end of its input, and waits for its end.
fn answers(environment: &[(&str, &str)], lines: &str) -> Output {
    let mut command = command(environment);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // If it has ended already, it reads nothing.
    let _ = child.stdin.take().expect("a pipe").write_all(lines.as_bytes());
    child.wait_with_output().expect("it ends")
}

/// The answers by their ids, each a line.
#[track_caller]
fn by_id(output: &Output) -> Vec<(Value, Value)> {
    assert!(output.status.success(), "{output:?}");
    let lines = str::from_utf8(&output.stdout).expect("text").lines();
    let mut answers: Vec<(Value, Value)> = lines
        .map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .map(|mut answer| (answer["id"].take(), answer))
        .collect();
    answers.sort_by_key(|(id, _)| id.to_string());
    answers
}

/// The names of the tools of these toolsets, over a gateway and over the database.
#[track_caller]
pub fn tools_of(office: &Office, database: &str, key: &str, toolsets: &str) -> Vec<Vec<String>> {
    let url = format!("http://{}", office.gateway.address);
    let dsn = login(cluster(), database);
    let names = |way: (&str, &str)| {
        let environment = [("HYDRA_API_KEY", key), ("HYDRA_TOOLSETS", toolsets), way];
        let answers = by_id(&answers(&environment, &line(&json!(1), "tools/list")));
        let tools = answers[0].1["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answers:?}")).clone();
        tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
    };
    [("HYDRA_URL", url.as_str()), ("HYDRA_DSN", dsn.as_str())].into_iter().map(names).collect()
}

fn line(id: &Value, method: &str) -> String {
    format!("{}\n", json!({"jsonrpc": "2.0", "id": id, "method": method}))
}

#[test]
fn each_line_is_answered_by_a_line_and_nothing_else_is_written() {
    let office = Office::open("stdio_lines");
    let url = format!("http://{}", office.gateway.address);
    let dsn = login(cluster(), "stdio_lines");
    let notification = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let ask = [
        &line(&json!(1), "ping"),
        "\n  \n",
        &format!("{notification}\n"),
        "nonsense\n",
        &line(&json!("two"), "tools/list"),
        line(&json!(3), "none/such").trim_end(),
    ]
    .concat();
    for way in [("HYDRA_URL", url.as_str()), ("HYDRA_DSN", dsn.as_str())] {
        let output = answers(&[("HYDRA_API_KEY", &office.key), way], &ask);
        let answers = by_id(&output);
        let ids: Vec<_> = answers.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(ids, [json!("two"), json!(1), json!(3), json!(null)], "{answers:?}");
        assert_eq!(answers[0].1["result"]["tools"].as_array().unwrap().len(), 7, "{answers:?}");
        assert_eq!(answers[1].1["result"], json!({}));
        assert_eq!((&answers[2].1["error"]["code"], &answers[3].1["error"]["code"]), (&json!(-32601), &json!(-32700)));
    }
}

#[test]
fn a_message_that_does_not_get_through_is_answered_with_the_reason() {
    let mut office = Office::open("stdio_refused");
    let url = format!("http://{}", office.gateway.address);
    let ping = line(&json!(1), "ping");
    let told = |environment: &[(&str, &str)]| {
        let answers = by_id(&answers(environment, &ping));
        let error = answers[0].1["error"].clone();
        (error["code"].as_i64().expect("a code"), error["message"].as_str().expect("a message").to_owned())
    };
    let (code, message) = told(&[("HYDRA_API_KEY", &office.key), ("HYDRA_URL", "http://127.0.0.1:9")]);
    assert_eq!(code, 502);
    assert!(message.contains("cannot be asked"), "{message}");
    let narrow = office.key("tickets:read", "tenant_id => 'acme'");
    let dsn = login(cluster(), "stdio_refused");
    for way in [("HYDRA_URL", url.as_str()), ("HYDRA_DSN", dsn.as_str())] {
        let (code, message) = told(&[("HYDRA_API_KEY", &narrow), way]);
        assert_eq!((code, message.contains("scope mcp")), (403, true), "{message}");
    }
    office.bench.run("SELECT hydra.api_key_revoke(1)");
    assert_eq!(told(&[("HYDRA_API_KEY", &office.key), ("HYDRA_DSN", &dsn)]).0, 401);
}

#[test]
fn what_it_needs_is_named_if_it_is_missing_and_no_key_is_shown() {
    let key = "hyk_wrongwrongwrongwrongwrongwrongwrongwrongwrongwrong";
    let office = Office::open("stdio_missing");
    for (environment, told) in [
        (vec![], "HYDRA_API_KEY"),
        (vec![("HYDRA_API_KEY", key), ("HYDRA_URL", "https://hooks.example.com")], "is not an API key"),
        (vec![("HYDRA_API_KEY", office.key.as_str())], "--url"),
        (vec![("HYDRA_API_KEY", &office.key), ("HYDRA_URL", "http://hooks.example.com")], "Use https"),
        (vec![("HYDRA_API_KEY", &office.key), ("HYDRA_URL", "hooks.example.com")], "https"),
        (vec![("HYDRA_API_KEY", &office.key), ("HYDRA_DSN", "port=none")], "connection string"),
        (
            vec![("HYDRA_API_KEY", &office.key), ("HYDRA_DSN", "dbname=x"), ("HYDRA_TOOLSETS", "A&b")],
            "A&b is no toolset",
        ),
    ] {
        let output = answers(&environment, "");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(told), "{told}: {output:?}");
        assert!(
            output.stdout.is_empty() && !errors.contains("hyk_wrong") && !errors.contains(&office.key),
            "{output:?}"
        );
    }
}

#[test]
fn a_gateway_of_one_client_counts_what_it_uses_and_is_seen_in_the_database() {
    let mut office = Office::open("stdio_counted");
    let key = office.key(crate::ALL, "tenant_id => 'acme', requests_per_minute => 60");
    let dsn = login(cluster(), "stdio_counted");
    let mut relay = Gateway::spawn(command(&[("HYDRA_API_KEY", &key), ("HYDRA_DSN", &dsn)]));
    let ping = line(&json!(1), "ping");
    relay.stdin.as_mut().expect("a pipe").write_all(ping.as_bytes()).expect("it reads");
    wait_until("it has answered", PATIENCE, || relay.states().len() == 1);
    wait_until("it is seen", PATIENCE, || {
        office.bench.ask::<i64>("SELECT count(*) FROM hydra.gateways WHERE live AND address = 'stdio'") == 1
    });
    relay.stdin.take();
    assert!(relay.end().success());
    assert_eq!(office.bench.ask::<i64>("SELECT count(*) FROM hydra.gateways WHERE address = 'stdio'"), 0);
    assert!(office.bench.ask::<bool>("SELECT last_used_at IS NOT NULL FROM hydra.api_keys WHERE id = 2"));
}
