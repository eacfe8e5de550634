//! What stands twice, or stands in another's way, where Kubernetes allows one.

use super::{Owned, containers, repeated};
use crds::{
    names,
    template::{Component, Container, ServiceTemplateSpec},
};

/// The most bytes that all files of a template have together: a ConfigMap holds a MiB, and names need some.
const MAX_FILES: usize = 900 * 1024;
/// What the kernel and the runtime mount themselves.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];
/// The one place below them that an app may have for itself.
const SHARED_MEMORY: &str = "/dev/shm";

pub(super) fn check(spec: &ServiceTemplateSpec, problems: &mut Vec<String>) {
    for Owned { owner, component, job, container, .. } in containers(spec) {
        let variables: Vec<&str> = container.env.iter().map(|env| env.name.as_str()).collect();
        problems.extend(repeated(&variables).map(|name| format!("{owner} sets the variable {name} twice")));
        let volumes_of = job.and_then(|job| job.volumes_of.as_ref());
        let mounted = component.or_else(|| spec.components.iter().find(|one| Some(&one.name) == volumes_of));
        check_mounts(&owner, mounted, component.is_some(), container, problems);
    }
    spec.components.iter().for_each(|component| check_component(component, problems));
    for job in spec.init_jobs.iter().filter(|job| spec.components.iter().any(|one| one.name == job.name)) {
        problems
            .push(format!("an init job and a component are both called {}: rename the init job", job.name));
    }
    check_claims(spec, problems);
    let bytes: usize = spec.files.iter().map(|file| file.content.len()).sum();
    if bytes > MAX_FILES {
        problems.push(format!("the files have {bytes} bytes together; a ConfigMap holds 900 KiB at most"));
    }
}

fn check_component(component: &Component, problems: &mut Vec<String>) {
    let name = &component.name;
    let mut pod: Vec<&str> = component.init_containers.iter().map(|init| init.name.as_str()).collect();
    pod.push(name);
    problems.extend(
        repeated(&pod).map(|twice| {
            format!("component {name}: two containers of its pod are called {twice}: rename one")
        }),
    );
    let volumes: Vec<&str> = component.volumes.iter().map(|volume| volume.name.as_str()).collect();
    let scratch: Vec<&str> = component.empty_dirs.iter().map(|dir| dir.name.as_str()).collect();
    let named: Vec<&str> = component.ports.iter().map(|port| port.name.as_str()).collect();
    let ports: Vec<String> = component.ports.iter().map(|port| port.port.to_string()).collect();
    let numbers: Vec<&str> = ports.iter().map(String::as_str).collect();
    for (what, list) in [("volume", &volumes), ("emptyDir", &scratch), ("port", &named), ("port", &numbers)] {
        problems.extend(repeated(list).map(|twice| format!("component {name} has the {what} {twice} twice")));
    }
    for port in named.iter().filter(|port| port.contains("--")) {
        problems
            .push(format!("component {name}: Kubernetes allows no -- in the name of a port: rename {port}"));
    }
}

/// What a container sees mounted: each path once, none on top of the kernel's, no file where another mount needs a folder.
fn check_mounts(
    owner: &str,
    mounted: Option<&Component>,
    with_scratch: bool,
    container: &Container,
    problems: &mut Vec<String>,
) {
    let volumes = mounted.iter().flat_map(|one| &one.volumes).map(|volume| volume.path.as_str());
    let scratch = mounted.iter().filter(|_| with_scratch).flat_map(|one| &one.empty_dirs);
    let files: Vec<&str> = container.files.iter().map(|file| file.path.as_str()).collect();
    let paths: Vec<&str> =
        volumes.chain(scratch.map(|dir| dir.path.as_str())).chain(files.iter().copied()).collect();
    problems.extend(repeated(&paths).map(|path| format!("{owner} mounts {path} twice")));
    for path in &paths {
        let kernels = KERNEL.iter().any(|root| is_within(path, root));
        if kernels && !is_within(path, SHARED_MEMORY) {
            problems.push(format!("{owner} mounts {path}, which is the kernel's: choose another path"));
        }
        let in_the_way = files.iter().find(|file| **file != *path && is_within(path, file));
        if let Some(file) = in_the_way {
            problems
                .push(format!("{owner} mounts {path} below the file {file}: a file has nothing below it"));
        }
    }
}

/// Whether `path` is `root` or lies below it.
fn is_within(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Two volumes must never have one claim: `db-a` with `b` and `db` with `a-b` would.
fn check_claims(spec: &ServiceTemplateSpec, problems: &mut Vec<String>) {
    let any_data = "a".repeat(12);
    let claims: Vec<String> = spec
        .components
        .iter()
        .flat_map(|component| component.volumes.iter().map(move |volume| (component, volume)))
        .map(|(component, volume)| names::data_volume(&any_data, &component.name, &volume.name))
        .collect();
    let claims: Vec<&str> = claims.iter().map(String::as_str).collect();
    problems.extend(repeated(&claims).map(|claim| {
        let part = claim.trim_start_matches("data-").trim_start_matches(&any_data);
        format!("two volumes would have one claim, …{part}: rename a volume or a component")
    }));
}
