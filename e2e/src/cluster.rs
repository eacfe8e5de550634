//! How to reach a cluster: one the harness started, or somebody's own.

use std::fmt::Write;
use std::fs::{read_to_string, write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::Client;
use kube::config::Kubeconfig;

use crate::kubeconfig::{self, Server};

/// A cluster and the administrator's way in.
#[derive(Clone, Debug)]
pub struct Cluster {
    dir: PathBuf,
    server: Server,
}

impl Cluster {
    /// The cluster whose files stand in `dir`: `ControlPlane::start` or `cargo dev up` put them there,
    /// perhaps in another process.
    pub fn attach(dir: &Path) -> Result<Self> {
        let admin = dir.join("kubeconfigs/admin");
        let config = Kubeconfig::read_from(&admin)
            .with_context(|| format!("{} can't be read: is `cargo dev up` running?", admin.display()))?;
        Ok(Self { dir: dir.to_owned(), server: server_of(&config)? })
    }

    /// The folder of its files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the API server is.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The kubeconfig of an actor: `admin`, or whoever an identity was made for.
    pub fn kubeconfig(&self, actor: &str) -> PathBuf {
        self.dir.join("kubeconfigs").join(actor)
    }

    /// A client with all rights. A client belongs to the runtime it is made in: make one for each test.
    pub async fn admin(&self) -> Result<Client> {
        kubeconfig::client(&self.kubeconfig("admin")).await
    }

    /// The API server's audit log: a line of JSON for each request. Only where the harness runs the server.
    pub fn audit_log(&self) -> PathBuf {
        self.dir.join("audit/audit.log")
    }

    /// The folder of the programs' logs.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// What a shell sources to talk to this cluster as its administrator.
    pub fn write_env(&self, path: &Path, more: &[(&str, String)]) -> Result<()> {
        let mut text = format!(
            "# Written by `cargo dev up`; read it with: . {}\n\
             export KUBECONFIG='{}'\nexport PATH='{}':\"$PATH\"\n",
            path.display(),
            self.kubeconfig("admin").display(),
            self.dir.join("bin").display(),
        );
        for (name, value) in more {
            writeln!(text, "export {name}='{value}'")?;
        }
        write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The first cluster of a kubeconfig that has only one.
fn server_of(config: &Kubeconfig) -> Result<Server> {
    let cluster = config.clusters.first().and_then(|named| named.cluster.as_ref());
    let cluster = cluster.context("the kubeconfig names no cluster")?;
    let ca = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        (Some(data), _) => Some(String::from_utf8(STANDARD.decode(data)?)?),
        (None, Some(path)) => Some(read_to_string(path).with_context(|| format!("cannot read {path}"))?),
        (None, None) => None,
    };
    Ok(Server { url: cluster.server.clone().context("the kubeconfig's cluster has no server")?, ca })
}
