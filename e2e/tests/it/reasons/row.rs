//! What was seen of a cause.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crds::instance::Phase;
use crds::reasons::{self, Stalls};
use crds::{ServiceInstance, conditions};

use crate::world::Instance;

/// How long a cause may take to be said, or to be unsaid: controllers of the cluster back off for up to a minute or two.
pub(super) const PATIENCE: Duration = Duration::from_mins(4);

/// A line of the table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    reason: &'static str,
    how: &'static str,
    phase: String,
    available: bool,
    stalled: bool,
    cure: &'static str,
}

impl Row {
    /// The cause was taken back in this way, and all was well again.
    pub(super) fn cured(self, cure: &'static str) -> Self {
        Self { cure, ..self }
    }

    /// One that is told by an event, and changes nothing of the status.
    pub(super) fn event(reason: &'static str, how: &'static str, one: &ServiceInstance) -> Self {
        let phase = one.status.as_ref().and_then(|status| status.phase);
        let phase = phase.map_or_else(String::new, |phase| format!("{phase:?}"));
        Self { reason, how, phase, available: is(one, conditions::AVAILABLE), stalled: false, cure: "" }
    }
}

fn is(one: &ServiceInstance, type_: &str) -> bool {
    let all = one.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions::find(all, type_).is_some_and(|condition| condition.status == "True")
}

/// Waits until the REASON column and the phase say so, and checks what stands beside them.
pub(super) async fn seen(
    one: &Instance,
    reason: &'static str,
    phase: Phase,
    how: &'static str,
) -> Result<Row> {
    let what = format!("{phase:?} for {reason}");
    let told = one
        .wait_for(&what, PATIENCE, |one| {
            let status = one.status.as_ref();
            status
                .is_some_and(|status| status.reason.as_deref() == Some(reason) && status.phase == Some(phase))
        })
        .await?;
    let status = told.status.as_ref().context("it has a status")?;
    let known = reasons::find(reason).with_context(|| format!("{reason} is in no registry"))?;
    let ready = conditions::find(&status.conditions, conditions::READY).context("Ready")?;
    ensure!(ready.reason == reason, "{one}: Ready says {}", ready.reason);
    let uid = told.metadata.uid.clone().unwrap_or_default();
    ensure!(!ready.message.is_empty() && !ready.message.contains(&uid), "{one}: {}", ready.message);
    let constant = ready.message.ends_with(known.sentence);
    let counts = ready.message.contains(|c: char| c.is_ascii_digit());
    // These two quote what they were told.
    let quotes = [reasons::PARAMETER_INVALID, reasons::REJECTED].contains(&reason);
    ensure!(constant || !counts || quotes, "{one} counts: {}", ready.message);
    let stalled = is(&told, conditions::STALLED);
    ensure!(stalled == (known.stalls == Stalls::AtOnce), "{one} is stalled: {stalled}, {:?}", known.stalls);
    let available = is(&told, conditions::AVAILABLE);
    Ok(Row { reason, how, phase: format!("{phase:?}"), available, stalled, cure: "" })
}

/// Waits until all is well.
pub(super) async fn serves(one: &Instance) -> Result<ServiceInstance> {
    one.settled_in(Phase::Running, PATIENCE).await
}

/// The table in the order of rank.
pub(super) fn table(rows: &[Row]) -> String {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_key(|row| (reasons::rank(row.reason), row.how));
    let yes = |yes| if yes { "yes" } else { "no" };
    let mut text = "| reason | acts | made to happen by | PHASE | Available | Stalled | well again once |\n|---|---|---|---|---|---|---|\n".to_owned();
    for Row { reason, how, phase, available, stalled, cure } in &sorted {
        let who = reasons::find(reason).map_or("", |known| known.who.name());
        let (available, stalled) = (yes(*available), yes(*stalled));
        let cure = if cure.is_empty() { "—" } else { cure };
        let _ = writeln!(text, "| `{reason}` | {who} | {how} | {phase} | {available} | {stalled} | {cure} |");
    }
    let different: BTreeSet<&str> = sorted.iter().map(|row| row.reason).collect();
    let _ = write!(text, "\n{} ways to make {} reasons happen.", sorted.len(), different.len());
    text
}
