//! A real node beside the simulated ones, on which containers run: kubelet, containerd and runc, kube-proxy, `CoreDNS`, a
//! provisioner of volumes, an ingress controller, and what enforces network policies. Each is the program that clusters run,
//! from Debian or built from pins; each runs in namespaces of the node's own (see `house`).

mod cgroups;
mod containerd;
mod dns;
mod house;
mod images;
mod ingress;
mod kubelet;
mod left;
mod packages;
mod policies;
mod storage;
mod wire;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use cgroups::Groups;
use house::{House, WITHIN};
use images::Archive;
use wire::Wire;

use crate::control_plane::ControlPlane;
use crate::kubeconfig::{self, Credential, Server};
use crate::pki::Pki;
use crate::process::Process;
use crate::story::Story;
use crate::tools::{Node as Programs, Tools};

pub use images::{CATALOGUE, Image};
pub use storage::CLASS;

/// The node's name.
pub const NAME: &str = "real-1";
/// Who wrote what is made here.
const MANAGER: &str = "nakhoda-dev";
/// How long containers may take to end before they are killed.
const GRACE: Duration = Duration::from_secs(20);

/// A running node. Dropping it stops it; its data stays.
#[derive(Debug)]
pub struct RealNode {
    /// In the order in which they end: the kubelet first, so that nothing is started again.
    programs: Vec<Process>,
    containerd: Process,
    wire: Wire,
    house: House,
    /// Ends last: whatever is in it must have ended.
    groups: Groups,
}

/// What each program's start needs to know.
struct Site<'a> {
    house: &'a House,
    wire: &'a Wire,
    groups: &'a Groups,
    programs: &'a Programs,
    kubelet: PathBuf,
    kube_proxy: PathBuf,
    pki: Pki,
    server: Server,
    node: String,
}

/// What a node takes that is not in the repository: packages, programs, images.
#[derive(Clone, Debug)]
pub struct Supplies {
    programs: Programs,
    images: Vec<Archive>,
}

/// Finds, installs or builds all that a node with these images takes. Heavy the first time.
pub fn prepare(images: &[Image], story: Story) -> Result<Supplies> {
    packages::install(story)?;
    let programs = Tools::find_or_build_node(story)?;
    let images =
        images::GROUND.iter().chain(images).map(|image| image.built(story)).collect::<Result<_>>()?;
    Ok(Supplies { programs, images })
}

impl RealNode {
    /// Starts it in `dir`, with the data an earlier run left there, beside `control_plane`, and returns when it is Ready and
    /// has its images.
    pub async fn start(
        dir: &Path,
        control_plane: &ControlPlane,
        supplies: &Supplies,
        story: Story,
    ) -> Result<Self> {
        let cluster = control_plane.cluster();
        let house = House::build(dir, &cluster.logs()).await?;
        let wire = Wire::lay(&house, control_plane.port()).await?;
        let groups = Groups::make(wire.slot(), &wire.device())?;
        let containerd = containerd::start(&house).await?;
        bring(&house, &supplies.images, story)?;
        let mut node = Self { programs: Vec::new(), containerd, wire, house, groups };
        node.populate(control_plane, &supplies.programs, story).await?;
        Ok(node)
    }

    async fn populate(
        &mut self,
        control_plane: &ControlPlane,
        programs: &Programs,
        story: Story,
    ) -> Result<()> {
        let cluster = control_plane.cluster();
        let server = Server {
            url: format!("https://{}:{}", self.wire.here(), control_plane.port()),
            ca: cluster.server().ca.clone(),
        };
        let site = Site {
            house: &self.house,
            wire: &self.wire,
            groups: &self.groups,
            programs,
            kubelet: control_plane.tools().kubelet.clone(),
            kube_proxy: control_plane.tools().kube_proxy.clone(),
            pki: Pki::open(&cluster.dir().join("pki"))?,
            server,
            node: NAME.to_owned(),
        };
        fs::copy(site.pki.ca(), self.house.file("etc/ca.crt"))?;
        let admin = cluster.admin().await?;
        self.programs.push(kubelet::start(&site, control_plane.kubelets(), &admin).await?);
        story.step(format!("node {NAME} Ready: containers run on it, at {}", self.wire.there()));
        self.programs.push(kubelet::start_proxy(&site)?);
        self.programs.push(policies::start(&site)?);
        self.programs.push(dns::start(&site, &admin).await?);
        self.programs.push(storage::start(&site, &admin).await?);
        self.programs.push(ingress::start(&site, &admin).await?);
        story.step("kube-proxy, DNS, volumes, network policies and ingress controller started");
        Ok(())
    }

