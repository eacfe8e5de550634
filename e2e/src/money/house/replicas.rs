//! How a replica is started.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::{House, REPLICAS, SERVER_KEY};
use crate::api_process::{ApiServer, Settings};
use crate::people::ADMINISTRATOR;

/// What makes passwords cheap here, and lets a few clients do what many people would.
const FAST: [(&str, &str); 8] = [
    ("NAKHODA_ARGON2_AT_ONCE", "32"),
    ("NAKHODA_ARGON2_MEMORY_KIB", "64"),
    ("NAKHODA_ARGON2_PASSES", "1"),
    ("NAKHODA_RATE_PER_ADDRESS", "1000000"),
    ("NAKHODA_RATE_PER_USER", "1000000"),
    ("NAKHODA_RATE_TOP_UPS_PER_USER", "1000000"),
    ("NAKHODA_RATE_PURCHASES_PER_USER", "1000000"),
    ("RUST_LOG", "warn"),
];

impl House {
    /// Starts a replica at its address.
    pub(super) async fn start_replica(&self, place: usize) -> Result<()> {
        let mut running = self.replicas[place].lock().await;
        let logs = self.dir.join(format!("logs/replica-{place}"));
        fs::create_dir_all(&logs)?;
        let variables = self.variables(place);
        let env: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        *running = Some(ApiServer::start(&self.settings(place, &env, &logs)).await?);
        Ok(())
    }

    pub(super) fn make_administrator(&self) -> Result<()> {
        let variables = self.variables(0);
        let env: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.settings(0, &env, &self.dir).make_administrator(ADMINISTRATOR, "Administrator")
    }

    fn settings<'a>(&'a self, place: usize, env: &'a [(&'a str, &'a str)], logs: &'a Path) -> Settings<'a> {
        Settings {
            program: &self.program,
            database: self.database.0.clone(),
            secret: &self.secret,
            smtp: None,
            kubeconfig: None,
            env,
            port: Some(self.ports[place]),
            logs,
        }
    }

    fn variables(&self, place: usize) -> Vec<(&'static str, String)> {
        let gateway = self.gateway.url();
        let fast = FAST.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let mut all: Vec<_> = fast
            .chain([
                ("NAKHODA_MIDTRANS_SNAP_URL", format!("{gateway}/snap/v1")),
                ("NAKHODA_MIDTRANS_CORE_URL", gateway.to_owned()),
                ("NAKHODA_MIDTRANS_SERVER_KEY", SERVER_KEY.to_owned()),
            ])
            .collect();
        if self.plan.tells_across {
            let other = (place + 1) % REPLICAS;
            all.push(("NAKHODA_MIDTRANS_NOTIFICATION_URL", self.caller.webhook(other)));
        }
        all
    }
}
