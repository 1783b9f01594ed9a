//! Whom a flow acts as.

use serde_json::json;
use testkit::{refusal, run};

use crate::{Site, TICKET, cluster, issue};

#[test]
fn a_flow_is_made_only_for_a_role_that_its_maker_is_a_member_of() {
    let mut site = Site::new(cluster(), "makers");
    site.create_function("make_ticket", TICKET);
    let create = "SELECT hydra.flow_create('x', 'ticket.created', 'public.make_ticket')";
    let mut admin = cluster().connect_as_new_role("makers", "manager", &["hydra_admin"]);
    let refused = refusal(&mut admin, create);
    assert_eq!(refused.code, "42501", "{refused:?}");
    assert!(refused.message.contains("not a member"), "{refused:?}");
    site.bench.run("GRANT app TO manager");
    run(&mut admin, create);
    // Whoever manages flows may deploy it. If the function has got another owner, only a member of that role may.
    site.bench.run("REVOKE app FROM manager");
    for act in ["flow_deploy", "flow_test"] {
        let act = format!("SELECT hydra.{act}(id) FROM hydra.flows");
        run(&mut admin, &act);
        site.bench.run("ALTER FUNCTION public.make_ticket(jsonb) OWNER TO other");
        let refused = refusal(&mut admin, &act);
        assert!(refused.code == "42501" && refused.message.contains("not a member"), "{act}: {refused:?}");
        site.bench.run("ALTER FUNCTION public.make_ticket(jsonb) OWNER TO app");
    }
    // Nobody may let a flow act as a powerful role, not even a superuser.
    for owner in ["postgres", "hydra_worker"] {
        site.bench.run(&format!("ALTER FUNCTION public.make_ticket(jsonb) OWNER TO {owner}"));
        let refused =
            site.bench.refused("SELECT hydra.flow_create('y', 'ticket.created', 'public.make_ticket')", "42501");
        assert!(refused.detail.contains(owner), "{refused:?}");
        assert!(refused.hint.contains("OWNER TO"), "{refused:?}");
        assert_eq!(refusal(&mut admin, "SELECT hydra.flow_deploy(id) FROM hydra.flows").code, "42501");
    }
}

#[test]
fn the_owner_is_checked_at_each_run() {
    let mut site = Site::new(cluster(), "each_run");
    site.bench.run("CREATE ROLE powerful; CREATE ROLE maker; GRANT CREATE, USAGE ON SCHEMA public TO maker");
    let flow = site.create_flow("make_ticket", TICKET, "");
    site.bench.run("ALTER FUNCTION public.make_ticket(jsonb) OWNER TO maker");
    let deploy = format!("SELECT hydra.flow_deploy({flow})");
    site.bench.run(&deploy);
    let changes = [
        ("ALTER FUNCTION public.make_ticket(jsonb) OWNER TO postgres", "belongs to another role"),
        ("ALTER FUNCTION public.make_ticket(jsonb) OWNER TO other", "belongs to another role"),
        (
            "ALTER FUNCTION public.make_ticket(jsonb) OWNER TO maker; ALTER ROLE powerful SUPERUSER; GRANT powerful TO maker",
            "a superuser",
        ),
        ("REVOKE powerful FROM maker; DROP FUNCTION public.make_ticket(jsonb)", "does not exist"),
    ];
    for (place, (change, why)) in changes.into_iter().enumerate() {
        site.bench.run(change);
        let (event, _) = site.post(issue(place as i64)).event();
        assert_eq!(site.event(event, "state"), "failed", "{change}");
        let error = site.event(event, "error");
        assert!(error.contains("flow make_ticket cannot run") && error.contains(why), "{change}: {error}");
    }
    assert_eq!(site.tickets(), 0);
    // A function of somebody else that has the same name runs when it was deployed.
    site.create_function("make_ticket", "RETURN to_jsonb(current_user::text);");
    site.bench.run("ALTER FUNCTION public.make_ticket(jsonb) OWNER TO other");
    let (event, _) = site.post(issue(10)).event();
    assert_eq!(site.event(event, "state"), "failed");
    site.bench.run(&deploy);
    let answer = site.post(issue(11));
    assert_eq!(answer.event().1, "done");
    assert_eq!(site.latest_run("result"), json!("other"));
}

#[test]
fn a_flow_acts_as_the_owner_of_its_function_in_the_tenant_of_the_event() {
    let mut site = Site::new(cluster(), "acting");
    site.bench.run(
        "CREATE TABLE public.document (tenant text, title text); INSERT INTO public.document VALUES ('acme', 'ours'), ('globex', 'theirs');
         ALTER TABLE public.document ENABLE ROW LEVEL SECURITY;
         CREATE POLICY tenants ON public.document USING (tenant = hydra.current_tenant());
         GRANT SELECT ON public.document TO app;
         CREATE TABLE public.salary (amount int)",
    );
    site.deploy(
        "who",
        "RETURN jsonb_build_object('user', current_user, 'tenant', hydra.current_tenant(), 'path', current_setting('search_path'),
                                   'documents', (SELECT jsonb_agg(title) FROM document));",
        "",
    );
    assert_eq!(site.post(issue(1)).event().1, "done");
    let got = site.latest_run("result");
    assert_eq!((&got["user"], &got["tenant"], &got["documents"]), (&json!("app"), &json!("acme"), &json!(["ours"])));
    assert_eq!(got["path"], "pg_catalog, public, pg_temp");
    site.create_function("who", "PERFORM FROM public.salary; RETURN NULL;");
    let (event, _) = site.post(issue(2)).event();
    assert_eq!((site.event(event, "state"), site.event(event, "sqlstate")), ("failed".into(), "42501".into()));

    // The runner does it in the same way.
    site.create_function(
        "who",
        "RETURN jsonb_build_object('user', current_user, 'tenant', hydra.current_tenant(), 'path', current_setting('search_path'),
                                   'documents', (SELECT jsonb_agg(title) FROM document));",
    );
    site.hurry(event);
    site.wait_for_event(event, "state", "done");
    assert_eq!(site.latest_run("result"), got);
}
