//! Matches event types against the entries of `event_types` of a subscription. An entry is a name, a group such as
//! `ticket.*`, or `*`.

/// Whether an entry may match more than one event type.
pub fn is_pattern(wanted: &str) -> bool {
    wanted.ends_with('*')
}

/// Whether an entry matches this event type. The entry `*` matches all event types except those of the extension
/// itself.
pub fn names(wanted: &str, event_type: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some("") => !event_type.starts_with("webhook."),
        Some(group) if group.ends_with('.') => event_type.starts_with(group),
        _ => wanted == event_type,
    }
}

/// Returns the name that was probably meant by one that is not known: the one that differs least, if it differs in few
/// characters.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let few = (name.chars().count() / 4).min(3);
    let candidates = known.into_iter().filter(|known| known.len().abs_diff(name.len()) <= 4 * few);
    let distances = candidates.map(|known| (distance(name, known), known));
    distances.filter(|(distance, _)| *distance <= few).min().map(|(_, known)| known)
}

/// Returns how many characters must be inserted, removed, replaced or swapped with their neighbour to make one text of the
/// other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_differs_least_was_probably_meant() {
        let known = ["order.created", "order.updated", "ticket.created", "part.created"];
        let meant = |name| nearest(name, known);
        assert_eq!(meant("order.creatd"), Some("order.created"));
        assert_eq!(meant("order.cretaed"), Some("order.created"));
        assert_eq!(meant("orders.created"), Some("order.created"));
        assert_eq!(meant("ticket_created"), Some("ticket.created"));
        assert_eq!(meant("order_upd"), None);
        assert!(["invoice.paid", "a.b", "", "order"].into_iter().all(|name| meant(name).is_none()));
    }

    #[test]
    fn event_types_are_named_one_by_one_by_group_or_all_but_those_of_the_extension() {
        let named = |wanted: &str| -> Vec<&str> {
            let types = ["ticket.created", "ticket.status.changed", "tickets.created", "webhook.delivery_failed"];
            types.into_iter().filter(|event_type| names(wanted, event_type)).collect()
        };
        assert_eq!(named("ticket.created"), ["ticket.created"]);
        assert_eq!(named("ticket.*"), ["ticket.created", "ticket.status.changed"]);
        assert_eq!(named("ticket.status.*"), ["ticket.status.changed"]);
        assert_eq!(named("*"), ["ticket.created", "ticket.status.changed", "tickets.created"]);
        assert_eq!(named("webhook.*"), ["webhook.delivery_failed"]);
        assert!(["ticket*", "ticket", "", "."].into_iter().all(|wanted| named(wanted).is_empty()));
    }
}
