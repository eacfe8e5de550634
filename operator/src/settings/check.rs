//! What the settings' schema can't say: names, address ranges, peers that let in whom they should not.

use super::Settings;
use crds::names;
use ipnet::IpNet;
use k8s_openapi::{
    api::networking::v1::{IPBlock, NetworkPolicyPeer},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

/// The longest zone, so that an instance's host below it is a host name.
const MAX_ZONE: usize = 200;

/// Everything wrong with the values, each with its path and what to write instead.
pub(super) fn problems(settings: &Settings) -> Vec<String> {
    let mut problems = Vec::new();
    if !is_zone(&settings.zone) {
        problems.push(format!(
            "zone {:?} is not a DNS zone in lower case without a dot at its end, such as apps.example.com",
            settings.zone
        ));
    }
    let classes = [
        ("storageClassName", &settings.storage_class_name),
        ("ingress.className", &settings.ingress.class_name),
    ];
    for (path, name) in classes {
        if let Some(name) = name.as_ref().filter(|name| !is_object_name(name)) {
            problems.push(format!("{path} {name:?} can't be the name of a class: a-z, 0-9, - and . alone"));
        }
    }
    let accounts = [
        ("install.operatorAccount", &settings.install.operator_account),
        ("install.apiServerAccount", &settings.install.api_server_account),
    ];
    for (path, name) in accounts {
        if !is_object_name(name) {
            problems.push(format!(
                "{path} {name:?} can't be the name of a service account: a-z, 0-9, - and . alone"
            ));
        }
    }
    for (index, range) in settings.network.closed_ranges.iter().enumerate() {
        let path = format!("network.closedRanges[{index}]");
        match check_range(range) {
            Ok(network) if network.prefix_len() == 0 => {
                problems.push(format!("{path} {range} closes everything: close the ranges that are private"));
            }
            Ok(_) => {}
            Err(problem) => problems.push(format!("{path} {problem}")),
        }
    }
    check_peers("ingress.from", &settings.ingress.from, true, &mut problems);
    check_peers("network.dnsTo", &settings.network.dns_to, false, &mut problems);
    problems
}

/// Whether it is a host name of two labels or more, the last beginning with a letter.
fn is_zone(zone: &str) -> bool {
    let mut labels = zone.split('.');
    let fits =
        |label: &str| names::is_label(&format!("x{label}")) && !label.is_empty() && !label.starts_with('-');
    let last =
        zone.rsplit('.').next().is_some_and(|label| label.starts_with(|c: char| c.is_ascii_lowercase()));
    labels.all(fits) && last && zone.contains('.') && zone.len() <= MAX_ZONE
}

/// Whether it can be the name of a class or a service account: DNS labels joined by dots.
fn is_object_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty() && !label.starts_with('-') && names::is_label(&format!("x{label}"))
        })
}

/// An address range, written as Kubernetes keeps it.
fn check_range(text: &str) -> Result<IpNet, String> {
    let network: IpNet =
        text.parse().map_err(|_| format!("{text:?} is no address range such as 10.0.0.0/8 or fd00::/8"))?;
    if network.trunc().to_string() == text {
        Ok(network)
    } else {
        Err(format!("{text} is written otherwise than Kubernetes keeps it: write {}", network.trunc()))
    }
}

fn check_peers(path: &str, peers: &[NetworkPolicyPeer], entering: bool, problems: &mut Vec<String>) {
    for (index, peer) in peers.iter().enumerate() {
        if let Err(problem) = check_peer(peer, entering) {
            problems.push(format!("{path}[{index}] {problem}"));
        }
    }
}

