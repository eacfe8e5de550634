//! What the operator asked of the API server, as the API server's own audit log has it: no proxy slows the calls down.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde::Deserialize;

use crate::wait;

/// One request that the API server has answered, or a watch that it has begun.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) verb: String,
    pub(super) group: String,
    pub(super) resource: String,
    /// Namespace and name.
    pub(super) object: (String, String),
    pub(super) uri: String,
    /// Whether a watch has only begun.
    pub(super) begins: bool,
    pub(super) status: u16,
    pub(super) received: Timestamp,
    pub(super) answered: Timestamp,
}

impl Call {
    /// Whether it changed something, leases and events left out.
    pub(super) fn is_write(&self) -> bool {
        let writes =
            matches!(self.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
        writes && self.status < 300 && !self.is_apart()
    }

    /// Whether it changed a child: neither an object of our own kinds nor anything of a tenant.
    pub(super) fn is_child_write(&self) -> bool {
        self.is_write() && self.group != crds::GROUP
    }

    /// Leases and events: they do not follow from the number of instances.
    pub(super) fn is_apart(&self) -> bool {
        matches!(self.resource.as_str(), "leases" | "events")
    }

    /// Group and plural of what it is about.
    pub(super) fn kind(&self) -> (String, String) {
        (self.group.clone(), self.resource.clone())
    }
}

/// The part of the audit log that is one user's, read on and on.
#[derive(Debug)]
pub(super) struct Calls {
    path: PathBuf,
    /// As it stands in a line.
    user: String,
    offset: u64,
    all: Vec<Call>,
}

/// A place among the calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(usize);

impl Mark {
    /// Before the first.
    pub(super) const START: Self = Self(0);
}

impl Calls {
    pub(super) fn of(path: PathBuf, user: &str) -> Self {
        Self { path, user: format!("{{\"username\":\"{user}\""), offset: 0, all: Vec::new() }
    }

    /// Reads what was added; the place behind it.
    pub(super) fn mark(&mut self) -> Result<Mark> {
        let mut file =
            File::open(&self.path).with_context(|| format!("cannot read {}", self.path.display()))?;
        ensure!(
            file.metadata()?.len() >= self.offset,
            "the audit log was begun anew: the run is longer than one file of it"
        );
        file.seek(SeekFrom::Start(self.offset))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        // The last line may be half written.
        let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        self.offset += end as u64;
        let text = String::from_utf8_lossy(&text[..end]);
        for line in text.lines().filter(|line| line.contains(&self.user)) {
            let event: Event = serde_json::from_str(line).context("a line of the audit log is no event")?;
            self.all.extend(event.into_call());
        }
        Ok(Mark(self.all.len()))
    }

    /// What was asked since then.
    pub(super) fn since(&mut self, mark: Mark) -> Result<&[Call]> {
        self.mark()?;
        Ok(&self.all[mark.0..])
    }

    /// Waits until nothing was written for `quiet`; returns the place behind the last write.
    pub(super) async fn until_quiet(&mut self, quiet: Duration, bound: Duration) -> Result<Mark> {
        let mut seen = self.mark()?;
        let mut last = Instant::now();
        wait::until("the operator to have nothing to write", bound, async || {
            let writes = self.since(seen)?.iter().any(Call::is_write);
            seen = self.mark()?;
            if writes {
                last = Instant::now();
            }
            Ok((last.elapsed() >= quiet).then_some(seen))
        })
        .await
    }
}

/// What of an audit event is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    namespace: String,
    name: String,
    resource: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

impl Event {
    /// None of a watch that has ended: its beginning was counted.
    fn into_call(self) -> Option<Call> {
        let begins = self.stage == "ResponseStarted";
        if self.verb == "watch" && !begins {
            return None;
        }
        let about = self.object_ref.unwrap_or_default();
        Some(Call {
            verb: self.verb,
            group: about.api_group,
            resource: about.resource,
            object: (about.namespace, about.name),
            uri: self.request_uri,
            begins,
            status: self.response_status.map_or(0, |status| status.code),
            received: self.request_received_timestamp,
            answered: self.stage_timestamp,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Calls;
    use std::fs::write;

    fn line(user: &str, verb: &str, stage: &str, resource: &str) -> String {
        format!(
            "{{\"kind\":\"Event\",\"stage\":\"{stage}\",\"requestURI\":\"/x\",\"verb\":\"{verb}\",\
             \"user\":{{\"username\":\"{user}\"}},\"objectRef\":{{\"resource\":\"{resource}\"}},\
             \"responseStatus\":{{\"code\":200}},\"requestReceivedTimestamp\":\"2026-01-05T09:00:00.000001Z\",\
             \"stageTimestamp\":\"2026-01-05T09:00:00.500001Z\"}}\n"
        )
    }

    #[test]
    fn only_ones_own_calls_count_and_a_half_written_line_is_read_later() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let whole = [
            line("me", "patch", "ResponseComplete", "services"),
            line("me", "update", "ResponseComplete", "leases"),
            line("me-too", "patch", "ResponseComplete", "services"),
            line("me", "watch", "ResponseStarted", "pods"),
            line("me", "watch", "ResponseComplete", "pods"),
        ]
        .concat();
        let half = line("me", "create", "ResponseComplete", "secrets");
        write(&path, format!("{whole}{}", &half[..40])).unwrap();
        let mut calls = Calls::of(path.clone(), "me");
        let mark = calls.mark().unwrap();
        assert_eq!(calls.all.len(), 3);
        assert_eq!(calls.all.iter().filter(|call| call.is_write()).count(), 1);
        write(&path, format!("{whole}{half}")).unwrap();
        let later = calls.since(mark).unwrap();
        assert_eq!((later.len(), later[0].resource.as_str()), (1, "secrets"));
    }
}
