//! What a yes does when others have written meanwhile, said yes before, or have taken the right away.

use std::thread;

use serde_json::json;
use testkit::{PATIENCE, wait_until};

use crate::desk::open;

#[test]
fn what_has_changed_since_it_was_shown_is_shown_again() {
    let (mut office, key) = open("confirming_changed", "console");
    let id = office.asked(&key, "update_accounts", json!({"id": 1, "name": "Mara B."}));
    office.bench.run("UPDATE app.accounts SET plan = 'paid' WHERE id = 1");
    assert_eq!(office.approve(id), "changed");
    assert_eq!(office.accounts(), "1 Mara paid, 2 Ben free, 3 Eve free");
    let shown: String = office.bench.ask(&format!(
        "SELECT concat_ws(' ', state, previews, preview -> 'before' ->> 'plan') FROM hydra.approvals WHERE id = {id}"
    ));
    assert_eq!(shown, "pending 2 paid");
    assert_eq!(office.approve(id), "done");
    assert_eq!(office.accounts(), "1 Mara B. paid, 2 Ben free, 3 Eve free");
}

#[test]
fn another_row_or_another_webhook_is_a_change_too() {
    let (mut office, key) = open("confirming_effects", "console");
    let row = office.asked(&key, "create_accounts", json!({"name": "Ada"}));
    office.bench.run(
        "CREATE TABLE app.log (what text); GRANT INSERT ON app.log TO app;
         CREATE FUNCTION app.log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO app.log VALUES ('x'); RETURN NULL; END $$;
         CREATE TRIGGER log AFTER INSERT ON app.accounts FOR EACH ROW EXECUTE FUNCTION app.log()",
    );
    assert_eq!(office.approve(row), "changed");
    assert_eq!(office.approve(row), "done");
    let webhook = office.asked(&key, "create_accounts", json!({"name": "Bob"}));
    office.bench.subscribe("/second", "account.changed", &["tenant_id => 'acme'"]);
    assert_eq!(office.approve(webhook), "changed");
    assert_eq!(office.approve(webhook), "done");
}

#[test]
fn two_yeses_have_one_effect() {
    let (mut office, key) = open("confirming_twice", "console");
    let id = office.asked(&key, "create_accounts", json!({"name": "Ada"}));
    let people: Vec<_> = (0..4)
        .map(|_| {
            let mut session = office.bench.session();
            thread::spawn(move || {
                let said = session.query_one(&format!("SELECT hydra.approve({id})"), &[]);
                said.ok().map(|row| row.get::<_, String>(0))
            })
        })
        .collect();
    let said: Vec<_> = people.into_iter().map(|person| person.join().unwrap()).collect();
    assert_eq!(said.iter().flatten().collect::<Vec<_>>(), ["done"], "{said:?}");
    assert_eq!(office.bench.ask::<i64>("SELECT count(*) FROM app.accounts WHERE name = 'Ada'"), 1);
    let refusal = office.bench.refused(&format!("SELECT hydra.approve({id})"), "55000");
    assert!(format!("{refusal:?}").contains("confirmed already"), "{refusal:?}");
}

#[test]
fn what_was_refused_or_has_expired_cannot_be_confirmed() {
    let (mut office, key) = open("confirming_late", "console");
    let refused = office.asked(&key, "delete_accounts", json!({"id": 1}));
    office.bench.run(&format!("SELECT hydra.refuse({refused})"));
    let late = office.asked(&key, "delete_accounts", json!({"id": 2}));
    office.bench.run(&format!(
        "UPDATE hydra.approval SET created_at = now() - interval '20 min', expires_at = now() - interval '10 min' WHERE id = {late}"
    ));
    for (id, state, why) in [(refused, "refused", "refused already"), (late, "expired", "has expired")] {
        let refusal = office.bench.refused(&format!("SELECT hydra.approve({id})"), "55000");
        assert!(format!("{refusal:?}").contains(why), "{refusal:?}");
        assert_eq!(office.data(&key, "approval_status", json!({"approval_id": id}))["state"], state);
    }
    assert_eq!(office.accounts(), "1 Mara free, 2 Ben free, 3 Eve free");
    office.bench.refused("SELECT hydra.approve(99)", "42704");
    office.bench.refused("SELECT hydra.refuse(99)", "42704");
}