fn check_peer(peer: &NetworkPolicyPeer, entering: bool) -> Result<(), String> {
    match peer {
        NetworkPolicyPeer { ip_block: Some(block), namespace_selector: None, pod_selector: None } => check_block(block),
        NetworkPolicyPeer { ip_block: Some(_), .. } => {
            Err("has an ipBlock beside a selector: make two entries of it".to_owned())
        }
        NetworkPolicyPeer { namespace_selector: None, pod_selector: None, .. } => {
            Err("names nobody: give an ipBlock or a namespaceSelector".to_owned())
        }
        NetworkPolicyPeer { namespace_selector: None, .. } => Err(
            "has a podSelector without a namespaceSelector, which means the tenant's own pods: add a namespaceSelector".to_owned(),
        ),
        NetworkPolicyPeer { namespace_selector: Some(namespaces), pod_selector, .. } => {
            let any_pod = pod_selector.as_ref().is_none_or(is_empty);
            if entering && is_empty(namespaces) && any_pod {
                return Err("lets every pod of the cluster in, other tenants' too: name the ingress controller's namespace".to_owned());
            }
            Ok(())
        }
    }
}

fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(std::collections::BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

fn check_block(block: &IPBlock) -> Result<(), String> {
    let network = check_range(&block.cidr).map_err(|problem| format!("ipBlock.cidr {problem}"))?;
    for except in block.except.iter().flatten() {
        let inner = check_range(except).map_err(|problem| format!("ipBlock.except {problem}"))?;
        if !network.contains(&inner) || inner == network {
            return Err(format!("ipBlock.except {except} is not a part of {}", block.cidr));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    fn said(text: &str) -> String {
        Settings::parse("x", &format!("zone: apps.example.com\n{text}"))
            .map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn a_value_that_would_harm_later_is_refused_at_the_start() {
        for (text, part) in [
            ("storageClassName: Fast_SSD", "storageClassName"),
            ("ingress: {className: 'a b'}", "ingress.className"),
            ("install: {operatorAccount: -x}", "install.operatorAccount"),
            (
                "network: {closedRanges: [10.0.0.0/8, ten]}",
                "network.closedRanges[1] \"ten\" is no address range",
            ),
            ("network: {closedRanges: [10.0.0.1/8]}", "write 10.0.0.0/8"),
            ("network: {closedRanges: [0.0.0.0/0]}", "closes everything"),
            ("network: {closedRanges: [10.0.0.0/33]}", "no address range"),
            ("ingress: {from: [{}]}", "names nobody"),
            ("ingress: {from: [{namespaceSelector: {}}]}", "other tenants"),
            ("ingress: {from: [{podSelector: {matchLabels: {a: b}}}]}", "the tenant's own pods"),
            (
                "ingress: {from: [{podSelector: {matchLabel: {a: b}}, namespaceSelector: {}}]}",
                "ingress.from[0].podSelector.matchLabel is no known field",
            ),
            ("ingress: {from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}", "two entries"),
            ("ingress: {from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}", "not a part"),
            ("retention: {longest: forever}", "retention.longest"),
            ("bounds: {provisioningSeconds: 29}", "bounds.provisioningSeconds must be at least 30"),
            ("bounds: {stoppingSeconds: 90000}", "bounds.stoppingSeconds must be at most 86400"),
            ("concurrency: {tenants: 257}", "concurrency.tenants must be at most 256"),
        ] {
            assert!(said(text).contains(part), "{text}: {}", said(text));
        }
        for zone in ["UPPER.test", "one", "a..b", "-a.test", "a.test.", "a.7", "a_b.test", ""] {
            let said = Settings::parse("x", &format!("zone: '{zone}'"))
                .map_or_else(|error| error.to_string(), |_| String::new());
            assert!(said.contains("zone"), "{zone}: {said}");
        }
    }

    #[test]
    fn what_clusters_have_is_accepted() {
        for text in [
            "network: {closedRanges: [10.0.0.0/8, fd00::/8]}",
            "ingress: {from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/25]}}]}",
            "ingress: {from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: ingress}}}]}",
            "network: {dnsTo: [{namespaceSelector: {}}]}",
            "storageClassName: fast.ssd-2",
            "install: {operatorAccount: 0-account}",
        ] {
            assert_eq!(said(text), "", "{text}");
        }
    }
}
