//! Server-side apply of YAML files, as `kubectl apply --server-side` does it.

use std::fs::{read_dir, read_to_string};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{GroupVersionKind, TypeMeta};
use kube::discovery::{ApiCapabilities, ApiResource, Scope, pinned_kind};
use kube::{Api, Client, ResourceExt};
use serde::Deserialize;

use crate::wait;

/// How long a kind may take from its definition to discovery.
const SERVED: Duration = Duration::from_secs(10);

/// How long a new quota may take until the API server counts by it.
const COUNTED: Duration = Duration::from_secs(30);

/// The API server said no.
#[derive(Debug, thiserror::Error)]
#[error("{kind} {name} was refused: {message}")]
pub struct Refused {
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// The HTTP status.
    pub code: u16,
    /// What the server says to the person who applied it.
    pub message: String,
}

/// The objects of a YAML file, in their order.
pub fn read(path: &Path) -> Result<Vec<DynamicObject>> {
    let text = read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let value = serde_json::Value::deserialize(document)
            .with_context(|| format!("{} is not YAML that can be read", path.display()))?;
        if !value.is_null() {
            let object = serde_json::from_value(value);
            objects.push(
                object.with_context(|| format!("{} holds something that is no object", path.display()))?,
            );
        }
    }
    Ok(objects)
}

/// Applies one object under the name of `manager`, whoever owned its fields before, and returns what the
/// server made of it.
pub async fn object(client: &Client, object: &DynamicObject, manager: &str) -> Result<DynamicObject> {
    let types = object.types.as_ref().context("an object says its apiVersion and kind")?;
    let (resource, capabilities) = discover(client, types).await?;
    let api: Api<DynamicObject> = match (capabilities.scope, object.namespace()) {
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), &namespace, &resource),
        (Scope::Namespaced, None) => bail!("{} {} names no namespace", types.kind, object.name_any()),
    };
    let name = object.name_any();
    let params = PatchParams::apply(manager).force();
    wait::until(&format!("{} {name} to be counted", types.kind), COUNTED, async || {
        match api.patch(&name, &params, &Patch::Apply(object)).await {
            Ok(applied) => Ok(Some(applied)),
            Err(kube::Error::Api(status)) if is_not_counted_yet(&status.message) => Ok(None),
            Err(kube::Error::Api(status)) => {
                let (kind, name) = (types.kind.clone(), name.clone());
                Err(Refused { kind, name, code: status.code, message: status.message.clone() }.into())
            }
            Err(error) => Err(error).with_context(|| format!("{} {name} could not be applied", types.kind)),
        }
    })
    .await
}

/// Right after a ResourceQuota was made, the API server may not know yet what is used of it, and refuses whatever counts; of
/// many creations at once it refuses those that lose the race for the quota's status.
pub fn is_not_counted_yet(message: &str) -> bool {
    message.contains("status unknown for quota")
        || message.contains("Operation cannot be fulfilled on resourcequotas")
}

/// A kind just installed is found a moment later only.
async fn discover(client: &Client, types: &TypeMeta) -> Result<(ApiResource, ApiCapabilities)> {
    let kind = GroupVersionKind::try_from(types)?;
    wait::until(&format!("the cluster to know {} of {}", types.kind, types.api_version), SERVED, async || {
        match pinned_kind(client, &kind).await {
            Ok(found) => Ok(Some(found)),
            Err(kube::Error::Discovery(_)) => Ok(None),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// Applies every object of a file.
pub async fn file(client: &Client, path: &Path, manager: &str) -> Result<Vec<DynamicObject>> {
    let mut applied = Vec::new();
    for one in read(path)? {
        applied.push(object(client, &one, manager).await.with_context(|| path.display().to_string())?);
    }
    Ok(applied)
}

/// Applies every `*.yaml` of a folder, by name; returns how many objects that were.
pub async fn folder(client: &Client, dir: &Path, manager: &str) -> Result<usize> {
    let entries = read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    let mut count = 0;
    for path in paths {
        count += file(client, &path, manager).await?.len();
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::read;
    use std::fs::write;

    #[test]
    fn empty_documents_of_a_file_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("two.yaml");
        let one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        write(&path, format!("---\n# nothing\n---\n{one}---\n{one}")).unwrap();
        assert_eq!(read(&path).unwrap().len(), 2);
    }

    #[test]
    fn a_file_that_is_no_yaml_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad.yaml");
        write(&path, "a: [").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("bad.yaml"));
    }
}
