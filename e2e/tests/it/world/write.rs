//! A write to the cluster, described so that it can be met again in another life.

use std::fmt;

use crds::managers;
use e2e::proxy::{Action, Call, Matcher, Rule, Verb};

/// The `nth` write of this kind in a step of a life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Write {
    actor: String,
    verb: Verb,
    group: String,
    resource: String,
    subresource: Option<String>,
    manager: Option<String>,
    target: Target,
    nth: u64,
}

/// What is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    /// Something in the life's namespace.
    Inside,
    /// Something of the life's that is in no namespace, by what follows the life's name in its own.
    Own(String),
    /// What many lives share, by its name.
    Shared(String),
}

/// Where a life is lived: its namespace, and how the names of all begin that is its own and in no namespace.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The name.
    pub name: &'a str,
}

impl Write {
    /// Every write of a step of the life in that place.
    pub fn all(calls: &[Call], place: Place<'_>) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for call in calls {
            let request = &call.request;
            let name = call.name().unwrap_or_default();
            let target = match name.strip_prefix(place.name) {
                _ if request.namespace.is_some() => Target::Inside,
                Some(rest) => Target::Own(rest.to_owned()),
                None => Target::Shared(name.to_owned()),
            };
            let mut write = Self {
                actor: call.actor.to_string(),
                verb: request.verb,
                group: request.group.clone(),
                resource: request.resource.clone(),
                subresource: request.subresource.clone(),
                manager: request.field_manager().map(str::to_owned),
                target,
                nth: 1,
            };
            while all.contains(&write) {
                write.nth += 1;
            }
            all.push(write);
        }
        all
    }

    /// A rule that means this write in the life in that place, if it is added before the step.
    pub fn rule(&self, place: Place<'_>, action: Action) -> Rule {
        let matcher = Matcher::writes()
            .actor(self.actor.as_str())
            .verb(self.verb)
            .resource(self.group.as_str(), self.resource.as_str());
        let matcher = match &self.subresource {
            Some(subresource) => matcher.subresource(subresource.as_str()),
            None => matcher.main_resource(),
        };
        let matcher = match &self.manager {
            Some(manager) => matcher.field_manager(manager.as_str()),
            None => matcher,
        };
        let matcher = match &self.target {
            Target::Inside => matcher.namespace(place.namespace),
            Target::Own(rest) => matcher.name(format!("{}{rest}", place.name)),
            Target::Shared(name) => matcher.name(name.as_str()),
        };
        Rule::new(matcher, action).nth(self.nth)
    }

    /// Who writes it.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Whether it writes what is observed, not what should be.
    pub fn is_of_status(&self) -> bool {
        self.subresource.as_deref() == Some("status")
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if let Some(subresource) = &self.subresource {
            write!(f, "/{subresource}")?;
        }
        if let Some(manager) = self.manager.as_ref().filter(|manager| *manager != managers::OPERATOR) {
            write!(f, " as {manager}")?;
        }
        if self.nth > 1 { write!(f, " ({})", self.nth) } else { Ok(()) }
    }
}
