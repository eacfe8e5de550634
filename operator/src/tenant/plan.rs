//! The way from what a tenant has to what it should have: pure.

use crate::{
    instance::{build::Object, plan::Operation},
    kinds::Kind,
    observed::Child,
};
use std::sync::Arc;

/// The operations, in the order of `desired`; then what goes.
pub fn plan(desired: &[Object], children: &[Arc<Child>]) -> Vec<Operation> {
    let mut operations = Vec::new();
    for object in desired {
        let there = children.iter().find(|child| child.key == object.key);
        match there {
            Some(child) if child.hands_off || child.terminating || child.is_as_desired(&object.hash) => {}
            there => {
                let seen = there.map(|child| Box::new((**child).clone()));
                operations.push(Operation::Apply { object: object.clone(), seen });
            }
        }
    }
    // A policy that the settings no longer ask for would keep something open.
    let stale = children.iter().filter(|child| {
        child.key.kind == Kind::NetworkPolicy
            && !child.hands_off
            && !child.terminating
            && desired.iter().all(|object| object.key != child.key)
    });
    operations
        .extend(stale.map(|child| Operation::Delete { key: child.key.clone(), uid: child.uid.clone() }));
    operations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{settings::Settings, tenant::build};
    use crds::{TenantQuota, TenantQuotaSpec, managers};
    use serde_json::{Value, json};

    fn desired(ingress: &Value) -> Vec<Object> {
        let settings: Settings =
            serde_json::from_value(json!({"zone": "apps.example.test", "ingress": ingress})).unwrap();
        build::build(&TenantQuota::new("sample", TenantQuotaSpec::default()), &settings, "home")
    }

    /// An object as it would be there once it was applied.
    fn live(object: &Object) -> Arc<Child> {
        let mut live = object.object.clone();
        live["metadata"]["uid"] = json!(object.key.name);
        live["metadata"]["resourceVersion"] = json!("1");
        let owned = json!({"f:metadata": {"f:labels": {}}, "f:spec": {}});
        live["metadata"]["managedFields"] =
            json!([{"manager": managers::OPERATOR, "operation": "Apply", "fieldsV1": owned}]);
        Arc::new(Child::reduce(object.key.kind, &live).unwrap())
    }

    #[test]
    fn challenges_are_let_in_as_long_as_there_is_a_solver_and_an_ingress_controller() {
        let from =
            json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}]);
        let with = desired(&json!({"from": from, "acmeSolver": {}}));
        let policy = with.iter().find(|one| one.key.name == "challenges").unwrap();
        assert_eq!(
            policy.object["spec"],
            json!({
                "podSelector": {"matchLabels": {"acme.cert-manager.io/http01-solver": "true"}},
                "policyTypes": ["Ingress"],
                "ingress": [{"from": from, "ports": [{"protocol": "TCP", "port": 8089}]}],
            })
        );
        for without in [json!({"from": from}), json!({"acmeSolver": {}})] {
            let desired = desired(&without);
            assert!(desired.iter().all(|one| one.key.name != "challenges"), "{without}");
            let there: Vec<Arc<Child>> = with.iter().map(live).collect();
            let deleted: Vec<String> = plan(&desired, &there)
                .into_iter()
                .filter_map(|one| if let Operation::Delete { key, .. } = one { Some(key.name) } else { None })
                .collect();
            assert_eq!(deleted, ["challenges"], "and nothing else of the tenant's");
        }
    }
}
