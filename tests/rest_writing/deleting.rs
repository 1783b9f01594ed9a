//! DELETE removes a row.

use serde_json::json;

use crate::Shop;

#[test]
fn a_row_is_removed_once() {
    let mut shop = Shop::new("removed");
    shop.ticket(r#"{"subject": "x"}"#);
    let removed = shop.delete("/api/v1/tickets/1");
    assert_eq!((removed.status, removed.body.as_str(), removed.header("content-type")), (204, "", None));
    assert_eq!(shop.tickets(), 0);
    assert_eq!(shop.delete("/api/v1/tickets/1").status, 404);
}

#[test]
fn a_row_that_others_refer_to_is_not_removed_and_nothing_is_said_about_them() {
    let mut shop = Shop::new("referred");
    shop.bench.run("GRANT ALL ON public.account TO shop");
    shop.expose("things", "public.account", "id,tenant_id,name", "name", "name");
    shop.ticket(r#"{"subject": "x", "account_id": 1}"#);
    let refused = shop.delete("/api/v1/things/1");
    assert_eq!((refused.status, &refused.json()["code"], refused.errors().len()), (409, &json!("23503"), 0));
    for leaked in ["ticket", "fkey", "account"] {
        assert!(!refused.body.contains(leaked), "{refused:?}");
    }
    assert_eq!(shop.delete("/api/v1/things/2").status, 204);
}

/// Rows are often marked instead of deleted, by a trigger that returns NULL.
#[test]
fn a_trigger_may_mark_a_row_instead_of_deleting_it() {
    let mut shop = Shop::new("marked");
    shop.bench.run(
        "CREATE FUNCTION public.mark() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN UPDATE public.ticket SET status = 'closed' WHERE id = OLD.id; RETURN NULL; END $$;
         CREATE TRIGGER mark BEFORE DELETE ON public.ticket FOR EACH ROW EXECUTE FUNCTION public.mark()",
    );
    shop.ticket(r#"{"subject": "x"}"#);
    assert_eq!(shop.delete("/api/v1/tickets/1").status, 204);
    assert_eq!(shop.bench.ask::<String>("SELECT status FROM public.ticket"), "closed");
}
