//! The kubelet and kube-proxy.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::Node;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::json;

use super::Site;
use super::containerd;
use super::house::WITHIN;
use crate::control_plane::flag;
use crate::process::Process;
use crate::wait;

/// How long it may take until the node is Ready.
const READY: Duration = Duration::from_mins(1);
/// The addresses of all pods.
pub(super) const PODS: &str = "10.244.0.0/24";
/// The label of a node on which containers run.
pub(super) const LABEL: &str = "nakhoda.dev/node=real";

/// Starts the kubelet, listening at `port`, and returns when its node is Ready.
pub(super) async fn start(site: &Site<'_>, port: u16, admin: &Client) -> Result<Process> {
    let address = site.wire.there().to_string();
    let node = site.node.as_str();
    let (certificate, key) = site.serving("kubelet", &[node, &address])?;
    let settings = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "port": port,
        "tlsCertFile": certificate,
        "tlsPrivateKeyFile": key,
        "authentication": {
            "anonymous": {"enabled": false}, "webhook": {"enabled": true},
            "x509": {"clientCAFile": format!("{WITHIN}/etc/ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": containerd::endpoint(),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", site.groups.name()),
        // Machines of both kinds, and with swap, are fine for trying things out.
        "failCgroupV1": false,
        "failSwapOn": false,
        "localStorageCapacityIsolation": false,
        "clusterDomain": "cluster.local",
        "clusterDNS": [super::dns::SERVICE],
        "resolvConf": "",
        "volumePluginDir": "/var/lib/kubelet/volumeplugins",
        // Images came from no registry and can't be pulled again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "serializeImagePulls": false,
        "maxPods": 60,
    });
    let settings = site.house.write("kubelet.json", &settings.to_string())?;
    let kubeconfig = site.kubeconfig("kubelet", &format!("system:node:{node}"), Some("system:nodes"))?;
    let args = vec![
        flag("config", settings),
        flag("kubeconfig", kubeconfig),
        flag("hostname-override", node),
        flag("node-ip", address),
        flag("node-labels", LABEL),
    ];
    let process = site.house.start("kubelet", &site.kubelet, args)?;
    let ready = await_condition(Api::<Node>::all(admin.clone()), node, |found: Option<&Node>| {
        let conditions =
            found.and_then(|node| node.status.as_ref()).and_then(|status| status.conditions.as_ref());
        conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True")
    });
    let ready = wait::within(&format!("node {node} to be Ready"), READY, ready);
    tokio::select! {
        ready = ready => { ready?; }
        died = process.died() => anyhow::bail!(died),
    }
    Ok(process)
}

/// Starts kube-proxy.
pub(super) fn start_proxy(site: &Site<'_>) -> Result<Process> {
    let kubeconfig = site.kubeconfig("kube-proxy", "system:kube-proxy", None)?;
    let settings = json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": kubeconfig},
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": site.node,
        // These limits are the machine's, not the namespace's.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    });
    let settings = site.house.write("kube-proxy.json", &settings.to_string())?;
    site.house.start("kube-proxy", &site.kube_proxy, vec![flag("config", settings)])
}
