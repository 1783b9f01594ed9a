//! The inbox of the helpdesk in `examples/`.

use crate::{Office, PROVEN, message};

#[test]
fn a_reply_is_appended_to_the_ticket_and_opens_it_again() {
    let mut office = Office::new("helpdesk");
    let bench = &mut office.bench;
    bench.run(include_str!("../../examples/helpdesk.sql"));
    bench.run(
        "INSERT INTO helpdesk.tenants VALUES ('acme', 'Acme');
         SELECT hydra.mail_channel_create('help@acme.test', 'helpdesk.take_mail', tenant_id => 'acme', trusted_server => 'mx.helpdesk.test');
         SELECT hydra.webhook_create('https://example.com', '{ticket.created,ticket.status_changed}', tenant_id => 'acme')",
    );
    let send = |office: &Office, message: &str| {
        assert_eq!(office.connect().deliver("ann@example.com", &["help@acme.test"], message), ["250 2.0.0 Taken"]);
    };
    let events = |office: &mut Office| -> String {
        office.bench.ask("SELECT string_agg(event_type, ' ' ORDER BY id) FROM hydra.event")
    };
    send(&office, &message(PROVEN, "Printer", "It is broken."));
    assert_eq!(events(&mut office), "ticket.created");
    let tag: String = office.bench.ask("SELECT hydra.mail_tag('ticket', id::text, 'acme') FROM helpdesk.tickets");
    office
        .bench
        .run("DELETE FROM hydra.event; UPDATE helpdesk.tickets SET status = 'waiting'; DELETE FROM hydra.event");

    // Perhaps not by Ann: it is kept, and opens nothing.
    send(&office, &message("", &format!("Re: {tag} Printer"), "Close it."));
    assert_eq!(office.bench.ask::<String>("SELECT status FROM helpdesk.tickets"), "waiting");
    send(
        &office,
        &message(
            PROVEN,
            &format!("Re: {tag} Printer"),
            "It still is.\n\nOn Tuesday 3 November, Bob <help@acme.test> wrote:\n> Is it?",
        ),
    );
    assert_eq!(office.bench.ask::<String>("SELECT status FROM helpdesk.tickets"), "open");
    assert_eq!(events(&mut office), "ticket.status_changed");
    let replies: String = office.bench.ask("SELECT string_agg(body, '|' ORDER BY id) FROM helpdesk.replies");
    assert_eq!(replies, "It is broken.|Close it.|It still is.");

    // A stranger opens another ticket, and a program opens none.
    send(&office, &message("", &format!("Re: {tag}"), "Me too").replace("ann@example.com", "eve@evil.test"));
    send(&office, &message("Auto-Submitted: auto-replied\r\n", "Out of office", "I am away"));
    assert_eq!(office.count("helpdesk.tickets"), 2);
}
