//! Where the apps run: control plane, a real node, operator, API server, and a customer who has money.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crds::managers::CATALOGUE;
use crds::{ServiceInstance, ServiceTemplate, managers};
use e2e::charts::NAMESPACE;
use e2e::control_plane::{ControlPlane, Nodes, Size};
use e2e::identity::Actor;
use e2e::operator_process::{self, Operator, SERVICE_ACCOUNT, Settings};
use e2e::people::{ADMINISTRATOR, People, Start, Where};
use e2e::real_node::{self, Image, RealNode, Supplies};
use e2e::story::Story;
use e2e::tools::Tools;
use e2e::{api_process, apply, charts, repository, scratch, wait};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

/// How long something small may take.
pub const BOUND: Duration = Duration::from_mins(2);

/// All of it. Dropping it ends it, in this order.
pub struct House {
    pub people: People,
    pub operator: Operator,
    pub node: Option<RealNode>,
    pub control_plane: ControlPlane,
    pub admin: Client,
    pub customer: Customer,
    supplies: Supplies,
    dir: PathBuf,
    story: Story,
}

/// Somebody with an account and money.
pub struct Customer {
    pub id: String,
    pub access: String,
    pub email: String,
}

impl House {
    /// Starts all of it with these images.
    pub async fn start(images: &[Image]) -> Result<Self> {
        let story = Story::aloud();
        let wanted = images.to_vec();
        let supplies = spawn_blocking(move || real_node::prepare(&wanted, story)).await??;
        let tools = spawn_blocking(move || Tools::find_or_build(story)).await??;
        let dir = scratch::folder("real")?;
        let nodes = Nodes { count: 1, ..Nodes::default() };
        let size = Size { nodes, real_nodes: true, ..Size::default() };
        let mut control_plane = ControlPlane::start_sized(&dir, None, &size, &tools, story).await?;
        let node = RealNode::start(&dir.join("node"), &control_plane, &supplies, story).await?;
        control_plane.start_metrics_server().await?;
        charts::install(&tools.helm, control_plane.cluster()).await?;
        let admin = control_plane.cluster().admin().await?;
        let operator = operator(&control_plane, &node).await?;
        apply::folder(&admin, &repository::root().join("config/catalog"), CATALOGUE).await?;
        enable(&admin, "n8n").await?;
        let (people, customer) = people(&control_plane, &dir, story).await?;
        Ok(Self { people, operator, node: Some(node), control_plane, admin, customer, supplies, dir, story })
    }

    /// The node that runs.
    pub fn node(&self) -> Result<&RealNode> {
        self.node.as_ref().context("the node does not run")
    }

    /// Ends the node with all that runs on it, as a machine that is switched off, and starts it again.
    pub async fn restart_node(&mut self) -> Result<()> {
        drop(self.node.take());
        let folder = self.dir.join("node");
        self.node = Some(RealNode::start(&folder, &self.control_plane, &self.supplies, self.story).await?);
        Ok(())
    }

