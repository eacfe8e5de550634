//! Whom components run as, and what they may write to.

use super::Findings;
use crds::template::{Component, ServiceTemplateSpec, SysctlName};

/// The first port that needs no privilege.
const FIRST_FREE_PORT: i32 = 1024;

pub(super) fn check(spec: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    for (index, component) in spec.components.iter().enumerate() {
        let path = format!("spec.components[{index}]");
        check_root(&path, component, said);
        check_ports(&path, component, said);
    }
    for (index, _) in spec.init_jobs.iter().enumerate().filter(|(_, job)| job.security.writable_root) {
        writable(&format!("spec.initJobs[{index}].security.writableRoot"), said);
    }
}

fn writable(path: &str, said: &mut Findings<'_>) {
    said.warning(
        "writable-root",
        path,
        "the root file system can be written to: whoever breaks in can change the program, and what it writes is lost with the pod",
        "find out what the app writes, and give it emptyDirs or a volume there",
    );
}

fn check_root(path: &str, component: &Component, said: &mut Findings<'_>) {
    if component.security.writable_root {
        writable(&format!("{path}.security.writableRoot"), said);
        return;
    }
    let mounted = component.volumes.iter().map(|volume| &volume.path);
    let scratch = component.empty_dirs.iter().map(|dir| &dir.path);
    if !mounted.chain(scratch).any(|path| path == "/tmp") {
        said.warning(
            "no-tmp",
            &format!("{path}.emptyDirs"),
            "the root file system is read-only, and there is no /tmp: most programs write there sooner or later",
            "add an emptyDir at /tmp",
        );
    }
}

fn check_ports(path: &str, component: &Component, said: &mut Findings<'_>) {
    let from = component
        .security
        .sysctls
        .iter()
        .find(|one| one.name == SysctlName::UnprivilegedPortStart)
        .and_then(|one| one.value.trim().parse().ok())
        .unwrap_or(FIRST_FREE_PORT);
    for (index, port) in component.ports.iter().enumerate().filter(|(_, port)| port.port < from) {
        said.warning(
            "privileged-port",
            &format!("{path}.ports[{index}]"),
            &format!("the port {} needs a privilege that no app has", port.port),
            "configure a port from 1024 on; else the sysctl net.ipv4.ip_unprivileged_port_start",
        );
    }
}
