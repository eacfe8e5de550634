//! Files, generated secrets and credentials.

use super::{Builder, Generated, Object, fill};
use crate::{apply, digest, instance::fill::Values, kinds::Kind};
use crds::{
    labels, names,
    template::{Component, Container},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Builder<'_> {
    pub(super) fn config_map_name(&self) -> String {
        self.child_name("files", names::MAX_LABEL)
    }

    /// The files that containers mount, if any.
    pub(super) fn build_config_map(&self) -> Option<Object> {
        let data = self.filled_files(|_| true);
        let body = json!({"data": data});
        (!data.is_empty()).then(|| self.object(Kind::ConfigMap, &self.config_map_name(), None, body))
    }

    /// The hash of the files that containers mount; none where they mount none.
    pub(super) fn files_hash(&self, containers: &[&Container]) -> Option<String> {
        let mounts: Vec<&str> = containers
            .iter()
            .flat_map(|container| &container.files)
            .map(|mount| mount.file.as_str())
            .collect();
        let files = self.filled_files(|name| mounts.contains(&name));
        (!files.is_empty()).then(|| digest::desired_hash(&json!({"data": files})))
    }

    fn filled_files(&self, wanted: impl Fn(&str) -> bool) -> BTreeMap<&str, String> {
        let (facts, none) = (self.facts_for(None), BTreeMap::new());
        let values = Values { facts: &facts, parameters: &self.v.parameters, secrets: &none };
        let files = self.v.template.spec.files.iter().filter(|file| wanted(&file.name));
        files.map(|file| (file.name.as_str(), fill::fill(&file.content, values))).collect()
    }

    /// The Secret of everything generated. It belongs to the data, not to the instance: no owner.
    pub(super) fn build_secret(&self) -> Generated {
        let v = self.v;
        let name = names::data_secret(&v.data_id);
        let mut annotations = self.data_annotations();
        let fixed = v.template.spec.parameters.iter().filter(|one| one.immutable);
        let fixed: BTreeMap<&String, &String> =
            fixed.filter_map(|one| v.parameters.get_key_value(&one.name)).collect();
        annotations[labels::FIXED] = json!(json!(fixed).to_string());
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": name,
                "namespace": v.namespace,
                "labels": self.data_labels(None),
                "annotations": annotations,
            },
            "type": "Opaque",
            "immutable": true,
        });
        let key = apply::key(Kind::Secret, &v.namespace, &name);
        Generated { key, object, secrets: v.template.spec.secrets.clone() }
    }

    /// What is noted on the data for the time after its instance.
    pub(super) fn data_annotations(&self) -> Value {
        json!({
            labels::KEEP_FOR: self.v.keep_for_text,
            labels::TEMPLATE: self.v.template_name,
            labels::PLAN: self.v.plan,
        })
    }

    pub(super) fn data_labels(&self, component: Option<&Component>) -> BTreeMap<&'static str, String> {
        let mut all = self.labels(component);
        all.insert(labels::DATA, self.v.data_id.clone());
        all
    }

    /// What the customer is shown. Its name follows from everything in it but the secrets, so that a change makes
    /// another object instead of changing an immutable one.
    pub(super) fn build_credentials(&self, secrets: &BTreeMap<String, String>) -> Object {
        let facts = self.facts_for(None);
        let none = BTreeMap::new();
        let credentials = &self.v.template.spec.credentials;
        let fill_all = |secrets| -> BTreeMap<&str, String> {
            let values = Values { facts: &facts, parameters: &self.v.parameters, secrets };
            credentials.iter().map(|one| (one.name.as_str(), fill::fill(&one.value, values))).collect()
        };
        let shape = json!({"data": self.v.data_id, "values": fill_all(&none), "texts": credentials});
        let mark = digest::desired_hash(&shape);
        let name = self.child_name(&format!("credentials-{}", &mark[..8]), names::MAX_LABEL);
        let body = json!({"type": "Opaque", "immutable": true, "stringData": fill_all(secrets)});
        self.object(Kind::Secret, &name, None, body)
    }
}
