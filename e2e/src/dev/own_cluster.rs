//! A cluster of one's own, named by `KUBECONFIG` or `--context`, in the place of ours.

use std::env;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use http::Uri;
use kube::config::{Kubeconfig, NamedContext};

use crate::cluster::Cluster;
use crate::{kubeconfig, repository};

/// Words in a name that make a cluster look like production.
const PRODUCTION: [&str; 5] = ["prod", "prd", "live", "customer", "release"];
/// Ends of host names that are nobody's public address.
const PRIVATE: [&str; 7] = ["localhost", ".local", ".internal", ".test", ".lan", ".home.arpa", ".svc"];

/// The cluster of one's own, if one was named; its kubeconfig is copied into `dir`. Refuses one that
/// looks like production, unless told `yes`.
pub(super) fn select(context: Option<&str>, yes: bool, dir: &Path) -> Result<Option<Cluster>> {
    if context.is_none() && env::var_os("KUBECONFIG").is_none_or(|path| path.is_empty()) {
        return Ok(None);
    }
    // A shell that has read `.dev/env` of an `up` whose data is purged.
    let ours = repository::root().join(".dev/kubeconfigs/admin");
    if context.is_none() && env::var_os("KUBECONFIG").is_some_and(|path| Path::new(&path) == ours) {
        return Ok(None);
    }
    let config =
        Kubeconfig::read().context("cannot read the kubeconfig that KUBECONFIG or --context names")?;
    let Some(mut chosen) = pick(config, context)? else { return Ok(None) };
    if let Some(why) = looks_like_production(&chosen).filter(|_| !yes) {
        bail!(
            "this cluster looks like production: {why}.\n\
             `up` would install charts, create a tenant and run an operator there. Choose another with --context, \
             or unset KUBECONFIG to have one started here; with --yes it is used all the same."
        );
    }
    chosen.extensions = None;
    let path = dir.join("kubeconfigs/admin");
    kubeconfig::write_private(&path, &serde_json::to_string_pretty(&chosen)?)?;
    Cluster::attach(dir).map(Some)
}

/// The kubeconfig reduced to one context; none when that is a cluster the harness itself made.
fn pick(mut config: Kubeconfig, context: Option<&str>) -> Result<Option<Kubeconfig>> {
    let name = context.map(str::to_owned).or(config.current_context.take());
    let name = name.context("the kubeconfig has no current context: name one with --context")?;
    let names: Vec<String> = config.contexts.iter().map(|one| one.name.clone()).collect();
    config.contexts.retain(|one| one.name == name);
    let Some(NamedContext { context: Some(chosen), .. }) = config.contexts.first() else {
        bail!("the kubeconfig has no context `{name}`; it has: {}", names.join(", "));
    };
    if name == kubeconfig::CONTEXT && context.is_none() {
        return Ok(None);
    }
    let (cluster, user) = (chosen.cluster.clone(), chosen.user.clone());
    config.clusters.retain(|one| one.name == cluster);
    config.auth_infos.retain(|one| Some(&one.name) == user.as_ref());
    config.current_context = Some(name);
    Ok(Some(config))
}

/// Why a cluster looks like production, if it does.
fn looks_like_production(config: &Kubeconfig) -> Option<String> {
    let contexts = config.contexts.iter().map(|one| &one.name);
    let names = contexts.chain(config.clusters.iter().map(|one| &one.name));
    for name in names.chain(config.auth_infos.iter().map(|one| &one.name)) {
        if let Some(word) = PRODUCTION.iter().find(|word| name.to_lowercase().contains(**word)) {
            return Some(format!("`{name}` has `{word}` in its name"));
        }
    }
    let server = config.clusters.first()?.cluster.as_ref()?.server.as_ref()?;
    let uri: Uri = server.parse().ok()?;
    let host = uri.host().unwrap_or(server).trim_matches(['[', ']']);
    if let Some(word) = PRODUCTION.iter().find(|word| host.to_lowercase().contains(**word)) {
        return Some(format!("its server {host} has `{word}` in its name"));
    }
    (!is_private(host)).then(|| format!("its server {host} is a public address"))
}

fn is_private(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        Err(_) => !host.contains('.') || PRIVATE.iter().any(|end| host.ends_with(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_private, looks_like_production, pick};
    use kube::config::Kubeconfig;

    fn config(context: &str, server: &str) -> Kubeconfig {
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: {context}, \
             contexts: [{{name: {context}, context: {{cluster: c, user: u}}}}, {{name: other, context: {{cluster: d}}}}], \
             clusters: [{{name: d, cluster: {{server: 'https://d'}}}}, {{name: c, cluster: {{server: '{server}'}}}}], \
             users: [{{name: u, user: {{token: t}}}}]}}"
        );
        pick(Kubeconfig::from_yaml(&text).unwrap(), None).unwrap().unwrap()
    }

    #[test]
    fn local_clusters_are_used_without_asking() {
        for server in
            ["https://127.0.0.1:6443", "https://192.168.7.3:6443", "https://[::1]:1", "https://box:6443"]
        {
            assert_eq!(looks_like_production(&config("kind-dev", server)), None, "{server}");
        }
        assert!(is_private("api.cluster.internal"));
    }

    #[test]
    fn what_looks_like_production_is_refused_with_the_reason() {
        let why = looks_like_production(&config("eu-prod-1", "https://127.0.0.1:1")).unwrap();
        assert!(why.contains("eu-prod-1") && why.contains("`prod`"), "{why}");
        let why = looks_like_production(&config("mine", "https://api.shop.example.com")).unwrap();
        assert!(why.contains("public address"), "{why}");
        assert!(looks_like_production(&config("mine", "https://8.8.8.8")).is_some());
    }

    #[test]
    fn the_harness_own_cluster_is_nobody_elses() {
        let text = "{apiVersion: v1, kind: Config, current-context: nakhoda-dev, \
                    contexts: [{name: nakhoda-dev, context: {cluster: c, user: u}}]}";
        assert!(pick(Kubeconfig::from_yaml(text).unwrap(), None).unwrap().is_none());
    }

    #[test]
    fn an_unknown_context_is_told_which_there_are() {
        let text = "{apiVersion: v1, kind: Config, contexts: [{name: a, context: {cluster: c, user: u}}]}";
        let message = pick(Kubeconfig::from_yaml(text).unwrap(), Some("b")).unwrap_err().to_string();
        assert!(message.contains("no context `b`; it has: a"), "{message}");
    }
}
