//! An operator as a process, behind the fault proxy.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::operator_process::{Operator, Settings, program, write_settings};
use e2e::proxy::{ActorPort, Matcher};
use e2e::{repository, wait};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{BOUND, World};

/// A running operator. Dropping it stops it.
pub struct RunningOperator {
    name: String,
    kubeconfig: PathBuf,
    logs: PathBuf,
    port: ActorPort,
    process: Slot,
    setup: Mutex<Setup>,
}

/// What is special about an operator of a story.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Put over the shipped settings as a JSON merge patch.
    pub settings: Value,
    /// Arguments added to those that it always has.
    pub args: Vec<String>,
}

impl Setup {
    /// With a clock that is wrong by so many seconds.
    pub fn with_clock_ahead(mut self, seconds: i64) -> Self {
        self.args.push(format!("--clock-offset-seconds={seconds}"));
        self
    }
}

/// The process, if there is one.
type Slot = Arc<Mutex<Option<Arc<Operator>>>>;

impl RunningOperator {
    pub(super) async fn start(world: &World, letter: &str, setup: Setup) -> Result<Self> {
        let name = format!("operator-{letter}");
        let port = world.proxy().actor(&name)?;
        let cluster = world.cluster();
        let kubeconfig =
            world.operator_identity().write_kubeconfig(&cluster.kubeconfig(&name), Some(&port.url))?;
        let process = Slot::default();
        let dies = Arc::clone(&process);
        port.on_crash(move |_| kill(&dies));
        let operator =
            Self { name, kubeconfig, logs: cluster.logs(), port, process, setup: Mutex::new(setup) };
        operator.restart().await?;
        Ok(operator)
    }

    /// Starts it again with other settings or arguments, and waits until it is ready.
    pub async fn restart_with(&self, setup: Setup) -> Result<()> {
        *self.setup.lock().unwrap_or_else(PoisonError::into_inner) = setup;
        self.restart().await
    }

    /// The name of the actor in the proxy, and of the candidate in the leader election.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All its calls but those for leases and events.
    pub fn own_calls(&self) -> Matcher {
        Matcher::any().actor(&self.name).without_leases().without_events()
    }

    /// Kills it as a crash would.
    pub fn kill(&self) {
        kill(&self.process);
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&self) {
        let process = take(&self.process);
        if let Some(operator) = process {
            operator.process().stop();
        }
    }

    /// Starts it (again) under the same name and waits until it is ready; it takes its own lease up at once.
    pub async fn restart(&self) -> Result<()> {
        self.stop();
        self.port.revive();
        let setup = self.setup.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let operator = Arc::new(Operator::start(Settings {
            program: &program()?,
            kubeconfig: &self.kubeconfig,
            config: &self.write_settings(&setup.settings)?,
            identity: &self.name,
            logs: &self.logs,
            args: setup.args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
        })?);
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&operator));
        operator.until_ready().await
    }

    /// The shipped settings with what is special put over them, as a file.
    fn write_settings(&self, special: &Value) -> Result<PathBuf> {
        if special.is_null() {
            return Ok(repository::root().join("config/default.yaml"));
        }
        let path = self.logs.join(format!("{}-settings.yaml", self.name));
        write_settings(special, &path)?;
        Ok(path)
    }

    /// Sends a signal: `SIGSTOP` and `SIGCONT` make a leader that is heard of no more, and comes back.
    pub fn signal(&self, signal: Signal) {
        if let Some(operator) = self.process() {
            operator.process().signal(signal);
        }
    }

    /// Its metrics as text.
    pub async fn metrics(&self) -> Result<String> {
        Ok(self.process().context("the operator is running")?.get("/metrics").await?.1)
    }

    /// The value of a sample of its metrics, by all that stands left of the value; none where there is no such sample now.
    pub async fn sample(&self, series: &str) -> Result<Option<f64>> {
        let text = self.metrics().await?;
        let values = text.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(values.map(str::parse).next().transpose()?)
    }

    /// Waits until a sample is as it should be.
    pub async fn wait_sample(
        &self,
        series: &str,
        bound: Duration,
        is_right: impl Fn(Option<f64>) -> bool,
    ) -> Result<()> {
        wait::until(&format!("{series} to be as it should"), bound, async || {
            Ok(is_right(self.sample(series).await?).then_some(()))
        })
        .await
    }

    /// What it has logged since its last start.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.logs.join(format!("{}.log", self.name)))?)
    }

    /// How often a controller (`instance`, `tenant`, `template`, `plan`) has reconciled since the start, failures
    /// included.
    pub async fn reconciles(&self, controller: &str) -> Result<u64> {
        let text = self.metrics().await?;
        let wanted = format!("controller=\"{controller}\"");
        let lines = text
            .lines()
            .filter(|line| line.starts_with("nakhoda_operator_reconciles_total{") && line.contains(&wanted));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// Waits until a controller has reconciled `count` times since the start.
    pub async fn wait_reconciles(&self, controller: &str, count: u64, bound: Duration) -> Result<()> {
        wait::until(&format!("{count} reconciles of the {controller} controller"), bound, async || {
            Ok((self.reconciles(controller).await? >= count).then_some(()))
        })
        .await
    }

    /// Waits until a rule of the proxy has killed it.
    pub async fn crashed(&self) -> Result<()> {
        Ok(self.port.wait_crashed(BOUND).await?)
    }

    fn process(&self) -> Option<Arc<Operator>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for RunningOperator {
    fn drop(&mut self) {
        self.stop();
    }
}

fn take(slot: &Slot) -> Option<Arc<Operator>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn kill(slot: &Slot) {
    if let Some(operator) = take(slot) {
        operator.process().kill();
    }
}