    /// What the customer reads of the API.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.people.api.must("GET", &format!("/api/v1{path}"), Some(&self.customer.access), None).await
    }

    /// What the customer has the API do, under a key.
    pub async fn post(&self, path: &str, key: &str, body: Option<&Value>) -> Result<Value> {
        let (path, key) = (format!("/api/v1{path}"), [("idempotency-key", key)]);
        let (status, _, answer) =
            self.people.api.exchange("POST", &path, Some(&self.customer.access), &key, body).await?;
        ensure!(status.is_success(), "POST {path}: {status}: {answer}");
        Ok(answer)
    }

    /// The instances of a namespace.
    pub fn instances(&self, namespace: &str) -> Api<ServiceInstance> {
        Api::namespaced(self.admin.clone(), namespace)
    }

    /// Writes a part of an instance's spec, as the concern that it is.
    pub async fn write(
        &self,
        namespace: &str,
        name: &str,
        manager: &str,
        spec: &Value,
    ) -> Result<ServiceInstance> {
        let instances = self.instances(namespace);
        let uid = instances.get_opt(name).await?.and_then(|found| found.metadata.uid);
        let body = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
            "metadata": {"name": name, "uid": uid}, "spec": spec});
        Ok(instances.patch(name, &PatchParams::apply(manager).force(), &Patch::Apply(body)).await?)
    }

    /// Has an administrator hold an instance, or release the hold.
    pub async fn hold(&self, namespace: &str, name: &str, held: bool) -> Result<()> {
        let spec = if held {
            json!({"holds": {"admin": {"reason": "For the story", "since": "2026-01-05T09:00:00Z"}}})
        } else {
            json!({})
        };
        self.write(namespace, name, managers::HOLD_ADMIN, &spec).await.map(drop)
    }

    /// Ends all of it, and makes sure that nothing is left on this machine.
    pub async fn leaves_nothing(self) -> Result<()> {
        let Self { people, operator, node, control_plane, dir, .. } = self;
        drop((people, operator));
        drop(node);
        drop(control_plane);
        std::fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
        wait::until("nothing of the node to be left", BOUND, async || {
            Ok(real_node::left()?.is_empty().then_some(()))
        })
        .await
        .with_context(|| format!("{:?}", real_node::left()))
    }
}

async fn operator(control_plane: &ControlPlane, node: &RealNode) -> Result<Operator> {
    let cluster = control_plane.cluster();
    let settings = cluster.dir().join("operator.yaml");
    operator_process::write_settings(&node.settings(), &settings)?;
    let actor = Actor::service_account(cluster, NAMESPACE, SERVICE_ACCOUNT).await?;
    let kubeconfig = actor.write_kubeconfig(&cluster.kubeconfig("operator"), None)?;
    let operator = Operator::start(Settings {
        program: &operator_process::program()?,
        kubeconfig: &kubeconfig,
        config: &settings,
        identity: "operator",
        logs: &cluster.logs(),
        args: Vec::new(),
        env: Vec::new(),
    })?;
    operator.until_ready().await?;
    Ok(operator)
}

/// Sells an app that is shipped disabled.
async fn enable(admin: &Client, template: &str) -> Result<()> {
    let templates: Api<ServiceTemplate> = Api::all(admin.clone());
    let patch = json!({"spec": {"disabled": false}});
    templates.patch(template, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

async fn people(
    control_plane: &ControlPlane,
    dir: &std::path::Path,
    story: Story,
) -> Result<(People, Customer)> {
    let cluster = control_plane.cluster();
    let api = Actor::service_account(cluster, NAMESPACE, api_process::SERVICE_ACCOUNT).await?;
    let kubeconfig = api.write_kubeconfig(&cluster.kubeconfig("api-server"), None)?;
    let program = api_process::program()?;
    let start =
        Start { program: &program, database: Where::Forgotten, kubeconfig: Some(&kubeconfig), env: &[] };
    let people = People::start(dir, story, start).await?;
    people.walk_administrator().await?;
    let email = people.customer().await?;
    let token = people.mailed_token(&email, 1).await?;
    people.api.must("POST", "/api/v1/auth/email/verify", None, Some(&json!({"token": token}))).await?;
    let access = people.log_in(&email).await?;
    let me = people.api.must("GET", "/api/v1/me", Some(&access), None).await?;
    let id = me["id"].as_str().context("a user has an id")?.to_owned();
    let gift = json!({"user_id": id, "kind": "CREDIT", "amount": 5_000_000, "reason": "For the story"});
    let administrator = people.log_in(ADMINISTRATOR).await?;
    let key = [("idempotency-key", id.as_str())];
    let path = "/api/v1/admin/billing/adjustments";
    let (status, _, body) =
        people.api.exchange("POST", path, Some(&administrator), &key, Some(&gift)).await?;
    ensure!(status.is_success(), "{status}: {body}");
    Ok((people, Customer { id, access, email }))
}
