//! Network policies are enforced by the firewall of kube-router; the bridge alone lets everybody reach everybody.

use anyhow::Result;

use super::Site;
use crate::control_plane::flag;
use crate::process::Process;

/// Starts it.
pub(super) fn start(site: &Site<'_>) -> Result<Process> {
    let kubeconfig = site.kubeconfig("kube-router", "kube-router", Some("system:masters"))?;
    let args = vec![
        flag("kubeconfig", kubeconfig),
        flag("run-firewall", "true"),
        flag("run-router", "false"),
        flag("run-service-proxy", "false"),
        flag("run-loadbalancer", "false"),
        flag("hostname-override", &site.node),
        flag("service-cluster-ip-range", "10.96.0.0/16"),
        flag("iptables-sync-period", "1m"),
        flag("health-port", "0"),
        flag("metrics-port", "0"),
    ];
    site.house.start("kube-router", &site.programs.kube_router, args)
}
