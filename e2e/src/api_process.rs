//! The API server as a process of this machine, on a database that it may use and not change.

use std::ffi::OsString;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::StatusCode;

use crate::api_client::ApiClient;
use crate::process::{self, Process, Spec};
use crate::{ports, wait};

/// The service account it runs as, in the chart's namespace.
pub const SERVICE_ACCOUNT: &str = "nakhoda-api-server";
/// The variable with the path of the program to test.
pub const PROGRAM: &str = "NAKHODA_API_SERVER";
/// How long it may take until it is ready.
const READY: Duration = Duration::from_mins(1);

/// How to run one.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// The built program.
    pub program: &'a Path,
    /// The database as the role that serves.
    pub database: String,
    /// The file with the installation's secret.
    pub secret: &'a Path,
    /// Where mail goes; none: it waits.
    pub smtp: Option<String>,
    /// Whose rights it has in the cluster; none: it runs without one.
    pub kubeconfig: Option<&'a Path>,
    /// Settings beside these, as variables.
    pub env: &'a [(&'a str, &'a str)],
    /// The port; none: a free one.
    pub port: Option<u16>,
    /// The folder of its log.
    pub logs: &'a Path,
}

/// What a process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It serves, and does the background work.
    #[default]
    Both,
    /// It serves alone.
    Api,
    /// It does the background work alone, and tells how it is.
    Worker,
}

/// A running API server. Dropping it stops it.
#[derive(Debug)]
pub struct ApiServer {
    process: Process,
    client: ApiClient,
}

impl Deref for ApiServer {
    type Target = ApiClient;

    fn deref(&self) -> &ApiClient {
        &self.client
    }
}

/// The program to test: what `cargo dev test` built, else the one beside the running test's.
pub fn program() -> Result<PathBuf> {
    process::built(PROGRAM, "api-server")
}

/// Brings the database up to the program's version, as the owner of its tables.
pub fn migrate(program: &Path, owner: &str) -> Result<()> {
    let mut command = Command::new(program);
    command.arg("migrate").env("NAKHODA_OWNER_DATABASE_URL", owner).stdin(Stdio::null());
    let done = command.output().context("cannot run the API server's migrate")?;
    if !done.status.success() {
        bail!("the database can't be migrated: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}

impl Settings<'_> {
    /// The same for its commands.
    pub(crate) fn env(&self) -> Vec<(String, OsString)> {
        let cluster = self.kubeconfig.map_or_else(
            || ("NAKHODA_CLUSTER", "none".into()),
            |kubeconfig| ("KUBECONFIG", kubeconfig.into()),
        );
        let pairs: [(&str, OsString); 4] = [
            cluster,
            ("DATABASE_URL", self.database.clone().into()),
            ("NAKHODA_SECRET_KEY_FILE", self.secret.into()),
            ("NAKHODA_MAIL_FROM", "Nakhoda <no-reply@nakhoda.test>".into()),
        ];
        let smtp = self.smtp.as_ref().map(|url| ("NAKHODA_SMTP_URL", url.into()));
        let more = self.env.iter().map(|(name, value)| (*name, OsString::from(value)));
        pairs.into_iter().chain(smtp).chain(more).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Makes an administrator by the command line.
    pub fn make_administrator(&self, email: &str, name: &str) -> Result<()> {
        let mut command = Command::new(self.program);
        command
            .args(["admin", "create", "--email", email, "--name", name])
            .envs(self.env())
            .stdin(Stdio::null());
        let done = command.output().context("cannot run the API server's admin create")?;
        if !done.status.success() {
            bail!("no administrator could be made: {}", String::from_utf8_lossy(&done.stderr).trim());
        }
        Ok(())
    }
}

impl Role {
    /// The name of its log, and how the program is told.
    fn command(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Both => ("api-server", &["serve"]),
            Self::Api => ("api-server", &["serve", "--no-worker"]),
            Self::Worker => ("api-worker", &["worker"]),
        }
    }
}

impl ApiServer {
    /// Starts one and waits until it is ready.
    pub async fn start(settings: &Settings<'_>) -> Result<Self> {
        Self::start_as(Role::Both, settings).await
    }

    /// The same, of one that does only this.
    pub async fn start_as(role: Role, settings: &Settings<'_>) -> Result<Self> {
        let port = settings.port.map_or_else(ports::free, Ok)?;
        let address = format!("127.0.0.1:{port}");
        let (name, verb) = role.command();
        let listen = ["--listen".into(), address.clone().into()];
        let process = Process::spawn(Spec {
            name: name.to_owned(),
            program: settings.program.to_owned(),
            args: verb.iter().map(OsString::from).chain(listen).collect(),
            env: settings.env(),
            logs: settings.logs.to_owned(),
        })?;
        let server = Self { process, client: ApiClient::new(format!("http://{address}")) };
        wait::until("the API server to be ready", READY, async || {
            server.process.check()?;
            let answer = server.call("GET", "/readyz", None, None).await;
            Ok(answer.is_ok_and(|(status, _)| status == StatusCode::OK).then_some(()))
        })
        .await?;
        Ok(server)
    }

    /// The program.
    pub fn process(&self) -> &Process {
        &self.process
    }
}
