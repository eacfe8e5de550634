//! `cargo dev test`.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use tokio::task::spawn_blocking;

use super::{cargo, preflight};
use crate::api_process;
use crate::operator_process::PROGRAM;
use crate::story::Story;
use crate::tools::Tools;

/// Builds what tests run, then runs all of them. They start a control plane of their own,
/// so it is the same with an `up` beside it or without.
pub(super) async fn run(arguments: &[OsString]) -> Result<ExitCode> {
    let story = Story::aloud();
    preflight::check(story)?;
    let all = arguments.is_empty();
    let build = move || {
        Tools::find_or_build(story)?;
        // A single story builds it when it needs it.
        if all { Tools::find_or_build_metrics_server(story).map(drop) } else { Ok(()) }
    };
    spawn_blocking(build).await??;
    story.step("the control plane's programs are there");
    let operator = cargo::build_operator().await?;
    let api_server = cargo::build_api_server().await?;
    story.step("operator and API server are built; all tests of the workspace follow");
    let programs =
        [(PROGRAM, operator.into_os_string()), (api_process::PROGRAM, api_server.into_os_string())];
    let status = cargo::test(arguments, &programs).await?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
