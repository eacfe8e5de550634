//! Leader election on a Lease: 7 s, renewed every 2 s, observed every half second.
//!
//! Our own small module, since the libraries at hand compare the holder's time stamps with the local clock; a clock
//! that is an hour off would make two leaders. Here, as in client-go, a lease has run out when it did not *change*
//! for its whole duration by the observer's own monotonic clock. The lease only saves work being done twice: what keeps
//! two leaders from harm are the preconditions on every write.

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease as LeaseObject, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// The name of the Lease.
pub const LEASE: &str = "nakhoda-operator";
/// How long a leader that is not heard of stays one.
pub const DURATION: Duration = Duration::from_secs(7);
/// How often the leader renews.
pub const RENEW: Duration = Duration::from_secs(2);
/// How often a standby looks.
const OBSERVE: Duration = Duration::from_millis(500);
/// The longest that one call for the lease may take.
const CALL: Duration = Duration::from_secs(2);

/// Until when this replica may write: what every write asks.
#[derive(Debug, Default)]
pub struct Lease {
    until: Mutex<Option<Instant>>,
}

impl Lease {
    /// Whether it holds at `now`, by the monotonic clock, which goes on while the process is stopped.
    pub fn holds(&self, now: Instant) -> bool {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now < until)
    }

    /// It was renewed by a call that was begun at `asked`; or it is lost.
    fn set(&self, asked: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = asked.map(|asked| asked + DURATION);
    }
}

/// A candidate.
pub struct Candidate {
    api: Api<LeaseObject>,
    identity: String,
    clock: Arc<dyn Clock>,
    lease: Arc<Lease>,
    seen: Option<(Observed, Instant)>,
}

/// What is compared to tell whether a lease has changed.
type Observed = (Option<String>, Option<Timestamp>);

/// What a look at the lease showed.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Mine,
    Free,
    Held,
}

impl Candidate {
    /// A candidate called `identity` for the lease in `namespace`. The same identity takes its own lease up again at
    /// once, so a container that is restarted in its pod need not wait.
    pub fn new(
        client: Client,
        namespace: &str,
        identity: String,
        clock: Arc<dyn Clock>,
        lease: Arc<Lease>,
    ) -> Self {
        Self { api: Api::namespaced(client, namespace), identity, clock, lease, seen: None }
    }

    /// Stands for election until `stop`; `leads` tells of the outcome. Returns when leadership is lost or given back.
    pub async fn run(mut self, leads: watch::Sender<bool>, stop: CancellationToken) {
        let mut renewed: Option<Instant> = None;
        loop {
            let asked = Instant::now();
            match tokio::time::timeout(CALL, self.turn(renewed.is_some())).await {
                Ok(Ok(true)) => {
                    renewed = Some(asked);
                    self.lease.set(renewed);
                    if !leads.send_replace(true) {
                        tracing::info!(identity = %self.identity, "leading");
                    }
                }
                Ok(Ok(false)) if renewed.is_some() => break,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the lease can't be read or renewed"),
                Err(_) => tracing::warn!("no answer about the lease"),
            }
            // Give up before anybody else may begin.
            if renewed.is_some_and(|at| at.elapsed() + OBSERVE > DURATION) {
                break;
            }
            let pause = if renewed.is_some() { RENEW } else { OBSERVE };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {
                    self.lease.set(None);
                    if renewed.is_some() {
                        let _ = tokio::time::timeout(CALL, self.release()).await;
                    }
                    break;
                }
            }
        }
        self.lease.set(None);
        leads.send_replace(false);
    }

    /// Looks at the lease, and takes or renews it where it may; whether it is ours now.
    async fn turn(&mut self, leading: bool) -> Result<bool, kube::Error> {
        let Some(lease) = self.api.get_opt(LEASE).await? else {
            let lease = self.lease(ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() }, 0);
            return settled(self.api.create(&PostParams::default(), &lease).await);
        };
        let transitions = lease.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or_default();
        match self.look(lease.spec.as_ref(), Instant::now()) {
            Look::Mine => self.take(lease.metadata, transitions).await,
            Look::Free if !leading => self.take(lease.metadata, transitions + 1).await,
            Look::Free | Look::Held => Ok(false),
        }
    }

    fn look(&mut self, spec: Option<&LeaseSpec>, now: Instant) -> Look {
        let holder = spec.and_then(|spec| spec.holder_identity.clone()).filter(|holder| !holder.is_empty());
        let observed = (holder.clone(), spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0));
        if self.seen.as_ref().is_none_or(|(before, _)| *before != observed) {
            self.seen = Some((observed, now));
        }
        match holder {
            None => Look::Free,
            Some(holder) if holder == self.identity => Look::Mine,
            Some(_) => {
                let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
                if now.duration_since(since) >= DURATION { Look::Free } else { Look::Held }
            }
        }
    }

    /// Replaces the lease in the very version that was read.
    async fn take(&self, metadata: ObjectMeta, transitions: i32) -> Result<bool, kube::Error> {
        let lease = self.lease(metadata, transitions);
        settled(self.api.replace(LEASE, &PostParams::default(), &lease).await)
    }

    fn lease(&self, metadata: ObjectMeta, transitions: i32) -> LeaseObject {
        let now = MicroTime(self.clock.now());
        LeaseObject {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                acquire_time: Some(now.clone()),
                renew_time: Some(now),
                lease_transitions: Some(transitions),
                ..LeaseSpec::default()
            }),
        }
    }

    /// Gives the lease back, so that the next one need not wait.
    async fn release(&self) -> Result<(), kube::Error> {
        let mut lease = self.api.get(LEASE).await?;
        if let Some(spec) =
            lease.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity))
        {
            spec.holder_identity = None;
            self.api.replace(LEASE, &PostParams::default(), &lease).await?;
            tracing::info!("gave the lease back");
        }
        Ok(())
    }
}

