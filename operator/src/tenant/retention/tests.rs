//! One data of two volumes and a Secret, in a world of objects that steps are carried out on.

mod cases;
mod jumps;

use super::*;
use crate::{apply, kinds::Kind, observed::State, observed::Volume};
use crds::{ServiceInstanceSpec, TenantQuotaSpec, TenantQuotaStatus, labels, names, quota::RetentionOrder};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

const ID: &str = "dabcdefghijk";
const NAMESPACE: &str = "customer-sample";
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// When the data is released; all times are seconds from here.
const RELEASE: i64 = 1_800_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(RELEASE + seconds).unwrap()
}

fn bounds() -> RetentionBounds {
    RetentionBounds::default()
}

/// Objects as the API server keeps them, and what time it is.
#[derive(Clone)]
struct World {
    tenant: TenantQuota,
    /// Volumes by name, and the Secret, as JSON.
    objects: BTreeMap<String, Value>,
    mounted: BTreeSet<String>,
    instances: Vec<Arc<ServiceInstance>>,
    operator: i64,
    server: i64,
    version: u64,
    deleted: Vec<String>,
}

impl World {
    /// Released at 0, kept for 14 days.
    fn new() -> Self {
        let mut tenant = TenantQuota::new(
            "sample",
            TenantQuotaSpec { owner: "owner".into(), ..TenantQuotaSpec::default() },
        );
        tenant.status = Some(TenantQuotaStatus::default());
        let mut world = Self {
            tenant,
            objects: BTreeMap::new(),
            mounted: BTreeSet::new(),
            instances: Vec::new(),
            operator: 0,
            server: 0,
            version: 10,
            deleted: Vec::new(),
        };
        for name in [volume("app"), volume("db"), names::data_secret(ID)] {
            let object = json!({
                "metadata": {
                    "name": name, "namespace": NAMESPACE, "uid": format!("uid-{name}"), "resourceVersion": "1",
                    "labels": {labels::MANAGED_BY: labels::MANAGER, labels::TENANT: "sample", labels::DATA: ID},
                    "annotations": {
                        labels::RELEASED_AT: at(0).to_string(), labels::KEEP_UNTIL: at(14 * DAY).to_string(),
                        labels::TEMPLATE: "postgresql", labels::PLAN: "small",
                    },
                },
                "spec": {"resources": {"requests": {"storage": "1Gi"}}},
            });
            world.objects.insert(name, object);
        }
        world
    }

    fn at(mut self, seconds: i64) -> Self {
        (self.operator, self.server) = (seconds, seconds);
        self
    }

    fn clocks(mut self, operator: i64, server: i64) -> Self {
        (self.operator, self.server) = (operator, server);
        self
    }

    fn order(mut self, order: RetentionOrder) -> Self {
        self.tenant.spec.retained.insert(ID.to_owned(), order);
        self
    }

    fn note(mut self, name: &str, key: &str, value: &Value) -> Self {
        self.annotate(name, key, value);
        self
    }

