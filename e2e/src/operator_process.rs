//! The operator as a process of this machine, under the identity it has in production.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::charts::NAMESPACE;
use crate::process::{self, Process, Spec};
use crate::{ports, repository, wait};

/// The service account the operator runs as, in [`NAMESPACE`].
pub const SERVICE_ACCOUNT: &str = "nakhoda-operator";
/// The variable with the path of the program to test.
pub const PROGRAM: &str = "NAKHODA_OPERATOR";
/// How long it may take until it is ready.
const READY: Duration = Duration::from_mins(1);

/// How to run one.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// The built program.
    pub program: &'a Path,
    /// Whose rights it has.
    pub kubeconfig: &'a Path,
    /// Its settings file.
    pub config: &'a Path,
    /// Its name in the leader election; also its log's.
    pub identity: &'a str,
    /// The folder of its log.
    pub logs: &'a Path,
    /// Arguments added to those that it always has.
    pub args: Vec<OsString>,
    /// Variables added to its environment.
    pub env: Vec<(String, OsString)>,
}

/// A running operator. Dropping it stops it.
#[derive(Debug)]
pub struct Operator {
    process: Process,
    address: String,
}

impl Operator {
    /// Starts one; it may not be ready yet.
    pub fn start(settings: Settings<'_>) -> Result<Self> {
        let address = format!("127.0.0.1:{}", ports::free()?);
        let mut args: Vec<OsString> = vec!["run".into(), "--config".into(), settings.config.into()];
        for (flag, value) in
            [("--listen", address.as_str()), ("--identity", settings.identity), ("--namespace", NAMESPACE)]
        {
            args.extend([flag.into(), value.into()]);
        }
        args.extend(settings.args);
        let mut env = settings.env;
        env.push(("KUBECONFIG".to_owned(), settings.kubeconfig.into()));
        let spec = Spec {
            name: settings.identity.to_owned(),
            program: settings.program.to_owned(),
            args,
            env,
            logs: settings.logs.to_owned(),
        };
        Ok(Self { process: Process::spawn(spec)?, address })
    }

    /// Returns when `/readyz` says so, or fails with its last lines when it has ended.
    pub async fn until_ready(&self) -> Result<()> {
        wait::until("the operator's /readyz", READY, async || {
            self.process.check()?;
            let answer = self.get("/readyz").await;
            Ok(answer.ok().filter(|(status, _)| status.is_success()).map(drop))
        })
        .await
    }

    /// What one of its pages says: `/healthz`, `/readyz`, `/metrics`.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, String)> {
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let request = Request::get(format!("http://{}{path}", self.address)).body(Empty::new())?;
        let answer = client.request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process, to kill it as a crash would, or to learn of its end.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// The program to test: what `cargo dev test` built, else the one beside the running test's.
pub fn program() -> Result<PathBuf> {
    process::built(PROGRAM, "operator")
}

/// Writes the shipped settings, with what is `special` put over them as a JSON merge patch, to `path`.
pub fn write_settings(special: &Value, path: &Path) -> Result<()> {
    let shipped = repository::root().join("config/default.yaml");
    let mut settings: Value = serde_yaml::from_str(&fs::read_to_string(shipped)?)?;
    merge(&mut settings, special);
    fs::write(path, serde_json::to_string_pretty(&settings)?)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A JSON merge patch (RFC 7386).
fn merge(into: &mut Value, patch: &Value) {
    let (Value::Object(into), Value::Object(patch)) = (&mut *into, patch) else {
        *into = patch.clone();
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
