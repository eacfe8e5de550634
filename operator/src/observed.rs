//! Child objects, reduced on arrival to what `plan` and `status` need.

use crate::{cause::Cause, digest, kinds::Kind, way_in};
use crds::{Quantity, labels};
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty for cluster-scoped ones.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Whose an object is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// An instance's, by uid.
    Instance(String),
    /// A tenant's, by name.
    Tenant(String),
}

/// A child object.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Where it is.
    pub key: Key,
    /// Whose it is by its labels; none: not ours.
    pub owner: Option<Owner>,
    /// Its uid.
    pub uid: String,
    /// Its resourceVersion; they are ordered within a kind.
    pub version: u64,
    /// The hash of what was desired when it was last applied.
    pub hash: Option<String>,
    /// The digest of the fields that we own.
    pub digest: Option<String>,
    /// The hash of what the instance's owner decides of it, when it was last applied.
    pub inputs: Option<String>,
    /// Where it leads those whom it lets in, where its owner decides something of it (see [`way_in`]).
    pub way_in: Option<String>,
    /// The component it belongs to.
    pub component: Option<String>,
    /// The data it belongs to.
    pub data: Option<String>,
    /// The tenant by its label.
    pub tenant: Option<String>,
    /// Whether it is being deleted.
    pub terminating: bool,
    /// Whether somebody asked us to keep our hands off (break-glass).
    pub hands_off: bool,
    /// What is special to its kind.
    pub state: State,
}

/// What is special to a kind.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Nothing.
    Plain,
    /// A StatefulSet or Deployment.
    Workload {
        /// Pods that should be there by the spec.
        replicas: i64,
        /// Pods that are there.
        current: i64,
        /// Pods that are ready.
        ready: i64,
        /// Pods of the newest template.
        updated: i64,
        /// Whether its controller has seen the newest spec.
        observed: bool,
        /// The pod template.
        pods: PodTemplate,
        /// Why its pods are refused, where it says so itself (a Deployment does).
        cause: Option<Cause>,
    },
    /// A volume claim.
    Volume(Volume),
    /// A ResourceQuota: whether its controller has counted by the newest limits.
    Quota {
        /// Whether `status.hard` equals `spec.hard` and all of it is counted.
        settled: bool,
    },
    /// An Ingress.
    Routes {
        /// The hosts that it leads to its instance.
        hosts: BTreeSet<String>,
    },
    /// A Service that is reached from outside the cluster.
    Exposed {
        /// Where its load balancer is, once it has one: a host name or an address.
        address: Option<String>,
        /// The port of its load balancer.
        port: Option<u16>,
        /// The port on every node.
        node_port: Option<u16>,
    },
    /// A pod.
    Pod {
        /// Whether it is ready.
        ready: bool,
        /// Whether it has ended for good.
        finished: bool,
        /// Why it does not serve.
        cause: Option<Cause>,
    },
    /// A job.
    Job {
        /// Whether it has done its work.
        complete: bool,
        /// Whether it gave up.
        failed: bool,
    },
}

/// What is known of a workload's pod template without its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodTemplate {
    /// The hash of what we last applied, as noted.
    pub applied: Option<String>,
    /// The hash of what is there of it.
    pub live: Option<String>,
    /// The last `rolloutAt` that was reached, as noted.
    pub rollout_at: Option<String>,
}

/// A volume claim and what is noted on it about its data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    /// Whether it is bound.
    pub bound: bool,
    /// Whether its volume was lost.
    pub lost: bool,
    /// Its storage class, which never changes, where it was we who named it.
    pub class: Option<String>,
    /// The size asked for.
    pub requested: Quantity,
    /// The size it has.
    pub capacity: Quantity,
    /// What its growth waits for.
    pub growth: Growth,
    /// What is noted on it about the time after its instance.
    pub release: Release,
    /// The template that wrote it.
    pub template: String,
    /// The plan it was sold with.
    pub plan: String,
}

