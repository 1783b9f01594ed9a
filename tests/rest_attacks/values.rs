//! Values of another type, and of a size that is no use but to do harm.

use crate::{World, attack};

#[test]
fn no_value_of_another_type_and_no_size_does_harm() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let many = |name: &str| format!("id[in]={}", vec![name; 101].join(","));
    let repeated = |name: &str| vec![name; 500].join("&");
    World::new("attack_values").withstands(vec![
        attack("an object is an operator", "POST", "tickets")
            .body(r#"{"subject": {"§": null}}"#)
            .values("$ne", "$no")
            .status(422),
        attack("true is a text", "POST", "tickets").body(r#"{"subject": §}"#).values("true", "false").status(422),
        attack("a text is a number", "PATCH", "tickets/1").body(r#"{"number": "§"}"#).values("77", "99").status(422),
        attack("a number beyond its type wraps around", "PATCH", "tickets/1")
            .body(r#"{"number": §}"#)
            .values("4294967373", "4294967395")
            .status(422),
        attack("a text with NUL ends there", "PATCH", "tickets/1")
            .body(r#"{"slug": "§\u0000"}"#)
            .values("theirs-7", "nobodys-7")
            .status(422),
        attack("half a character passes", "PATCH", "tickets/1")
            .body(r#"{"slug": "§\ud800"}"#)
            .values("theirs-7", "nobodys-7")
            .status(422),
        attack("a NUL in a path ends the id", "GET", "tickets/§%00").values("7007", "9999"),
        attack("a path that is not UTF-8 finds a row", "GET", "tickets/§%ff").values("7007", "9999"),
        attack("deep JSON ends the session", "PATCH", "tickets/1")
            .body(r#"{"details": §}"#)
            .values(deep(200_000), deep(100_000))
            .status(422),
        attack("a huge page is made", "GET", "tickets?limit=§").values("1000000000", "0").status(400),
        attack("a negative page is all of it", "GET", "tickets?limit=§").values("-1", "0").status(400),
        attack("a limit beyond every type is none", "GET", "tickets?limit=§")
            .values("99999999999999999999999", "0")
            .status(400),
        attack("a hundred values are too few", "GET", "tickets?§").values(many("7007"), many("9999")).status(422),
        attack("the last of many parameters counts", "GET", "tickets?§")
            .values(repeated("id=7007"), repeated("id=9999"))
            .status(400),
        attack("a long parameter is read", "GET", "tickets?slug=§")
            .values("a".repeat(9000), "b".repeat(9000))
            .status(422),
        attack("an order has more columns than there are", "GET", "tickets?sort=§")
            .values("id,id,id,id,id", "id,id")
            .status(400),
    ]);
}
