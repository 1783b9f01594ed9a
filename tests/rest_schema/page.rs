//! The page about the API, for people with a browser.

use std::process::Command;

use testkit::{Bench, Gateway};

use crate::{cluster, install, key};

const HTML: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

struct Desk {
    bench: Bench<'static>,
    gateway: Gateway,
    key: String,
}

impl Desk {
    fn new(database: &str) -> Self {
        let mut bench = Bench::new(cluster(), database);
        install(&mut bench, "helpdesk");
        let key = key(&mut bench.client, "tickets:read,tickets:write,webhooks:read", "'lumen'");
        let gateway = Gateway::start(&bench);
        Self { bench, gateway, key }
    }

    /// Asks with curl; returns the status, the media type and the body.
    #[track_caller]
    fn curl(&self, path: &str, arguments: &[&str]) -> (u16, String, String) {
        let url = format!("{}{path}", self.gateway.url());
        let form = "\n%{http_code} %{content_type}";
        let answer = Command::new("curl").args(["--silent", "--write-out", form]).args(arguments).arg(&url).output();
        let answer = String::from_utf8(answer.expect("there is curl").stdout).expect("text");
        let (body, end) = answer.rsplit_once('\n').expect("what curl writes");
        let (status, kind) = end.split_once(' ').expect("a status and a type");
        (status.parse().expect("a status"), kind.to_owned(), body.to_owned())
    }
}

#[test]
fn a_browser_gets_a_page_and_a_program_links() {
    let desk = Desk::new("page_kinds");
    let bearer = format!("Authorization: Bearer {}", desk.key);
    for path in ["/api/v1", "/api/v1/"] {
        let (status, kind, page) = desk.curl(path, &["-H", &bearer, "-H", HTML]);
        assert_eq!((status, kind.as_str()), (200, "text/html; charset=utf-8"), "{page}");
        for part in [
            "API of page_kinds",
            "/tickets/{id}",
            "Questions that have to be answered",
            "tickets:write",
            "ticket.created",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("<script") && !page.contains("accounts"), "only what the key may do: {page}");
        assert!(!page.contains(&desk.key));
        let (status, kind, links) = desk.curl(path, &["-H", &bearer]);
        assert_eq!((status, kind.as_str()), (200, "application/json"), "{links}");
        assert!(links.contains("/api/v1/tickets"), "{links}");
    }
}

#[test]
fn without_a_key_a_browser_gets_a_page_that_is_the_same_for_all_and_leads_to_the_other() {
    let mut desk = Desk::new("page_begin");
    let (status, kind, begin) = desk.curl("/api/v1/", &["-H", HTML]);
    assert_eq!((status, kind.as_str()), (401, "text/html; charset=utf-8"));
    assert!(
        begin.contains("hydra.api_key_create") && begin.contains("curl") && !begin.contains("page_begin"),
        "{begin}"
    );
    let (status, kind, _) = desk.curl("/api/v1/", &[]);
    assert_eq!((status, kind.as_str()), (401, "application/problem+json"));

    let revoked = key(&mut desk.bench.client, "tickets:read", "'lumen'");
    desk.bench.run("SELECT hydra.api_key_revoke(max(id)) FROM hydra.api_keys");
    for wrong in ["", "key=x", &format!("key={revoked}")] {
        let form = ["-H", HTML, "-H", "Sec-Fetch-Site: same-origin", "--data", wrong];
        assert_eq!(desk.curl("/api/v1/", &form), (401, kind_of_page(), begin.clone()), "{wrong}");
    }
    let sent = format!("key={}", desk.key);
    let (status, kind, page) =
        desk.curl("/api/v1/", &["-H", HTML, "-H", "Sec-Fetch-Site: same-origin", "--data", &sent]);
    assert_eq!((status, kind), (200, kind_of_page()), "{page}");
    assert!(page.contains("/tickets/{id}") && !page.contains(&desk.key), "{page}");
    let (status, _, page) = desk.curl("/api/v1/", &["-H", HTML, "-H", "Sec-Fetch-Site: cross-site", "--data", &sent]);
    assert!(status == 403 && !page.contains("/tickets/{id}"), "{page}");
}

fn kind_of_page() -> String {
    "text/html; charset=utf-8".into()
}
