//! The ingress controller: Traefik, as a program of the node, at ports 80 and 443 of its address.

use anyhow::{Context, Result};
use k8s_openapi::api::networking::v1::IngressClass;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::Site;
use crate::control_plane::flag;
use crate::process::Process;

/// The class of ingresses that it serves.
pub(super) const CLASS: &str = "traefik";
const CONTROLLER: &str = "traefik.io/ingress-controller";

/// What every Ingress must say for it.
pub(super) fn annotations() -> Value {
    json!({
        "traefik.ingress.kubernetes.io/router.entrypoints": "websecure",
        "traefik.ingress.kubernetes.io/router.tls": "true",
    })
}

/// Starts it.
pub(super) async fn start(site: &Site<'_>, admin: &Client) -> Result<Process> {
    let classes: Api<IngressClass> = Api::all(admin.clone());
    let class = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": CLASS},
        "spec": {"controller": CONTROLLER},
    });
    let apply = PatchParams::apply(super::MANAGER).force();
    classes.patch(CLASS, &apply, &Patch::Apply(class)).await.context("the class of ingresses")?;
    let kubeconfig = site.kubeconfig("traefik", "traefik", Some("system:masters"))?;
    let address = site.wire.there();
    let args = vec![
        flag("entrypoints.web.address", format!("{address}:80")),
        flag("entrypoints.web.http.redirections.entrypoint.to", "websecure"),
        flag("entrypoints.websecure.address", format!("{address}:443")),
        // The apps' own time-outs are longer than a minute.
        flag("entrypoints.websecure.transport.respondingtimeouts.readtimeout", "3600s"),
        flag("providers.kubernetesingress", "true"),
        flag("providers.kubernetesingress.ingressclass", CLASS),
        // A stopped app answers 503, not 404.
        flag("providers.kubernetesingress.allowemptyservices", "true"),
        flag("global.checknewversion", "false"),
        flag("global.sendanonymoususage", "false"),
        flag("ping", "false"),
        flag("log.level", "INFO"),
    ];
    let env = vec![("KUBECONFIG".to_owned(), kubeconfig.into())];
    site.house.start_with("traefik", &site.programs.traefik, args, env)
}
