//! A process of the API, behind the fault proxy and behind the one before PostgreSQL, that can be killed and started again at the same address.

use std::ffi::OsString;
use std::fs::create_dir_all;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use e2e::api_process::{ApiServer, Role, Settings};
use e2e::ports;
use e2e::proxy::ActorPort;

use crate::world::BOUND;

/// What makes passwords cheap here, and lets one client do what many people would.
const FAST: [(&str, &str); 6] = [
    ("NAKHODA_ARGON2_AT_ONCE", "32"),
    ("NAKHODA_ARGON2_MEMORY_KIB", "64"),
    ("NAKHODA_ARGON2_PASSES", "1"),
    ("NAKHODA_RATE_PER_ADDRESS", "1000000"),
    ("NAKHODA_RATE_PER_USER", "1000000"),
    ("NAKHODA_RATE_PURCHASES_PER_USER", "1000000"),
];

/// What all of them are started with.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) program: PathBuf,
    pub(super) secret: PathBuf,
    pub(super) smtp: String,
    pub(super) logs: PathBuf,
}

/// The process, if there is one.
type Slot = Arc<Mutex<Option<ApiServer>>>;

/// One of them. Dropping it stops it.
pub(super) struct Program {
    role: Role,
    common: Common,
    /// Through the proxy.
    database: String,
    kubeconfig: PathBuf,
    port: u16,
    cluster: ActorPort,
    process: Slot,
}

impl Program {
    /// Prepares one.
    pub(super) fn new(
        role: Role,
        common: Common,
        database: String,
        kubeconfig: PathBuf,
        cluster: ActorPort,
    ) -> Result<Self> {
        let process = Slot::default();
        let dies = Arc::clone(&process);
        cluster.on_crash(move |_| kill(&dies));
        Ok(Self { role, common, database, kubeconfig, port: ports::free()?, cluster, process })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its name in both proxies.
    pub(super) fn name(&self) -> &str {
        self.cluster.name()
    }

    /// Kills it as a crash would.
    pub(super) fn kills(&self) -> impl Fn() + Send + Sync + 'static {
        let process = Arc::clone(&self.process);
        move || kill(&process)
    }

    /// Waits until a rule of the proxy before the cluster has killed it.
    pub(super) async fn crashed(&self) -> Result<()> {
        Ok(self.cluster.wait_crashed(BOUND).await?)
    }

    /// Starts it (again) and waits until it is ready.
    pub(super) async fn start(&self) -> Result<()> {
        drop(take(&self.process));
        self.cluster.revive();
        let Common { program, secret, smtp, logs } = &self.common;
        let logs = logs.join(self.name());
        create_dir_all(&logs)?;
        let settings = Settings {
            program,
            database: self.database.clone(),
            secret,
            smtp: Some(smtp.clone()),
            kubeconfig: Some(&self.kubeconfig),
            env: &FAST,
            port: Some(self.port),
            logs: &logs,
        };
        let started = ApiServer::start_as(self.role, &settings).await?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(started);
        Ok(())
    }

    /// Has the program verify all books, by its own command.
    pub(super) async fn verify(&self) -> Result<std::process::Output> {
        let mut command = tokio::process::Command::new(&self.common.program);
        let args: [OsString; 3] = ["ledger".into(), "verify".into(), "--full".into()];
        command.args(args).env("DATABASE_URL", &self.database).kill_on_drop(true);
        Ok(command.output().await?)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The proxy, which lives longer, can still kill it: it must find nothing.
        drop(take(&self.process));
    }
}

fn take(slot: &Slot) -> Option<ApiServer> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn kill(slot: &Slot) {
    if let Some(process) = take(slot) {
        process.process().kill();
    }
}
