//! A real Kubernetes control plane: etcd, kube-apiserver, controller-manager, scheduler,
//! and KWOK with simulated nodes.

mod api_server;
mod controllers;
mod etcd;
mod metrics_server;
mod nodes;
mod shared;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::create_dir_all;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::FutureExt;
use futures::future::select_all;
use http::Request;
use nix::sys::signal::Signal;
use tokio::task::spawn_blocking;

use crate::charts;
use crate::cluster::Cluster;
use crate::kubeconfig::{self, Credential, Server};
use crate::pki::Pki;
use crate::ports;
use crate::process::{Process, Spec};
use crate::story::Story;
use crate::tools::Tools;
use crate::wait;

pub use nodes::{NODE_LABEL, Nodes};
pub use shared::{installed, shared};

/// How long the API server may take until it is ready.
const READY: Duration = Duration::from_mins(1);

/// A running control plane. Dropping it stops its programs; its data stays.
#[derive(Debug)]
pub struct ControlPlane {
    cluster: Cluster,
    tools: Tools,
    /// Stopped first, and all at once.
    controllers: Vec<Process>,
    /// Where stories ask for one.
    metrics_server: Option<Process>,
    /// The port at which KWOK answers for the kubelets.
    kubelets: u16,
    api_server: Process,
    etcd: Process,
    listens: Listens,
}

/// How the API server was started, to start it so again.
#[derive(Clone, Debug)]
struct Listens {
    store: String,
    port: u16,
    audit_mb: u32,
    real_nodes: bool,
}

/// What a control plane has room for.
#[derive(Clone, Debug)]
pub struct Size {
    /// The simulated nodes.
    pub nodes: Nodes,
    /// The most that a file of the audit log may have, in MB. One file for all but the longest runs, so that a count reads
    /// one file.
    pub audit_mb: u32,
    /// Whether nodes on which containers run will come beside the simulated ones: pods then go to those alone.
    pub real_nodes: bool,
}

impl Default for Size {
    fn default() -> Self {
        Self { nodes: Nodes::default(), audit_mb: 500, real_nodes: false }
    }
}

/// What every program's start needs to know.
struct Site<'a> {
    dir: &'a Path,
    tools: &'a Tools,
    pki: &'a Pki,
}

impl ControlPlane {
    /// Starts everything in `dir`, with the data an earlier run left there, and returns when the
    /// nodes are Ready. `port` is the API server's; without one a free one is taken.
    pub async fn start(dir: &Path, port: Option<u16>, tools: &Tools, story: Story) -> Result<Self> {
        Self::start_sized(dir, port, &Size::default(), tools, story).await
    }

    /// The same, with room for more, or less.
    pub async fn start_sized(
        dir: &Path,
        port: Option<u16>,
        room: &Size,
        tools: &Tools,
        story: Story,
    ) -> Result<Self> {
        for part in ["logs", "audit", "kubeconfigs"] {
            create_dir_all(dir.join(part))
                .with_context(|| format!("cannot make {}", dir.join(part).display()))?;
        }
        let pki = Pki::open(&dir.join("pki"))?;
        let site = Site { dir, tools, pki: &pki };
        let (etcd, address) = etcd::start(&site)?;
        let port = port.map_or_else(ports::free, ports::exactly)?;
        let server =
            Server { url: format!("https://127.0.0.1:{port}"), ca: Some(std::fs::read_to_string(pki.ca())?) };
        let Size { nodes: _, audit_mb, real_nodes } = *room;
        let listens = Listens { store: address, port, audit_mb, real_nodes };
        let api_server = api_server::start(&site, &listens)?;
        site.write_kubeconfig("admin", "nakhoda-dev-admin", Some("system:masters"), &server)?;
        let cluster = Cluster::attach(dir)?;
        let mut control_plane = Self {
            cluster,
            tools: tools.clone(),
            controllers: Vec::new(),
            metrics_server: None,
            kubelets: ports::free()?,
            api_server,
            etcd,
            listens,
        };
        control_plane.until_ready().await?;
        story.step(format!("API server ready at {}", server.url));

        let admin = control_plane.cluster.admin().await?;
        // The controller-manager counts objects for quotas by the kinds that it finds when it starts; of later ones it learns
        // within half a minute only.
        charts::forget_unfinished(&control_plane.cluster).await?;
        charts::install_types(&tools.helm, &control_plane.cluster).await?;
        nodes::declare(&admin, &room.nodes, room.real_nodes).await?;
        control_plane.controllers = controllers::start(&site, &server, control_plane.kubelets)?;
        let nodes = nodes::until_ready(&admin, &room.nodes);
        tokio::select! {
            ready = nodes => ready?,
            death = control_plane.death() => anyhow::bail!(death),
        }
        story.step(format!("{} nodes Ready (simulated by KWOK)", room.nodes.count));
        Ok(control_plane)
    }

