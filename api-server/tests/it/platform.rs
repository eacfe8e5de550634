//! An API on a stand-in for the cluster in which the test is the operator: what is bought there comes up when the test says so.

use anyhow::{Context as _, Result};
use crds::{labels, names};
use e2e::wait::until;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::kubernetes::Kubernetes;
use crate::world::{Answer, Api, BOUND, User, World};

pub const PATH: &str = "/api/v1/subscriptions";

/// An API on a cluster where the test does what the operator would.
pub struct Platform {
    pub world: World,
    pub api: Api,
    pub kubernetes: Kubernetes,
}

/// An app that was bought and came up.
pub struct Bought {
    pub id: String,
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl Bought {
    /// Where it is read.
    pub fn path(&self) -> String {
        format!("/instances/{}", self.id)
    }
}

/// What the operator says of an app that serves, or of one that is stopped.
fn said(generation: i64, phase: &str, reason: &str) -> Value {
    let condition = |(kind, status, reason): (&str, bool, &str)| {
        let status = if status { "True" } else { "False" };
        json!({"type": kind, "status": status, "reason": reason, "message": format!("{reason}."),
            "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    let serves = phase == "Running";
    let conditions = [
        ("Ready", serves || phase == "Stopped", reason),
        ("Available", serves, reason),
        ("Reconciling", false, "Settled"),
        ("Stalled", false, "NotStalled"),
        ("Suspended", phase == "Suspended", reason),
        ("Admitted", true, "Admitted"),
        ("StorageReady", true, "Bound"),
        ("UpdatePending", false, "UpToDate"),
    ];
    json!({"observedGeneration": generation, "phase": phase, "reason": (!serves).then_some(reason), "template": "ghost", "plan": "free",
        "dataId": "abcdefghijkl", "credentialsSecretRef": {"name": "credentials-1"},
        "endpoints": {"host": "a.example.com", "public": "https://a.example.com", "admin": "https://a.example.com/ghost"},
        "components": [{"name": "app", "desired": i32::from(serves), "ready": i32::from(serves)}],
        "domains": [{"host": "shop.example.com", "records": [{"type": "TXT", "name": "_nakhoda.shop.example.com", "value": "nakhoda=x"}],
            "verified": false, "routed": false, "reason": "DomainUnverified", "message": "Set the record."}],
        "conditions": conditions.map(condition)})
}

impl Platform {
    pub async fn new() -> Result<Self> {
        let (world, kubernetes) = (World::new().await?, Kubernetes::start().await?);
        kubernetes
            .put(json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceTemplate", "metadata": {"name": "ghost"}, "spec": {
                "displayName": "Ghost", "description": "A publication", "icon": "ghost", "category": "websites", "version": "1",
                "parameters": [{"name": "title", "type": "String", "default": "Mine", "maxLength": 10},
                    {"name": "locale", "type": "Enum", "default": "en", "values": ["en", "id"], "immutable": true},
                    {"name": "slug", "type": "String", "immutable": true}],
                "components": [], "expose": {"http": {"component": "app", "port": "http"}},
                "credentials": [{"name": "user", "value": "admin"},
                    {"name": "password", "displayName": "Password", "value": "x", "sensitive": true}]}}))
            .await;
        kubernetes
            .put(json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServicePlan", "metadata": {"name": "free"}, "spec": {
                "templateRef": "ghost", "displayName": "Free", "price": {"amount": 0, "period": "Monthly", "taxInclusive": true},
                "resources": {"cpu": "1", "memory": "1Gi", "storage": "10Gi"}},
                "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Valid", "message": "", "observedGeneration": 1,
                    "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}))
            .await;
        let api = world.replica_on(kubernetes.cluster()?).await?;
        Ok(Self { world, api, kubernetes })
    }

    /// Somebody, once the catalogue is known.
    pub async fn user(&self, name: &str) -> Result<User> {
        let user = self.world.user(name).await?;
        until("the catalogue to be known", BOUND, async || {
            let body = json!({"plan": "free"});
            let asked = self.api.send_as(&user, Method::POST, "/subscriptions/quote", &body).await?;
            Ok((asked.status == StatusCode::OK).then_some(()))
        })
        .await?;
        Ok(user)
    }

    /// Buys, and makes the tenant ready; the resource is there once it is entitled.
    pub async fn buys(&self, user: &User) -> Result<Bought> {
        let order = json!({"plan": "free", "name": "My publication"});
        let bought = self.api.post_once(user, PATH, "buy", &order).await?.expect(StatusCode::CREATED)?.body;
        let id = bought["id"].as_str().context("an id")?.to_owned();
        let name = bought["resource"].as_str().context("a resource")?.to_owned();
        let tenant = names::tenant_of_user(&user.id);
        until("the tenant to be asked for", BOUND, async || {
            Ok(self.kubernetes.get("tenantquotas", &tenant).await.map(drop))
        })
        .await?;
        let namespace = names::tenant_namespace(&tenant);
        let ready = json!({"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = json!({"namespace": namespace, "conditions": [ready], "retained": [{"dataId": "oldoldoldold",
            "template": "ghost", "plan": "free", "storage": "10Gi", "state": "PurgeOrdered", "keepUntil": "2027-01-01T00:00:00Z"}]});
        self.kubernetes.set_status("tenantquotas", "", &tenant, status).await;
        let uid = until("the app to be entitled", BOUND, async || {
            let made = self.kubernetes.get_in("serviceinstances", &namespace, &name).await;
            let made = made.filter(|made| made["spec"]["entitlement"].is_object());
            Ok(made.and_then(|made| made["metadata"]["uid"].as_str().map(str::to_owned)))
        })
        .await?;
        Ok(Bought { id, namespace, name, uid })
    }

    /// Says of the app as it is now that it is so.
    pub async fn says(&self, bought: &Bought, phase: &str, reason: &str) -> Result<()> {
        let place = ("serviceinstances", bought.namespace.as_str(), bought.name.as_str());
        let now = self.kubernetes.get_in(place.0, place.1, place.2).await.context("it is there")?;
        let generation = now["metadata"]["generation"].as_i64().context("a generation")?;
        self.kubernetes.set_status(place.0, place.1, place.2, said(generation, phase, reason)).await;
        Ok(())
    }

    /// Buys, and lets it come up.
    pub async fn runs(&self, user: &User) -> Result<Bought> {
        let bought = self.buys(user).await?;
        self.becomes_active(user, &bought).await?;
        // Then it was told until when it is paid for.
        until("it to be told", BOUND, async || {
            let now = self.spec(&bought).await?;
            Ok(now["entitlement"]["paidUntil"].is_string().then_some(()))
        })
        .await?;
        self.says(&bought, "Running", "Running").await?;
        self.shows(user, &bought, |now| now["settled"] == true && now["phase"] == "RUNNING").await?;
        Ok(bought)
    }

    /// Lets it come up until its period begins.
    pub async fn becomes_active(&self, user: &User, bought: &Bought) -> Result<()> {
        let path = format!("/subscriptions/{}", bought.id);
        until("it to be active", BOUND, async || {
            self.says(bought, "Running", "Running").await?;
            let now = self.api.get_as(user, &path).await?.expect(StatusCode::OK)?;
            Ok((now.body["status"] == "ACTIVE").then_some(()))
        })
        .await
    }

    /// Waits until it is shown so.
    pub async fn shows(&self, user: &User, bought: &Bought, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        until("it to be shown so", BOUND, async || {
            let now = self.api.get_as(user, &bought.path()).await?.expect(StatusCode::OK)?;
            Ok(is_so(&now.body).then_some(now.body))
        })
        .await
    }

    pub async fn spec(&self, bought: &Bought) -> Result<Value> {
        let now = self.kubernetes.get_in("serviceinstances", &bought.namespace, &bought.name).await;
        Ok(now.context("it is there")?["spec"].clone())
    }

    pub async fn verb(&self, user: &User, bought: &Bought, verb: &str, body: &Value) -> Result<Answer> {
        self.api.send_as(user, Method::POST, &format!("{}/{verb}", bought.path()), body).await
    }

    pub async fn pod(&self, bought: &Bought, name: &str) {
        let running = json!({"name": "app", "image": "ghost:6", "imageID": "", "ready": true, "restartCount": 2, "state": {"running": {}}});
        self.kubernetes
            .put(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": bought.namespace, "name": name,
                "labels": {labels::INSTANCE: bought.uid, labels::COMPONENT: "app"}},
                "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "ghost:6"}]},
                "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z",
                    "conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [running]}}))
            .await;
    }
}
