//! The cluster: the resources that this API writes there and reads from there. Nothing of them is kept in the database.

pub mod apply;
pub mod catalogue;
pub mod quota;
pub mod watch;

use crate::http::problem::{Code, FieldError, Problem};
use kube::{
    Client, Config,
    config::InferConfigError,
    core::{Status, response::StatusCause},
};
use std::time::Duration;
use tokio::sync::Semaphore;
use watch::Watches;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(5);
/// What to do when there is none.
const NONE: &str = "This installation was started without a cluster (--cluster none).";
/// What is said while it does not answer.
const AWAY: &str = "The cluster can't be asked right now.";

/// How many calls may be under way: a cluster that hangs must not fill this process.
const AT_ONCE: usize = 64;

/// How long a question to whoever measures may take, and how many may be under way. Another program answers these, behind the API server:
/// where that hangs, every other call has its places still.
const MEASURING: Duration = Duration::from_secs(2);
const MEASURED_AT_ONCE: usize = 16;

/// The way to the cluster.
pub struct Cluster {
    client: Option<Client>,
    calls: Lane,
    measuring: Lane,
    /// For watches, which are silent for longer than a call may last.
    watching: Option<Client>,
    watches: Watches,
}

/// Calls of a kind: so many at once, each for so long.
struct Lane {
    places: Semaphore,
    bound: Duration,
}

impl Lane {
    fn new(at_once: usize, bound: Duration) -> Self {
        Self { places: Semaphore::new(at_once), bound }
    }

    /// What a call comes to; the wait for a place counts, too.
    async fn run<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, CallError> {
        let bounded = async {
            let _place = self.places.acquire().await;
            call.await
        };
        let done = tokio::time::timeout(self.bound, bounded).await.map_err(|_| CallError::TimedOut)?;
        done.map_err(|error| CallError::Kube(Box::new(error)))
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("is_there", &self.client.is_some()).finish_non_exhaustive()
    }
}

/// Why there is no way to the cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Nothing says where it is.
    #[error(
        "no Kubernetes API server is configured: set KUBECONFIG, or start with --cluster none, without what needs one"
    )]
    NotConfigured(#[from] InferConfigError),
    /// What says where it is can't be used.
    #[error("the cluster's configuration can't be used")]
    Client(#[from] Box<kube::Error>),
}

/// Why a call had no success.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no cluster.
    #[error("{NONE}")]
    NoCluster,
    /// It took too long.
    #[error("the cluster did not answer in time")]
    TimedOut,
    /// The cluster says no, or can't be reached.
    #[error(transparent)]
    Kube(#[from] Box<kube::Error>),
}

impl Cluster {
    /// None: whatever needs one answers that it is not there.
    pub fn none() -> Self {
        Self::with(None, None)
    }

    fn with(client: Option<Client>, watching: Option<Client>) -> Self {
        let watches = Watches::new(client.is_some());
        let (calls, measuring) = (Lane::new(AT_ONCE, CALL), Lane::new(MEASURED_AT_ONCE, MEASURING));
        Self { client, calls, measuring, watching, watches }
    }

    /// The one that the environment names: `KUBECONFIG`, or the pod's own.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn infer() -> Result<Self, ClusterError> {
        Self::of(Config::infer().await?)
    }

    /// The one that a configuration leads to.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn of(mut config: Config) -> Result<Self, ClusterError> {
        // What to try again, and when, is the caller's to decide.
        config.default_retry = false;
        config.connect_timeout = Some(CALL);
        config.read_timeout = Some(watch::BOUND);
        let watching = Some(Client::try_from(config.clone()).map_err(Box::new)?);
        config.read_timeout = Some(CALL);
        let client = Some(Client::try_from(config).map_err(Box::new)?);
        Ok(Self::with(client, watching))
    }

    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        self.client.is_some()
    }

    /// What is kept of it here.
    pub fn watches(&self) -> &Watches {
        &self.watches
    }

    /// Makes one call, which ends in time.
    pub(crate) async fn call<T>(
        &self,
        call: impl AsyncFnOnce(Client) -> Result<T, kube::Error>,
    ) -> Result<T, CallError> {
        let client = self.client.clone().ok_or(CallError::NoCluster)?;
        self.calls.run(Box::pin(call(client))).await
    }

    /// Asks whoever measures, in places of its own: see [`MEASURING`].
    pub(crate) async fn measure<T>(
        &self,
        call: impl AsyncFnOnce(Client) -> Result<T, kube::Error>,
    ) -> Result<T, CallError> {
        let client = self.client.clone().ok_or(CallError::NoCluster)?;
        self.measuring.run(Box::pin(call(client))).await
    }
}

impl CallError {
    /// Whether the API server answered with that status.
    pub fn is(&self, code: u16) -> bool {
        self.status().is_some_and(|status| status.code == code)
    }

    /// Whether the API server itself can't be reached: neither an answer of its own, nor silence, which may be somebody's behind it.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::NoCluster => true,
            Self::TimedOut => false,
            Self::Kube(error) => {
                matches!(**error, kube::Error::Service(_) | kube::Error::HyperError(_) | kube::Error::Auth(_))
            }
        }
    }

    /// What the API server says, where it is that which says no.
    fn status(&self) -> Option<&Status> {
        match self {
            Self::Kube(error) => match &**error {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::NoCluster | Self::TimedOut => None,
        }
    }

    fn conflicts(&self) -> impl Iterator<Item = &StatusCause> {
        let causes = self.status().and_then(|status| status.details.as_ref()).map(|details| &details.causes);
        causes.into_iter().flatten().filter(|cause| cause.reason == "FieldManagerConflict")
    }

    /// The fields that other managers have, with what the API server says of each.
    fn managed(&self) -> Vec<String> {
        self.conflicts().map(|cause| format!("{} ({})", cause.field, cause.message)).collect()
    }

    /// The same, as paths within the spec: `parameters.title`.
    pub(crate) fn managed_in_spec(&self) -> Vec<String> {
        let paths = self.conflicts().filter_map(|cause| cause.field.strip_prefix(".spec."));
        paths.map(str::to_owned).collect()
    }
}

impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let status = error.status();
        if let Some(status) = status.filter(|status| status.code == 422) {
            let causes = status.details.as_ref().map(|details| details.causes.clone()).unwrap_or_default();
            let errors = causes.into_iter().map(field_error).collect();
            return Self::fields(Code::Invalid, errors);
        }
        if let Some(status) = status.filter(|status| status.code == 403) {
            tracing::error!(message = status.message, "the cluster refuses what this API must be able to do");
            return Self::new(Code::Internal);
        }
        tracing::warn!(error = error.to_string(), "a call to the cluster failed");
        let detail = match error {
            CallError::NoCluster => NONE,
            CallError::TimedOut | CallError::Kube(_) => AWAY,
        };
        Self::unavailable(detail)
    }
}

fn field_error(cause: StatusCause) -> FieldError {
    FieldError { field: cause.field.trim_start_matches("spec.").to_owned(), message: cause.message }
}
