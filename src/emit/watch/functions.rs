//! What `hydra.webhook_watch` and `hydra.webhook_watches` ask of Rust: whether a watch can work, and what a trigger says.
//!
//! A view may be read by somebody mightier than the author of a watch. So what it shows of a watch, its faults as well,
//! comes from texts alone: nothing is looked up for it, and nothing of the author's is analysed, let alone run.

use pgrx::prelude::*;

use super::super::cache;
use super::definition::Definition;
use super::evaluation::Planned;
use super::expression;
use super::table::Table;
use crate::backend::refuse::refuse;

/// Refuses an event type that cannot be emitted.
#[pg_extern]
fn _check_event_type(event: Option<&str>) {
    cache::current().event_type(event);
}

/// Refuses a text that is anything but one expression.
#[pg_extern]
fn _check_expression(part: &str, expression: &str) {
    if let Some(problem) = expression::problem(expression) {
        refuse(
            PgSqlErrorCode::ERRCODE_SYNTAX_ERROR,
            format!("{part} is not one SQL expression"),
            problem,
            "An expression is like new.status = 'open'; old and new are the row before and after.",
        );
    }
}

/// Refuses arguments of a trigger on `source`, with expressions that do not fit it. Postgres itself has a look at the
/// condition of a trigger for each row.
#[pg_extern]
fn _check_watch(source: pg_sys::Oid, arguments: Vec<String>, has_old: bool, has_new: bool) {
    let definition = parse(&arguments).expect("arguments that webhook_watch has written");
    Planned::new(definition, Table { oid: source, has_old, has_new }).check();
}

fn parse(arguments: &[String]) -> Option<Definition> {
    Definition::parse(arguments.iter().map(String::as_str))
}

/// The arguments of a trigger: `tgargs`, taken apart.
#[pg_extern(immutable, strict, parallel_safe)]
fn _trigger_arguments(arguments: &[u8]) -> Vec<String> {
    let mut parts: Vec<_> = arguments.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    // Each ends with a NUL.
    parts.pop();
    parts.into_iter().map(std::borrow::Cow::into_owned).collect()
}

/// What a watch is, from what the catalog says of its trigger. `definition`: the whole CREATE TRIGGER; `update_of`: its
/// columns there; `existing`: the columns of the table.
#[pg_extern(immutable, parallel_safe)]
#[allow(clippy::type_complexity)] // pgrx reads the columns off the type
fn _watch_details(
    arguments: Vec<String>,
    definition: &str,
    update_of: Vec<String>,
    existing: Vec<String>,
) -> TableIterator<
    'static,
    (
        name!(condition, Option<String>),
        name!(columns, Option<Vec<String>>),
        name!(entity, Option<String>),
        name!(tenant, Option<String>),
        name!(problem, Option<String>),
    ),
> {
    let when = when_clause(definition, &arguments);
    let Some(said) = parse(&arguments) else {
        let problem = "the arguments of the trigger are not what its function takes";
        return TableIterator::once((when, None, None, None, Some(problem.to_owned())));
    };
    let problem = problem(&said, &existing);
    let columns = [update_of, said.columns].concat();
    let expressions = said.expressions;
    TableIterator::once((
        expressions.condition.or(when),
        (!columns.is_empty()).then_some(columns),
        expressions.entity,
        expressions.tenant,
        problem,
    ))
}

/// The first thing that is wrong with it.
fn problem(said: &Definition, existing: &[String]) -> Option<String> {
    let is_gone = |column: &String| !existing.contains(column);
    if let Some(column) = said.columns.iter().find(|column| is_gone(column)) {
        return Some(format!("it is for changes of column \"{column}\", which is not there"));
    }
    said.expressions.each().find_map(|(part, text)| {
        let gone = expression::columns(text).into_iter().find(is_gone)?;
        Some(format!("its {part} expression names column \"{gone}\", which is not there"))
    })
}

/// The condition of a CREATE TRIGGER as Postgres writes it. Names and arguments may hold anything, so it is taken from
/// between what is known.
fn when_clause(definition: &str, arguments: &[String]) -> Option<String> {
    const BEGINNING: &str = " WHEN (";
    let outside = definition.char_indices().scan(false, |quoted, (place, c)| {
        *quoted ^= c == '"';
        Some((place, *quoted))
    });
    let mut starts = outside.filter(|(place, quoted)| !quoted && definition[*place..].starts_with(BEGINNING));
    let rest = &definition[starts.next()?.0 + BEGINNING.len()..];
    let literals: Vec<String> = arguments.iter().map(|argument| literal(argument)).collect();
    let rest = rest.strip_suffix(&format!("({})", literals.join(", ")))?;
    Some(rest[..rest.rfind(") EXECUTE FUNCTION ")?].to_owned())
}

/// As Postgres writes an argument of a trigger.
fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    match quoted.contains('\\') {
        true => format!("E'{}'", quoted.replace('\\', "\\\\")),
        false => format!("'{quoted}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|argument| (*argument).to_owned()).collect()
    }

    #[test]
    fn the_condition_is_found_between_odd_names_and_odd_arguments() {
        let said = arguments(&["a.b", "entity", "'x) EXECUTE FUNCTION y()' || '\\'"]);
        let definition = r#"CREATE TRIGGER "a WHEN (" AFTER UPDATE OF " WHEN (" ON t FOR EACH ROW WHEN (new.a > '") EXECUTE FUNCTION '::text) EXECUTE FUNCTION hydra.webhook_emit_row('a.b', 'entity', E'''x) EXECUTE FUNCTION y()'' || ''\\''')"#;
        assert_eq!(when_clause(definition, &said).as_deref(), Some("new.a > '\") EXECUTE FUNCTION '::text"));
        assert_eq!(
            when_clause("CREATE TRIGGER a AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f('a.b')", &said),
            None
        );
    }

    #[test]
    fn columns_that_are_gone_are_told() {
        let said = |more: &[&str]| parse(&arguments(&[&["a.b"], more].concat())).expect("a definition");
        let existing = arguments(&["id", "Ü"]);
        assert_eq!(problem(&said(&["entity", "to_jsonb(new.id) || old.\"Ü\"", "column", "id"]), &existing), None);
        assert!(problem(&said(&["column", "x"]), &existing).is_some_and(|text| text.contains("\"x\"")));
        assert!(
            problem(&said(&["tenant", "old.y"]), &existing)
                .is_some_and(|text| text.contains("tenant") && text.contains("\"y\""))
        );
    }
}
