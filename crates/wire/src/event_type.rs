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

#[cfg(test)]
mod tests {
    use super::*;

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
