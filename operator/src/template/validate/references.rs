//! Names within a template that lead nowhere.

use super::{Owned, Problem, containers, probes};
use crds::template::{Component, ServiceTemplateSpec};

pub(super) fn check(spec: &ServiceTemplateSpec, problems: &mut Vec<Problem>) {
    check_expose(spec, problems);
    for (index, component) in spec.components.iter().enumerate() {
        check_component(spec, &format!("spec.components[{index}]"), component, problems);
    }
    for owned in containers(spec) {
        check_container(spec, &owned, problems);
    }
    for (index, secret) in spec.secrets.iter().enumerate() {
        let Some(of) = &secret.of else { continue };
        if !spec.secrets.iter().any(|one| one.name == *of && one.of.is_none()) {
            let name = &secret.name;
            let said =
                format!("the secret {name} is the hash of one that does not exist, or is a hash itself");
            problems.push(Problem::new(format!("spec.secrets[{index}].of"), said));
        }
    }
    for (index, job) in spec.init_jobs.iter().enumerate() {
        let of = job.volumes_of.as_ref();
        if let Some(of) = of.filter(|of| !spec.components.iter().any(|one| one.name == **of)) {
            let said = format!("the init job {} mounts volumes of {of}, which does not exist", job.name);
            problems.push(Problem::new(format!("spec.initJobs[{index}].volumesOf"), said));
        }
    }
}

fn check_expose(spec: &ServiceTemplateSpec, problems: &mut Vec<Problem>) {
    let http = spec.expose.http.as_ref().map(|http| ("http", &http.component, &http.port));
    let exposed = http.or_else(|| spec.expose.tcp.as_ref().map(|tcp| ("tcp", &tcp.component, &tcp.port)));
    let Some((how, component, port)) = exposed else { return };
    let found = spec.components.iter().find(|one| one.name == *component);
    if !found.is_some_and(|one| one.ports.iter().any(|one| one.name == *port)) {
        let field = if found.is_some() { "port" } else { "component" };
        let said = format!("expose names the port {port} of component {component}, which does not exist");
        problems.push(Problem::new(format!("spec.expose.{how}.{field}"), said));
    }
}

fn check_component(
    spec: &ServiceTemplateSpec,
    path: &str,
    component: &Component,
    problems: &mut Vec<Problem>,
) {
    let name = &component.name;
    for (probe, how) in probes(component) {
        let http = how.http.as_ref().map(|http| ("http.port", &http.port));
        let port = http.or_else(|| how.tcp.as_ref().map(|port| ("tcp", port)));
        if let Some((field, port)) =
            port.filter(|(_, port)| !component.ports.iter().any(|p| p.name == **port))
        {
            let said = format!("a probe of component {name} names the port {port}, which it does not have");
            problems.push(Problem::new(format!("{path}.probes.{probe}.{field}"), said));
        }
    }
    for (index, other) in component.depends_on.iter().enumerate() {
        if !spec.components.iter().any(|one| one.name == *other) {
            let said = format!("component {name} depends on {other}, which does not exist");
            problems.push(Problem::new(format!("{path}.dependsOn[{index}]"), said));
        }
    }
}

fn check_container(spec: &ServiceTemplateSpec, owned: &Owned<'_>, problems: &mut Vec<Problem>) {
    let Owned { owner, path, container, .. } = owned;
    for (index, mount) in container.files.iter().enumerate() {
        if !spec.files.iter().any(|file| file.name == mount.file) {
            let said = format!("{owner} mounts the file {}, which does not exist", mount.file);
            problems.push(Problem::new(format!("{path}.files[{index}].file"), said));
        }
    }
    for (index, env) in container.env.iter().enumerate() {
        let Some(secret) = &env.secret else { continue };
        if !spec.secrets.iter().any(|one| one.name == *secret) {
            let said = format!("{owner} names the secret {secret}, which does not exist");
            problems.push(Problem::new(format!("{path}.env[{index}].secret"), said));
        }
    }
}
