//! Parses the arguments of a trigger, which define the events that it emits.
//!
//! The arguments contain the whole definition, so that a dump includes it and nothing has to be looked up: first the
//! event type, then pairs of a name and a value. `hydra.webhook_watch` writes the arguments; they may also be written
//! by hand.
//!
//! A trigger parses its arguments for every row, so a definition can borrow its texts (`Definition<&str>`) or own them
//! (`Definition<String>`).

/// The parsed arguments of a trigger.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Definition<T> {
    pub event: T,
    /// The kind of entity; `None`: that of the event type.
    pub entity_type: Option<T>,
    /// SQL expressions over `old` and `new`.
    pub expressions: Expressions<T>,
    /// Only an UPDATE that sets one of these columns emits events. If empty, every change does.
    pub columns: Vec<T>,
    /// The entity has only these columns of the row. If empty, it has all.
    pub only: Vec<T>,
    /// The entity has all columns of the row but these.
    pub except: Vec<T>,
    /// Whether the row before an UPDATE is sent too.
    pub previous: bool,
    /// The `search_path` for names in the expressions; `None`: that of the session.
    pub search_path: Option<T>,
}

/// The SQL expressions of a trigger.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Expressions<T> {
    /// Only rows for which this is true have an event; `None`: all rows.
    pub condition: Option<T>,
    /// The entity, as `jsonb`; `None`: the row is the entity.
    pub entity: Option<T>,
    /// The tenant, as text; `None`: the `tenant_id` of the entity or of the row.
    pub tenant: Option<T>,
}

impl<T> Expressions<T> {
    pub fn is_empty(&self) -> bool {
        self.each().next().is_none()
    }

    /// Returns the expressions that are given, with their names.
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

    /// Returns the field for the expression of this name.
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
    /// Returns expressions of which only this one is given.
    pub fn only(name: &str, text: &'a str) -> Self {
        let mut expressions = Self::default();
        *expressions.place_of(name).expect("the name of an expression") = Some(text);
        expressions
    }
}

impl<T> Definition<T> {
    /// Returns whether the entity has some of the columns of the row, and not others.
    pub fn chooses_columns(&self) -> bool {
        !self.only.is_empty() || !self.except.is_empty()
    }

    /// Returns the columns that it names, with the names of the arguments.
    pub fn named_columns(&self) -> impl Iterator<Item = (&'static str, &T)> {
        let all = [("column", &self.columns), ("only", &self.only), ("except", &self.except)];
        all.into_iter().flat_map(|(name, columns)| columns.iter().map(move |column| (name, column)))
    }

    /// Returns whether at most one of the arguments that say what the entity is is given, and whether the row before the
    /// change is sent only with a row.
    fn has_one_entity(&self) -> bool {
        let given = [self.expressions.entity.is_some(), !self.only.is_empty(), !self.except.is_empty()];
        let is_one = given.into_iter().filter(|is_given| *is_given).count() <= 1;
        is_one && !(self.previous && self.expressions.entity.is_some())
    }

    pub fn map<'a, U>(&'a self, text: impl Fn(&'a T) -> U) -> Definition<U> {
        Definition {
            event: text(&self.event),
            entity_type: self.entity_type.as_ref().map(&text),
            expressions: self.expressions.map(&text),
            columns: self.columns.iter().map(&text).collect(),
            only: self.only.iter().map(&text).collect(),
            except: self.except.iter().map(&text).collect(),
            previous: self.previous,
            search_path: self.search_path.as_ref().map(&text),
        }
    }
}

impl<'a> Definition<&'a str> {
    /// Parses the arguments; returns `None` if they are not valid.
    pub fn parse(arguments: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut arguments = arguments.into_iter();
        let mut definition = Self { event: arguments.next()?, ..Self::default() };
        while let Some(name) = arguments.next() {
            let value = arguments.next()?;
            let columns = match name {
                "column" => Some(&mut definition.columns),
                "only" => Some(&mut definition.only),
                "except" => Some(&mut definition.except),
                _ => None,
            };
            if let Some(columns) = columns {
                columns.push(value);
                continue;
            }
            if name == "previous" {
                if definition.previous || value != "true" {
                    return None;
                }
                definition.previous = true;
                continue;
            }
            let place = match name {
                "search_path" => &mut definition.search_path,
                "entity_type" => &mut definition.entity_type,
                _ => definition.expressions.place_of(name)?,
            };
            if place.replace(value).is_some() {
                return None;
            }
        }
        definition.has_one_entity().then_some(definition)
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
        assert!(definition.expressions.is_empty() && definition.columns.is_empty());
    }

    #[test]
    fn names_and_values_follow_in_any_order() {
        let definition = parse(&["a.b", "column", "x", "tenant", "new.t", "column", "y y", "search_path", "public"]);
        let definition = definition.expect("a definition");
        assert_eq!(definition.columns, ["x", "y y"]);
        assert_eq!(definition.expressions.each().collect::<Vec<_>>(), [("tenant", &"new.t")]);
        assert_eq!(definition.search_path, Some("public"));
        assert!(!definition.chooses_columns());
    }

    #[test]
    fn the_columns_of_the_entity_are_those_named_or_all_others() {
        let only = parse(&["a.b", "only", "x", "column", "z", "only", "only"]).expect("a definition");
        assert_eq!((&only.only[..], &only.except[..]), (&["x", "only"][..], &[][..]));
        assert_eq!(only.named_columns().collect::<Vec<_>>(), [("column", &"z"), ("only", &"x"), ("only", &"only")]);
        let except = parse(&["a.b", "except", "x"]).expect("a definition");
        assert!(only.chooses_columns() && except.chooses_columns());
        for both in [["only", "x", "except", "y"], ["only", "x", "entity", "1"], ["entity", "1", "except", "x"]] {
            assert_eq!(parse(&[&["a.b"][..], &both].concat()), None, "{both:?}");
        }
    }

    #[test]
    fn the_row_before_the_change_is_sent_only_with_a_row() {
        let definition = parse(&["a.b", "previous", "true", "only", "x", "entity_type", "c"]).expect("a definition");
        assert!(definition.previous && definition.entity_type == Some("c"));
        for wrong in [&["previous", "false"][..], &["previous", "true", "previous", "true"]] {
            assert_eq!(parse(&[&["a.b"][..], wrong].concat()), None, "{wrong:?}");
        }
        assert_eq!(parse(&["a.b", "previous", "true", "entity", "1"]), None);
    }

    #[test]
    fn anything_else_is_not_a_definition() {
        for wrong in [&[][..], &["a.b", "acme"], &["a.b", "colour", "x"], &["a.b", "tenant", "x", "tenant", "y"]] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
