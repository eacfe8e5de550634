//! Databases and their volumes.

use super::Findings;
use crds::template::{Component, ServiceTemplateSpec};

/// The least time that a database has to write what is in memory, in seconds.
const GRACE: i32 = 60;

pub(super) fn check(spec: &ServiceTemplateSpec, said: &mut Findings<'_>) {
    for (index, component) in spec.components.iter().enumerate().filter(|(_, one)| one.stateful) {
        check_database(&format!("spec.components[{index}]"), component, said);
    }
}

fn check_database(path: &str, component: &Component, said: &mut Findings<'_>) {
    if component.volumes.is_empty() {
        said.warning(
            "no-volume",
            &format!("{path}.volumes"),
            "it is stateful and has no volume: everything is lost with its pod",
            "add a volume, or take stateful out",
        );
    }
    for (index, volume) in component.volumes.iter().enumerate().filter(|(_, one)| one.sub_path.is_none()) {
        if !names_folder_below(component, &volume.path) {
            said.warning(
                "lost-and-found",
                &format!("{path}.volumes[{index}]"),
                &format!("the data seems to lie in {} itself, where a fresh file system has a lost+found: many databases initialise in an empty folder only", volume.path),
                "set subPath, or tell the database a folder below by argument or variable",
            );
        }
    }
    if component.grace_period_seconds < GRACE {
        said.warning(
            "grace-short",
            &format!("{path}.gracePeriodSeconds"),
            &format!(
                "it is killed {} seconds after it was asked to end, written or not",
                component.grace_period_seconds
            ),
            &format!("give it {GRACE} seconds or more"),
        );
    }
    let told = texts(component).any(|text| text.contains("facts.memory"));
    if !told {
        said.warning(
            "memory-unknown",
            &format!("{path}.args"),
            "it is not told how much memory it has, and may believe that it has the machine's",
            "set its caches from {{facts.memoryQuarterMi}} and the like",
        );
    }
}

/// What the main container is told.
fn texts(component: &Component) -> impl Iterator<Item = &str> {
    let container = &component.container;
    let values = container.env.iter().filter_map(|env| env.value.as_ref());
    container.command.iter().chain(&container.args).chain(values).map(String::as_str)
}

/// Whether an argument or a variable names a folder below the mount.
fn names_folder_below(component: &Component, mount: &str) -> bool {
    let below = format!("{mount}/");
    texts(component).any(|text| text.contains(&below))
}
