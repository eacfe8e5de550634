//! One app: how it is bought, used and tried, and what is done to it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use crds::{labels, managers};
use e2e::wait;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::house::{BOUND, House};
use crate::matrix::Matrix;
use crate::visitor::Visitor;
use crate::{apps, neighbours, usage};

/// How long a first start may take; a promise to customers is two to five minutes, of which a busy machine knows nothing.
const FIRST: Duration = Duration::from_mins(10);

/// As often as people may ask.
const PACE: Duration = Duration::from_secs(1);

/// The apps of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    Postgresql,
    Wordpress,
    Ghost,
    N8n,
}

/// One that runs.
pub struct Running {
    /// The id at the API.
    pub id: String,
    /// The subscription's id; none of one that was restored by hand.
    pub namespace: String,
    /// The resource.
    pub name: String,
    /// What its owner logs in with.
    pub credentials: Value,
}

impl App {
    /// By the template's name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Postgresql, Self::Wordpress, Self::Ghost, Self::N8n].into_iter().find(|app| app.name() == name)
    }

    /// The template's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgresql => "postgresql",
            Self::Wordpress => "wordpress",
            Self::Ghost => "ghost",
            Self::N8n => "n8n",
        }
    }

    /// Whether it takes the image of a recipe.
    pub fn takes(self, recipe: &str) -> bool {
        match self {
            Self::Postgresql => recipe == "postgres",
            Self::Wordpress => ["mysql", "wordpress", "wordpress-cli"].contains(&recipe),
            Self::Ghost => ["mysql", "ghost"].contains(&recipe),
            Self::N8n => ["postgres", "n8n"].contains(&recipe),
        }
    }

    fn is_a_site(self) -> bool {
        self != Self::Postgresql
    }

    fn parameters(self, email: &str) -> Value {
        match self {
            Self::Postgresql => json!({"database": "shop"}),
            Self::Wordpress => json!({"adminEmail": email, "title": "Perahu"}),
            Self::Ghost | Self::N8n => json!({"ownerEmail": email}),
        }
    }

    /// Buys it, uses it, does to it all that may happen to an app, and finds its data each time.
    pub async fn play(self, house: &mut House, matrix: &mut Matrix) -> Result<()> {
        let name = self.name();
        let mut running = None;
        matrix
            .step(name, "bought, until ACTIVE", async {
                let found = self.buy(house).await?;
                let seen = format!("{} in {}", found.name, found.namespace);
                running = Some(found);
                Ok(seen)
            })
            .await?;
        let running = running.context("it was bought")?;
        if self.is_a_site() {
            matrix
                .step(name, "first page, through the ingress", apps::first_page(self, house, &running))
                .await?;
            matrix
                .step(name, "taken over by the first visitor", apps::take_over(self, house, &running))
                .await?;
        }
        matrix.step(name, "data written", apps::write(self, house, &running)).await?;
        matrix
            .step(name, "use: our API, kubectl top, control groups", usage::agrees(house, &running))
            .await?;
        if self == Self::Postgresql {
            neighbours::are_kept_apart(house, &running, matrix).await?;
        }
        matrix.step(name, "pods killed", self.killed(house, &running)).await?;
        matrix.step(name, "node switched off and on", self.switched_off(house, &running)).await?;
        matrix.step(name, "suspended by an administrator", self.suspended(house, &running)).await?;
        matrix.step(name, "stopped and started by its owner", self.stopped(house, &running)).await?;
        matrix.step(name, "deleted, and restored from its data", self.restored(house, &running)).await
    }

    async fn buy(self, house: &House) -> Result<Running> {
        let plan = format!("{}-small", self.name());
        let wish = json!({"plan": plan, "parameters": self.parameters(&house.customer.email)});
        wait::until("the plan to be sold", BOUND, async || {
            let offered = house.post("/subscriptions/quote", &format!("quote-{plan}"), Some(&wish)).await?;
            Ok((offered["can_buy"] == true).then_some(()))
        })
        .await?;
        let bought = house.post("/subscriptions", &format!("buy-{plan}"), Some(&wish)).await?;
        let id = bought["id"].as_str().context("it has an id")?.to_owned();
        let name = bought["resource"].as_str().context("it has a resource")?.to_owned();
        wait::until_every(PACE, "it to be ACTIVE", FIRST, async || {
            let now = house.get(&format!("/subscriptions/{id}")).await?;
            if now["status"] == "CANCELLED" {
                bail!("it was given up: {now}");
            }
            Ok((now["status"] == "ACTIVE").then_some(()))
        })
        .await
        .with_context(|| format!("the instance {name}"))?;
        let namespace = crds::names::tenant_namespace(&crds::names::tenant_of_user(&house.customer.id));
        let credentials = house.get(&format!("/instances/{id}/credentials")).await?;
        Ok(Running { id, namespace, name, credentials })
    }

    async fn killed(self, house: &House, running: &Running) -> Result<String> {
        let pods: Api<Pod> = Api::namespaced(house.admin.clone(), &running.namespace);
        let before = running.pods(house).await?;
        ensure!(!before.is_empty(), "it has pods");
        for pod in &before {
            pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
        }
        let uids: Vec<_> = before.iter().filter_map(|pod| pod.metadata.uid.clone()).collect();
        wait::until("other pods", BOUND, async || {
            let now = running.pods(house).await?;
            let others =
                now.iter().all(|pod| pod.metadata.uid.as_ref().is_some_and(|uid| !uids.contains(uid)));
            Ok((others && now.len() == before.len()).then_some(()))
        })
        .await?;
        running.until_available(house, true).await?;
        apps::read(self, house, running).await
    }

    async fn switched_off(self, house: &mut House, running: &Running) -> Result<String> {
        let started = running.started(house).await?;
        house.restart_node().await?;
        wait::until("its containers to be started again", BOUND, async || {
            Ok((running.started(house).await? != started).then_some(()))
        })
        .await?;
        running.until_available(house, true).await?;
        apps::read(self, house, running).await
    }

    async fn suspended(self, house: &House, running: &Running) -> Result<String> {
        house.hold(&running.namespace, &running.name, true).await?;
        running.until_gone(house).await?;
        let meanwhile = self.refused(house, running).await?;
        house.hold(&running.namespace, &running.name, false).await?;
        running.until_available(house, true).await?;
        Ok(format!("{meanwhile}; resumed: {}", apps::read(self, house, running).await?))
    }

    async fn stopped(self, house: &House, running: &Running) -> Result<String> {
        house.post(&format!("/instances/{}/stop", running.id), "stop", Some(&json!({}))).await?;
        running.until_gone(house).await?;
        let meanwhile = self.refused(house, running).await?;
        house.post(&format!("/instances/{}/start", running.id), "start", Some(&json!({}))).await?;
        running.until_available(house, true).await?;
        Ok(format!("{meanwhile}; started: {}", apps::read(self, house, running).await?))
    }

    /// What a visitor is told while nothing runs.
    async fn refused(self, house: &House, running: &Running) -> Result<String> {
        if !self.is_a_site() {
            return Ok("no pod".to_owned());
        }
        let visitor = running.visitor(house)?;
        visitor.until("/", "503 from the ingress", BOUND, |answer| answer.status.as_u16() == 503).await?;
        Ok("503".to_owned())
    }

    async fn restored(self, house: &House, running: &Running) -> Result<String> {
        let instances = house.instances(&running.namespace);
        let before = instances.get(&running.name).await?;
        let data = before.status.as_ref().and_then(|status| status.data_id.clone()).context("it has data")?;
        house.post(&format!("/subscriptions/{}/cancel", running.id), "cancel", None).await?;
        wait::until("it to be gone", BOUND, async || {
            Ok(instances.get_opt(&running.name).await?.is_none().then_some(()))
        })
        .await?;
        let name = format!("{}-again", self.name());
        let spec = json!({"planRef": format!("{}-small", self.name()), "restoreFrom": data,
            "parameters": self.parameters(&house.customer.email)});
        house.write(&running.namespace, &name, managers::OWNER, &spec).await?;
        let until = json!({"entitlement": {"paidUntil": "2098-12-31T17:00:00Z", "suspendAt": "2099-01-03T17:00:00Z"}});
        house.write(&running.namespace, &name, managers::ENTITLEMENT, &until).await?;
        let again = Running { name, ..running.like() };
        again.until_available(house, true).await?;
        let uid = instances.get(&again.name).await?.metadata.uid.context("it has a uid")?;
        let credentials = house.get(&format!("/instances/{uid}/credentials")).await?;
        let again = Running { id: uid, credentials, ..again };
        let seen = apps::read(self, house, &again).await?;
        instances.delete(&again.name, &DeleteParams::default()).await?;
        Ok(seen)
    }
}

