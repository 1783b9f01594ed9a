//! Postfix, with a configuration and a queue of its own in a directory of the test, hands messages over to the gateway.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use testkit::{Bench, Cluster, PATIENCE, StopMode, wait_until};

use crate::{APPLICATION, gateway, message, prepare};

const MASTER: &str = "/usr/lib/postfix/sbin/master";

fn messages() -> usize {
    testkit::number("HYDRA_MESSAGES").unwrap_or(12) as usize
}

struct Postfix {
    master: Child,
    directory: PathBuf,
    port: u16,
}

impl Postfix {
    /// Starts Postfix, which hands all messages over to this address. It tries again every few seconds.
    fn start(directory: &Path, lmtp: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = directory.join("postfix");
        let place = directory.display();
        for part in ["", "queue", "data"] {
            fs::create_dir_all(directory.join(part)).unwrap();
        }
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {place}/queue\ndata_directory = {place}/data\n\
             maillog_file_prefixes = {place}\nmaillog_file = {place}/log\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
             myhostname = mx.helpdesk.test\nmydestination =\nmynetworks = 127.0.0.0/8\nalias_maps =\nlocal_recipient_maps =\n\
             virtual_mailbox_domains = helpdesk.test\nvirtual_mailbox_maps = static:x\nvirtual_transport = lmtp:inet:{lmtp}\n\
             smtpd_recipient_restrictions = permit_mynetworks,reject\nsmtp_dns_support_level = disabled\n\
             queue_run_delay = 2s\nminimal_backoff_time = 3s\nmaximal_backoff_time = 4s\nlmtp_connection_cache_on_demand = no\n"
        );
        let services = format!(
            "127.0.0.1:{port} inet n - n - - smtpd\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
             rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
             trace unix - - n - 0 bounce\nproxymap unix - - n - - proxymap\nlmtp unix - - n - - lmtp\nerror unix - - n - - error\n\
             retry unix - - n - - error\nanvil unix - - n - 1 anvil\nscache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n"
        );
        fs::write(directory.join("main.cf"), main).unwrap();
        fs::write(directory.join("master.cf"), services).unwrap();
        // Its processes have users of their own, who have to reach the directory.
        let mut above = Some(directory.as_path());
        while let Some(path) = above.filter(|path| *path != Path::new("/tmp") && path.parent().is_some()) {
            let mode = fs::metadata(path).unwrap().permissions().mode();
            let _ = fs::set_permissions(path, fs::Permissions::from_mode(mode | 0o011));
            above = path.parent();
        }
        let run = |program: &str, arguments: &[&str]| {
            let status = Command::new(program).args(arguments).env("MAIL_CONFIG", &directory).status();
            assert!(status.unwrap_or_else(|error| panic!("{program}: {error}")).success(), "{program} {arguments:?}");
        };
        run("chown", &["postfix", &format!("{place}/data")]);
        run("postfix", &["-c", &place.to_string(), "check"]);
        let master = Command::new(MASTER).args(["-c", &place.to_string(), "-d"]).spawn().expect("Postfix starts");
        let postfix = Self { master, directory: directory.clone(), port };
        wait_until("Postfix listens", PATIENCE, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        postfix
    }

    /// Sends a message, as any mail program does.
    fn send(&self, message: &str) {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("Postfix listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut stream = BufReader::new(stream);
        let ask = |stream: &mut BufReader<TcpStream>, text: &str| {
            stream.get_mut().write_all(text.as_bytes()).unwrap();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if line.as_bytes().get(3) != Some(&b'-') {
                    return line;
                }
            }
        };
        let whole = format!("{message}\r\n.\r\n");
        for (text, expected) in [
            ("", "220"),
            ("EHLO client.test\r\n", "250"),
            ("MAIL FROM:<ann@example.com>\r\n", "250"),
            ("RCPT TO:<support@helpdesk.test>\r\n", "250"),
            ("DATA\r\n", "354"),
            (&whole, "250"),
            ("QUIT\r\n", "221"),
        ] {
            let reply = ask(&mut stream, text);
            assert!(reply.starts_with(expected), "{text}: {reply} {}", self.log());
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    fn waiting(&self) -> usize {
        let files = |queue: &str| walk(&self.directory.join("queue").join(queue));
        ["incoming", "active", "deferred"].into_iter().map(files).sum()
    }
}

fn walk(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { 1 }).sum()
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of Postfix: {}", self.log());
        }
        let _ = Command::new("/bin/kill").args(["-TERM", &self.master.id().to_string()]).status();
        let _ = self.master.wait();
    }
}

#[test]
fn postfix_keeps_what_the_database_could_not_take() {
    // Its master process starts as root only.
    if !Path::new(MASTER).exists() || !rustix::process::geteuid().is_root() {
        println!("skipped: it needs Postfix, and root to start it");
        return;
    }
    let (cluster, messages) = (Cluster::start(&[]), messages());
    let mut bench = Bench::new(&cluster, "postfix");
    prepare(&cluster);
    bench.run(APPLICATION);
    let gateway = gateway(&cluster, "postfix", &[]);
    let postfix = Postfix::start(cluster.directory(), &gateway.mail_address());
    let send = |range: std::ops::Range<usize>| {
        range.for_each(|number| {
            postfix.send(&message(
                &format!("Message-ID: <{number}@example.com>\r\n"),
                &format!("ticket {number}"),
                "Hello",
            ))
        });
    };
    let tickets =
        |client: &mut postgres::Client| testkit::ask::<i64>(client, "SELECT count(*) FROM desk.tickets") as usize;
    send(0..messages / 3);
    wait_until("some messages are taken", PATIENCE, || tickets(&mut bench.client) > 0);
    drop(bench);
    // Some are being handed over now, and the rest comes when there is no database.
    let sender = std::thread::scope(|scope| {
        let sending = scope.spawn(|| send(messages / 3..messages * 2 / 3));
        cluster.stop(StopMode::Immediate);
        sending.join()
    });
    sender.expect("all were sent");
    send(messages * 2 / 3..messages);
    wait_until("Postfix keeps a message", PATIENCE, || postfix.waiting() > 0);
    cluster.start_again();
    let mut client = cluster.connect("postfix");
    wait_until("all are taken", PATIENCE, || tickets(&mut client) >= messages && postfix.waiting() == 0);
    let each: i64 = testkit::ask(&mut client, "SELECT count(DISTINCT subject) FROM desk.tickets");
    assert_eq!((each as usize, tickets(&mut client)), (messages, messages));
}