    /// Its address, at which the ingress controller listens too.
    pub fn address(&self) -> Ipv4Addr {
        self.wire.there()
    }

    /// What an operator's settings must say for apps to run here.
    pub fn settings(&self) -> Value {
        let node = json!([{"ipBlock": {"cidr": format!("{}/32", self.wire.there())}},
            {"ipBlock": {"cidr": "10.244.0.1/32"}}]);
        json!({
            "ingress": {"className": ingress::CLASS, "from": node, "annotations": ingress::annotations()},
            "network": {"dnsTo": node},
            "images": {"mirrors": images::mirrors()},
        })
    }

    /// Its programs.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.programs.iter().chain([&self.containerd, self.house.process()])
    }

    /// What a container of a pod has in use, in bytes, as its control group counts it: all but what the kernel could take back
    /// of inactive files, as the kubelet counts a working set.
    pub fn memory_in_use(&self, pod: &str, container: &str) -> Result<f64> {
        self.groups.memory_in_use(pod, container)
    }

    /// Runs a program within the node, to its end; what it printed.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        self.house.run(program, args)
    }
}

impl Drop for RealNode {
    /// Ends it in order: containers are asked to end before they are killed, so that databases close what they have open.
    fn drop(&mut self) {
        self.programs.clear();
        // What has not ended by then is killed with all the rest.
        let _ = containerd::end_all(&self.house, GRACE);
    }
}

/// What of nodes is left on this machine: control groups, network devices, mounts, and processes of theirs.
pub fn left() -> Result<Vec<String>> {
    left::find()
}

/// Takes away what nodes left whose harness was killed, and whoever was to take it away as well.
pub fn sweep() -> Vec<String> {
    cgroups::remove_dead()
}

/// Brings in the images that are not there yet.
fn bring(house: &House, images: &[Archive], story: Story) -> Result<()> {
    let there = containerd::images(house)?;
    for Archive { name, path } in images.iter().filter(|image| !there.contains(&image.name)) {
        let start = Instant::now();
        containerd::import(house, path).with_context(|| format!("the image {name}"))?;
        story.step(format!("image {name} brought to the node in {:.1} s", start.elapsed().as_secs_f64()));
    }
    Ok(())
}

impl Site<'_> {
    /// A kubeconfig with a client certificate of its own, by which the API server is reached from within; its path there.
    fn kubeconfig(&self, file: &str, user: &str, group: Option<&str>) -> Result<String> {
        let (certificate, key) = self.pki.client(user, group)?;
        let name = format!("kubeconfigs/{file}");
        let credential = Credential::Certificate(certificate, key);
        let path = self.house.file(&format!("etc/{name}"));
        kubeconfig::write_file_by_name(&path, user, &self.server, &credential, "localhost")?;
        Ok(format!("{WITHIN}/etc/{name}"))
    }

    /// A certificate for a server of the node, and its key; their paths within.
    fn serving(&self, name: &str, hosts: &[&str]) -> Result<(String, String)> {
        let (certificate, key) = self.pki.server(name, hosts)?;
        for (from, file) in [(certificate, format!("{name}.crt")), (key, format!("{name}.key"))] {
            fs::copy(&from, self.house.file(&format!("etc/{file}"))).context("cannot copy a certificate")?;
        }
        Ok((format!("{WITHIN}/etc/{name}.crt"), format!("{WITHIN}/etc/{name}.key")))
    }
}
