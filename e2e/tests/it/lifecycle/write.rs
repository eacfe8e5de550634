//! A write of the operator, described so that it can be met again in another life.

use std::fmt;

use e2e::proxy::{Action, Call, Matcher, Rule, Verb};

use super::life::Life;
use crate::world::RunningOperator;

/// The `nth` write of this kind in a step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Write {
    verb: Verb,
    group: String,
    resource: String,
    subresource: Option<String>,
    namespaced: bool,
    nth: u64,
}

impl Write {
    /// Every write of a step.
    pub(super) fn all(calls: &[Call]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for call in calls {
            let request = &call.request;
            let mut write = Self {
                verb: request.verb,
                group: request.group.clone(),
                resource: request.resource.clone(),
                subresource: request.subresource.clone(),
                namespaced: request.namespace.is_some(),
                nth: 1,
            };
            while all.contains(&write) {
                write.nth += 1;
            }
            all.push(write);
        }
        all
    }

    /// A rule that means this write in that life, if it is added before the step.
    pub(super) fn rule(&self, operator: &RunningOperator, life: &Life, action: Action) -> Rule {
        let matcher = Matcher::writes()
            .actor(operator.name())
            .verb(self.verb)
            .resource(self.group.as_str(), self.resource.as_str());
        let matcher = match &self.subresource {
            Some(subresource) => matcher.subresource(subresource.as_str()),
            None => matcher.main_resource(),
        };
        let matcher =
            if self.namespaced { matcher.namespace(life.namespace()) } else { matcher.name(life.name()) };
        Rule::new(matcher, action).nth(self.nth)
    }

    /// Whether it writes what is observed, not what should be.
    pub(super) fn is_of_status(&self) -> bool {
        self.subresource.as_deref() == Some("status")
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if let Some(subresource) = &self.subresource {
            write!(f, "/{subresource}")?;
        }
        if self.nth > 1 { write!(f, " ({})", self.nth) } else { Ok(()) }
    }
}
