//! Volume claims, and what pods mount.

use super::{Builder, Object, containers::Pod};
use crate::{instance::validate::volume_size, kinds::Kind};
use crds::{
    names,
    template::{Component, Container, Volume},
};
use serde_json::{Value, json};

impl Builder<'_> {
    /// The claims of all components. They belong to the data, not to the instance: no owner reference, since garbage
    /// collection must never decide about data.
    pub(super) fn build_volume_claims(&self) -> Vec<Object> {
        let components = &self.v.template.spec.components;
        components.iter().flat_map(|c| c.volumes.iter().map(move |v| self.build_volume_claim(c, v))).collect()
    }

    fn claim_name(&self, component: &Component, volume: &Volume) -> String {
        names::data_volume(&self.v.data_id, &component.name, &volume.name)
    }

    fn build_volume_claim(&self, component: &Component, volume: &Volume) -> Object {
        let name = self.claim_name(component, volume);
        let wanted = volume_size(self.v.resources.storage, volume.storage_percent);
        // Never smaller than it is, whatever the plan says; and it grows only where it can: bound, and in use.
        let there = self.facts.volumes.get(&name);
        let size = match there {
            Some(there) if there.bound && self.v.power.is_on() => wanted.max(there.requested),
            Some(there) => there.requested,
            None => wanted,
        };
        let mut body = json!({
            "metadata": {"labels": self.data_labels(Some(component)), "annotations": self.data_annotations()},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": size.to_bytes()}},
            },
        });
        // A class never changes: a claim keeps the one that it was made with, also where the plan or the settings changed.
        let class = match there {
            Some(there) => there.class.as_ref().filter(|_| self.v.storage_class.is_some()),
            None => self.v.storage_class.as_ref(),
        };
        if let Some(class) = class {
            body["spec"]["storageClassName"] = json!(class);
        }
        Object::new(Kind::PersistentVolumeClaim, &self.v.namespace, &name, body)
    }

    /// The volumes of a pod: claims, places to write to, and the files, where one of its containers mounts any.
    pub(super) fn build_pod_volumes(&self, pod: Pod<'_>, containers: &[&Container]) -> Vec<Value> {
        let owners = pod.volumes_of.into_iter();
        let claims = owners.flat_map(|of| of.volumes.iter().map(move |volume| (of, volume))).map(|(of, volume)| {
            json!({"name": format!("data-{}", volume.name), "persistentVolumeClaim": {"claimName": self.claim_name(of, volume)}})
        });
        let scratch = pod.empty_dirs.iter().map(|dir| {
            let mut source = json!({"sizeLimit": dir.size_limit.to_bytes()});
            if dir.memory {
                source["medium"] = json!("Memory");
            }
            json!({"name": format!("tmp-{}", dir.name), "emptyDir": source})
        });
        let files = containers.iter().any(|container| !container.files.is_empty()).then(|| {
            let items: Vec<Value> = self.v.template.spec.files.iter().map(file_item).collect();
            json!({"name": "files", "configMap": {"name": self.config_map_name(), "items": items}})
        });
        claims.chain(scratch).chain(files).collect()
    }

    /// Where a container of a pod sees them.
    pub(super) fn build_mounts(pod: Pod<'_>, container: &Container) -> Vec<Value> {
        let data = pod.volumes_of.into_iter().flat_map(|of| &of.volumes).map(|volume| {
            let mut mount = json!({"name": format!("data-{}", volume.name), "mountPath": volume.path});
            if let Some(sub_path) = &volume.sub_path {
                mount["subPath"] = json!(sub_path);
            }
            mount
        });
        let scratch = pod
            .empty_dirs
            .iter()
            .map(|dir| json!({"name": format!("tmp-{}", dir.name), "mountPath": dir.path}));
        let files = container.files.iter().map(
            |file| json!({"name": "files", "mountPath": file.path, "subPath": file.file, "readOnly": true}),
        );
        data.chain(scratch).chain(files).collect()
    }
}

fn file_item(file: &crds::template::File) -> Value {
    json!({"key": file.name, "path": file.name, "mode": if file.executable { 0o555 } else { 0o444 }})
}
