//! Who may write what: every rule tried both ways, with the identity's own token, on the installed charts. No operator need
//! run. Attempts are dry runs, which the API server judges like others, so that none depends on another; what was
//! refused is then tried in earnest.

mod operator;
mod tenant;

use std::time::Duration;

use Who::{ApiServer, Entitler, NamespaceAdmin, Operator, Tenant};
use anyhow::{Result, ensure};
use e2e::charts::NAMESPACE;
use e2e::cluster::Cluster;
use e2e::identity::Actor;
use e2e::operator_process::SERVICE_ACCOUNT;
use e2e::{control_plane, wait};
use http::Request;
use kube::Client;
use serde_json::{Value, json};

/// How long policies and RBAC's caches may take until they know what was just made.
const SETTLED: Duration = Duration::from_secs(20);
const OURS: &str = "customer-policy";
const FOREIGN: &str = "customer-policy-foreign";
const API_SERVER: &str = "nakhoda-api-server";
const CORE: &str = "/api/v1";
const NAKHODA: &str = "/apis/nakhoda.dev/v1alpha1";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const NETWORKING: &str = "/apis/networking.k8s.io/v1";

/// Somebody with a token.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    /// The customer's own tool: `nakhoda-tenant` in its namespace.
    Tenant,
    /// Who has Kubernetes' own `admin` there.
    NamespaceAdmin,
    /// Who has `nakhoda-entitler` there.
    Entitler,
    ApiServer,
    Operator,
}

/// A request: method, path, body.
type Call = (&'static str, String, Value);

/// One attempt, and a part of the refusal; none where it is allowed.
struct Case(Who, &'static str, Call, Option<&'static str>);

impl Who {
    fn may(self, what: &'static str, call: Call) -> Case {
        Case(self, what, call, None)
    }

    fn may_not(self, what: &'static str, call: Call, says: &'static str) -> Case {
        Case(self, what, call, Some(says))
    }
}

fn create(path: String, object: Value) -> Call {
    ("POST", path, object)
}

fn change(path: String, body: Value) -> Call {
    ("PATCH", path, body)
}

fn apply(path: String, object: Value) -> Call {
    ("APPLY", path, object)
}

fn delete(path: String) -> Call {
    ("DELETE", path, Value::Null)
}

fn read(path: String) -> Call {
    ("GET", path, Value::Null)
}

fn within(namespace: &str, group: &str, path: &str) -> String {
    format!("{group}/namespaces/{namespace}/{path}")
}

fn space(name: &str) -> String {
    format!("{CORE}/namespaces/{name}")
}

fn instance(name: &str) -> String {
    within(OURS, NAKHODA, &format!("serviceinstances/{name}"))
}

fn order(name: &str, mut spec: Value) -> Value {
    spec["planRef"] = json!("policy-plan");
    json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance", "metadata": {"name": name}, "spec": spec})
}

fn spec(spec: impl Into<Value>) -> Value {
    json!({ "spec": spec.into() })
}

fn hold() -> Value {
    json!({"reason": "a test", "since": "2026-01-01T00:00:00Z"})
}

fn namespace(name: &str, managed: &str, security: &str) -> Value {
    let labels = json!({"paas.managed": managed, "pod-security.kubernetes.io/enforce": security});
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// An object labelled as ours.
fn object(version: &str, kind: &str, mut rest: Value) -> Value {
    rest["apiVersion"] = json!(version);
    rest["kind"] = json!(kind);
    rest["metadata"] = json!({"name": "bound", "labels": {"app.kubernetes.io/managed-by": "nakhoda"}});
    rest
}

fn binding(role: &str, home: &str, account: &str) -> Value {
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role});
    let subject = json!({"kind": "ServiceAccount", "namespace": home, "name": account});
    object("rbac.authorization.k8s.io/v1", "RoleBinding", json!({"roleRef": role, "subjects": [subject]}))
}

fn network_policy() -> Value {
    object("networking.k8s.io/v1", "NetworkPolicy", spec(json!({"podSelector": {}, "ingress": [{}]})))
}

/// A volume claim or Secret of data: released or not, and its destruction begun or not.
fn data(kind: &str, name: &str, released: bool, begun: bool) -> Value {
    let mut labels = json!({"app.kubernetes.io/managed-by": "nakhoda", "nakhoda.dev/data": "dabcdefghijk"});
    let mut annotations = json!({});
    if released {
        annotations["nakhoda.dev/released-at"] = json!("2026-01-01T00:00:00Z");
        annotations["nakhoda.dev/keep-until"] = json!("2026-01-15T00:00:00Z");
    } else {
        labels["nakhoda.dev/instance"] = json!("6b9c2a54-9d1e-4f6e-9a62-3c1f6f3f0a11");
    }
    if begun {
        annotations["nakhoda.dev/purge-begun-at"] = json!("2026-01-16T00:00:00Z");
    }
    let metadata = json!({"name": name, "labels": labels, "annotations": annotations});
    let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": metadata});
    if kind == "PersistentVolumeClaim" {
        object["spec"] =
            json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}});
    }
    object
}

fn claim(name: &str) -> String {
    within(OURS, CORE, &format!("persistentvolumeclaims/{name}"))
}

fn secret(name: &str) -> String {
    within(OURS, CORE, &format!("secrets/{name}"))
}

