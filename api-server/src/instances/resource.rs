//! What billing needs to know of a resource, in few words, so that all of them can be held at once.

use super::crossing;
use crate::cluster::{CallError, Cluster};
use crds::{ServiceInstance, labels};
use jiff::Timestamp;
use kube::{Api, ResourceExt as _, api::ListParams};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Resources of a page.
const PAGE: u32 = 500;

/// One resource.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Resource {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Which one it is.
    pub uid: Option<Uuid>,
    /// Whether it says that it was bought.
    pub is_bought: bool,
    /// By which subscription.
    pub subscription: Option<Uuid>,
    /// Its plan.
    pub plan: String,
    /// Whether it is entitled to anything.
    pub is_entitled: bool,
    /// Until when it is paid for, as it says.
    pub paid_until: Option<Timestamp>,
    /// When the operator suspends it.
    pub suspend_at: Option<Timestamp>,
    /// Whether billing holds it.
    pub is_held_by_billing: bool,
    /// Whether anybody does.
    pub is_held: bool,
    /// Whether it is being deleted.
    pub is_going: bool,
    /// How often its spec was changed.
    pub generation: i64,
    /// What billing told it last.
    pub told: Option<i64>,
    /// When it was made.
    pub made_at: Option<Timestamp>,
    /// Why it runs though nobody has bought it, where somebody who may entitle says so.
    pub entitled_because: Option<String>,
}

impl Resource {
    /// What matters of a resource.
    pub fn of(instance: &ServiceInstance) -> Self {
        let (spec, metadata) = (&instance.spec, &instance.metadata);
        let entitlement = spec.entitlement.as_ref();
        let holds = spec.holds.as_ref();
        let is_held_by_billing = holds.is_some_and(|holds| holds.billing.is_some());
        let told = instance.annotations().get(labels::BILLING_VERSION);
        let because = instance.annotations().get(labels::ENTITLED_BECAUSE).map(|why| why.trim());
        Self {
            namespace: instance.namespace().unwrap_or_default(),
            name: instance.name_any(),
            uid: instance.uid().and_then(|uid| Uuid::try_parse(&uid).ok()),
            is_bought: instance.labels().contains_key(labels::SUBSCRIPTION),
            subscription: crossing::subscription_of(instance),
            plan: spec.plan_ref.clone(),
            is_entitled: entitlement.is_some(),
            paid_until: entitlement.and_then(|one| one.paid_until.as_ref()).map(|time| time.0),
            suspend_at: entitlement.and_then(|one| one.suspend_at.as_ref()).map(|time| time.0),
            is_held_by_billing,
            is_held: is_held_by_billing
                || holds.is_some_and(|holds| holds.admin.is_some() || holds.abuse.is_some()),
            is_going: metadata.deletion_timestamp.is_some(),
            generation: metadata.generation.unwrap_or_default(),
            told: told.and_then(|text| text.parse().ok()),
            made_at: metadata.creation_timestamp.as_ref().map(|time| time.0),
            entitled_because: because.filter(|why| !why.is_empty()).map(str::to_owned),
        }
    }

    /// Whether the operator lets it run.
    pub fn may_run(&self, now: Timestamp) -> bool {
        let is_over = self.suspend_at.is_some_and(|at| at <= now);
        self.is_entitled && !is_over && !self.is_held && !self.is_going
    }
}

/// All resources.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    by_place: BTreeMap<(String, String), Resource>,
}

impl FromIterator<Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = Resource>>(all: I) -> Self {
        let by_place = all.into_iter().map(|one| ((one.namespace.clone(), one.name.clone()), one));
        Self { by_place: by_place.collect() }
    }
}

impl Resources {
    /// The one of that name.
    pub fn at(&self, namespace: &str, name: &str) -> Option<&Resource> {
        self.by_place.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// All of them, by namespace and name.
    pub fn all(&self) -> impl Iterator<Item = &Resource> {
        self.by_place.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_place.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }
}

/// All of them, as the cluster itself says now, page by page.
///
/// # Errors
/// [`CallError`].
pub async fn list(cluster: &Cluster) -> Result<Resources, CallError> {
    let (mut all, mut params) = (Vec::new(), ListParams::default().limit(PAGE));
    loop {
        let page =
            cluster.call(async |client| Api::<ServiceInstance>::all(client).list(&params).await).await?;
        all.extend(page.items.iter().map(Resource::of));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(all.into_iter().collect()),
        }
    }
}

/// All of them, as the watch has them; none while that may be too old.
pub fn known(cluster: &Cluster) -> Option<Resources> {
    let all = cluster.watches().instances.fresh().ok()?;
    Some(all.all().map(|one| Resource::of(one)).collect())
}
