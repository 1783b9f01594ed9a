//! Finds out which keys of an entity have changed.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// An object with the text of each value.
type Texts<'a> = BTreeMap<String, &'a RawValue>;

/// Returns the keys with another value, or without one, in one of two JSON texts, in alphabetical order. Values are the
/// same if their texts are, because both were rendered in the same way. Returns `None` if one of the two is not an object.
pub fn changed(previous: &str, entity: &str) -> Option<Vec<String>> {
    let [mut previous, entity]: [Texts<'_>; 2] =
        [serde_json::from_str(previous).ok()?, serde_json::from_str(entity).ok()?];
    let mut keys = Vec::new();
    for (key, now) in entity {
        let before = previous.remove(&key);
        if before.is_none_or(|before| before.get() != now.get()) {
            keys.push(key);
        }
    }
    keys.extend(previous.into_keys());
    keys.sort_unstable();
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_changed_if_the_text_of_their_values_is() {
        let previous = r#"{"a":1,"same":"\ud800","n":1.50,"o":{"x":[1]},"gone":null}"#;
        let entity = r#"{"o":{"x":[1,2]},"n":1.5,"same":"\ud800","a":1,"new":1e400}"#;
        let expected = ["gone", "n", "new", "o"].map(str::to_owned).to_vec();
        assert_eq!(changed(previous, entity), Some(expected));
        assert_eq!(changed(previous, previous), Some(Vec::new()));
    }

    #[test]
    fn deep_values_are_compared_too() {
        let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert_eq!(changed(&deep(100_000), &deep(100_001)), Some(vec!["a".to_owned()]));
    }

    #[test]
    fn without_two_objects_nothing_is_known() {
        for (previous, entity) in [("null", "{}"), ("{}", "null"), ("[]", "[]")] {
            assert_eq!(changed(previous, entity), None);
        }
    }
}
