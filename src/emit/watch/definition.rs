//! What a trigger says of the events that it emits.
//!
//! All of it stands in the trigger's own arguments, so that a dump carries it and nothing has to be looked up: first
//! the event type, then names with their values. `hydra.webhook_watch` writes them; people may write them as well.

/// The arguments of a trigger, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    pub event: String,
    /// SQL expressions over `old` and `new`.
    pub expressions: Expressions,
    /// Fires only for an UPDATE that sets one of them; none: for any.
    pub columns: Vec<String>,
    /// Where names in the expressions are looked up; none: where the session looks.
    pub search_path: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expressions {
    /// Which rows have an event.
    pub condition: Option<String>,
    /// `jsonb`; none: the row.
    pub entity: Option<String>,
    /// Text; none: the `tenant_id` of the entity or of the row.
    pub tenant: Option<String>,
}

impl Expressions {
    pub fn is_empty(&self) -> bool {
        self.each().next().is_none()
    }

    /// Those that are given, with what each is.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [("condition", &self.condition), ("entity", &self.entity), ("tenant", &self.tenant)];
        all.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)))
    }
}

impl Definition {
    /// `None` where they are not what a trigger can be given.
    pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut arguments = arguments.into_iter();
        let mut definition = Self { event: arguments.next()?.to_owned(), ..Self::default() };
        while let Some(name) = arguments.next() {
            let value = arguments.next()?.to_owned();
            let place = match name {
                "condition" => &mut definition.expressions.condition,
                "entity" => &mut definition.expressions.entity,
                "tenant" => &mut definition.expressions.tenant,
                "search_path" => &mut definition.search_path,
                "column" => {
                    definition.columns.push(value);
                    continue;
                }
                _ => return None,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        Some(definition)
    }

    /// Whether a trigger FOR EACH ROW can have it. For a condition and for columns that has clauses of its own.
    pub fn suits_row_level(&self) -> bool {
        self.expressions.condition.is_none() && self.columns.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Option<Definition> {
        Definition::parse(arguments.iter().copied())
    }

    #[test]
    fn an_event_type_is_enough() {
        let definition = parse(&["part.created"]).expect("a definition");
        assert_eq!(definition.event, "part.created");
        assert!(definition.expressions.is_empty() && definition.suits_row_level());
    }

    #[test]
    fn names_and_values_follow_in_any_order() {
        let definition = parse(&["a.b", "column", "x", "tenant", "new.t", "column", "y y", "search_path", "public"]);
        let definition = definition.expect("a definition");
        assert_eq!(definition.columns, ["x", "y y"]);
        assert_eq!(definition.expressions.each().collect::<Vec<_>>(), [("tenant", "new.t")]);
        assert_eq!(definition.search_path.as_deref(), Some("public"));
        assert!(!definition.suits_row_level());
    }

    #[test]
    fn anything_else_is_none() {
        for wrong in [&[][..], &["a.b", "acme"], &["a.b", "colour", "x"], &["a.b", "tenant", "x", "tenant", "y"]] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