    fn annotate(&mut self, name: &str, key: &str, value: &Value) {
        let object = self.objects.get_mut(name).unwrap();
        if value.is_null() {
            object["metadata"]["annotations"].as_object_mut().unwrap().remove(key);
        } else {
            object["metadata"]["annotations"][key] = value.clone();
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
    }

    fn without(mut self, name: &str) -> Self {
        self.objects.remove(name);
        self
    }

    fn instance(mut self, uid: &str, restore_from: Option<&str>) -> Self {
        let spec = ServiceInstanceSpec {
            restore_from: restore_from.map(str::to_owned),
            ..ServiceInstanceSpec::default()
        };
        let mut one = ServiceInstance::new("db", spec);
        one.metadata.uid = Some(uid.to_owned());
        self.instances.push(Arc::new(one));
        self
    }

    fn volumes(&self) -> Vec<Arc<Child>> {
        let claims = self.objects.iter().filter(|(name, _)| **name != names::data_secret(ID));
        claims.map(|(_, one)| Arc::new(Child::reduce(Kind::PersistentVolumeClaim, one).unwrap())).collect()
    }

    fn secret(&self) -> Option<SecretSeen> {
        let one = self.objects.get(&names::data_secret(ID))?;
        Some(SecretSeen { child: Child::reduce(Kind::Secret, one).unwrap(), release: Release::reduce(one) })
    }

    /// What the caches lead to, and where they say so what a look leads to.
    fn judge(&self, bounds: &RetentionBounds) -> Judgement {
        let volumes = self.volumes();
        let clocks = Clocks { operator: at(self.operator), server: None };
        let (tenant, instances) = (&self.tenant, &self.instances[..]);
        let cached = judge(&View { tenant, volumes: &volumes, instances, live: None, clocks }, bounds);
        assert!(cached.steps.is_empty(), "nothing is done by the caches alone: {cached:?}");
        if !cached.look {
            return cached;
        }
        let secrets = cached.look_at.iter().map(|id| (id.clone(), self.secret())).collect();
        let live = Live { mounted: self.mounted.clone(), secrets };
        let clocks = Clocks { server: Some(at(self.server)), ..clocks };
        judge(&View { tenant, volumes: &volumes, instances, live: Some(&live), clocks }, bounds)
    }

    /// Carries out one step, as the API server would.
    fn act(&mut self, step: &Step) {
        match &step.act {
            Act::Note { key, patch } => {
                let seen = &self.objects[&key.name]["metadata"]["resourceVersion"];
                assert_eq!(&patch["metadata"]["resourceVersion"], seen, "onto the version that was judged");
                for (note, value) in patch["metadata"]["annotations"].as_object().unwrap() {
                    self.annotate(&key.name, note, value);
                }
            }
            Act::Delete { key, seen } => {
                let there = &self.objects[&key.name]["metadata"];
                assert_eq!(
                    (there["uid"].as_str(), there["resourceVersion"].as_str()),
                    (Some(seen.uid.as_str()), Some(seen.version.to_string().as_str()))
                );
                self.objects.remove(&key.name);
                self.deleted.push(key.name.clone());
            }
        }
    }

    /// One reconcile: rounds of judging and acting, then the list is written.
    fn reconcile(&mut self, bounds: &RetentionBounds) -> Judgement {
        for _ in 0..4 {
            let judgement = self.judge(bounds);
            if judgement.steps.is_empty() {
                return self.list(judgement);
            }
            judgement.steps.iter().for_each(|step| self.act(step));
        }
        let judgement = self.judge(bounds);
        self.list(judgement)
    }

    fn list(&mut self, judgement: Judgement) -> Judgement {
        let status = self.tenant.status.as_mut().unwrap();
        status.retained.clone_from(&judgement.retained);
        status.orphaned.clone_from(&judgement.orphaned);
        judgement
    }
}

fn volume(component: &str) -> String {
    names::data_volume(ID, component, "data")
}

fn purge() -> RetentionOrder {
    RetentionOrder { keep_until: None, purge: true }
}

fn keep(seconds: i64) -> RetentionOrder {
    RetentionOrder { keep_until: Some(Time(at(seconds))), purge: false }
}

fn state(judgement: &Judgement) -> RetainedState {
    judgement.retained[0].state
}

fn message(judgement: &Judgement) -> &str {
    judgement.retained[0].message.as_deref().unwrap_or_default()
}

fn released_volume() -> Child {
    Child {
        key: apply::key(Kind::PersistentVolumeClaim, NAMESPACE, "v"),
        owner: Some(Owner::Tenant("sample".into())),
        uid: "u".into(),
        version: 1,
        hash: None,
        digest: None,
        inputs: None,
        way_in: None,
        component: None,
        data: Some(ID.into()),
        tenant: None,
        terminating: false,
        hands_off: false,
        state: State::Volume(Volume {
            release: Release {
                released_at: Some(at(0)),
                keep_until: Some(at(14 * DAY)),
                ..Release::default()
            },
            ..Volume::default()
        }),
    }
}