/// A conflict means that somebody else was faster: no error, no lease.
fn settled(result: Result<LeaseObject, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use tower_test::mock;

    fn candidate() -> Candidate {
        let (service, _handle) =
            mock::pair::<http::Request<kube::client::Body>, http::Response<kube::client::Body>>();
        let client = Client::new(service, "default");
        Candidate::new(
            client,
            "nakhoda-system",
            "me".into(),
            Arc::new(SystemClock::default()),
            Arc::default(),
        )
    }

    fn held_by(holder: &str, renewed: i64) -> LeaseSpec {
        let renew_time = Some(MicroTime(Timestamp::from_second(renewed).unwrap()));
        LeaseSpec { holder_identity: Some(holder.into()), renew_time, ..LeaseSpec::default() }
    }

    #[tokio::test]
    async fn a_lease_runs_out_when_it_stops_changing_whatever_its_time_stamps_say() {
        let (mut candidate, begun) = (candidate(), Instant::now());
        // The holder's clock is a day behind, or a day ahead: only the change counts.
        for (index, renewed) in [(0, 0), (1, 86_400), (2, 172_800)] {
            let now = begun + DURATION * index;
            assert_eq!(candidate.look(Some(&held_by("other", renewed)), now), Look::Held);
        }
        let last = begun + DURATION * 2;
        let still = candidate.look(Some(&held_by("other", 172_800)), last + DURATION.saturating_sub(OBSERVE));
        assert_eq!(still, Look::Held);
        assert_eq!(candidate.look(Some(&held_by("other", 172_800)), last + DURATION), Look::Free);
    }

    #[tokio::test]
    async fn its_own_and_a_returned_lease_are_taken_up_at_once() {
        let (mut candidate, now) = (candidate(), Instant::now());
        assert_eq!(candidate.look(Some(&held_by("me", 0)), now), Look::Mine);
        assert_eq!(candidate.look(Some(&held_by("", 0)), now), Look::Free);
        assert_eq!(candidate.look(None, now), Look::Free);
    }

    #[test]
    fn nothing_is_written_once_the_lease_has_run_out() {
        let (lease, asked) = (Lease::default(), Instant::now());
        assert!(!lease.holds(asked));
        lease.set(Some(asked));
        assert!(lease.holds(asked + DURATION.saturating_sub(OBSERVE)) && !lease.holds(asked + DURATION));
        lease.set(None);
        assert!(!lease.holds(asked));
    }
}
