//! The page about schemes says what the schemes say.

use super::*;
use crate::scheme::{Coded, Signature};

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/inbound-schemes.md");
    std::fs::read_to_string(path).expect("the page is there")
}

fn window(scheme: &Scheme) -> String {
    match (&scheme.timestamp, &scheme.signature) {
        (Some(timestamp), _) => format!("{} s", timestamp.tolerance),
        (None, Some(Signature::Coded(Coded::Mailgun))) => "300 s".to_owned(),
        (None, _) => "none".to_owned(),
    }
}

#[test]
fn the_page_lists_each_provider_with_its_window_and_whether_it_retries() {
    let page = page();
    for name in Scheme::provider_names() {
        let scheme = provider(name);
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` | ")) && line.ends_with(" s |"));
        let cells: Vec<&str> =
            row.unwrap_or_else(|| panic!("{name} is missing")).trim_matches('|').split(" | ").collect();
        let retries = if scheme.retries { "yes" } else { "no" };
        let budget = format!("{} s |", scheme.budget_ms / 1000);
        assert_eq!(cells[2], window(&scheme), "{name}");
        assert_eq!((cells[4], cells[5].trim()), (retries, budget.trim_end_matches(" |")), "{name}");
    }
}

#[test]
fn the_schemes_on_the_page_are_valid_and_that_of_stripe_is_the_one_in_use() {
    let page = page();
    let schemes: Vec<Scheme> = page
        .split("```json")
        .skip(1)
        .map(|rest| {
            let json = rest.split("```").next().expect("its end");
            Scheme::parse(&serde_json::from_str(json).expect("JSON")).unwrap_or_else(|refusal| panic!("{refusal:?}"))
        })
        .collect();
    assert_eq!(schemes.len(), 3);
    assert_eq!(schemes[0], provider("stripe"));
}
