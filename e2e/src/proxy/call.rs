//! What the proxy knows about one call: the Kubernetes request it was, and what became of it.

use std::{fmt, sync::Arc, time::Duration};

use hyper::body::Bytes;

use super::rule::RuleId;

/// A Kubernetes verb, as RBAC and the audit log name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Read one object, or a path that is not a resource (`/version`, `/openapi/v3`).
    Get,
    /// Read a collection.
    List,
    /// Follow a collection.
    Watch,
    /// `POST`.
    Create,
    /// `PUT`.
    Update,
    /// `PATCH`, server-side apply included: see [`Request::is_apply`].
    Patch,
    /// `DELETE` of one object.
    Delete,
    /// `DELETE` of a collection.
    DeleteCollection,
    /// A method Kubernetes has no verb for.
    Other,
}

impl Verb {
    /// The verbs that change something.
    pub const WRITES: [Self; 5] =
        [Self::Create, Self::Update, Self::Patch, Self::Delete, Self::DeleteCollection];

    /// Whether the verb changes something.
    pub fn is_write(self) -> bool {
        Self::WRITES.contains(&self)
    }

    /// The verb in lower case, as in a `Role`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The identity or version a write insisted on: `DeleteOptions.preconditions`, or `metadata.uid` and
/// `metadata.resourceVersion` of the object written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// The uid the object had to have.
    pub uid: Option<String>,
    /// The resource version the object had to have.
    pub resource_version: Option<String>,
}

/// A request read as Kubernetes reads it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The verb, from method, path and query.
    pub verb: Verb,
    /// The path as it came.
    pub path: String,
    /// The API group; empty for the core group and for paths that are not resources.
    pub group: String,
    /// The API version; empty for paths that are not resources.
    pub version: String,
    /// The plural resource (`deployments`); empty for paths that are not resources.
    pub resource: String,
    /// What follows the name (`status`, `scale`).
    pub subresource: Option<String>,
    /// The namespace. A `Namespace` object counts as being in itself, as in the API server.
    pub namespace: Option<String>,
    /// The object's name; of a create it comes from the body, of a list or watch from a field selector on
    /// `metadata.name`. `None` for a `generateName`: see [`Call::name`].
    pub name: Option<String>,
    /// The query, decoded (`fieldManager`, `dryRun`, `resourceVersion` …).
    pub query: Vec<(String, String)>,
    /// The `Content-Type`.
    pub content_type: Option<String>,
    /// SHA-256 of the body in hexadecimal, if there was one.
    pub body_sha256: Option<String>,
    /// What the write insisted on.
    pub preconditions: Preconditions,
    /// The body, if the proxy was told to keep bodies; never one of a Secret or a token.
    pub body: Option<Bytes>,
    /// Whether the body asked for a dry run.
    pub(super) dry_run_in_body: bool,
}

impl Request {
    /// The first value of a query parameter.
    pub fn query(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// The field manager the caller named.
    pub fn field_manager(&self) -> Option<&str> {
        self.query("fieldManager")
    }

    /// Whether nothing was to be stored.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run_in_body || self.query("dryRun").is_some()
    }

    /// Whether this is a server-side apply.
    pub fn is_apply(&self) -> bool {
        self.verb == Verb::Patch
            && self.content_type.as_deref().is_some_and(|it| it.starts_with("application/apply-patch"))
    }

    /// Whether the request would change stored state: a writing verb, no dry run, and not one of the
    /// questions asked by `POST` (access and token reviews, tokens).
    pub fn is_write(&self) -> bool {
        let question = matches!(self.group.as_str(), "authentication.k8s.io" | "authorization.k8s.io")
            || self.subresource.as_deref() == Some("token");
        self.verb.is_write() && !question && !self.is_dry_run()
    }

    /// Whether the body may not be kept.
    pub(super) fn is_secret(&self) -> bool {
        let secret = self.group.is_empty() && self.resource == "secrets";
        secret || self.group == "authentication.k8s.io" || self.subresource.as_deref() == Some("token")
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No answer yet.
    Pending,
    /// Passed on and answered by the API server.
    Forwarded,
    /// Passed on and answered, later than it would have been.
    Delayed(RuleId),
    /// Answered, reset or cut by a rule; the API server never saw it. Of a watch: ended by a rule.
    Injected(RuleId),
    /// Carried out by the API server, the answer replaced or swallowed by a rule.
    ReplyLost(RuleId),
    /// The actor was killed before the call reached the API server.
    CrashedBefore(RuleId),
    /// The actor was killed after the API server carried the call out.
    CrashedAfter(RuleId),
    /// The actor went away, or was cut off, before an answer. Whether it was carried out is unknown.
    Abandoned,
    /// The API server could not be reached, or broke off.
    UpstreamFailed,
}

/// One call of an actor.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its place in the log, from 0, in the order of arrival.
    pub seq: usize,
    /// Who called.
    pub actor: Arc<str>,
    /// What was asked.
    pub request: Arc<Request>,
    /// The status code the actor was given.
    pub status: Option<u16>,
    /// The status code the API server gave.
    pub upstream_status: Option<u16>,
    /// The reason in the API server's `Status`, when it refused a write.
    pub reason: Option<String>,
    /// Uid of the object written, from the API server's answer.
    pub uid: Option<String>,
    /// Its name from that answer.
    pub answered_name: Option<String>,
    /// The resource version the write resulted in.
    pub resource_version: Option<String>,
    /// When it arrived, since the start of the proxy.
    pub started: Duration,
    /// When its answer was complete or its connection gone, since the start of the proxy.
    pub finished: Option<Duration>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Call {
    /// The object's name, generated ones included.
    pub fn name(&self) -> Option<&str> {
        self.request.name.as_deref().or(self.answered_name.as_deref())
    }

    /// The object the call was about.
    pub fn object(&self) -> ObjectKey {
        ObjectKey {
            group: self.request.group.clone(),
            resource: self.request.resource.clone(),
            namespace: self.request.namespace.clone(),
            name: self.name().map(str::to_owned),
        }
    }

    /// Whether the call would have changed stored state: see [`Request::is_write`].
    pub fn is_write(&self) -> bool {
        self.request.is_write()
    }

    /// Whether the API server is known to have carried out this write.
    pub fn is_committed(&self) -> bool {
        self.is_write() && self.upstream_status.is_some_and(|status| (200..300).contains(&status))
    }

    /// Whether it is decided what becomes of the call. An open watch is decided once its stream began.
    pub fn is_decided(&self) -> bool {
        self.outcome != Outcome::Pending
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {} {} {}", self.seq, self.actor, self.request.verb, self.object())?;
        if let Some(subresource) = &self.request.subresource {
            write!(f, "/{subresource}")?;
        }
        match self.status {
            Some(status) => write!(f, " {status} {:?}", self.outcome),
            None => write!(f, " {:?}", self.outcome),
        }
    }
}

/// An object, or a collection if it has no name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The API group, empty for core.
    pub group: String,
    /// The plural resource.
    pub resource: String,
    /// The namespace.
    pub namespace: Option<String>,
    /// The name.
    pub name: Option<String>,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        let namespace = self.namespace.as_deref().map(|it| format!("{it}/")).unwrap_or_default();
        write!(f, " {namespace}{}", self.name.as_deref().unwrap_or("*"))
    }
}
