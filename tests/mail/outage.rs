//! The database, or the gateway, ends while a message is handed over.

use testkit::{Bench, Cluster, PATIENCE, StopMode, free_port, wait_until};

use crate::{APPLICATION, Server, gateway, lmtp, message, prepare};

#[test]
fn a_message_during_which_the_database_ends_is_taken_later_and_once() {
    let cluster = Cluster::start(&[]);
    let mut bench = Bench::new(&cluster, "outage");
    prepare(&cluster);
    bench.run(APPLICATION);
    let gateway = gateway(&cluster, "outage", &[]);
    let raw = message("Message-ID: <1@example.com>\r\n", "printer", "It is broken.");
    let mut server = Server::greet(&gateway.mail_address());
    server.begin("ann@example.com", &["support@helpdesk.test"]);
    let (first, second) = raw.split_at(raw.len() / 2);
    server.send(first);
    drop(bench);
    cluster.stop(StopMode::Immediate);
    server.send(second);
    server.send(".\r\n");
    let reply = server.reply();
    assert!(reply.starts_with("451 "), "{reply}");
    assert!(server.command("MAIL FROM:<>").starts_with("250 "));
    assert!(server.command("RCPT TO:<support@helpdesk.test>").starts_with("451 "));
    cluster.start_again();
    wait_until("the message is taken", PATIENCE, || {
        let mut server = Server::greet(&gateway.mail_address());
        server.command("MAIL FROM:<ann@example.com>");
        server.command("RCPT TO:<support@helpdesk.test>").starts_with("250 ")
    });
    let deliver =
        |server: &mut lmtp::Server| server.deliver("ann@example.com", &["support@helpdesk.test"], &raw).remove(0);
    let mut server = Server::greet(&gateway.mail_address());
    assert_eq!([deliver(&mut server), deliver(&mut server)], ["250 2.0.0 Taken"; 2]);
    let mut client = cluster.connect("outage");
    assert_eq!(testkit::ask::<i64>(&mut client, "SELECT count(*) FROM desk.tickets"), 1);
}

#[test]
fn the_gateway_of_the_server_takes_mail_where_the_settings_say() {
    let [first, second] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let cluster = Cluster::start(&[
        ("hydra_webhooks.listen", "127.0.0.1:0"),
        ("hydra_webhooks.lmtp_listen", &first),
        ("hydra_webhooks.max_mail", "1MB"),
    ]);
    let mut bench = Bench::new(&cluster, "supervised");
    prepare(&cluster);
    bench.run(APPLICATION);
    let is_taken = |address: &str| {
        if std::net::TcpStream::connect(address).is_err() {
            return false;
        }
        let mut server = Server::greet(address);
        server.command("MAIL FROM:<>");
        server.command("RCPT TO:<support@helpdesk.test>").starts_with("250 ")
    };
    wait_until("mail is taken", PATIENCE, || is_taken(&first));
    let mut server = Server::connect(&first);
    assert_eq!(server.command("LHLO x"), "250 SIZE 1048576");
    cluster.set(&[("hydra_webhooks.lmtp_listen", &second)]);
    wait_until("mail is taken at the new address", PATIENCE, || is_taken(&second));
    wait_until("none is taken at the former one", PATIENCE, || std::net::TcpStream::connect(&first).is_err());
}
