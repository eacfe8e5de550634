//! What is said of the ways in from outside: custom hosts, and access for TCP apps.

use super::Outcome;
use crate::{
    domains::decide::{self, Decided},
    instance::{
        access::{Access, NoAccess},
        fetch::Fetched,
    },
    observed::{Child, State},
    settings::{Settings, access::AccessType},
};
use crds::{
    conditions::{self, Said},
    instance::DomainStatus,
};
use std::sync::Arc;

/// What is said of each host: routed is what an Ingress does, and not what is meant.
pub(super) fn hosts(fetched: &Fetched, children: &[Arc<Child>]) -> Vec<DomainStatus> {
    let one = |decided: &Decided| {
        let mut status = decided.status.clone();
        status.routed = decided.is_ours && children.iter().any(|child| child.routes(&status.host));
        if decided.is_ours && !status.routed {
            NOT_ROUTED.clone_into(&mut status.reason);
            "It is verified, and is routed once the app is made.".clone_into(&mut status.message);
        }
        status
    };
    fetched.domains.iter().map(one).collect()
}

const NOT_ROUTED: &str = crds::reasons::DOMAIN_NOT_ROUTED;

/// Which reason counts most where the hosts' differ: what somebody must do comes first.
const RANKED: [&str; 9] = [
    decide::TAKEN,
    decide::UNVERIFIED,
    decide::LOOKUP_FAILED,
    decide::NOT_ASKED,
    decide::CHECKING,
    NOT_ROUTED,
    decide::RECORD_MISSING,
    decide::VERIFIED,
    decide::PLATFORM_HOST,
];

/// Whether every custom host is routed. It does not touch Ready: a DNS record is set outside of the cluster, in the customer's own
/// time, and an app that serves is no worse for it.
pub(super) fn domains_ready(fetched: &Fetched, hosts: &[DomainStatus]) -> Option<Said> {
    if fetched.instance.spec.domains.is_empty() {
        return None;
    }
    let rank = |status: &&DomainStatus| RANKED.iter().position(|reason| *reason == status.reason);
    let Some((status, rank)) =
        hosts.iter().filter_map(|one| Some((one, rank(&one)?))).min_by_key(|one| one.1)
    else {
        let message = "The app does not speak HTTP, so host names can't lead to it. Take spec.domains out; spec.access opens its port.";
        return Some(Said::no(conditions::DOMAINS_READY, crds::reasons::DOMAINS_NOT_APPLICABLE, message));
    };
    let message = format!("{}: {} See status.domains.", status.host, status.message);
    Some(match RANKED[rank] {
        decide::VERIFIED | decide::PLATFORM_HOST => Said::yes(
            conditions::DOMAINS_READY,
            decide::VERIFIED,
            "Every custom host is verified and routed.",
        ),
        // Still routed: a warning, not a failure.
        decide::RECORD_MISSING => Said::yes(conditions::DOMAINS_READY, decide::RECORD_MISSING, message),
        reason => Said::no(conditions::DOMAINS_READY, reason, message),
    })
}

/// `host:port` of the Service for access from outside, once it is known.
pub(super) fn external(
    access: Option<&Result<Access, NoAccess>>,
    children: &[Arc<Child>],
    settings: &Settings,
) -> Option<String> {
    let access = access?.as_ref().ok()?;
    children.iter().filter(|child| !child.terminating).find_map(|child| match (&child.state, access.by) {
        (State::Exposed { address, port, .. }, AccessType::LoadBalancer) => {
            Some(endpoint(address.as_deref()?, (*port)?))
        }
        (State::Exposed { node_port, .. }, AccessType::NodePort) => {
            Some(endpoint(settings.access.node_host.as_deref()?, (*node_port)?))
        }
        _ => None,
    })
}

