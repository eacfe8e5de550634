//! The API server: RBAC, audit log, service-account tokens, aggregation.

use std::ffi::OsString;

use anyhow::{Context, Result};

use super::{Listens, Site, flag};
use crate::process::Process;

const AUDIT_POLICY: &str = include_str!("audit-policy.yaml");
/// Who signs the tokens of service accounts.
const ISSUER: &str = "https://kubernetes.default.svc";

/// Starts kube-apiserver on its port of the loopback address.
pub(super) fn start(site: &Site<'_>, listens: &Listens) -> Result<Process> {
    let Listens { store, port, audit_mb, real_nodes } = listens;
    let mut args = vec![
        flag("etcd-servers", store),
        flag("bind-address", "127.0.0.1"),
        flag("secure-port", port.to_string()),
        // Nothing on this machine reaches the API by its cluster address, and a loopback
        // address may not stand in Endpoints.
        flag("advertise-address", "127.0.0.1"),
        flag("endpoint-reconciler-type", "none"),
        flag("service-cluster-ip-range", "10.96.0.0/16"),
        flag("authorization-mode", if *real_nodes { "Node,RBAC" } else { "RBAC" }),
        flag("profiling", "false"),
        flag("cert-dir", site.dir.join("pki")),
    ];
    args.extend(identity(site));
    args.extend(aggregation(site));
    args.extend(audit(site, *audit_mb)?);
    if *real_nodes {
        args.extend(kubelets(site)?);
    }
    Process::spawn(site.spec("kube-apiserver", &site.tools.kube_apiserver, args))
}

fn identity(site: &Site<'_>) -> [OsString; 6] {
    let (certificate, key) = site.pki.pair("serving");
    [
        flag("client-ca-file", site.pki.ca()),
        flag("tls-cert-file", certificate),
        flag("tls-private-key-file", key),
        flag("service-account-issuer", ISSUER),
        flag("service-account-signing-key-file", site.pki.service_account_key()),
        flag("service-account-key-file", site.pki.service_account_public_key()),
    ]
}

fn aggregation(site: &Site<'_>) -> [OsString; 8] {
    let (certificate, key) = site.pki.pair("front-proxy-client");
    [
        flag("proxy-client-cert-file", certificate),
        flag("proxy-client-key-file", key),
        flag("requestheader-client-ca-file", site.pki.front_proxy_ca()),
        flag("requestheader-allowed-names", "front-proxy-client"),
        flag("requestheader-username-headers", "X-Remote-User"),
        flag("requestheader-group-headers", "X-Remote-Group"),
        flag("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
        // By the Service, not by its endpoints: what is aggregated here has an external name.
        flag("enable-aggregator-routing", "false"),
    ]
}

/// How it asks real kubelets, for logs and commands; and that those write of themselves alone.
fn kubelets(site: &Site<'_>) -> Result<[OsString; 5]> {
    site.pki.write_client("kubelet-client", "kube-apiserver-kubelet-client", Some("system:masters"))?;
    let (certificate, key) = site.pki.pair("kubelet-client");
    Ok([
        flag("kubelet-client-certificate", certificate),
        flag("kubelet-client-key", key),
        flag("kubelet-certificate-authority", site.pki.ca()),
        flag("kubelet-preferred-address-types", "InternalIP"),
        flag("enable-admission-plugins", "NodeRestriction"),
    ])
}

fn audit(site: &Site<'_>, megabytes: u32) -> Result<[OsString; 4]> {
    let policy = site.dir.join("audit/policy.yaml");
    std::fs::write(&policy, AUDIT_POLICY).with_context(|| format!("cannot write {}", policy.display()))?;
    Ok([
        flag("audit-policy-file", policy),
        flag("audit-log-path", site.dir.join("audit/audit.log")),
        flag("audit-log-maxsize", megabytes.to_string()),
        flag("audit-log-maxbackup", "1"),
    ])
}
