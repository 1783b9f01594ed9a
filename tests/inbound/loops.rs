//! Loops of webhooks and adapters.

use crate::Door;

#[test]
fn a_loop_of_two_adapters_ends_after_five_hops_and_says_so() {
    let mut door = Door::open("loops");
    let there = door.adapter("'\"ticket.updated\"'");
    let back = door.adapter("'\"ticket.created\"'");
    for (adapter, event) in [(&there, "ticket.created"), (&back, "ticket.updated")] {
        let url = format!("http://{}{}", door.gateway.address, adapter.path);
        testkit::subscribe(&mut door.bench.client, &url, event, &[]);
    }
    door.bench.emit_ticket(1);
    door.wait_for_events(&back, "hops", "1,3,5");
    door.wait_for_events(&there, "hops", "0,2,4");
    door.bench.wait_for_empty_queue();
    let loops = "SELECT string_agg(hops || ' ' || state, ',') FROM hydra.inbound_events WHERE reason ^@ 'loop: '";
    assert_eq!(door.bench.ask::<String>(loops), "5 unmatched");
    assert_eq!(door.bench.ask::<i64>("SELECT count(*) FROM hydra.webhook_failed"), 0);
    assert_eq!(
        door.bench.ask::<i64>(&format!("SELECT hydra.inbound_replay({})", back.id)),
        2,
        "the loop is not replayed"
    );
}

#[test]
fn what_a_trigger_emits_while_an_event_is_processed_has_its_hops_too() {
    let mut door = Door::with_flow("trigger_hops");
    door.bench.subscribe("/out", "article.published", &[]);
    door.bench.run(
        "CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
         BEGIN PERFORM hydra.webhook_emit('article.published', '{\"id\": 1}'); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON public.effect DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION public.tell()",
    );
    let adapter = door.adapter("'\"ticket.created\"'");
    for (hops, expected) in [("2", "3"), ("none", "1"), ("-1", "1"), ("", "1")] {
        assert_eq!(door.post(&adapter, &[("x-hydra-hops", hops)], "{}").status, 200);
        let sent = door.bench.wait_for("/out", 1);
        assert_eq!(sent[0].header("x-hydra-hops"), Some(expected), "{hops}");
        door.bench.receiver.clear();
    }
    let answer = door.post(&adapter, &[("x-hydra-hops", "99999999999999999999")], "{}");
    assert_eq!((answer.status, crate::states(&answer)), (200, vec!["unmatched".to_owned()]));
    door.bench.run("INSERT INTO public.effect (entity) VALUES ('{}')");
    assert_eq!(door.bench.wait_for("/out", 1)[0].header("x-hydra-hops"), None);
    assert_eq!(door.effects().len(), 5);
}