/// An address of IPv6 stands in brackets.
fn endpoint(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Whether the port to the outside is open, where one was asked for. Like hosts, it does not touch Ready.
pub(super) fn access_ready(outcome: &Outcome, external: Option<&String>) -> Option<Said> {
    let Outcome::Built { order, .. } = outcome else { return None };
    Some(match order.access.as_ref()? {
        Err(none) => {
            let (reason, message) = none.said();
            Said::no(conditions::ACCESS_READY, reason, message)
        }
        Ok(access) if external.is_some() => {
            let message = if access.allowed.is_empty() {
                "It is reached at status.endpoints.external, from everywhere."
            } else {
                "It is reached at status.endpoints.external, from spec.access.allowedCidrs alone."
            };
            Said::yes(conditions::ACCESS_READY, crds::reasons::ACCESS_OPEN, message)
        }
        Ok(_) => {
            let message = "The cluster is opening a port for it. If this lasts, an administrator must look at the events of its Service.";
            Said::no(conditions::ACCESS_READY, crds::reasons::ACCESS_PENDING, message)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        instance::fixtures::{self, Wanted},
        kinds::Kind,
        observed::Owner,
    };
    use serde_json::{Value, json};

    fn child(kind: Kind, spec: &Value, status: &Value) -> Arc<Child> {
        let object = json!({
            "metadata": {"name": "a", "namespace": "customer-sample", "uid": "u", "resourceVersion": "1"},
            "spec": spec, "status": status,
        });
        let mut child = Child::reduce(kind, &object).unwrap();
        child.owner = Some(Owner::Instance(fixtures::UID.to_owned()));
        Arc::new(child)
    }

    fn fetched(all: &[(&str, &str, bool)]) -> Fetched {
        let mut fetched = fixtures::fetched("wordpress", Wanted::Running);
        let spec = &mut Arc::make_mut(&mut fetched.instance).spec;
        spec.domains = all.iter().map(|(host, ..)| (*host).to_owned()).collect();
        fetched.domains = all
            .iter()
            .map(|(host, reason, is_ours)| {
                let (host, reason) = ((*host).to_owned(), (*reason).to_owned());
                let status = DomainStatus { host, reason, routed: *is_ours, ..DomainStatus::default() };
                Decided { status, is_ours: *is_ours }
            })
            .collect();
        fetched
    }

    fn says(fetched: &Fetched, children: &[Arc<Child>]) -> (Option<bool>, &'static str) {
        let said = domains_ready(fetched, &hosts(fetched, children)).unwrap();
        (said.status, said.reason)
    }

    #[test]
    fn what_somebody_must_do_is_said_first() {
        let routed =
            [child(Kind::Ingress, &json!({"rules": [{"host": "a.test"}, {"host": "b.test"}]}), &json!({}))];
        let a = ("a.test", decide::VERIFIED, true);
        assert_eq!(says(&fetched(&[a]), &routed), (Some(true), "Verified"));
        assert_eq!(says(&fetched(&[a]), &[]), (Some(false), "NotRoutedYet"));
        let missing = ("b.test", decide::RECORD_MISSING, true);
        assert_eq!(says(&fetched(&[a, missing]), &routed), (Some(true), "RecordMissing"));
        let unverified = ("c.test", decide::UNVERIFIED, false);
        assert_eq!(says(&fetched(&[a, missing, unverified]), &routed), (Some(false), "DomainUnverified"));
        let taken = ("d.test", decide::TAKEN, false);
        assert_eq!(says(&fetched(&[unverified, taken]), &routed), (Some(false), "HostTaken"));
        let mut tcp = fetched(&[a]);
        tcp.domains.clear();
        assert_eq!(says(&tcp, &routed), (Some(false), "DomainsNotApplicable"));
        assert_eq!(domains_ready(&fetched(&[]), &[]), None);
    }

    #[test]
    fn the_address_outside_is_what_the_cluster_gave() {
        let settings: Settings = serde_json::from_value(json!({
            "zone": "apps.example.test", "access": {"type": "NodePort", "nodeHost": "nodes.example.test"},
        }))
        .unwrap();
        let address = |by, kind: &str, status: &Value| {
            let spec = json!({"type": kind, "ports": [{"port": 5432, "nodePort": 30001}]});
            let access = Ok(Access { by, allowed: Vec::new() });
            external(Some(&access), &[child(Kind::Service, &spec, status)], &settings)
        };
        let ingress = |one: Value| json!({"loadBalancer": {"ingress": [one]}});
        let balanced = |status: &Value| address(AccessType::LoadBalancer, "LoadBalancer", status);
        assert_eq!(balanced(&json!({})), None);
        assert_eq!(balanced(&ingress(json!({"ip": "203.0.113.9"}))).as_deref(), Some("203.0.113.9:5432"));
        assert_eq!(balanced(&ingress(json!({"ip": "2001:db8::9"}))).as_deref(), Some("[2001:db8::9]:5432"));
        assert_eq!(balanced(&ingress(json!({"hostname": "lb.test"}))).as_deref(), Some("lb.test:5432"));
        assert_eq!(
            address(AccessType::NodePort, "NodePort", &json!({})).as_deref(),
            Some("nodes.example.test:30001")
        );
        assert_eq!(address(AccessType::NodePort, "ClusterIP", &json!({})), None);
    }
}
