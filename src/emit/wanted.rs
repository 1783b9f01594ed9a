//! Finds the subscriptions that want an event: by its type, its tenant and its entity.

use std::rc::Rc;

use foldhash::HashMap;
use wire::event_type::{is_pattern, names};
use wire::ids::SubscriptionId;

use super::filter::{Filter, Subject};

pub struct EventType {
    pub name: String,
    pub entity_type: String,
    pub id_key: String,
    /// Active subscriptions that want events of any tenant.
    of_any_tenant: Vec<Choice>,
    /// Active subscriptions that want events of one tenant, by that tenant.
    of_tenant: HashMap<String, Vec<Choice>>,
}

/// A subscription that wants events of this type, and its filter.
struct Choice {
    subscription: SubscriptionId,
    filter: Option<Rc<Filter>>,
}

impl EventType {
    pub fn new(name: String, entity_type: String, id_key: String) -> Self {
        Self { name, entity_type, id_key, of_any_tenant: Vec::new(), of_tenant: HashMap::default() }
    }

    /// Returns whether any subscription wants events of this type, regardless of tenant and filter.
    pub fn is_wanted(&self) -> bool {
        !self.of_any_tenant.is_empty() || !self.of_tenant.is_empty()
    }

    /// Returns the subscriptions that want an event with this tenant and entity. `tenant` is `None` if the event has
    /// none; `entity` is `None` if it cannot be sent.
    pub fn wanted_by(&self, tenant: Option<&str>, entity: Option<&str>) -> Vec<SubscriptionId> {
        let own = tenant.and_then(|tenant| self.of_tenant.get(tenant));
        let subject = Subject::from_text(entity);
        let choices = self.of_any_tenant.iter().chain(own.into_iter().flatten());
        let choices = choices.filter(|choice| choice.filter.as_ref().is_none_or(|filter| filter.passes(&subject)));
        let mut subscriptions: Vec<SubscriptionId> = choices.map(|choice| choice.subscription).collect();
        subscriptions.sort_unstable();
        // A subscription can match the event type with more than one entry.
        subscriptions.dedup();
        subscriptions
    }

    fn add(&mut self, tenant: Option<&str>, choice: Choice) {
        match tenant {
            None => self.of_any_tenant.push(choice),
            Some(tenant) => match self.of_tenant.get_mut(tenant) {
                Some(choices) => choices.push(choice),
                None => drop(self.of_tenant.insert(tenant.to_owned(), vec![choice])),
            },
        }
    }
}

/// An active subscription as it is stored in its table.
pub struct StoredChoice<'a> {
    pub subscription: SubscriptionId,
    pub tenant: Option<&'a str>,
    pub filter: Option<Rc<Filter>>,
    /// Names and patterns, separated by spaces.
    pub event_types: &'a str,
}

impl StoredChoice<'_> {
    /// Adds the subscription to the event types that it wants.
    pub fn add_to(&self, event_types: &mut HashMap<String, EventType>) {
        let choice = || Choice { subscription: self.subscription, filter: self.filter.clone() };
        for wanted in self.event_types.split(' ') {
            if is_pattern(wanted) {
                let named = event_types.values_mut().filter(|event_type| names(wanted, &event_type.name));
                named.for_each(|event_type| event_type.add(self.tenant, choice()));
            } else if let Some(event_type) = event_types.get_mut(wanted) {
                event_type.add(self.tenant, choice());
            }
        }
    }
}
