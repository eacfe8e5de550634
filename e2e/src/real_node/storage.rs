//! Volumes: folders of the node, made and removed by the local-path provisioner.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::Site;
use crate::control_plane::flag;
use crate::process::Process;

/// The storage class of folders of the node; the default where there is a real node.
pub const CLASS: &str = "local-path";
const NAMESPACE: &str = "local-path-storage";
const PROVISIONER: &str = "rancher.io/local-path";
/// Has a shell, and makes and removes folders.
pub(super) const HELPER: &str = "nakhoda.local/busybox:1";
const SETUP: &str = "#!/bin/sh\nset -eu\nmkdir -m 0777 -p \"$VOL_DIR\"\n";
const TEARDOWN: &str = "#!/bin/sh\nset -eu\nrm -rf \"$VOL_DIR\"\n";

/// Starts it, and makes its class the default one.
pub(super) async fn start(site: &Site<'_>, admin: &Client) -> Result<Process> {
    declare(admin).await?;
    let settings = json!({
        "nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": ["/var/lib/local-path"]}],
        "setupCommand": null, "teardownCommand": null,
    });
    let settings = site.house.write("local-path.json", &settings.to_string())?;
    let kubeconfig =
        site.kubeconfig("local-path-provisioner", "local-path-provisioner", Some("system:masters"))?;
    let args = vec![
        "start".into(),
        flag("config", settings),
        flag("kubeconfig", kubeconfig),
        flag("provisioner-name", PROVISIONER),
        flag("namespace", NAMESPACE),
        flag("helper-image", HELPER),
        flag("service-account-name", "default"),
        flag("configmap-name", "local-path-config"),
    ];
    site.house.start("local-path-provisioner", &site.programs.local_path, args)
}

async fn declare(admin: &Client) -> Result<()> {
    let apply = PatchParams::apply(super::MANAGER).force();
    let namespaces: Api<Namespace> = Api::all(admin.clone());
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    namespaces.patch(NAMESPACE, &apply, &Patch::Apply(namespace)).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), NAMESPACE);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    accounts.patch("default", &apply, &Patch::Apply(account)).await?;
    let maps: Api<ConfigMap> = Api::namespaced(admin.clone(), NAMESPACE);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "helper-pod"},
        "spec": {"containers": [{"name": "helper-pod", "image": HELPER, "imagePullPolicy": "IfNotPresent"}]},
    });
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "local-path-config"},
        "data": {"helperPod.yaml": pod.to_string(), "setup": SETUP, "teardown": TEARDOWN},
    });
    maps.patch("local-path-config", &apply, &Patch::Apply(map)).await?;
    let classes: Api<StorageClass> = Api::all(admin.clone());
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": CLASS, "annotations": {
            "storageclass.kubernetes.io/is-default-class": "true",
            // A volume whose ownership the kubelet sets, as it does for those of a cloud; not so for hostPath.
            "defaultVolumeType": "local",
        }},
        "provisioner": PROVISIONER, "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer",
    });
    classes
        .patch(CLASS, &apply, &Patch::Apply(class))
        .await
        .context("the storage class of the node's folders")?;
    Ok(())
}
