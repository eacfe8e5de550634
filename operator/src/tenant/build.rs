//! What should exist for a tenant: a pure function of its spec and the settings.

use crate::{instance::build::Object, kinds::Kind, settings::Settings};
use crds::{Quantity, TenantQuota, labels, names, quota::Limits};
use kube::ResourceExt as _;
use serde_json::{Value, json};

/// The fixed role that the operator binds itself to.
pub const OPERATOR_ROLE: &str = "nakhoda-operator-tenant";
/// The fixed role that it binds the API server to.
pub const API_SERVER_ROLE: &str = "nakhoda-api-server-tenant";

/// Everything, in the order in which it is to be made: the namespace, the rights in it, then what must be there before
/// any pod.
pub fn build(tenant: &TenantQuota, settings: &Settings, home: &str) -> Vec<Object> {
    let builder = Builder { tenant, settings, namespace: names::tenant_namespace(&tenant.name_any()) };
    let mut objects = vec![
        builder.build_namespace(),
        builder.build_role_binding(
            "nakhoda-operator",
            OPERATOR_ROLE,
            &settings.install.operator_account,
            home,
        ),
        builder.build_role_binding(
            "nakhoda-api-server",
            API_SERVER_ROLE,
            &settings.install.api_server_account,
            home,
        ),
        builder.build_default_deny(),
        builder.build_exits(),
        builder.build_resource_quota(),
        builder.build_limit_range(),
    ];
    objects.extend(builder.build_challenges());
    objects
}

struct Builder<'a> {
    tenant: &'a TenantQuota,
    settings: &'a Settings,
    namespace: String,
}

impl Builder<'_> {
    fn object(&self, kind: Kind, name: &str, mut body: Value) -> Object {
        let all = &mut body["metadata"]["labels"];
        all[labels::MANAGED_BY] = json!(labels::MANAGER);
        all[labels::TENANT] = json!(self.tenant.name_any());
        Object::new(kind, &self.namespace, name, body)
    }

    fn build_namespace(&self) -> Object {
        let mut all = json!({labels::PAAS_MANAGED: "true"});
        for mode in ["enforce", "audit", "warn"] {
            all[format!("pod-security.kubernetes.io/{mode}")] = json!("restricted");
            all[format!("pod-security.kubernetes.io/{mode}-version")] = json!("latest");
        }
        self.object(Kind::Namespace, &self.namespace, json!({"metadata": {"labels": all}}))
    }

    fn build_role_binding(&self, name: &str, role: &str, account: &str, home: &str) -> Object {
        let body = json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": home}],
        });
        self.object(Kind::RoleBinding, name, body)
    }

    /// Nothing goes in or out that no other policy allows.
    fn build_default_deny(&self) -> Object {
        let spec = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
        self.object(Kind::NetworkPolicy, "default-deny", json!({"spec": spec}))
    }

    /// What pods may reach: DNS, the tenant's own pods, and the internet where the tenant may, but for closed ranges.
    fn build_exits(&self) -> Object {
        let dns = json!([{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]);
        let mut rules = vec![
            json!({"to": self.settings.network.dns_to, "ports": dns}),
            json!({"to": [{"podSelector": {}}]}),
        ];
        if self.tenant.spec.network.internet {
            let (v6, v4): (Vec<&String>, Vec<&String>) =
                self.settings.network.closed_ranges.iter().partition(|range| range.contains(':'));
            let closed_v6: Vec<&str> =
                v6.into_iter().map(String::as_str).chain(["fc00::/7", "fe80::/10"]).collect();
            rules.push(json!({"to": [
                {"ipBlock": {"cidr": "0.0.0.0/0", "except": v4}},
                {"ipBlock": {"cidr": "::/0", "except": closed_v6}},
            ]}));
        }
        let spec = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": rules});
        self.object(Kind::NetworkPolicy, "exits", json!({"spec": spec}))
    }

    /// The pods that an issuer starts for its HTTP-01 challenges are reached by the ingress controller, and by nobody else. They are
    /// the tenant's and no instance's, so their policy is, too.
    fn build_challenges(&self) -> Option<Object> {
        let ingress = &self.settings.ingress;
        // An empty list would let everybody in.
        let solver = ingress.acme_solver.as_ref().filter(|_| !ingress.from.is_empty())?;
        let spec = json!({
            "podSelector": {"matchLabels": solver.pod_labels},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": ingress.from, "ports": [{"protocol": "TCP", "port": solver.port}]}],
        });
        Some(self.object(Kind::NetworkPolicy, "challenges", json!({"spec": spec})))
    }

    /// A second fence behind the admission list: the limits, with room for jobs and restarts; storage twice, since
    /// retained data counts as well.
    fn build_resource_quota(&self) -> Object {
        let Limits { instances, cpu, memory, storage, per_plan: _ } = &self.tenant.spec.limits;
        let with_room = |amount: &Quantity, room: Quantity| amount.plus(amount.percent(25)).plus(room);
        let cpu = with_room(cpu, Quantity::from_millis(500)).to_cpu();
        let memory = with_room(memory, Quantity::from_units(512 << 20)).to_bytes();
        let count = |each: i32| {
            Quantity::from_units(u64::try_from(instances.saturating_mul(each)).unwrap_or_default() + 10)
        };
        let hard = json!({
            "requests.cpu": cpu,
            "limits.cpu": cpu,
            "requests.memory": memory,
            "limits.memory": memory,
            "requests.storage": storage.plus(*storage).to_bytes(),
            "pods": count(6).to_cpu(),
            "persistentvolumeclaims": count(6).to_cpu(),
            "count/jobs.batch": count(5).to_cpu(),
            // Orders, too, take room in the store and in memory; what waits counts, and its parameters may be large.
            "count/serviceinstances.nakhoda.dev": Quantity::from_units(100).plus(count(4)).to_cpu(),
            "services.nodeports": count(1).to_cpu(),
            "services.loadbalancers": count(1).to_cpu(),
        });
        self.object(Kind::ResourceQuota, "limits", json!({"spec": {"hard": hard}}))
    }

    /// What a container that says nothing of its own gets: the quota refuses pods without.
    fn build_limit_range(&self) -> Object {
        let little = json!({"cpu": "100m", "memory": "128Mi"});
        let spec = json!({"limits": [{"type": "Container", "default": little, "defaultRequest": little}]});
        self.object(Kind::LimitRange, "defaults", json!({"spec": spec}))
    }
}
