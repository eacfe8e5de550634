//! Probes: a first boot is waited for, nobody is restarted for another's fault, and green means that it serves.

use super::Findings;
use crate::template::validate::probes;
use crds::template::{Component, Probe, ServiceTemplateSpec};

/// The least time that a first start is given, in seconds: of anything, and of a database, which initialises, migrates
/// and recovers.
const STARTUP: (i32, i32) = (60, 300);
/// The least time without an answer before a restart, in seconds.
const LIVENESS: i32 = 30;
/// The least time for a command, in seconds: starting a process on a busy node takes some.
const EXEC_TIMEOUT: i32 = 5;
/// Clients that ask over a socket where they are given no host.
const CLIENTS: [&str; 8] =
    ["pg_isready", "psql", "mysqladmin", "mysql", "mariadb", "mariadb-admin", "redis-cli", "valkey-cli"];

pub(super) fn check(spec: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    for (index, component) in spec.components.iter().enumerate() {
        let path = format!("spec.components[{index}].probes");
        check_patience(&path, component, said);
        check_liveness(&path, component, said);
        for (name, probe) in probes(component) {
            let path = format!("{path}.{name}");
            check_headers(spec, component, &path, probe, said);
            check_exec(spec, component, &path, name, probe, said);
        }
    }
}

fn check_patience(path: &str, component: &Component, said: &mut Findings<'_>) {
    let patience = |probe: &Probe| probe.period_seconds.saturating_mul(probe.failure_threshold);
    let (given, least) =
        (patience(&component.probes.startup), if component.stateful { STARTUP.1 } else { STARTUP.0 });
    if given < least {
        said.warning(
            "startup-short",
            &format!("{path}.startup"),
            &format!("a first start has {given} seconds (periodSeconds times failureThreshold); one that is killed half way is worse than one that is waited for"),
            &format!("give it {least} seconds or more"),
        );
    }
    let given = patience(&component.probes.liveness);
    if given < LIVENESS {
        said.warning(
            "liveness-hasty",
            &format!("{path}.liveness"),
            &format!("{given} seconds without an answer restart it, which a busy node or a backup can cause"),
            &format!("give it {LIVENESS} seconds or more"),
        );
    }
}

fn check_liveness(path: &str, component: &Component, said: &mut Findings<'_>) {
    let (liveness, readiness) = (&component.probes.liveness, &component.probes.readiness);
    if component.depends_on.is_empty() {
        return;
    }
    let target = |probe: &Probe| (probe.http.as_ref().map(|http| http.path.clone()), probe.exec.clone());
    let same = liveness.tcp.is_none() && target(liveness) == target(readiness);
    if same || liveness.http.is_some() {
        let others = component.depends_on.join(", ");
        let what = if same { "asks what readiness asks" } else { "goes through the app" };
        said.warning(
            "liveness-asks-another",
            &format!("{path}.liveness"),
            &format!("the liveness probe {what}: where that needs {others}, the app is restarted whenever {others} is down"),
            "probe the port with tcp, or accept this with the reason why the path needs no other component",
        );
    }
}

/// An app that is told its public address redirects a plain request there, and a probe takes that for success.
fn check_headers(
    spec: &ServiceTemplateSpec,
    component: &Component,
    path: &str,
    probe: &Probe,
    said: &mut Findings<'_>,
) {
    let behind_proxy = spec.expose.http.as_ref().is_some_and(|http| http.component == component.name);
    let Some(http) = probe.http.as_ref().filter(|_| behind_proxy) else { return };
    let missing: Vec<&str> = ["Host", "X-Forwarded-Proto"]
        .into_iter()
        .filter(|name| !http.headers.iter().any(|header| header.name.eq_ignore_ascii_case(name)))
        .collect();
    if !missing.is_empty() {
        said.warning(
            "probe-headers",
            &format!("{path}.http"),
            &format!(
                "the probe sends no {}: an app behind a proxy may redirect it, which counts as success",
                missing.join(" and no ")
            ),
            "send Host: {{facts.host}} and X-Forwarded-Proto: https, as a visitor's request arrives",
        );
    }
}

fn check_exec(
    spec: &ServiceTemplateSpec,
    component: &Component,
    path: &str,
    name: &str,
    probe: &Probe,
    said: &mut Findings<'_>,
) {
    let Some(program) = probe.exec.first() else { return };
    if probe.timeout_seconds < EXEC_TIMEOUT {
        said.warning(
            "probe-timeout",
            &format!("{path}.timeoutSeconds"),
            &format!(
                "a command has {} seconds: on a busy node it takes some to start a process",
                probe.timeout_seconds
            ),
            &format!("give it {EXEC_TIMEOUT} seconds or more"),
        );
    }
    // A liveness probe may ask over the socket: by then the first initialisation is over.
    if name == "liveness" || !component.stateful {
        return;
    }
    let script = component
        .container
        .files
        .iter()
        .find(|mount| mount.path == *program)
        .and_then(|mount| spec.files.iter().find(|file| file.name == mount.file));
    let text = script.map_or_else(|| probe.exec.join(" "), |file| file.content.clone());
    if asks_socket(&text) {
        said.warning(
            "probe-socket",
            path,
            "it asks the database over its socket: images initialise with a server that listens there only, so it is green before the password is set",
            "ask 127.0.0.1 over TCP first (-h 127.0.0.1, --host=127.0.0.1)",
        );
    }
}

/// Whether a client is called, and never with a host.
fn asks_socket(text: &str) -> bool {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let words: Vec<&str> = code
        .iter()
        .flat_map(|line| line.split(|c: char| c.is_whitespace() || "\"'`$();|&".contains(c)))
        .collect();
    let called = words.iter().any(|word| CLIENTS.contains(&word.rsplit('/').next().unwrap_or_default()));
    let host = words.iter().any(|word| {
        word.starts_with("--host")
            || *word == "-h"
            || word.starts_with("-h1")
            || word.starts_with("-hl")
            || word.contains("://")
    });
    called && !host
}
