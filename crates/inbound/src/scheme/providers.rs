//! The schemes of known providers: the rows of `providers.json`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::Scheme;

static PROVIDERS: LazyLock<BTreeMap<&'static str, Scheme>> = LazyLock::new(|| {
    let rows: BTreeMap<&'static str, Value> =
        serde_json::from_str(include_str!("providers.json")).expect("names and schemes");
    let scheme = |name, row| Scheme::parse(&row).unwrap_or_else(|refusal| panic!("{name}: {refusal:?}"));
    rows.into_iter().map(|(name, row)| (name, scheme(name, row))).collect()
});

static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| PROVIDERS.keys().copied().collect());

pub fn find(name: &str) -> Option<&'static Scheme> {
    PROVIDERS.get(name)
}

pub fn names() -> &'static [&'static str] {
    &NAMES
}
