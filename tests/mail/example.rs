//! The inbox of the helpdesk in `examples/`.

use crate::{Office, PROVEN, message};

/// Waits for so many events in all, and returns their types.
#[track_caller]
fn events(office: &Office, count: usize) -> String {
    let requests = office.bench.wait_for("/desk", count);
    let types: Vec<&str> = requests.iter().filter_map(|request| request.header("X-Hydra-Event")).collect();
    types.join(" ")
}

#[test]
fn a_reply_is_appended_to_the_ticket_and_opens_it_again() {
    let mut office = Office::new("helpdesk");
    let bench = &mut office.bench;
    bench.run(include_str!("../../examples/helpdesk.sql"));
    bench.run(
        "INSERT INTO helpdesk.tenants VALUES ('acme', 'Acme');
         SELECT hydra.mail_channel_create('help@acme.test', 'helpdesk.take_mail', tenant_id => 'acme', trusted_server => 'mx.helpdesk.test')",
    );
    // One after the other, in their order.
    let more = ["tenant_id => 'acme'", "max_in_flight => 1"];
    bench.subscribe("/desk", "ticket.created,ticket.status_changed", &more);
    let send = |office: &Office, message: &str| {
        assert_eq!(office.connect().deliver("ann@example.com", &["help@acme.test"], message), ["250 2.0.0 Taken"]);
    };
    send(&office, &message(PROVEN, "Printer", "It is broken."));
    assert_eq!(events(&office, 1), "ticket.created");
    let tag: String = office.bench.ask("SELECT hydra.mail_tag('ticket', id::text, 'acme') FROM helpdesk.tickets");
    office.bench.run("UPDATE helpdesk.tickets SET status = 'waiting'");
    assert_eq!(events(&office, 2), "ticket.created ticket.status_changed");

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
    // One for the agent, and one for this reply.
    assert_eq!(events(&office, 3), "ticket.created ticket.status_changed ticket.status_changed");
    let replies: String = office.bench.ask("SELECT string_agg(body, '|' ORDER BY id) FROM helpdesk.replies");
    assert_eq!(replies, "It is broken.|Close it.|It still is.");

    // A stranger opens another ticket, and a program opens none.
    send(&office, &message("", &format!("Re: {tag}"), "Me too").replace("ann@example.com", "eve@evil.test"));
    send(&office, &message("Auto-Submitted: auto-replied\r\n", "Out of office", "I am away"));
    assert_eq!(office.count("helpdesk.tickets"), 2);
    assert!(events(&office, 4).ends_with(" ticket.created"));
    office.bench.wait_for_empty_queue();
    assert_eq!(office.bench.receiver.received("/desk"), 4);
}
