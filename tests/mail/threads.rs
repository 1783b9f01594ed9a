//! What leads to a thread, and who takes part in it.

use crate::{Office, PROVEN, message};

/// Returns the entity of the thread and what led to it, or the linked one.
fn thread(office: &mut Office, name: &str) -> (String, String) {
    let entity = office.told(&format!("{{{name},entity_id}}"));
    (entity, office.told(&format!("{{{name},found_by}}")))
}

fn found(id: &str, by: &str) -> (String, String) {
    (format!("\"{id}\""), format!("\"{by}\""))
}

/// Opens a ticket with a message of Ann, and returns its tag.
fn open(office: &mut Office) -> String {
    office.taken(&message(&format!("{PROVEN}Message-ID: <first@example.com>\r\n"), "printer", "It is broken."));
    office.bench.ask("SELECT hydra.mail_tag('ticket', (SELECT max(id) FROM desk.tickets)::text, 'acme')")
}

#[test]
fn a_tag_a_reply_address_and_a_known_message_lead_to_the_thread() {
    let mut office = Office::new("signals");
    let tag = open(&mut office);
    let (bench, none) = (&mut office.bench, "missing".to_owned());
    assert_eq!(bench.ask::<String>("SELECT hydra.mail_tag('ticket', '1', 'acme')"), tag);
    let other: String = bench.ask("SELECT hydra.mail_tag('ticket', '1')");
    assert!(tag.starts_with("[Ticket #") && tag.len() == 18 && other != tag, "{tag} {other}");
    let address: String = bench.ask("SELECT hydra.mail_reply_address('support@helpdesk.test', 'ticket', '1', 'acme')");
    bench.run("SELECT hydra.mail_sent('<sent@helpdesk.test>', 'ticket', '1', '{ann@example.com}', 'acme')");

    office.taken(&message(PROVEN, &format!("AW: {tag} printer"), "by its tag"));
    assert_eq!(thread(&mut office, "thread"), found("1", "subject"));
    office.taken(&message(&format!("{PROVEN}In-Reply-To: <sent@helpdesk.test>\r\n"), "Re: printer", "by our message"));
    assert_eq!(thread(&mut office, "thread"), found("1", "references"));
    office.taken(&message(&format!("{PROVEN}References: <x@y> <first@example.com>\r\n"), "Re: printer", "by her own"));
    assert_eq!(thread(&mut office, "thread"), found("1", "references"));
    let replies =
        office.connect().deliver("ann@example.com", &[&address], &message(PROVEN, "printer", "by its address"));
    assert_eq!(replies, ["250 2.0.0 Taken"]);
    assert_eq!(thread(&mut office, "thread"), found("1", "address"));
    assert_eq!(office.told("{verdict}").matches("true").count(), 3, "authenticated, participant, may_reopen");

    // Nothing leads to the thread of another tenant, and a changed address leads to none.
    office.taken(&message(PROVEN, &format!("Re: {other}"), "without a tenant"));
    assert_eq!(thread(&mut office, "thread"), (none.clone(), none.clone()));
    let forged = address.replace('@', "0@");
    office.connect().deliver("", &[&forged], &message(PROVEN, "printer", "by a forged address"));
    assert_eq!(thread(&mut office, "thread"), (none.clone(), none));
}

#[test]
fn another_tag_in_the_subject_says_more_than_the_references() {
    let mut office = Office::new("disagree");
    open(&mut office);
    office.taken(&message(PROVEN, "keyboard", "It is broken too."));
    let second: String = office.bench.ask("SELECT hydra.mail_tag('ticket', '2', 'acme')");
    office.taken(&message(&format!("{PROVEN}References: <first@example.com>\r\n"), &format!("Re: {second}"), "Hello"));
    assert_eq!(thread(&mut office, "thread"), found("2", "subject"));
    assert!(office.told("{verdict,reasons}").contains("different threads"));
}

