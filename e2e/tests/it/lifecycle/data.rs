//! What must never be lost, and never change: volumes and passwords.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use crds::labels;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use sha2::{Digest as _, Sha256};

use super::life::Life;

/// Volumes and generated secrets by name: uid, and hash of the values.
pub(super) type Data = BTreeMap<String, (String, String)>;

impl Life {
    /// Its volumes, and the secrets generated for them.
    pub(super) async fn data(&self) -> Result<Data> {
        let ours = ListParams::default().labels(labels::DATA);
        let volumes: Api<PersistentVolumeClaim> = Api::namespaced(self.admin.clone(), self.namespace());
        let secrets: Api<Secret> = Api::namespaced(self.admin.clone(), self.namespace());
        let mut data = Data::new();
        for volume in volumes.list(&ours).await? {
            data.insert(volume.name_any(), (volume.uid().unwrap_or_default(), String::new()));
        }
        for secret in secrets.list(&ours).await? {
            let values = Sha256::digest(serde_json::to_vec(&secret.data)?);
            data.insert(secret.name_any(), (secret.uid().unwrap_or_default(), format!("{values:x?}")));
        }
        Ok(data)
    }

    /// Fails where any of that data is gone or another.
    pub(super) async fn still_has(&self, before: &Data) -> Result<()> {
        let now = self.data().await?;
        for (name, what) in before {
            ensure!(now.get(name) == Some(what), "{}: {name} was lost or made anew", self.name());
        }
        Ok(())
    }
}
