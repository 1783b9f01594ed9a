//! Finds the subscriptions that want an event: by its type, its tenant and its entity. Those that the extension has
//! disabled are among them: what they miss is kept.

use std::rc::Rc;

use foldhash::HashMap;
use wire::event_type::{is_pattern, names};
use wire::ids::SubscriptionId;

use super::filter::{Filter, Subject};

/// A subscription that gets or misses events, and what it wants. All event types that it wants share it.
pub struct Choice {
    pub subscription: SubscriptionId,
    pub misses: bool,
    pub tenant: Option<Box<str>>,
    pub filter: Option<Filter>,
    /// Names and patterns, separated by spaces.
    pub event_types: Box<str>,
}

/// A subscription that wants an event.
#[derive(Clone, Copy)]
pub struct Target {
    subscription: SubscriptionId,
    /// Whether it misses the event.
    pub missed: bool,
}

impl Target {
    /// Returns the number that stands for it in `hydra.event.targets`.
    pub fn number(self) -> i64 {
        if self.missed { -self.subscription.0 } else { self.subscription.0 }
    }
}

#[derive(Clone)]
pub struct EventType {
    pub name: String,
    pub entity_type: String,
    pub id_key: String,
    /// Subscriptions that want events of any tenant.
    of_any_tenant: Choices,
    /// Subscriptions that want events of one tenant, by that tenant. No list is empty.
    of_tenant: HashMap<Box<str>, Choices>,
}

impl Choice {
    fn passes(&self, subject: &Subject<'_>) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.passes_for(self.subscription, subject))
    }
}

impl EventType {
    pub fn new(name: String, entity_type: String, id_key: String) -> Self {
        Self { name, entity_type, id_key, of_any_tenant: Choices::default(), of_tenant: HashMap::default() }
    }

    /// Returns whether any subscription wants events of this type, regardless of tenant and filter.
    pub fn is_wanted(&self) -> bool {
        !self.of_any_tenant.0.is_empty() || !self.of_tenant.is_empty()
    }

    /// Returns the subscriptions that want an event with this tenant and entity. `tenant` is `None` if the event has
    /// none; `entity` is `None` if it cannot be sent.
    pub fn wanted_by(&self, tenant: Option<&str>, entity: Option<&str>) -> Vec<Target> {
        let own = tenant.and_then(|tenant| self.of_tenant.get(tenant));
        let subject = Subject::from_text(entity);
        let choices = [Some(&self.of_any_tenant), own].into_iter().flatten().flat_map(|choices| &choices.0);
        let choices = choices.filter(|choice| choice.passes(&subject));
        let target = |choice: &Rc<Choice>| Target { subscription: choice.subscription, missed: choice.misses };
        let mut targets: Vec<Target> = choices.map(target).collect();
        targets.sort_unstable_by_key(|target| target.subscription);
        targets
    }

    fn add(&mut self, choice: &Rc<Choice>) {
        match &choice.tenant {
            None => self.of_any_tenant.add(choice),
            Some(tenant) => self.of_tenant.entry(tenant.clone()).or_default().add(choice),
        }
    }

    fn remove(&mut self, choice: &Choice) {
        match &choice.tenant {
            None => self.of_any_tenant.remove(choice.subscription),
            Some(tenant) => {
                if let Some(choices) = self.of_tenant.get_mut(tenant) {
                    choices.remove(choice.subscription);
                    if choices.0.is_empty() {
                        self.of_tenant.remove(tenant);
                    }
                }
            }
        }
    }
}

/// Choices in the order of their subscriptions, each once.
#[derive(Clone, Default)]
struct Choices(Vec<Rc<Choice>>);

impl Choices {
    fn place(&self, id: SubscriptionId) -> Result<usize, usize> {
        match self.0.last() {
            // While everything is read, they come in order.
            Some(last) if last.subscription < id => Err(self.0.len()),
            _ => self.0.binary_search_by_key(&id, |choice| choice.subscription),
        }
    }

    fn add(&mut self, choice: &Rc<Choice>) {
        // A subscription can match an event type with more than one entry.
        if let Err(place) = self.place(choice.subscription) {
            self.0.insert(place, Rc::clone(choice));
        }
    }

    fn remove(&mut self, id: SubscriptionId) {
        if let Ok(place) = self.place(id) {
            self.0.remove(place);
        }
    }
}

/// Event types, and what all subscriptions that get or miss events want.
#[derive(Clone)]
pub struct Catalogue {
    by_name: HashMap<String, Rc<EventType>>,
    choices: HashMap<SubscriptionId, Rc<Choice>>,
}

impl Catalogue {
    pub fn new(event_types: impl Iterator<Item = EventType>, mut choices: Vec<Choice>) -> Self {
        let by_name = event_types.map(|event_type| (event_type.name.clone(), Rc::new(event_type))).collect();
        let mut catalogue = Self { by_name, choices: HashMap::default() };
        choices.sort_unstable_by_key(|choice| choice.subscription);
        choices.into_iter().for_each(|choice| catalogue.add(choice));
        catalogue
    }

    pub fn get(&self, name: &str) -> Option<&Rc<EventType>> {
        self.by_name.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    pub fn add(&mut self, choice: Choice) {
        let choice = Rc::new(choice);
        self.for_each_wanted(&choice, |event_type| event_type.add(&choice));
        self.choices.insert(choice.subscription, choice);
    }

    pub fn remove(&mut self, id: SubscriptionId) {
        if let Some(choice) = self.choices.remove(&id) {
            self.for_each_wanted(&choice, |event_type| event_type.remove(&choice));
        }
    }

    /// Changes the event types that a subscription wants. An event type that is in use by an emit is copied.
    fn for_each_wanted(&mut self, choice: &Choice, mut change: impl FnMut(&mut EventType)) {
        for wanted in choice.event_types.split(' ') {
            if is_pattern(wanted) {
                let named = self.by_name.values_mut().filter(|event_type| names(wanted, &event_type.name));
                named.for_each(|event_type| change(Rc::make_mut(event_type)));
            } else if let Some(event_type) = self.by_name.get_mut(wanted) {
                change(Rc::make_mut(event_type));
            }
        }
    }
}
