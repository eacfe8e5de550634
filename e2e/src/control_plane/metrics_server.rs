//! The metrics-server, for stories that ask for it: it scrapes what KWOK serves in the kubelets' place, and the API server
//! passes `metrics.k8s.io` on to it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::{Site, flag};
use crate::kubeconfig::Server;
use crate::process::Process;
use crate::{ports, wait};

const GROUP: &str = "v1beta1.metrics.k8s.io";
const NAME: &str = "metrics-server";
const NAMESPACE: &str = "kube-system";
/// Who wrote what is made here.
const MANAGER: &str = "nakhoda-dev";
/// How long it may take until it is found.
const READY: Duration = Duration::from_mins(1);

/// Starts it; it may have nothing to tell yet. KWOK answers for the kubelets at `kubelets` of this machine.
pub(super) async fn start(
    site: &Site<'_>,
    program: &Path,
    server: &Server,
    kubelets: u16,
    admin: &Client,
) -> Result<Process> {
    let port = ports::free()?;
    let (certificate, key) = site.pki.server(NAME, &[&format!("{NAME}.{NAMESPACE}.svc"), "localhost"])?;
    let kubeconfig = site.write_kubeconfig(NAME, NAME, Some("system:masters"), server)?;
    let args = vec![
        flag("kubeconfig", &kubeconfig),
        flag("authentication-kubeconfig", &kubeconfig),
        flag("authorization-kubeconfig", &kubeconfig),
        flag("bind-address", "127.0.0.1"),
        flag("secure-port", port.to_string()),
        flag("tls-cert-file", certificate),
        flag("tls-private-key-file", key),
        // Of the addresses of simulated nodes only this one leads anywhere; real ones have none of its kind.
        flag("kubelet-preferred-address-types", "InternalDNS,InternalIP"),
        flag("kubelet-port", kubelets.to_string()),
        flag("kubelet-certificate-authority", site.pki.ca()),
        flag("metric-resolution", "10s"),
        flag("kubelet-request-timeout", "5s"),
    ];
    let process = Process::spawn(site.spec(NAME, program, args))?;
    register(admin, &std::fs::read(site.pki.ca())?, port).await?;
    Ok(process)
}

/// Returns when the API server passes `metrics.k8s.io` on to it. It tells of a pod once it has scraped its node twice.
pub(super) async fn until_ready(process: &Process, admin: &Client) -> Result<()> {
    wait::until("metrics.k8s.io to be served", READY, async || {
        process.check()?;
        let request = http::Request::get("/apis/metrics.k8s.io/v1beta1/pods").body(Vec::new())?;
        Ok(admin.request_text(request).await.ok().map(drop))
    })
    .await
}

/// Has the API server pass the group on to `port` of this machine. A Service with an external name leads there, since no
/// loopback address may stand in Endpoints.
async fn register(admin: &Client, ca: &[u8], port: u16) -> Result<()> {
    let apply = PatchParams::apply(MANAGER).force();
    let services: Api<Service> = Api::namespaced(admin.clone(), NAMESPACE);
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": NAME },
        "spec": { "type": "ExternalName", "externalName": "localhost" },
    });
    services.patch(NAME, &apply, &Patch::Apply(service)).await.context("the metrics-server's Service")?;
    let registrations: Api<APIService> = Api::all(admin.clone());
    let registration = json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": { "name": GROUP },
        "spec": {
            "group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": { "namespace": NAMESPACE, "name": NAME, "port": port },
            "caBundle": k8s_openapi::ByteString(ca.to_vec()),
        },
    });
    registrations
        .patch(GROUP, &apply, &Patch::Apply(registration))
        .await
        .context("the group's registration")?;
    Ok(())
}

/// Takes the registration away, as if there had never been a metrics-server.
pub(super) async fn unregister(admin: &Client) -> Result<()> {
    let registrations: Api<APIService> = Api::all(admin.clone());
    match registrations.delete(GROUP, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error.into()),
    }
}
