//! Which calls are meant: used by rules and by questions to the log alike.

use super::call::{Call, Request, Verb};

/// Conditions a call must meet, all of them; one left out is met by every call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    actor: Option<String>,
    verbs: Vec<Verb>,
    writes_only: bool,
    group: Option<String>,
    resource: Option<String>,
    subresource: Subresource,
    namespace: Option<String>,
    name: Option<String>,
    field_manager: Option<String>,
    except: Vec<(String, String)>,
}

impl Matcher {
    /// Every call.
    pub fn any() -> Self {
        Self::default()
    }

    /// Every call that would change stored state: see [`Request::is_write`].
    pub fn writes() -> Self {
        Self { writes_only: true, ..Self::default() }
    }

    /// The calls like this one: same actor, verb, object, subresource and field manager. A generated name
    /// is left open, for the next one differs.
    pub fn like(call: &Call) -> Self {
        let request = &call.request;
        Self {
            actor: Some(call.actor.to_string()),
            verbs: vec![request.verb],
            group: Some(request.group.clone()),
            resource: Some(request.resource.clone()),
            subresource: request.subresource.clone().map_or(Subresource::None, Subresource::Named),
            namespace: request.namespace.clone(),
            name: request.name.clone(),
            field_manager: request.field_manager().map(str::to_owned),
            ..Self::default()
        }
    }

    /// Only calls of this actor.
    #[must_use]
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Only calls with one of these verbs.
    #[must_use]
    pub fn verbs(mut self, verbs: impl IntoIterator<Item = Verb>) -> Self {
        self.verbs = verbs.into_iter().collect();
        self
    }

    /// Only calls with this verb.
    #[must_use]
    pub fn verb(self, verb: Verb) -> Self {
        self.verbs([verb])
    }

    /// Only this resource, by group (empty for core) and plural name.
    #[must_use]
    pub fn resource(mut self, group: impl Into<String>, resource: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self.resource = Some(resource.into());
        self
    }

    /// Only this subresource.
    #[must_use]
    pub fn subresource(mut self, subresource: impl Into<String>) -> Self {
        self.subresource = Subresource::Named(subresource.into());
        self
    }

    /// Only objects themselves, no subresources.
    #[must_use]
    pub fn main_resource(mut self) -> Self {
        self.subresource = Subresource::None;
        self
    }

    /// Only this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Only objects of this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only calls of this field manager.
    #[must_use]
    pub fn field_manager(mut self, field_manager: impl Into<String>) -> Self {
        self.field_manager = Some(field_manager.into());
        self
    }

    /// All but this resource.
    #[must_use]
    pub fn except(mut self, group: impl Into<String>, resource: impl Into<String>) -> Self {
        self.except.push((group.into(), resource.into()));
        self
    }

    /// All but leader election.
    #[must_use]
    pub fn without_leases(self) -> Self {
        self.except("coordination.k8s.io", "leases")
    }

    /// All but events, of either API group.
    #[must_use]
    pub fn without_events(self) -> Self {
        self.except("", "events").except("events.k8s.io", "events")
    }

    /// Whether a recorded call is meant; a generated name counts.
    pub fn matches_call(&self, call: &Call) -> bool {
        self.matches_kind(&call.actor, &call.request)
            && is_or_any(self.namespace.as_ref(), call.request.namespace.as_deref())
            && is_or_any(self.name.as_ref(), call.name())
    }

    /// Whether an arriving request is meant.
    pub(super) fn matches(&self, actor: &str, request: &Request) -> bool {
        self.matches_kind(actor, request)
            && is_or_any(self.namespace.as_ref(), request.namespace.as_deref())
            && is_or_any(self.name.as_ref(), request.name.as_deref())
    }

    /// How far a watch is meant.
    pub(super) fn matches_stream(&self, actor: &str, request: &Request) -> StreamMatch {
        if !self.matches_kind(actor, request) {
            return StreamMatch::No;
        }
        // A watch broader than the rule is meant from its first event about the object on.
        let scope = |wanted: &Option<String>, of_watch: &Option<String>| match (wanted, of_watch) {
            (None, _) => StreamMatch::Whole,
            (Some(wanted), Some(has)) if wanted == has => StreamMatch::Whole,
            (Some(_), Some(_)) => StreamMatch::No,
            (Some(_), None) => StreamMatch::FromEvent,
        };
        match (scope(&self.namespace, &request.namespace), scope(&self.name, &request.name)) {
            (StreamMatch::No, _) | (_, StreamMatch::No) => StreamMatch::No,
            (StreamMatch::Whole, StreamMatch::Whole) => StreamMatch::Whole,
            _ => StreamMatch::FromEvent,
        }
    }

    /// Whether an event of a watch is about the object that is meant.
    pub(super) fn matches_object(&self, namespace: Option<&str>, name: Option<&str>) -> bool {
        is_or_any(self.namespace.as_ref(), namespace) && is_or_any(self.name.as_ref(), name)
    }

    fn matches_kind(&self, actor: &str, request: &Request) -> bool {
        is_or_any(self.actor.as_ref(), Some(actor))
            && (self.verbs.is_empty() || self.verbs.contains(&request.verb))
            && (!self.writes_only || request.is_write())
            && is_or_any(self.group.as_ref(), Some(&request.group))
            && is_or_any(self.resource.as_ref(), Some(&request.resource))
            && self.subresource.matches(request.subresource.as_deref())
            && is_or_any(self.field_manager.as_ref(), request.field_manager())
            && !self.except.iter().any(|(group, it)| *group == request.group && *it == request.resource)
    }
}

/// Which part of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Subresource {
    #[default]
    Any,
    None,
    Named(String),
}

impl Subresource {
    fn matches(&self, has: Option<&str>) -> bool {
        match self {
            Self::Any => true,
            Self::None => has.is_none(),
            Self::Named(wanted) => has == Some(wanted),
        }
    }
}

/// How far a rule about watches means one watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamMatch {
    No,
    /// From the first event on that is about the rule's object.
    FromEvent,
    /// From now on.
    Whole,
}

fn is_or_any(wanted: Option<&String>, has: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| has == Some(wanted.as_str()))
}