#[test]
fn a_stranger_with_the_tag_opens_a_new_ticket() {
    let mut office = Office::new("stranger");
    let tag = open(&mut office);
    let eve = "Authentication-Results: mx.helpdesk.test; dmarc=pass\r\n";
    let stranger = message(eve, &format!("Re: {tag}"), "Let me in").replace("ann@example.com", "eve@evil.test");
    office.taken(&stranger);
    assert_eq!(office.told("{thread}"), "null");
    assert_eq!(thread(&mut office, "linked"), found("1", "subject"));
    assert_eq!(
        (office.told("{verdict,participant}"), office.told("{verdict,may_reopen}")),
        ("false".into(), "false".into())
    );
    let kept: String = office.bench.ask(
        "SELECT jsonb_build_array(entity_id, linked_entity_id, found_by)::text FROM hydra.mail_messages ORDER BY id DESC LIMIT 1");
    assert_eq!(kept, r#"["2", "1", "subject"]"#);
    // Ann is no participant of the ticket of the stranger either.
    let second: String = office.bench.ask("SELECT hydra.mail_tag('ticket', '2', 'acme')");
    office.taken(&message(PROVEN, &second, "What is this?"));
    assert_eq!(office.told("{verdict,participant}"), "false");
}

#[test]
fn a_sender_who_is_not_proven_takes_part_and_may_reopen_nothing() {
    let mut office = Office::new("unproven");
    let tag = open(&mut office);
    for fields in [
        "",
        "Authentication-Results: mx.evil.test; dmarc=pass\r\n",
        "Authentication-Results: mx.helpdesk.test; dmarc=fail\r\n",
    ] {
        office.taken(&message(fields, &format!("Re: {tag}"), fields.trim()));
        assert_eq!(thread(&mut office, "thread"), found("1", "subject"));
        assert_eq!(office.told("{verdict,authenticated}"), "false", "{fields}");
        assert_eq!(office.told("{verdict,may_reopen}"), "false", "{fields}");
    }
}

#[test]
fn messages_of_programs_may_reopen_nothing_and_our_own_are_ignored() {
    let mut office = Office::new("programs");
    let tag = open(&mut office);
    for fields in ["Auto-Submitted: auto-replied\r\n", "Precedence: bulk\r\n", "List-Id: <x.example.com>\r\n"] {
        office.taken(&message(&format!("{PROVEN}{fields}"), &format!("Re: {tag}"), fields.trim()));
        assert_eq!(
            (office.told("{verdict,automatic}"), office.told("{verdict,may_reopen}")),
            ("true".into(), "false".into())
        );
    }
    let bounce = office.connect().deliver(
        "",
        &["support@helpdesk.test"],
        &message(PROVEN, &format!("Re: {tag}"), "Undelivered"),
    );
    assert_eq!((bounce[0].as_str(), office.told("{verdict,automatic}").as_str()), ("250 2.0.0 Taken", "true"));
    let calls = office.count("desk.calls");
    office.bench.run("SELECT hydra.mail_sent('<own@helpdesk.test>', 'ticket', '1', NULL, 'acme')");
    office.taken(&message(&format!("{PROVEN}Message-ID: <own@helpdesk.test>\r\n"), &tag, "our own"));
    assert_eq!(office.count("desk.calls"), calls);
    assert_eq!(office.count("hydra.mail_messages WHERE state = 'ignored'"), 1);
}

#[test]
fn a_thread_is_reopened_five_times_an_hour_at_most() {
    let mut office = Office::new("loop");
    let tag = open(&mut office);
    for round in 1..=7 {
        office.taken(&message(PROVEN, &format!("Re: {tag}"), &format!("round {round}")));
        assert_eq!(office.told("{verdict,may_reopen}"), (round <= 5).to_string(), "{round}");
    }
    assert_eq!(office.count("hydra.mail_messages WHERE reopened"), 5);
}

#[test]
fn who_guesses_tags_gets_no_more_answers() {
    let mut office = Office::new("guesses");
    let tag = open(&mut office);
    let guesses: String = (0..10).map(|digit| format!("[#0000000{digit}]")).collect();
    for part in ["one", "two"] {
        office.taken(&message(PROVEN, &guesses, part));
    }
    office.taken(&message(PROVEN, &format!("Re: {tag}"), "found"));
    assert_eq!(office.told("{thread}"), "null");
    assert!(office.told("{verdict,reasons}").contains("tags that lead to no thread"));
}

#[test]
fn wrong_arguments_of_threads_are_refused() {
    let mut office = Office::new("arguments");
    let bench = &mut office.bench;
    for (call, code) in [
        ("mail_tag(NULL, '1')", "22023"),
        ("mail_tag('ticket', '')", "22023"),
        ("mail_tag('ticket', '1', label => 'a]')", "22023"),
        ("mail_tag('ticket', '1', '')", "22023"),
        ("mail_reply_address('other@helpdesk.test', 'ticket', '1')", "42704"),
        ("mail_sent(NULL, 'ticket', '1', NULL)", "22023"),
        ("mail_sent('no brackets', 'ticket', '1', NULL)", "22023"),
        ("mail_sent('<1@x>', 'ticket', '1', '{Ann}')", "22023"),
        ("mail_sent('<1@x>', 'ticket', '1', '{NULL}')", "22023"),
    ] {
        bench.refused(&format!("SELECT hydra.{call}"), code);
    }
}

#[test]
fn what_is_emitted_for_a_message_counts_as_caused_by_it() {
    let mut office = Office::new("hops");
    office.bench.subscribe("/desk", "ticket.created", &[]);
    office.bench.run(
        "CREATE OR REPLACE FUNCTION desk.take(message jsonb) RETURNS jsonb LANGUAGE sql AS
         $$ SELECT jsonb_build_object('event', hydra.webhook_emit('ticket.created', '{\"id\": 1}')) $$",
    );
    office.taken(&message("", "printer", "It is broken."));
    assert_eq!(office.bench.wait_for("/desk", 1)[0].header("X-Hydra-Hops"), Some("1"));
}

#[test]
fn a_message_whose_ids_have_control_characters_is_taken_without_these_ids() {
    let mut office = Office::new("control_characters");
    office.taken(&message(
        "Message-ID: <a\0b@example.com>\r\nIn-Reply-To: <c\x01@example.com> <d@example.com>\r\nReferences: <e\x7f@example.com>\r\n",
        "printer",
        "It is broken.",
    ));
    assert_eq!(office.told("{message_id}"), "null");
}
