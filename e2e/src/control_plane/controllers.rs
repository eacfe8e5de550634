//! What makes the API's promises true: controller-manager, scheduler, and KWOK in the kubelets' place.

use anyhow::{Context, Result};

use super::nodes::NODE_LABEL;
use super::{Site, flag};
use crate::kubeconfig::Server;
use crate::process::Process;

const STAGES: &str = include_str!("stages.yaml");
const USAGE: &str = include_str!("usage.yaml");
/// Seconds until a node without a sign of life counts as lost, as with a real kubelet.
const NODE_LEASE: &str = "40";

/// Starts the three, each under an identity of its own; KWOK answers for the kubelets at port `kubelets`.
pub(super) fn start(site: &Site<'_>, server: &Server, kubelets: u16) -> Result<Vec<Process>> {
    Ok(vec![kwok(site, server, kubelets)?, scheduler(site, server)?, controller_manager(site, server)?])
}

fn controller_manager(site: &Site<'_>, server: &Server) -> Result<Process> {
    let user = "system:kube-controller-manager";
    let args = vec![
        flag("kubeconfig", site.write_kubeconfig("kube-controller-manager", user, None, server)?),
        // A test that kills the API server must not end this one for a lost lease.
        flag("leader-elect", "false"),
        flag("resource-quota-sync-period", "5s"),
        flag("use-service-account-credentials", "true"),
        flag("service-account-private-key-file", site.pki.service_account_key()),
        flag("root-ca-file", site.pki.ca()),
        flag("enable-hostpath-provisioner", "true"),
        flag("secure-port", "0"),
        flag("kube-api-qps", "200"),
        flag("kube-api-burst", "400"),
    ];
    Process::spawn(site.spec("kube-controller-manager", &site.tools.kube_controller_manager, args))
}

fn scheduler(site: &Site<'_>, server: &Server) -> Result<Process> {
    let user = "system:kube-scheduler";
    let args = vec![
        flag("kubeconfig", site.write_kubeconfig("kube-scheduler", user, None, server)?),
        flag("leader-elect", "false"),
        flag("secure-port", "0"),
        flag("kube-api-qps", "200"),
        flag("kube-api-burst", "400"),
    ];
    Process::spawn(site.spec("kube-scheduler", &site.tools.kube_scheduler, args))
}

fn kwok(site: &Site<'_>, server: &Server, kubelets: u16) -> Result<Process> {
    let stages = site.dir.join("stages.yaml");
    std::fs::write(&stages, format!("{STAGES}---\n{USAGE}"))
        .with_context(|| format!("cannot write {}", stages.display()))?;
    let (certificate, key) = site.pki.pair("serving");
    let args = vec![
        flag("kubeconfig", site.write_kubeconfig("kwok", "kwok", Some("system:masters"), server)?),
        flag("config", stages),
        // A node without the label, or that loses it, is one whose kubelet is silent.
        flag("manage-nodes-with-label-selector", NODE_LABEL),
        flag("node-lease-duration-seconds", NODE_LEASE),
        flag("node-ip", "10.0.0.1"),
        flag("cidr", "10.64.0.0/16"),
        flag("server-address", format!("127.0.0.1:{kubelets}")),
        flag("tls-cert-file", certificate),
        flag("tls-private-key-file", key),
    ];
    let mut spec = site.spec("kwok", &site.tools.kwok, args);
    // It reads ~/.kwok/kwok.yaml as well; somebody's own settings are not ours.
    spec.env.push(("KWOK_WORKDIR".to_owned(), site.dir.join("kwok").into()));
    Process::spawn(spec)
}
