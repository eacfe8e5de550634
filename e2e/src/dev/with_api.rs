//! `cargo dev with-api`: a command beside an API server of its own, which is forgotten when the command has ended.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use tokio::process::Command;

use super::{cargo, preflight};
use crate::people::{ADMINISTRATOR, PASSWORD, People, SERVER_KEY, Start, Where};
use crate::story::Story;
use crate::{repository, scratch};

/// Starts PostgreSQL, a mail catcher and the API server, runs the command, and ends as it ended. The command finds in its environment
/// `NAKHODA_API_URL`, `NAKHODA_MAILS` (a folder in which every mail is a JSON file), `NAKHODA_ADMIN_EMAIL`, `NAKHODA_ADMIN_PASSWORD`, and, of the payment
/// gateway's stand-in, `NAKHODA_GATEWAY_URL` and `NAKHODA_GATEWAY_KEY`.
pub(super) async fn run(command: &[OsString]) -> Result<ExitCode> {
    let story = Story::aloud();
    preflight::check(story)?;
    let home = scratch::folder("with-api")?;
    let done = within(&home, story, command).await;
    fs::remove_dir_all(&home).with_context(|| format!("{} can't be removed", home.display()))?;
    done
}

async fn within(home: &Path, story: Story, command: &[OsString]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no command is named")?;
    let api_server = cargo::build_api_server().await?;
    story.step("API server built");
    let start = Start { program: &api_server, database: Where::Forgotten, kubeconfig: None, env: &[] };
    let people = People::start(home, story, start).await?;
    let mails = home.join("mails");
    people.mail.keep_in(&mails)?;
    people.walk_administrator().await?;
    story.step(format!("running {}", program.display()));
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(repository::root())
        .env("NAKHODA_API_URL", people.api.url())
        .env("NAKHODA_MAILS", &mails)
        .env("NAKHODA_GATEWAY_URL", people.gateway.url())
        .env("NAKHODA_GATEWAY_KEY", SERVER_KEY)
        .env("NAKHODA_ADMIN_EMAIL", ADMINISTRATOR)
        .env("NAKHODA_ADMIN_PASSWORD", PASSWORD)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let status = tokio::select! {
        status = child.wait() => status?,
        dead = people.death() => anyhow::bail!("{dead}"),
    };
    story.step(format!("{}: {status}", program.display()));
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