/// What is noted on data, a volume claim or its Secret, about the time after its instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// When its instance let it go; none: it did not.
    pub released_at: Option<Timestamp>,
    /// Until when it is kept then.
    pub keep_until: Option<Timestamp>,
    /// When the operator noted the order to destroy it.
    pub purge_ordered_at: Option<Timestamp>,
    /// Whether an order to destroy it stood already when it was released.
    pub order_is_void: bool,
    /// Whether its destruction has begun; noted on the Secret only.
    pub purge_begun: bool,
    /// Whether there are notes that make no sense: a time that is none, or only one of release and end.
    pub unreadable: bool,
}

impl Release {
    /// Reads the annotations of an object.
    pub fn reduce(object: &Value) -> Self {
        let annotations = object.pointer("/metadata/annotations");
        let note = |key: &str| annotations.and_then(|all| all.get(key)).and_then(Value::as_str);
        let mut wrong = false;
        let mut time = |key: &str| {
            let parsed = note(key).map(str::parse::<Timestamp>);
            wrong |= matches!(parsed, Some(Err(_)));
            parsed.and_then(Result::ok)
        };
        let released_at = time(labels::RELEASED_AT);
        let keep_until = time(labels::KEEP_UNTIL);
        let purge_ordered_at = time(labels::PURGE_ORDERED_AT);
        Self {
            released_at,
            keep_until,
            purge_ordered_at,
            order_is_void: note(labels::PURGE_ORDER_VOID).is_some(),
            purge_begun: note(labels::PURGE_BEGUN_AT).is_some(),
            unreadable: wrong || released_at.is_some() != keep_until.is_some(),
        }
    }
}

/// What the growth of a volume waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Growth {
    /// Nothing but the storage, where it grows at all.
    #[default]
    Nothing,
    /// The next start of its pod, which grows the file system.
    Restart,
    /// Somebody who looks: it failed.
    Failed,
}

impl Child {
    /// Reduces an object as the API server sent it; none for one without name, uid or version.
    pub fn reduce(kind: Kind, object: &Value) -> Option<Self> {
        let metadata = object.get("metadata")?;
        let label = |key: &str| {
            metadata.get("labels").and_then(|all| all.get(key)).and_then(Value::as_str).map(str::to_owned)
        };
        let annotation =
            |key: &str| metadata.get("annotations").and_then(|all| all.get(key)).and_then(Value::as_str);
        let applied = if kind == Kind::Pod { None } else { digest::owned(object) };
        let tenant = label(labels::TENANT);
        let managed = label(labels::MANAGED_BY).as_deref() == Some(labels::MANAGER);
        let owner = label(labels::INSTANCE)
            .map(Owner::Instance)
            .or_else(|| tenant.clone().map(Owner::Tenant))
            .filter(|_| managed || kind == Kind::Pod);
        Some(Self {
            key: Key {
                kind,
                namespace: metadata.get("namespace").and_then(Value::as_str).unwrap_or_default().to_owned(),
                name: metadata.get("name")?.as_str()?.to_owned(),
            },
            owner,
            uid: metadata.get("uid")?.as_str()?.to_owned(),
            version: metadata.get("resourceVersion")?.as_str()?.parse().ok()?,
            hash: annotation(labels::HASH).map(str::to_owned),
            digest: applied.as_ref().map(digest::Parts::whole),
            inputs: annotation(labels::INPUTS).map(str::to_owned),
            way_in: way_in::of(kind, object),
            component: label(labels::COMPONENT),
            data: label(labels::DATA),
            tenant,
            terminating: metadata.get("deletionTimestamp").is_some_and(|time| !time.is_null()),
            hands_off: annotation(labels::RECONCILE) == Some("disabled"),
            state: State::reduce(kind, object, applied.and_then(|parts| parts.pods)),
        })
    }

