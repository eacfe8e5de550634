//! Waiting with a bound. What can be watched is watched; what can't (a port that will answer)
//! is asked again and again, here only.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How often a condition that can't be watched is asked for.
const PACE: Duration = Duration::from_millis(50);

/// Asks `probe` until it gives a value. An error of the probe ends the wait at once;
/// after `bound` the wait fails with `what` in its message.
pub async fn until<T>(
    what: &str,
    bound: Duration,
    probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    until_every(PACE, what, bound, probe).await
}

/// The same, for what may not be asked that often.
pub async fn until_every<T>(
    pace: Duration,
    what: &str,
    bound: Duration,
    mut probe: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + bound;
    let mut pace = interval(pace);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        let left = deadline.saturating_duration_since(Instant::now());
        match timeout(left, probe()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Err(error)) => return Err(error).with_context(|| format!("while waiting for {what}")),
            Ok(Ok(None)) if Instant::now() < deadline => {}
            Ok(Ok(None)) | Err(_) => bail!("{what}: not within {} s", bound.as_secs()),
        }
    }
}

/// Awaits `future` for at most `bound`; its failure or the time-out names `what`. Boxed, for watches are large.
pub fn within<'a, T, E>(
    what: &str,
    bound: Duration,
    future: impl Future<Output = Result<T, E>> + Send + 'a,
) -> BoxFuture<'a, Result<T>>
where
    E: Into<anyhow::Error>,
{
    let what = what.to_owned();
    timeout(bound, future)
        .map(move |ended| match ended {
            Ok(done) => done.map_err(Into::into).with_context(|| format!("while waiting for {what}")),
            Err(_) => bail!("{what}: not within {} s", bound.as_secs()),
        })
        .boxed()
}
