//! What is not taken, and what the mail server is told.

use testkit::refused;

use crate::{Office, Server, cluster, gateway, message};

#[test]
fn the_mail_server_is_told_whether_to_try_again() {
    let mut office = Office::new("refusals");
    let mut server = office.connect();
    assert_eq!(server.command("MAIL FROM:<ann@example.com>"), "250 2.1.0 OK");
    assert!(server.command("RCPT TO:<nobody@helpdesk.test>").starts_with("550 "));
    assert!(server.command("RCPT TO:<support@elsewhere.test>").starts_with("550 "));
    assert!(server.command("DATA").starts_with("503 "));
    office.bench.run("SELECT hydra.mail_channel_pause(id) FROM hydra.mail_channels");
    assert!(server.command("RCPT TO:<support@helpdesk.test>").starts_with("451 "));
    office.bench.run("SELECT hydra.mail_channel_resume(id) FROM hydra.mail_channels");
    assert!(server.command("RCPT TO:<support@helpdesk.test>").starts_with("250 "));
    office.bench.run("SELECT hydra.mail_channel_delete(id) FROM hydra.mail_channels");
    assert!(server.command("DATA").starts_with("354 "));
    server.send("Subject: x\r\n\r\nx\r\n.\r\n");
    assert!(server.reply().starts_with("550 "));
    assert_eq!(server.command("QUIT"), "221 2.0.0 Bye");
    assert!(server.is_closed());
}

#[test]
fn a_message_that_is_too_large_or_too_complex_is_refused_for_good() {
    let mut office = Office::new("large");
    let many = format!("Content-Type: multipart/mixed; boundary=x\r\n\r\n{}", "--x\r\n\r\n".repeat(1000));
    assert!(office.send(&many).starts_with("554 "));
    let small = gateway(cluster(), "large", &["--max-mail", "10kB"]);
    let mut server = Server::greet(&small.mail_address());
    assert!(server.command("MAIL FROM:<> SIZE=20000").starts_with("552 "));
    let replies = server.deliver("", &["support@helpdesk.test"], &message("", "big", &"x".repeat(20_000)));
    assert!(replies[0].starts_with("552 "), "{replies:?}");
    assert_eq!(server.deliver("", &["support@helpdesk.test"], &message("", "small", "x")), ["250 2.0.0 Taken"]);
    assert_eq!(office.count("desk.tickets"), 1);
}

#[test]
fn lines_with_other_ends_are_refused() {
    let mut office = Office::new("ends");
    for trick in ["x\n.\nMAIL FROM:<evil@example.com>\n", "x\r\n.\nRSET\r\n", "x\r.\r", "x\ny"] {
        let mut server = office.connect();
        server.begin("ann@example.com", &["support@helpdesk.test"]);
        server.send(format!("Subject: y\r\n\r\n{trick}\r\n.\r\n"));
        assert!(server.reply().starts_with("554 "), "{trick:?}");
        assert!(server.command("NOOP").starts_with("250 "), "{trick:?}");
    }
    let mut server = office.connect();
    assert!(server.command("NOOP\nNOOP").starts_with("500 "));
    assert!(server.is_closed());
    assert_eq!(office.count("desk.calls"), 0);
}

#[test]
fn commands_may_be_sent_at_once_and_are_limited() {
    let mut office = Office::new("commands");
    let mut server = office.connect();
    server.send("MAIL FROM:<>\r\nRCPT TO:<support@helpdesk.test>\r\nDATA\r\n");
    for expected in ["250", "250", "354"] {
        assert!(server.reply().starts_with(expected));
    }
    server.send("Subject: x\r\n\r\nfirst\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<support@helpdesk.test>\r\nRSET\r\nDATA\r\n");
    for expected in ["250 2.0.0 Taken", "250", "250", "250", "503"] {
        let reply = server.reply();
        assert!(reply.starts_with(expected), "{reply}");
    }
    assert!(Server::connect(&office.gateway.mail_address()).command("EHLO x").starts_with("500 "));
    assert!(server.command(&"x".repeat(5000)).starts_with("500 "));
    assert!(server.is_closed());
    let mut server = office.connect();
    let replies: Vec<_> =
        (0..30).map_while(|_| Some(server.command("BDAT 1 LAST")).filter(|reply| !reply.is_empty())).take(21).collect();
    assert!(replies.iter().all(|reply| reply.starts_with("500 ")) && server.is_closed());
    assert_eq!(office.count("desk.calls"), 1);
}

#[test]
fn a_channel_is_checked_when_it_is_made() {
    let mut office = Office::new("channels");
    let bench = &mut office.bench;
    for (arguments, code) in [
        ("NULL, 'desk.take'", "22023"),
        ("'support', 'desk.take'", "22023"),
        ("'a+b@helpdesk.test', 'desk.take'", "22023"),
        ("'support@helpdesk.test', 'desk.take'", "42710"),
        ("'a@helpdesk.test', 'desk.missing'", "42883"),
        ("'a@helpdesk.test', NULL", "42883"),
        ("'a@helpdesk.test', 'desk.take', trusted_server => 'a b'", "22023"),
        ("'a@helpdesk.test', 'desk.take', timeout => '1 min'", "22023"),
        ("'a@helpdesk.test', 'desk.take', tenant_id => ''", "22023"),
        ("'a@helpdesk.test', 'desk.take', adapter_id => 99", "42704"),
    ] {
        bench.refused(&format!("SELECT hydra.mail_channel_create({arguments})"), code);
    }
    bench.run("CREATE FUNCTION desk.powerful(message jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT message'");
    bench.refused("SELECT hydra.mail_channel_create('a@helpdesk.test', 'desk.powerful')", "42501");
    bench.refused("SELECT hydra.mail_channel_update(99)", "42704");
    bench.refused("SELECT hydra.mail_channel_delete(NULL)", "42704");
    bench.run("SELECT hydra.mail_channel_update(id, trusted_server => '', timeout => '3 s') FROM hydra.mail_channels");
    assert!(bench.ask::<bool>("SELECT trusted_server IS NULL AND timeout = '3 s' FROM hydra.mail_channels"));
    let mut admin = bench.session_of_new_role("mail_admin", &["hydra_admin"]);
    refused(&mut admin, "SELECT hydra.mail_channel_create('b@helpdesk.test', 'desk.take')", "42501");
}
