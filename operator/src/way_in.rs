//! Where an object leads those whom it lets in: the backend of an Ingress, the pods and ports of a Service or policy. It follows
//! from the template, while the rest of such an object may be its owner's to decide; so it can be kept while the rest moves on.

use crate::kinds::Kind;
use crds::labels;
use serde_json::{Map, Value};

/// The fields that say it, by kind; an Ingress says it once for each host.
fn fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Service => &["/spec/selector", "/spec/ports"],
        Kind::NetworkPolicy => &["/spec/podSelector", "/spec/ingress/0/ports"],
        _ => &[],
    }
}

/// What we say of a port of a Service; the rest is the cluster's.
const OF_A_PORT: [&str; 4] = ["name", "port", "targetPort", "protocol"];

/// Where a live object leads, as text; none where nothing of it is its owner's to decide.
pub fn of(kind: Kind, object: &Value) -> Option<String> {
    object.pointer("/metadata/annotations")?.get(labels::INPUTS)?;
    if kind == Kind::Ingress {
        return object.pointer("/spec/rules/0/http/paths/0/backend").map(Value::to_string);
    }
    let all: Option<Map<String, Value>> =
        fields(kind).iter().map(|path| Some(((*path).to_owned(), object.pointer(path)?.clone()))).collect();
    let mut all = all.filter(|all| !all.is_empty())?;
    if kind == Kind::Service {
        for port in
            all.values_mut().filter_map(Value::as_array_mut).flatten().filter_map(Value::as_object_mut)
        {
            port.retain(|key, _| OF_A_PORT.contains(&key.as_str()));
        }
    }
    Some(Value::Object(all).to_string())
}

/// Lets an object lead where another of its kind does, as [`of`] has told.
pub fn keep(kind: Kind, object: &mut Value, way_in: &str) {
    let Ok(way_in) = serde_json::from_str::<Value>(way_in) else { return };
    if kind == Kind::Ingress {
        let rules = object.pointer_mut("/spec/rules").and_then(Value::as_array_mut).into_iter().flatten();
        let paths = rules.filter_map(|rule| rule.pointer_mut("/http/paths")?.as_array_mut()).flatten();
        paths.for_each(|path| path["backend"] = way_in.clone());
        return;
    }
    for path in fields(kind) {
        if let (Some(field), Some(kept)) = (object.pointer_mut(path), way_in.get(*path)) {
            field.clone_from(kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn where_an_object_leads_is_told_and_kept_and_nothing_else_of_it() {
        let noted = json!({"annotations": {labels::INPUTS: "a"}});
        let backend = |port: &str| json!({"service": {"name": "shop", "port": {"name": port}}});
        let rule = |host: &str, port: &str| json!({"host": host, "http": {"paths": [{"path": "/", "backend": backend(port)}]}});
        let policy = |from: &str, port: i32| json!({"podSelector": {"matchLabels": {"a": "b"}}, "ingress": [{"from": [from], "ports": [{"port": port}]}]});
        let ports = |name: &str| json!([{"name": name, "port": 1, "targetPort": name, "protocol": "TCP"}]);
        let mut live_ports = ports("old");
        live_ports[0]["nodePort"] = json!(30001);
        for (kind, live, new, kept) in [
            (
                Kind::Ingress,
                json!({"rules": [rule("a", "old")]}),
                json!({"rules": [rule("a", "new"), rule("b", "new")]}),
                json!({"rules": [rule("a", "old"), rule("b", "old")]}),
            ),
            (Kind::NetworkPolicy, policy("x", 1), policy("y", 2), policy("y", 1)),
            (
                Kind::Service,
                json!({"selector": {"c": "old"}, "ports": live_ports, "type": "NodePort"}),
                json!({"selector": {"c": "new"}, "ports": ports("new"), "loadBalancerSourceRanges": ["y"]}),
                json!({"selector": {"c": "old"}, "ports": ports("old"), "loadBalancerSourceRanges": ["y"]}),
            ),
        ] {
            assert_eq!(
                of(kind, &json!({"metadata": {}, "spec": live})),
                None,
                "{kind:?}: the owner decides nothing of it"
            );
            let told = of(kind, &json!({"metadata": noted, "spec": live})).unwrap();
            let mut object = json!({"spec": new});
            keep(kind, &mut object, &told);
            assert_eq!(object["spec"], kept, "{kind:?}");
        }
        assert_eq!(of(Kind::StatefulSet, &json!({"metadata": noted, "spec": {}})), None);
    }
}