    /// Starts a metrics-server, built now if it is not there yet, and returns when it is found.
    pub async fn start_metrics_server(&mut self) -> Result<()> {
        let program = spawn_blocking(|| Tools::find_or_build_metrics_server(Story::aloud())).await??;
        let dir = self.cluster.dir();
        let pki = Pki::open(&dir.join("pki"))?;
        let site = Site { dir, tools: &self.tools, pki: &pki };
        let admin = self.cluster.admin().await?;
        let server = self.cluster.server();
        let process = metrics_server::start(&site, &program, server, self.kubelets, &admin).await?;
        metrics_server::until_ready(&process, &admin).await?;
        self.metrics_server = Some(process);
        Ok(())
    }

    /// Ends the metrics-server; `forget`: also that there ever was one. Otherwise the API server goes on looking for it.
    pub async fn stop_metrics_server(&mut self, forget: bool) -> Result<()> {
        self.metrics_server = None;
        if forget {
            metrics_server::unregister(&self.cluster.admin().await?).await?;
        }
        Ok(())
    }

    /// The API server's port on the loopback address.
    pub fn port(&self) -> u16 {
        self.listens.port
    }

    /// The port at which KWOK answers for the kubelets of simulated nodes; a real one in a network of its own listens at the
    /// same, so that who asks kubelets needs to know one.
    pub fn kubelets(&self) -> u16 {
        self.kubelets
    }

    /// How to reach it.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The programs it was started with; Helm and kubectl are among them.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// Returns when one of its programs has ended, with that program's last lines.
    pub async fn death(&self) -> String {
        let deaths = self.processes().map(|process| process.died().boxed());
        select_all(deaths).await.0
    }

    /// All its programs.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.controllers.iter().chain([&self.api_server, &self.etcd])
    }

    /// Kills the API server as a crash would, and starts it again with the same data at the same address: every watch ends,
    /// and what was missed meanwhile has to be listed anew. Returns when it is ready.
    pub async fn restart_api_server(&mut self) -> Result<()> {
        self.api_server.kill();
        let dir = self.cluster.dir().to_owned();
        let pki = Pki::open(&dir.join("pki"))?;
        let site = Site { dir: &dir, tools: &self.tools, pki: &pki };
        self.api_server = api_server::start(&site, &self.listens)?;
        self.until_ready().await
    }

    async fn until_ready(&self) -> Result<()> {
        let admin = self.cluster.admin().await?;
        wait::until("the API server's /readyz", READY, async || {
            self.etcd.check()?;
            self.api_server.check()?;
            let answer = admin.request_text(Request::get("/readyz").body(Vec::new())?).await;
            Ok(answer.ok().filter(|text| text == "ok").map(drop))
        })
        .await
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.metrics_server = None;
        for process in &self.controllers {
            process.signal(Signal::SIGTERM);
        }
        self.controllers.clear();
        if self.etcd.check().is_err() {
            // Without its store it would wait for it instead of ending.
            self.api_server.kill();
        }
        self.api_server.stop();
        self.etcd.stop();
    }
}

impl Site<'_> {
    /// What to run under `name`, with its log in the usual place.
    fn spec(&self, name: &str, program: &Path, args: Vec<OsString>) -> Spec {
        Spec {
            name: name.to_owned(),
            program: program.to_owned(),
            args,
            env: Vec::new(),
            logs: self.dir.join("logs"),
        }
    }

    /// A kubeconfig with a client certificate of its own.
    fn write_kubeconfig(
        &self,
        file: &str,
        user: &str,
        group: Option<&str>,
        server: &Server,
    ) -> Result<PathBuf> {
        let (certificate, key) = self.pki.client(user, group)?;
        let path = self.dir.join("kubeconfigs").join(file);
        kubeconfig::write_file(&path, user, server, &Credential::Certificate(certificate, key))?;
        Ok(path)
    }
}

/// `--name=value`, for programs of the Go world.
pub(crate) fn flag(name: &str, value: impl AsRef<std::ffi::OsStr>) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value);
    flag
}