    /// Whether it is as `hash` says, so that nothing needs to be written.
    pub fn is_as_desired(&self, hash: &str) -> bool {
        self.hash.as_deref() == Some(hash) && self.digest.as_deref() == Some(hash)
    }

    /// Whether nobody changed what we last applied.
    pub fn is_intact(&self) -> bool {
        self.hash.is_some() && self.hash == self.digest
    }

    /// Whether `other` would lead to the same decisions: equal but for the version.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        Self { version: 0, ..self.clone() } == Self { version: 0, ..other.clone() }
    }

    /// The claim's state, where it is one.
    pub fn volume(&self) -> Option<&Volume> {
        if let State::Volume(volume) = &self.state { Some(volume) } else { None }
    }

    /// The hosts that it leads to its instance.
    pub fn hosts(&self) -> impl Iterator<Item = &String> {
        let hosts = if let State::Routes { hosts } = &self.state { Some(hosts) } else { None };
        hosts.into_iter().flatten()
    }

    /// Whether it leads a host to its instance.
    pub fn routes(&self, host: &str) -> bool {
        matches!(&self.state, State::Routes { hosts } if hosts.contains(host))
    }

    /// Whether it belongs to the instance with that uid.
    pub fn is_owned_by(&self, uid: &str) -> bool {
        matches!(&self.owner, Some(Owner::Instance(owner)) if owner == uid)
    }
}

impl State {
    fn reduce(kind: Kind, object: &Value, live_pods: Option<String>) -> Self {
        let number = |path: &str| object.pointer(path).and_then(Value::as_i64).unwrap_or_default();
        match kind {
            Kind::StatefulSet | Kind::Deployment => Self::Workload {
                replicas: object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1),
                current: number("/status/replicas"),
                ready: number("/status/readyReplicas"),
                updated: number("/status/updatedReplicas"),
                observed: number("/status/observedGeneration") >= number("/metadata/generation"),
                pods: PodTemplate::reduce(object, live_pods),
                cause: Cause::of_workload(object),
            },
            Kind::PersistentVolumeClaim => Self::Volume(Volume::reduce(object)),
            Kind::ResourceQuota => Self::Quota { settled: quota_is_settled(object) },
            Kind::Ingress => Self::Routes { hosts: routed_hosts(object) },
            Kind::Service => Self::exposed(object),
            Kind::Pod => Self::Pod {
                ready: condition(object, "Ready"),
                finished: matches!(
                    object.pointer("/status/phase").and_then(Value::as_str),
                    Some("Succeeded" | "Failed")
                ),
                cause: Cause::of_pod(object),
            },
            Kind::Job => {
                Self::Job { complete: condition(object, "Complete"), failed: condition(object, "Failed") }
            }
            _ => Self::Plain,
        }
    }
}

impl PodTemplate {
    fn reduce(object: &Value, live: Option<String>) -> Self {
        let annotations = object.pointer("/metadata/annotations");
        let annotation = |key: &str| annotations?.get(key)?.as_str().map(str::to_owned);
        Self { applied: annotation(labels::PODS), live, rollout_at: annotation(labels::ROLLOUT_AT) }
    }
}

impl State {
    fn exposed(object: &Value) -> Self {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
        if !matches!(text("/spec/type"), Some("LoadBalancer" | "NodePort")) {
            return Self::Plain;
        }
        let number = |path: &str| {
            object.pointer(path).and_then(Value::as_u64).and_then(|number| u16::try_from(number).ok())
        };
        let balancer = "/status/loadBalancer/ingress/0";
        let address = text(&format!("{balancer}/hostname")).or_else(|| text(&format!("{balancer}/ip")));
        Self::Exposed {
            address: address.map(str::to_owned),
            port: number("/spec/ports/0/port"),
            node_port: number("/spec/ports/0/nodePort").filter(|port| *port > 0),
        }
    }
}