impl Running {
    fn like(&self) -> Self {
        Self {
            id: self.id.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            credentials: self.credentials.clone(),
        }
    }

    /// What its owner logs in with, by the name that the template gives it.
    pub fn credential(&self, name: &str) -> Result<String> {
        let items = self.credentials["items"].as_array();
        let found = items.into_iter().flatten().find(|item| item["name"] == name);
        let value = found.and_then(|item| item["value"].as_str());
        Ok(value.with_context(|| format!("no credential {name} among {}", self.credentials))?.to_owned())
    }

    /// Somebody at its public address.
    pub fn visitor(&self, house: &House) -> Result<Visitor> {
        Visitor::new(&self.credential("url")?, house.node()?.address())
    }

    /// Its pods that are to go on.
    pub async fn pods(&self, house: &House) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(house.admin.clone(), &self.namespace);
        let found = pods
            .list(&ListParams::default().labels(&format!("{}={}", labels::INSTANCE_NAME, self.name)))
            .await?;
        let goes_on = |pod: &Pod| {
            pod.labels().contains_key(labels::COMPONENT)
                && pod.status.as_ref().and_then(|status| status.phase.as_deref()) != Some("Succeeded")
        };
        Ok(found.items.into_iter().filter(goes_on).collect())
    }

    /// When its containers were started, one after the other.
    async fn started(&self, house: &House) -> Result<Vec<String>> {
        let pods = self.pods(house).await?;
        let statuses =
            pods.iter().filter_map(|pod| pod.status.as_ref()?.container_statuses.as_ref()).flatten();
        Ok(statuses.filter_map(|one| one.container_id.clone()).collect())
    }

    /// Waits until it is Available, by the operator's word on its present spec; or is not.
    pub async fn until_available(&self, house: &House, available: bool) -> Result<()> {
        let what = format!("{} to be {}Available", self.name, if available { "" } else { "not " });
        let waited = wait::until(&what, FIRST, async || {
            let Some(found) = house.instances(&self.namespace).get_opt(&self.name).await? else {
                return Ok(None);
            };
            let seen = found.status.as_ref().and_then(|status| status.observed_generation);
            let ready = self.pods(house).await?.iter().all(is_ready);
            let is_so = seen == found.metadata.generation && found.is(crds::conditions::AVAILABLE) && ready;
            Ok((is_so == available).then_some(()))
        })
        .await;
        if waited.is_err() {
            let found = house.instances(&self.namespace).get_opt(&self.name).await?;
            let said = found.and_then(|found| found.status).map(|status| (status.reason, status.conditions));
            return waited.with_context(|| format!("{said:?}"));
        }
        Ok(())
    }

    async fn until_gone(&self, house: &House) -> Result<()> {
        wait::until("its pods to be gone", BOUND * 2, async || {
            Ok(self.pods(house).await?.is_empty().then_some(()))
        })
        .await
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

/// Fails unless it is so.
pub fn must(is_so: bool, seen: &str) -> Result<String> {
    ensure!(is_so, "{seen}");
    Ok(seen.to_owned())
}
