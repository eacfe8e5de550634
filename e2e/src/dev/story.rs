//! `cargo dev story`.

use std::process::ExitCode;

use anyhow::Result;

use super::{stage, state};
use crate::api_client::ApiClient;
use crate::mail_folder::MailFolder;
use crate::midtrans::Control;
use crate::story::Story;
use crate::walk::Walk;

/// Walks the main story beside a running `up`, as a new customer, who cancels in the end. Fails when nothing runs.
pub(super) async fn run() -> Result<ExitCode> {
    let dir = state::dir();
    let Some(pid) = state::holder(&dir)? else {
        println!("nothing runs here; `cargo dev up` starts it, and walks the story once");
        return Ok(ExitCode::FAILURE);
    };
    let Some(doors) = state::Doors::read(&dir)? else {
        println!(
            "`cargo dev up` (process {pid}) has no API server yet: try again when it says that it is up. \
             With --only control-plane it never has one"
        );
        return Ok(ExitCode::FAILURE);
    };
    let story = Story::aloud();
    let walk = Walk {
        api: ApiClient::new(doors.api),
        mails: MailFolder::new(doors.mails),
        gateway: Control::new(doors.gateway)?,
        simulated: if doors.simulated { stage::SIMULATED } else { "" },
    };
    story.step(format!("the API server at {}", walk.api.url()));
    let customer = walk.come_in(story).await?;
    let bought = walk.buy(story, &customer).await?;
    walk.cancel(story, &customer, &bought).await?;
    story.step("the story is told");
    Ok(ExitCode::SUCCESS)
}
