//! What stands twice, or stands in another's way, where Kubernetes allows one.

use super::{Owned, Problem, containers, repeated};
use crds::{
    names,
    template::{Component, Security, ServiceTemplateSpec},
};

/// The most bytes that all files of a template have together: a ConfigMap holds a MiB, and names need some.
const MAX_FILES: usize = 900 * 1024;
/// What the kernel and the runtime mount themselves.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];
/// The one place below them that an app may have for itself.
const SHARED_MEMORY: &str = "/dev/shm";

pub(super) fn check(spec: &ServiceTemplateSpec, problems: &mut Vec<Problem>) {
    for owned in containers(spec) {
        let Owned { owner, path, component, job, container } = &owned;
        let variables: Vec<&str> = container.env.iter().map(|env| env.name.as_str()).collect();
        problems.extend(repeated(&variables).map(|(index, name)| {
            Problem::new(
                format!("{path}.env[{index}].name"),
                format!("{owner} sets the variable {name} twice"),
            )
        }));
        let volumes_of = job.and_then(|job| job.volumes_of.as_ref());
        let is_mounted = |one: &Component| match component {
            Some(own) => own.name == one.name,
            None => Some(&one.name) == volumes_of,
        };
        let mounted = spec.components.iter().enumerate().find(|(_, one)| is_mounted(one));
        check_mounts(&owned, mounted, problems);
    }
    for (index, component) in spec.components.iter().enumerate() {
        let path = format!("spec.components[{index}]");
        check_component(&path, component, problems);
        check_sysctls(&path, &component.security, problems);
    }
    for (index, job) in spec.init_jobs.iter().enumerate() {
        check_sysctls(&format!("spec.initJobs[{index}]"), &job.security, problems);
        if spec.components.iter().any(|one| one.name == job.name) {
            let said =
                format!("an init job and a component are both called {}: rename the init job", job.name);
            problems.push(Problem::new(format!("spec.initJobs[{index}].name"), said));
        }
    }
    check_claims(spec, problems);
    let bytes: usize = spec.files.iter().map(|file| file.content.len()).sum();
    if bytes > MAX_FILES {
        let said = format!("the files have {bytes} bytes together; a ConfigMap holds 900 KiB at most");
        problems.push(Problem::new("spec.files", said));
    }
}

fn check_sysctls(path: &str, security: &Security, problems: &mut Vec<Problem>) {
    for (index, sysctl) in security.sysctls.iter().enumerate() {
        if security.sysctls[..index].iter().any(|before| before.name == sysctl.name) {
            let said = "a sysctl is set twice: take one out";
            problems.push(Problem::new(format!("{path}.security.sysctls[{index}].name"), said));
        }
    }
}

fn check_component(path: &str, component: &Component, problems: &mut Vec<Problem>) {
    let name = &component.name;
    for (index, init) in component.init_containers.iter().enumerate() {
        let before = component.init_containers.iter().take(index);
        if init.name == *name || before.into_iter().any(|one| one.name == init.name) {
            let said =
                format!("component {name}: two containers of its pod are called {}: rename one", init.name);
            problems.push(Problem::new(format!("{path}.initContainers[{index}].name"), said));
        }
    }
    let volumes: Vec<&str> = component.volumes.iter().map(|volume| volume.name.as_str()).collect();
    let scratch: Vec<&str> = component.empty_dirs.iter().map(|dir| dir.name.as_str()).collect();
    let named: Vec<&str> = component.ports.iter().map(|port| port.name.as_str()).collect();
    let ports: Vec<String> = component.ports.iter().map(|port| port.port.to_string()).collect();
    let numbers: Vec<&str> = ports.iter().map(String::as_str).collect();
    for (what, list, field, names) in [
        ("volume", "volumes", "name", &volumes),
        ("emptyDir", "emptyDirs", "name", &scratch),
        ("port", "ports", "name", &named),
        ("port", "ports", "port", &numbers),
    ] {
        problems.extend(repeated(names).map(|(index, twice)| {
            let said = format!("component {name} has the {what} {twice} twice");
            Problem::new(format!("{path}.{list}[{index}].{field}"), said)
        }));
    }
    for (index, port) in named.iter().enumerate().filter(|(_, port)| port.contains("--")) {
        let said = format!("component {name}: Kubernetes allows no -- in the name of a port: rename {port}");
        problems.push(Problem::new(format!("{path}.ports[{index}].name"), said));
    }
}

/// What a container sees mounted: each path once, none on top of the kernel's, no file where another mount needs a folder.
fn check_mounts(owned: &Owned<'_>, mounted: Option<(usize, &Component)>, problems: &mut Vec<Problem>) {
    let Owned { owner, path, component, container, .. } = owned;
    let pod = mounted.map_or_else(|| path.clone(), |(index, _)| format!("spec.components[{index}]"));
    let mounted = mounted.map(|(_, component)| component);
    let volumes = mounted.iter().flat_map(|one| &one.volumes).map(|volume| volume.path.as_str());
    let scratch = mounted.iter().filter(|_| component.is_some()).flat_map(|one| &one.empty_dirs);
    let files: Vec<&str> = container.files.iter().map(|file| file.path.as_str()).collect();
    let mut mounts: Vec<(String, &str)> = Vec::new();
    let named = |list: &'static str, of: &str| {
        let of = of.to_owned();
        move |(index, path)| (format!("{of}.{list}[{index}].path"), path)
    };
    mounts.extend(volumes.enumerate().map(named("volumes", &pod)));
    mounts.extend(scratch.map(|dir| dir.path.as_str()).enumerate().map(named("emptyDirs", &pod)));
    mounts.extend(files.iter().copied().enumerate().map(named("files", path)));
    let paths: Vec<&str> = mounts.iter().map(|(_, path)| *path).collect();
    problems.extend(
        repeated(&paths)
            .map(|(index, path)| Problem::new(&mounts[index].0, format!("{owner} mounts {path} twice"))),
    );
    for (place, path) in &mounts {
        let kernels = KERNEL.iter().any(|root| is_within(path, root));
        if kernels && !is_within(path, SHARED_MEMORY) {
            let said = format!("{owner} mounts {path}, which is the kernel's: choose another path");
            problems.push(Problem::new(place, said));
        }
        let in_the_way = files.iter().find(|file| *file != path && is_within(path, file));
        if let Some(file) = in_the_way {
            let said = format!("{owner} mounts {path} below the file {file}: a file has nothing below it");
            problems.push(Problem::new(place, said));
        }
    }
}

/// Whether `path` is `root` or lies below it.
fn is_within(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Two volumes must never have one claim: `db-a` with `b` and `db` with `a-b` would.
fn check_claims(spec: &ServiceTemplateSpec, problems: &mut Vec<Problem>) {
    let any_data = "a".repeat(12);
    let (mut paths, mut claims) = (Vec::new(), Vec::new());
    for (index, component) in spec.components.iter().enumerate() {
        for (number, volume) in component.volumes.iter().enumerate() {
            paths.push(format!("spec.components[{index}].volumes[{number}].name"));
            claims.push(names::data_volume(&any_data, &component.name, &volume.name));
        }
    }
    let claims: Vec<&str> = claims.iter().map(String::as_str).collect();
    problems.extend(repeated(&claims).map(|(index, claim)| {
        let part = claim.trim_start_matches("data-").trim_start_matches(&any_data);
        let said = format!("two volumes would have one claim, …{part}: rename a volume or a component");
        Problem::new(&paths[index], said)
    }));
}