#[test]
fn what_the_key_may_not_do_any_more_is_not_done() {
    let (mut office, key) = open("confirming_rights", "console");
    let id = office.asked(&key, "delete_accounts", json!({"id": 1}));
    let mut why_not = |before: &str, after: &str| {
        office.bench.run(before);
        let refusal = format!("{:?}", office.bench.refused(&format!("SELECT hydra.approve({id})"), "55000"));
        office.bench.run(after);
        refusal
    };
    let refusal = why_not(
        "UPDATE hydra.api_key SET revoked_at = now() WHERE id = 2",
        "UPDATE hydra.api_key SET revoked_at = NULL WHERE id = 2",
    );
    assert!(refusal.contains("was revoked"), "{refusal}");
    let refusal = why_not(
        "UPDATE hydra.api_key SET scopes = '{mcp,accounts:read}' WHERE id = 2",
        "UPDATE hydra.api_key SET scopes = '{mcp,accounts:write}' WHERE id = 2",
    );
    assert!(refusal.contains("lost the scope"), "{refusal}");
    let refusal = why_not(
        "SELECT hydra.api_expose('app.accounts', name => 'accounts', deletable => false)",
        "SELECT hydra.api_expose('app.accounts', name => 'accounts', deletable => true)",
    );
    assert!(refusal.contains("The tool does not exist any more"), "{refusal}");
    // A privilege of the role is found missing when the tool runs.
    office.bench.run("REVOKE DELETE ON app.accounts FROM app");
    assert_eq!(office.approve(id), "failed");
    let error: String = office.bench.ask(&format!("SELECT error FROM hydra.approvals WHERE id = {id}"));
    assert_eq!(error, "This is not permitted.");
    assert_eq!(office.bench.count("event"), 0);
}

#[test]
fn what_fails_when_it_is_confirmed_leaves_nothing_and_says_why() {
    let (mut office, key) = open("confirming_failed", "console");
    let id = office.asked(&key, "create_accounts", json!({"name": "Ada"}));
    office.bench.run("INSERT INTO app.accounts (tenant_id, name) VALUES ('acme', 'Ada')");
    assert_eq!(office.approve(id), "failed");
    let status = office.data(&key, "approval_status", json!({"approval_id": id}));
    assert_eq!((&status["state"], &status["result"]), (&json!("failed"), &json!(null)), "{status}");
    assert!(status["error"].as_str().unwrap().contains("contradicts"), "{status}");
    assert_eq!(office.bench.ask::<i64>("SELECT count(*) FROM app.accounts WHERE name = 'Ada'"), 1);
}

#[test]
fn a_tool_whose_effects_cannot_be_known_is_not_confirmed() {
    let (mut office, key) = open("confirming_unknown", "console");
    // It writes one row more each time.
    office.bench.run(
        "CREATE TABLE app.log (what text); GRANT INSERT ON app.log TO app;
         CREATE SEQUENCE app.more; GRANT USAGE ON SEQUENCE app.more TO app;
         CREATE FUNCTION app.log() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO app.log SELECT 'x' FROM generate_series(1, nextval('app.more')); RETURN NULL; END $$;
         CREATE TRIGGER log AFTER INSERT ON app.accounts FOR EACH ROW EXECUTE FUNCTION app.log()",
    );
    let explanation = office.explanation(&key, "create_accounts", json!({"name": "Ada"}));
    assert!(explanation.contains("does something else each time"), "{explanation}");
    assert_eq!(office.bench.count("approval") + office.bench.ask::<i64>("SELECT count(*) FROM app.log"), 0);
}

#[test]
fn a_key_cannot_have_more_than_50_changes_wait() {
    let (mut office, key) = open("confirming_many", "console");
    office.asked(&key, "delete_accounts", json!({"id": 1}));
    let more = "INSERT INTO hydra.approval (key_id, tool, arguments, preview, digest, varying, mode, expires_at)
                SELECT a.key_id, a.tool, a.arguments, a.preview, a.digest, a.varying, a.mode, a.expires_at
                FROM hydra.approval AS a, generate_series(1, 49)";
    office.bench.run(more);
    let explanation = office.explanation(&key, "delete_accounts", json!({"id": 2}));
    assert!(explanation.contains("50 changes by this key wait"), "{explanation}");
    office.bench.run("SELECT hydra.refuse(1)");
    office.asked(&key, "delete_accounts", json!({"id": 2}));
}

#[test]
fn old_approvals_are_forgotten() {
    let (mut office, key) = open("confirming_old", "console");
    let kept = office.asked(&key, "delete_accounts", json!({"id": 1}));
    let old = office.asked(&key, "delete_accounts", json!({"id": 2}));
    office.bench.run(&format!(
        "UPDATE hydra.approval SET created_at = now() - interval '31 days', expires_at = now() - interval '30 days' WHERE id = {old}"
    ));
    wait_until("the old one is gone", PATIENCE, || office.bench.count("approval") == 1);
    assert_eq!(office.data(&key, "approval_status", json!({"approval_id": kept}))["state"], "pending");
}

#[test]
fn a_long_preview_keeps_its_counts() {
    let (mut office, key) = open("confirming_long", "console");
    let data = office.data(&key, "update_accounts", json!({"id": 1, "name": "x".repeat(60_000)}));
    let preview = &data["preview"];
    assert!(preview["note"].as_str().unwrap().contains("left out"), "{}", preview["note"]);
    assert_eq!((&preview["tables"][0]["updated"], &preview["webhook_count"]), (&json!(1), &json!(1)));
    assert!(data.to_string().len() < 100_000);
    assert_eq!(office.approve(data["approval_id"].as_i64().unwrap()), "done");
}
