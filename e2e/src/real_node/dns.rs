//! `CoreDNS`, as the cluster's DNS: a program of the node, to which a Service without a selector leads.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::Site;
use crate::process::Process;

/// The address that pods ask.
pub(super) const SERVICE: &str = "10.96.0.10";
const NAME: &str = "kube-dns";
const NAMESPACE: &str = "kube-system";
/// Names of the cluster alone: what is outside can't be reached from here, and is not asked for.
const SETTINGS: &str = "\
.:53 {
    bind ADDRESS
    errors
    kubernetes cluster.local in-addr.arpa {
        kubeconfig KUBECONFIG nakhoda-dev
        pods insecure
        ttl 5
    }
    cache 5
}
";

/// Starts it, and has the cluster's Service lead to it.
pub(super) async fn start(site: &Site<'_>, admin: &Client) -> Result<Process> {
    let address = site.wire.there().to_string();
    let kubeconfig = site.kubeconfig("coredns", "coredns", Some("system:masters"))?;
    let settings = SETTINGS.replace("ADDRESS", &address).replace("KUBECONFIG", &kubeconfig);
    let settings = site.house.write("Corefile", &settings)?;
    let process =
        site.house.start("coredns", &site.programs.coredns, vec!["-conf".into(), settings.into()])?;
    let ports = |target: bool| {
        let port = |name: &str, protocol: &str| {
            let mut port = json!({"name": name, "port": 53, "protocol": protocol});
            if target {
                port["targetPort"] = json!(53);
            }
            port
        };
        json!([port("dns", "UDP"), port("dns-tcp", "TCP")])
    };
    let apply = PatchParams::apply(super::MANAGER).force();
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME, "labels": {"k8s-app": NAME}},
        "spec": {"clusterIP": SERVICE, "ports": ports(true)},
    });
    let services: Api<Service> = Api::namespaced(admin.clone(), NAMESPACE);
    services.patch(NAME, &apply, &Patch::Apply(service)).await.context("the Service of DNS")?;
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": NAME, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": "IPv4", "ports": ports(false),
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}, "nodeName": site.node}],
    });
    let slices: Api<EndpointSlice> = Api::namespaced(admin.clone(), NAMESPACE);
    slices.patch(NAME, &apply, &Patch::Apply(slice)).await.context("the endpoints of DNS")?;
    Ok(process)
}
