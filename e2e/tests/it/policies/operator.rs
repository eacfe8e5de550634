//! What the operator's token tries.

use e2e::charts::NAMESPACE;
use e2e::operator_process::SERVICE_ACCOUNT;
use serde_json::json;

use super::Who::Operator;
use super::{
    API_SERVER, CORE, Case, FOREIGN, NAKHODA, NETWORKING, OURS, RBAC, apply, binding, change, claim, create,
    data, delete, instance, namespace, network_policy, object, order, read, secret, space, spec, within,
};

#[rustfmt::skip] // A table.
pub(super) fn cases() -> Vec<Case> {
    let (ours, theirs) = ("nakhoda-operator-tenant", "nakhoda-api-server-tenant");
    let bind = |place, role, home, account| create(within(place, RBAC, "rolebindings"), binding(role, home, account));
    let config_map = |place| create(within(place, CORE, "configmaps"), object("v1", "ConfigMap", json!({"metadata": {}})));
    let make = |name, managed, security| create(format!("{CORE}/namespaces"), namespace(name, managed, security));
    let label = |name| change(space(name), json!({"metadata": {"labels": {"a": "b"}}}));
    let quota = || format!("{NAKHODA}/tenantquotas/policy");
    let (outside, no_spec, only_ours) = ("only in tenants' namespaces", "changes no spec", "binds only");
    vec![
        Operator.may("makes a child", create(within(OURS, CORE, "services"), object("v1", "Service", spec(json!({"clusterIP": "None"}))))),
        Operator.may("opens the network for an app", apply(within(OURS, NETWORKING, "networkpolicies/bound"), network_policy())),
        Operator.may("makes a tenant's namespace", make("customer-policy-new", "true", "restricted")),
        Operator.may("changes it", label(OURS)),
        Operator.may("deletes it", delete(space(OURS))),
        Operator.may("binds itself", apply(within(OURS, RBAC, "rolebindings/bound"), binding(ours, NAMESPACE, SERVICE_ACCOUNT))),
        Operator.may("binds the API server", apply(within(OURS, RBAC, "rolebindings/more"), {
            let mut more = binding(theirs, NAMESPACE, API_SERVER);
            more["metadata"]["name"] = json!("more");
            more
        })),
        Operator.may("writes status", change(instance("plain/status"), json!({"status": {"phase": "Pending"}}))),
        Operator.may("takes its finalizer off", change(instance("paid"), json!({"metadata": {"finalizers": null}}))),
        Operator.may("sets its finalizer on a tenant", change(quota(), json!({"metadata": {"finalizers": ["nakhoda.dev/cleanup"]}}))),
        Operator.may("deletes an instance", delete(instance("plain"))),
        Operator.may("lists the nodes", read(format!("{CORE}/nodes"))),
        Operator.may("lists their leases", read(within("kube-node-lease", "/apis/coordination.k8s.io/v1", "leases"))),
        Operator.may_not("renews a node's lease", change(within("kube-node-lease", "/apis/coordination.k8s.io/v1", "leases/simulated-1"), json!({"metadata": {"labels": {"a": "b"}}})), "cannot patch"),
        Operator.may_not("cordons a node", change(format!("{CORE}/nodes/simulated-1"), spec(json!({"unschedulable": true}))), "cannot patch"),
        Operator.may_not("lists the leases of another namespace", read(within("kube-system", "/apis/coordination.k8s.io/v1", "leases")), "cannot list"),
        Operator.may_not("asks a node's kubelet", read(format!("{CORE}/nodes/simulated-1/proxy/stats/summary")), "cannot get"),
        Operator.may("destroys released data", delete(claim("released"))),
        Operator.may("destroys its Secret once that has begun", delete(secret("begun"))),
        Operator.may("deletes credentials", delete(secret("bound"))),
        Operator.may("releases data", apply(claim("living"), data("PersistentVolumeClaim", "living", true, false))),
        Operator.may_not("deletes data of an instance", delete(claim("living")), "its instance has released"),
        Operator.may_not("deletes the Secret of such data", delete(secret("living")), "its destruction has begun"),
        Operator.may_not("deletes a Secret that can still be restored", delete(secret("released")), "its destruction has begun"),
        Operator.may_not("writes a ConfigMap in default", config_map("default"), "cannot create"),
        Operator.may_not("writes a ConfigMap beside itself", config_map(NAMESPACE), "cannot create"),
        Operator.may_not("writes a Deployment in kube-system", create(within("kube-system", "/apis/apps/v1", "deployments"), object("apps/v1", "Deployment", json!({}))), "cannot create"),
        Operator.may_not("writes a ClusterRole", create(format!("{RBAC}/clusterroles"), object("rbac.authorization.k8s.io/v1", "ClusterRole", json!({}))), "cannot create"),
        Operator.may_not("reads a Secret of kube-system", read(within("kube-system", CORE, "secrets/any")), "cannot get"),
        Operator.may_not("lists a tenant's Secrets", read(within(OURS, CORE, "secrets")), "cannot list"),
        Operator.may_not("lists all Secrets", read(format!("{CORE}/secrets")), "cannot list"),
        Operator.may_not("binds another role", bind(OURS, "admin", NAMESPACE, SERVICE_ACCOUNT), "attempting to grant"),
        Operator.may_not("binds an account of another namespace", bind(OURS, ours, "default", SERVICE_ACCOUNT), only_ours),
        Operator.may_not("gives its own role away", bind(OURS, ours, NAMESPACE, API_SERVER), only_ours),
        Operator.may_not("binds itself in its own namespace", bind(NAMESPACE, ours, NAMESPACE, SERVICE_ACCOUNT), outside),
        Operator.may_not("binds itself in kube-system", bind("kube-system", ours, NAMESPACE, SERVICE_ACCOUNT), outside),
        Operator.may_not("binds itself where no tenant is", bind(FOREIGN, ours, NAMESPACE, SERVICE_ACCOUNT), outside),
        Operator.may_not("makes a namespace of another name", make("policy-new", "true", "restricted"), "called customer-<name>"),
        Operator.may_not("makes one without our label", make("customer-policy-new", "false", "restricted"), "paas.managed=true"),
        Operator.may_not("makes one without Pod Security", make("customer-policy-new", "true", "privileged"), "enforce=restricted"),
        Operator.may_not("takes a foreign namespace over", apply(space(FOREIGN), namespace(FOREIGN, "true", "restricted")), "called customer-<name>"),
        Operator.may_not("deletes a foreign namespace", delete(space(FOREIGN)), "called customer-<name>"),
        Operator.may_not("labels kube-system", label("kube-system"), "called customer-<name>"),
        Operator.may_not("changes an instance's spec", change(instance("plain"), spec(json!({"powerState": "Stopped"}))), no_spec),
        Operator.may_not("changes a tenant's limits", change(quota(), spec(json!({"limits": {"instances": 9}}))), no_spec),
        Operator.may_not("orders an instance", create(within(OURS, NAKHODA, "serviceinstances"), order("new", json!({}))), "cannot create"),
    ]
}
