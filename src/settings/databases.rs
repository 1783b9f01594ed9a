//! Reads `hydra_webhooks.databases`: which databases are served, by patterns of their names.

/// The databases that are served. An empty list of included patterns includes all.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Databases {
    included: Vec<String>,
    excluded: Vec<String>,
}

impl Databases {
    /// Reads the whole setting: patterns separated by commas, with any spaces around them. `!` begins one of names that are
    /// excluded. An error is the reason.
    pub fn parse(setting: &str) -> Result<Self, String> {
        let mut databases = Self::default();
        if setting.trim().is_empty() {
            return Ok(databases);
        }
        for entry in setting.split(',').map(str::trim) {
            let (patterns, pattern) = match entry.strip_prefix('!') {
                Some(pattern) => (&mut databases.excluded, pattern.trim_start()),
                None => (&mut databases.included, entry),
            };
            if pattern.is_empty() {
                return Err(format!("\"{entry}\" is no pattern of a name, such as app_* or !test_*."));
            }
            patterns.push(pattern.to_owned());
        }
        Ok(databases)
    }

    /// Returns whether the database of this name is served.
    pub fn include(&self, name: &str) -> bool {
        let matches = |patterns: &[String]| patterns.iter().any(|pattern| is_like(name, pattern));
        (self.included.is_empty() || matches(&self.included)) && !matches(&self.excluded)
    }
}

/// Whether a name matches a pattern, in which `*` stands for any text and `?` for any character.
fn is_like(name: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<char>, Vec<char>) = (name.chars().collect(), pattern.chars().collect());
    let (mut at, mut next) = (0, 0);
    // After the latest `*`: its place, and where in the name the text after it is tried.
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(next) {
            Some('*') => {
                star = Some((next, at));
                next += 1;
            }
            Some(&c) if c == '?' || c == name[at] => (at, next) = (at + 1, next + 1),
            _ => {
                let Some((place, from)) = star else { return false };
                star = Some((place, from + 1));
                (at, next) = (from + 1, place + 1);
            }
        }
    }
    pattern[next..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn include(setting: &str, name: &str) -> bool {
        Databases::parse(setting).expect("patterns").include(name)
    }

    #[test]
    fn without_patterns_all_databases_are_served() {
        assert!(include("", "app") && include("  ", "test_1"));
    }

    #[test]
    fn patterns_include_and_exclude_in_any_order() {
        for setting in ["app*, !*_test", "!*_test,app*"] {
            assert!(include(setting, "app") && include(setting, "app_2"), "{setting}");
            assert!(!include(setting, "app_test") && !include(setting, "other"), "{setting}");
        }
        assert!(include("!test_*", "app") && !include("!test_*", "test_app"));
    }

    #[test]
    fn a_pattern_matches_the_whole_name() {
        assert!(include("a*b?c", "abxc") && include("a*b?c", "a--b-b!c") && include("*", "ä") && include("?", "ä"));
        assert!(!include("a*b?c", "abc") && !include("app", "app2") && !include("app", "App") && !include("?", ""));
        assert!(include("**", "") && include("*a", "banana") && !include("*b", "banana"));
    }

    #[test]
    fn an_entry_without_a_name_is_refused() {
        for setting in ["a,,b", ",", "!", "app, ! "] {
            assert!(Databases::parse(setting).expect_err(setting).contains("is no pattern"));
        }
    }
}