/// What the attempts are made on, as an administrator of the cluster makes it.
async fn make_world(admin: &Client) -> Result<()> {
    let holds = json!({"billing": hold(), "admin": hold(), "abuse": hold()});
    let ends = json!({"paidUntil": "2027-01-01T00:00:00Z", "suspendAt": "2027-01-04T00:00:00Z"});
    let mut paid =
        order("paid", json!({"entitlement": ends, "holds": holds, "domains": ["given.apps.example.test"]}));
    paid["metadata"]["finalizers"] = json!(["nakhoda.dev/cleanup"]);
    paid["metadata"]["labels"] = json!({"nakhoda.dev/subscription": "a"});
    paid["metadata"]["annotations"] = json!({"nakhoda.dev/billing-version": "1"});
    let foreign = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": FOREIGN}});
    let mut tenant = object("nakhoda.dev/v1alpha1", "TenantQuota", spec(json!({"owner": "policy"})));
    tenant["metadata"]["name"] = json!("policy");
    let quota = object("v1", "ResourceQuota", spec(json!({"hard": {"services.nodeports": "0"}})));
    let bound = binding("nakhoda-operator-tenant", NAMESPACE, SERVICE_ACCOUNT);
    for call in [
        apply(space(OURS), namespace(OURS, "true", "restricted")),
        apply(space(FOREIGN), foreign),
        apply(format!("{NAKHODA}/tenantquotas/policy"), tenant),
        apply(instance("plain"), order("plain", json!({}))),
        apply(instance("paid"), paid),
        apply(within(OURS, RBAC, "rolebindings/bound"), bound),
        apply(within(OURS, NETWORKING, "networkpolicies/bound"), network_policy()),
        apply(within(OURS, CORE, "resourcequotas/bound"), quota),
        apply(within(OURS, CORE, "configmaps/bound"), object("v1", "ConfigMap", json!({"data": {}}))),
        apply(claim("living"), data("PersistentVolumeClaim", "living", false, false)),
        apply(claim("released"), data("PersistentVolumeClaim", "released", true, false)),
        apply(secret("living"), data("Secret", "living", false, false)),
        apply(secret("released"), data("Secret", "released", true, false)),
        apply(secret("begun"), data("Secret", "begun", true, true)),
        apply(secret("bound"), object("v1", "Secret", json!({}))),
    ] {
        if let Some(refusal) = attempt(admin, &call, "fieldManager=world").await? {
            anyhow::bail!("{}: {refusal}", call.1);
        }
    }
    Ok(())
}

async fn client(cluster: &Cluster, who: Who) -> Result<Client> {
    let (actor, role) = match who {
        Tenant => (Actor::create(cluster, OURS, "gitops").await?, "nakhoda-tenant"),
        NamespaceAdmin => (Actor::create(cluster, OURS, "administrator").await?, "admin"),
        Entitler => (Actor::create(cluster, OURS, "entitler").await?, "nakhoda-entitler"),
        ApiServer => {
            (Actor::service_account(cluster, NAMESPACE, API_SERVER).await?, "nakhoda-api-server-tenant")
        }
        Operator => return Actor::service_account(cluster, NAMESPACE, SERVICE_ACCOUNT).await?.client(None),
    };
    actor.bind_in(cluster, OURS, role).await?;
    if who == Tenant {
        actor.bind_in(cluster, FOREIGN, role).await?;
    }
    actor.client(None)
}

/// Makes a request; the words of the refusal, where there is one.
async fn attempt(client: &Client, (method, path, body): &Call, options: &str) -> Result<Option<String>> {
    let (method, format, more) = match *method {
        "APPLY" => ("PATCH", "application/apply-patch+yaml", "&force=true"),
        "PATCH" => ("PATCH", "application/merge-patch+json", ""),
        other => (other, "application/json", ""),
    };
    let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
    let request = Request::builder().method(method).uri(format!("{path}?{options}{more}"));
    match client.request::<Value>(request.header("content-type", format).body(body)?).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => Ok(Some(status.message.clone())),
        Err(error) => Err(error.into()),
    }
}

/// Whether the answer is the one that the case tells.
fn is_as_told(answer: Option<&str>, told: Option<&str>) -> bool {
    match (answer, told) {
        (None, None) => true,
        (Some(refusal), Some(says)) => refusal.contains(says),
        _ => false,
    }
}

#[tokio::test]
async fn everybody_writes_what_is_theirs_and_nothing_else() -> Result<()> {
    let cluster = control_plane::installed().await?.cluster();
    make_world(&cluster.admin().await?).await?;
    let mut wrong = Vec::new();
    for who in [Tenant, NamespaceAdmin, Entitler, ApiServer, Operator] {
        let client = client(cluster, who).await?;
        for Case(_, what, call, told) in tenant::cases()
            .into_iter()
            .chain(tenant::about_billing())
            .chain(tenant::about_data())
            .chain(operator::cases())
            .filter(|case| case.0 == who)
        {
            let mut answer = None;
            // Refused or allowed for want of a cache, it is tried again.
            let settled = wait::until(what, SETTLED, async || {
                answer = attempt(&client, &call, "fieldManager=tried&dryRun=All").await?;
                Ok(is_as_told(answer.as_deref(), told).then_some(()))
            });
            let mut right = settled.await.is_ok();
            if right && told.is_some() {
                answer = attempt(&client, &call, "fieldManager=tried").await?;
                right = is_as_told(answer.as_deref(), told);
            }
            let said = answer.as_deref().and_then(|said| said.lines().next());
            println!("{who:?} {what}: {}", said.unwrap_or("allowed"));
            if !right {
                wrong.push(format!("{who:?} {what}: should be {told:?}, was {answer:?}"));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
