//! The functions in Rust that `hydra.webhook_watch` and the view `hydra.webhook_watches` call: they check a watch, and
//! read its definition from the catalog entry of its trigger.
//!
//! The user who reads the view may have more privileges than the author of a watch. So what the view shows of a watch is
//! computed only from the text of the trigger; for its problems see `problem`.

use pgrx::prelude::*;

use super::check;
use super::definition::Definition;
use super::expression;
use super::table::Table;
use crate::backend::refuse::refuse;

/// An expression may not be longer. Every session that writes to the table keeps it in memory.
const MAX_EXPRESSION_BYTES: usize = 256 * 1024;

/// Fails if a text is not one expression.
#[pg_extern]
fn _check_expression(part: &str, expression: &str) {
    if expression.len() > MAX_EXPRESSION_BYTES {
        refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("{part} is too long"),
            &format!("It has {} bytes; an expression has at most {MAX_EXPRESSION_BYTES}.", expression.len()),
            "Write a function, and call it in the expression.",
        );
    }
    if let Some(problem) = expression::problem(expression) {
        refuse(
            PgSqlErrorCode::ERRCODE_SYNTAX_ERROR,
            format!("{part} is not one SQL expression"),
            problem,
            "An expression is like new.status = 'open'; old and new are the row before and after.",
        );
    }
}

/// Fails if trigger arguments have expressions that are not valid for the table `source`.
#[pg_extern]
fn _check_watch(source: pg_sys::Oid, arguments: Vec<Option<String>>, has_old: bool, has_new: bool) {
    let table = Table { oid: source, has_old, has_new };
    let arguments: Option<Vec<String>> = arguments.into_iter().collect();
    match arguments.as_deref().and_then(parse) {
        Some(definition) if table.exists() => check::check(&definition, table),
        _ => refuse(
            PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
            "invalid arguments of a trigger, or no table",
            "The first argument is an event type; pairs of a name and a value may follow.",
            "Call hydra.webhook_watch, which calls this function.",
        ),
    }
}

fn parse(arguments: &[String]) -> Option<Definition<&str>> {
    Definition::parse(arguments.iter().map(String::as_str))
}

/// Returns the arguments of a trigger, from its `tgargs`.
#[pg_extern(immutable, strict, parallel_safe)]
fn _trigger_arguments(arguments: &[u8]) -> Vec<String> {
    let mut parts: Vec<_> = arguments.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    // Each argument ends with a NUL, so the last part is empty.
    parts.pop();
    parts.into_iter().map(std::borrow::Cow::into_owned).collect()
}

/// Returns the definition of a watch, and whether its arguments are a problem, from the catalog entry of its trigger.
/// `definition` is the whole CREATE TRIGGER, and `update_of` has its UPDATE OF columns.
#[pg_extern(immutable, parallel_safe)]
#[allow(clippy::type_complexity)] // pgrx reads the columns off the type
fn _watch_details(
    arguments: Vec<Option<String>>,
    definition: &str,
    update_of: Vec<Option<String>>,
) -> TableIterator<
    'static,
    (
        name!(condition, Option<String>),
        name!(columns, Option<Vec<String>>),
        name!(entity, Option<String>),
        name!(only_columns, Option<Vec<String>>),
        name!(except_columns, Option<Vec<String>>),
        name!(tenant, Option<String>),
        name!(entity_type, Option<String>),
        name!(previous, Option<bool>),
        name!(problem, Option<String>),
    ),
> {
    // No argument and no column of a trigger is null.
    let [arguments, update_of] =
        [arguments, update_of].map(|texts| texts.into_iter().flatten().collect::<Vec<String>>());
    let when = when_clause(definition, &arguments);
    let Some(parsed) = parse(&arguments) else {
        let problem = "the trigger has arguments that its function does not accept";
        return TableIterator::once((when, None, None, None, None, None, None, None, Some(problem.to_owned())));
    };
    let Definition { entity_type, expressions, columns, only, except, previous, .. } =
        parsed.map(|text| (*text).to_owned());
    let [columns, only, except] =
        [[update_of, columns].concat(), only, except].map(|names: Vec<String>| (!names.is_empty()).then_some(names));
    TableIterator::once((
        expressions.condition.or(when),
        columns,
        expressions.entity,
        only,
        except,
        expressions.tenant,
        entity_type,
        Some(previous),
        None,
    ))
}

/// Returns the condition of a CREATE TRIGGER as Postgres writes it. Names and arguments may contain any text, so the
/// condition is found by the known texts before and after it.
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

/// Returns an argument of a trigger as Postgres writes it.
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
}
