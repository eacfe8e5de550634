//! What can't be built must still let go what is not its own any more: hosts that are another's by now, a port to the outside that
//! its owner closed. Everything else of it serves on as it is.

use super::{execute, fetch::Fetched};
use crate::{
    apply::CallError,
    context::Context,
    kinds::Kind,
    observed::{Child, State},
};
use crds::names;
use kube::ResourceExt as _;
use serde_json::{Value, json};
use std::sync::Arc;

/// Closes it, one call for each object concerned.
///
/// # Errors
/// As the calls'.
pub async fn close(context: &Context, fetched: &Fetched) -> Result<(), CallError> {
    let open = fetched.children.iter().filter(|child| !child.terminating && !child.hands_off);
    for child in open {
        if is_closed_port(child, fetched) {
            context.cluster.delete(&child.key, &child.uid).await?;
            context.children.deleted(&child.key, &child.uid);
        } else if leads_astray(child, fetched) {
            let key = &child.key;
            let live = context.cluster.look(&key.kind.resource(), &key.namespace, &key.name).await?;
            if let Some(patch) =
                live.as_ref().and_then(|live| without(live, |host| is_anothers(host, fetched)))
            {
                let answer = context.cluster.merge(key, &patch).await?;
                execute::remember(&context.children, key, &answer);
            }
        }
    }
    Ok(())
}

/// Whether it opens a port to the outside that its owner does not ask for.
fn is_closed_port(child: &Child, fetched: &Fetched) -> bool {
    let asked = fetched.instance.spec.access.as_ref().is_some_and(|access| access.external);
    let policy = child.key.kind == Kind::NetworkPolicy
        && child.inputs.is_some()
        && child.key.name.contains("-access-");
    !asked && (policy || matches!(child.state, State::Exposed { .. }))
}

fn leads_astray(child: &Arc<Child>, fetched: &Fetched) -> bool {
    matches!(&child.state, State::Routes { hosts } if hosts.iter().any(|host| is_anothers(host, fetched)))
}

/// Whether a host that leads here should not: it was asked for and is not the instance's, or it is not asked for any more. The
/// instance's own host of the platform always may, whatever the zone is called by now.
fn is_anothers(host: &str, fetched: &Fetched) -> bool {
    let id = names::short_id(&fetched.instance.uid().unwrap_or_default());
    if host.strip_prefix(&id).is_some_and(|rest| rest.starts_with('.')) {
        return false;
    }
    let asked = fetched.instance.spec.domains.iter().any(|one| one == host);
    let decided = fetched.domains.iter().find(|one| one.status.host == host);
    !asked || decided.is_some_and(|one| !one.is_ours)
}

/// The patch of an Ingress that leaves out certain hosts, in the very version that was looked at; none where it has none of them.
fn without(live: &Value, left_out: impl Fn(&str) -> bool) -> Option<Value> {
    let list = |path: &str| live.pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
    let is_out = |host: &Value| host.as_str().is_some_and(&left_out);
    let (mut rules, mut tls) = (list("/spec/rules"), list("/spec/tls"));
    let before = rules.len();
    rules.retain(|rule| !is_out(&rule["host"]));
    // A certificate may be for several hosts: it stays for the others.
    tls.retain_mut(|entry| {
        let Some(hosts) = entry.get_mut("hosts").and_then(Value::as_array_mut) else { return true };
        let had_any = !hosts.is_empty();
        hosts.retain(|host| !is_out(host));
        !(had_any && hosts.is_empty())
    });
    let metadata =
        json!({"uid": live["metadata"]["uid"], "resourceVersion": live["metadata"]["resourceVersion"]});
    let patch = json!({"metadata": metadata, "spec": {"rules": rules, "tls": tls}});
    (rules.len() < before).then_some(patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domains::decide::Decided,
        instance::fixtures::{self, Wanted},
    };
    use crds::instance::DomainStatus;

    fn fetched(asked: &[&str], ours: &[&str]) -> Fetched {
        let mut fetched = fixtures::fetched("wordpress", Wanted::Running);
        Arc::make_mut(&mut fetched.instance).spec.domains =
            asked.iter().map(|host| (*host).to_owned()).collect();
        let decide = |host: &&str| Decided {
            status: DomainStatus { host: (*host).to_owned(), ..DomainStatus::default() },
            is_ours: ours.contains(host),
        };
        fetched.domains = asked.iter().map(decide).collect();
        fetched
    }

    #[test]
    fn only_hosts_that_are_anothers_or_were_dropped_are_let_go() {
        let platform = format!("{}.old-zone.test", names::short_id(fixtures::UID));
        let fetched = fetched(&["ours.test", "lost.test"], &["ours.test"]);
        let hosts = [platform.as_str(), "ours.test", "lost.test", "dropped.test"];
        assert_eq!(hosts.map(|host| is_anothers(host, &fetched)), [false, false, true, true]);
    }

    #[test]
    fn what_is_not_decided_stays() {
        let mut fetched = fetched(&["ours.test"], &[]);
        fetched.domains.clear();
        assert!(!is_anothers("ours.test", &fetched));
    }

    #[test]
    fn an_ingress_keeps_its_other_hosts_and_certificates() {
        let live = json!({
            "metadata": {"uid": "u", "resourceVersion": "7"},
            "spec": {
                "rules": [{"host": "a.test", "http": 1}, {"host": "b.test", "http": 2}],
                "tls": [
                    {"hosts": ["a.test"], "secretName": "a"}, {"hosts": ["b.test"], "secretName": "b"},
                    {"hosts": ["a.test", "b.test"], "secretName": "both"}, {"secretName": "any"},
                ],
            },
        });
        let patch = without(&live, |host| host == "b.test").unwrap();
        assert_eq!(patch["spec"]["rules"], json!([{"host": "a.test", "http": 1}]));
        let kept = [
            json!({"hosts": ["a.test"], "secretName": "a"}),
            json!({"hosts": ["a.test"], "secretName": "both"}),
            json!({"secretName": "any"}),
        ];
        assert_eq!(patch["spec"]["tls"], json!(kept));
        assert_eq!(patch["metadata"], json!({"uid": "u", "resourceVersion": "7"}));
        assert_eq!(without(&live, |host| host == "c.test"), None, "nothing to do, no write");
    }
}
