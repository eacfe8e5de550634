//! An operator as a process, behind the fault proxy.

use std::fs::{read_to_string, write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::operator_process::{Operator, Settings, program};
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
    config: PathBuf,
    clock_offset_seconds: i64,
    port: ActorPort,
    process: Slot,
}

/// How an operator differs from one with the shipped settings and a right clock.
#[derive(Clone, Debug, Default)]
pub struct Variant {
    /// What stands in `retention` of its settings instead of what is shipped.
    pub retention: Option<Value>,
    /// By how many seconds its clock is wrong.
    pub clock_offset_seconds: i64,
}

impl Variant {
    /// The settings file to run with.
    fn config(&self, dir: &Path, name: &str) -> Result<PathBuf> {
        let shipped = repository::root().join("config/default.yaml");
        let Some(retention) = &self.retention else { return Ok(shipped) };
        let mut settings: Value = serde_yaml::from_str(&read_to_string(shipped)?)?;
        settings["retention"] = retention.clone();
        let path = dir.join(format!("{name}.yaml"));
        write(&path, serde_yaml::to_string(&settings)?)?;
        Ok(path)
    }
}

/// The process, if there is one.
type Slot = Arc<Mutex<Option<Arc<Operator>>>>;

impl RunningOperator {
    pub(super) async fn start(world: &World, letter: &str, variant: &Variant) -> Result<Self> {
        let name = format!("operator-{letter}");
        let port = world.proxy().actor(&name)?;
        let cluster = world.cluster();
        let kubeconfig =
            world.operator_identity().write_kubeconfig(&cluster.kubeconfig(&name), Some(&port.url))?;
        let process = Slot::default();
        let dies = Arc::clone(&process);
        port.on_crash(move |_| kill(&dies));
        let config = variant.config(cluster.dir(), &name)?;
        let clock_offset_seconds = variant.clock_offset_seconds;
        let logs = cluster.logs();
        let operator = Self { name, kubeconfig, logs, config, clock_offset_seconds, port, process };
        operator.restart().await?;
        Ok(operator)
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
        let operator = Arc::new(Operator::start(Settings {
            program: &program()?,
            kubeconfig: &self.kubeconfig,
            config: &self.config,
            identity: &self.name,
            logs: &self.logs,
            env: Vec::new(),
            clock_offset_seconds: self.clock_offset_seconds,
        })?);
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&operator));
        operator.until_ready().await
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
