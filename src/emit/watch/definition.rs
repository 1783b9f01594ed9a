//! What a trigger says about the events that it emits.
//!
//! All of it is in the arguments of the trigger, so that a dump contains it and nothing has to be looked up: first the
//! event type, then pairs of a name and a value. `hydra.webhook_watch` writes them; they may also be written by hand.
//!
//! A trigger parses its arguments for every row, so a definition can borrow its texts (`Definition<&str>`) or own them.

/// The parsed arguments of a trigger.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Definition<T> {
    pub event: T,
    /// SQL expressions over `old` and `new`.
    pub expressions: Expressions<T>,
    /// The trigger fires only for an UPDATE that sets one of them; empty: for any.
    pub columns: Vec<T>,
    /// The path for names in the expressions; `None`: that of the session.
    pub search_path: Option<T>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expressions<T> {
    /// Which rows have an event.
    pub condition: Option<T>,
    /// `jsonb`; `None`: the row.
    pub entity: Option<T>,
    /// Text; `None`: the `tenant_id` of the entity or of the row.
    pub tenant: Option<T>,
}

impl<T> Expressions<T> {
    pub fn is_empty(&self) -> bool {
        self.each().next().is_none()
    }

    /// The expressions that are given, with their names.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, &T)> {
        let all = [("condition", &self.condition), ("entity", &self.entity), ("tenant", &self.tenant)];
        all.into_iter().filter_map(|(name, text)| Some((name, text.as_ref()?)))
    }

    pub fn map<'a, U>(&'a self, text: impl Fn(&'a T) -> U) -> Expressions<U> {
        Expressions {
            condition: self.condition.as_ref().map(&text),
            entity: self.entity.as_ref().map(&text),
            tenant: self.tenant.as_ref().map(&text),
        }
    }

    fn place_of(&mut self, name: &str) -> Option<&mut Option<T>> {
        match name {
            "condition" => Some(&mut self.condition),
            "entity" => Some(&mut self.entity),
            "tenant" => Some(&mut self.tenant),
            _ => None,
        }
    }
}

impl<'a> Expressions<&'a str> {
    /// One expression alone.
    pub fn only(name: &str, text: &'a str) -> Self {
        let mut expressions = Self::default();
        *expressions.place_of(name).expect("the name of an expression") = Some(text);
        expressions
    }
}

impl<T> Definition<T> {
    pub fn map<'a, U>(&'a self, text: impl Fn(&'a T) -> U) -> Definition<U> {
        Definition {
            event: text(&self.event),
            expressions: self.expressions.map(&text),
            columns: self.columns.iter().map(&text).collect(),
            search_path: self.search_path.as_ref().map(&text),
        }
    }

    /// Whether a trigger FOR EACH ROW can have it. Such a trigger has a condition and columns in its own clauses, WHEN and
    /// UPDATE OF.
    pub fn suits_row_level(&self) -> bool {
        self.expressions.condition.is_none() && self.columns.is_empty()
    }
}

impl<'a> Definition<&'a str> {
    /// `None` if these are not valid arguments.
    pub fn parse(arguments: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut arguments = arguments.into_iter();
        let mut definition = Self { event: arguments.next()?, ..Self::default() };
        while let Some(name) = arguments.next() {
            let value = arguments.next()?;
            let place = match name {
                "column" => {
                    definition.columns.push(value);
                    continue;
                }
                "search_path" => &mut definition.search_path,
                _ => definition.expressions.place_of(name)?,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        Some(definition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse<'a>(arguments: &[&'a str]) -> Option<Definition<&'a str>> {
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
        assert_eq!(definition.expressions.each().collect::<Vec<_>>(), [("tenant", &"new.t")]);
        assert_eq!(definition.search_path, Some("public"));
        assert!(!definition.suits_row_level());
    }

    #[test]
    fn anything_else_is_not_a_definition() {
        for wrong in [&[][..], &["a.b", "acme"], &["a.b", "colour", "x"], &["a.b", "tenant", "x", "tenant", "y"]] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
