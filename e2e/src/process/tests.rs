//! Programs that end, are dropped, or leave children.

use std::path::Path;
use std::time::Duration;

use super::{Process, Spec};
use crate::wait;

fn shell(script: &str, logs: &Path) -> Process {
    let args = vec!["-c".into(), script.into()];
    let spec = Spec {
        name: "trial".into(),
        program: "/bin/sh".into(),
        args,
        env: Vec::new(),
        logs: logs.to_owned(),
    };
    Process::spawn(spec).unwrap()
}

#[tokio::test]
async fn a_program_that_ends_is_told_of_with_its_last_lines() {
    let dir = tempfile::tempdir().unwrap();
    let process = shell("echo the reason >&2; exit 3", dir.path());
    let died = process.died().await;
    assert!(died.contains("trial ended (exit status: 3)") && died.ends_with("the reason"), "{died}");
    assert!(process.check().is_err());
}

#[tokio::test]
async fn a_taken_port_is_named_as_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let process = shell("echo listen tcp 127.0.0.1:1: bind: address already in use; exit 1", dir.path());
    assert!(process.died().await.contains("A port was taken in between"));
}

#[tokio::test]
async fn a_dropped_program_and_its_children_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let process = shell("sleep 1000 & echo $!; wait", dir.path());
    let log = process.log().to_owned();
    let child = wait::until("the child's id", Duration::from_secs(10), async || {
        Ok(std::fs::read_to_string(&log)?.trim().parse::<i32>().ok())
    })
    .await
    .unwrap();
    process.check().unwrap();
    drop(process);
    let gone =
        |stat: String| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'));
    wait::until("the child to be gone", Duration::from_secs(10), async || {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat"));
        Ok(stat.map_or(true, gone).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_log_of_the_run_before_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    shell("echo first", dir.path()).died().await;
    shell("echo second", dir.path()).died().await;
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!((read("trial.previous.log").trim(), read("trial.log").trim()), ("first", "second"));
}