fn routed_hosts(object: &Value) -> BTreeSet<String> {
    let rules = object.pointer("/spec/rules").and_then(Value::as_array);
    rules.into_iter().flatten().filter_map(|rule| rule["host"].as_str()).map(str::to_owned).collect()
}

impl Volume {
    fn reduce(object: &Value) -> Self {
        let quantity = |path: &str| {
            object
                .pointer(path)
                .and_then(Value::as_str)
                .and_then(|text| text.parse().ok())
                .unwrap_or_default()
        };
        let annotations = object.pointer("/metadata/annotations");
        let annotation = |key: &str| annotations.and_then(|all| all.get(key)).and_then(Value::as_str);
        let phase = object.pointer("/status/phase").and_then(Value::as_str);
        Self {
            bound: phase == Some("Bound"),
            lost: phase == Some("Lost"),
            class: object
                .pointer("/spec/storageClassName")
                .filter(|_| digest::owns(object, "/f:spec/f:storageClassName"))
                .and_then(Value::as_str)
                .map(str::to_owned),
            requested: quantity("/spec/resources/requests/storage"),
            capacity: quantity("/status/capacity/storage"),
            growth: Growth::reduce(object),
            release: Release::reduce(object),
            template: annotation(labels::TEMPLATE).unwrap_or_default().to_owned(),
            plan: annotation(labels::PLAN).unwrap_or_default().to_owned(),
        }
    }
}

impl Growth {
    fn reduce(claim: &Value) -> Self {
        let resource = claim.pointer("/status/allocatedResourceStatuses/storage").and_then(Value::as_str);
        let infeasible = resource.is_some_and(|status| status.ends_with("Infeasible"));
        if infeasible || condition(claim, "ControllerResizeError") || condition(claim, "NodeResizeError") {
            Self::Failed
        } else if condition(claim, "FileSystemResizePending") {
            Self::Restart
        } else {
            Self::Nothing
        }
    }
}

fn condition(object: &Value, type_: &str) -> bool {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.is_some_and(|all| all.iter().any(|one| one["type"] == type_ && one["status"] == "True"))
}

fn quota_is_settled(object: &Value) -> bool {
    let hard = |path: &str| -> Option<Vec<(String, Quantity)>> {
        let map = object.pointer(path)?.as_object()?;
        let mut all: Vec<(String, Quantity)> = map
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.parse().ok()?)))
            .collect();
        all.sort();
        Some(all)
    };
    let counted = |name: &String| object.pointer("/status/used").is_some_and(|used| used.get(name).is_some());
    hard("/spec/hard").is_some_and(|wanted| {
        wanted.iter().all(|(name, _)| counted(name)) && hard("/status/hard") == Some(wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn release(annotations: &Value) -> Release {
        Release::reduce(&json!({"metadata": {"annotations": annotations}}))
    }

    #[test]
    fn notes_of_a_release_are_read_or_said_to_make_no_sense() {
        let (at, end) = ("2026-11-01T00:00:00Z", "2026-11-15T00:00:00Z");
        let whole = release(&json!({labels::RELEASED_AT: at, labels::KEEP_UNTIL: end}));
        assert_eq!((whole.released_at, whole.keep_until), (at.parse().ok(), end.parse().ok()));
        assert!(!whole.unreadable && !release(&json!({})).unreadable && !release(&Value::Null).unreadable);
        for wrong in [
            json!({labels::RELEASED_AT: at}),
            json!({labels::KEEP_UNTIL: end}),
            json!({labels::RELEASED_AT: "yesterday", labels::KEEP_UNTIL: end}),
            json!({labels::RELEASED_AT: at, labels::KEEP_UNTIL: "2026-11-15"}),
            json!({labels::RELEASED_AT: at, labels::KEEP_UNTIL: end, labels::PURGE_ORDERED_AT: ""}),
        ] {
            assert!(release(&wrong).unreadable, "{wrong}");
        }
    }
}
