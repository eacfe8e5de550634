//! The programs a control plane needs: those already there, else built from the pins in `e2e/tools/`.

mod build;
mod go;
mod pins;

use std::env;
use std::fs::create_dir_all;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::story::Story;
use pins::Pin;

/// The paths of all programs.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is the path of the program it is named after")]
pub struct Tools {
    pub etcd: PathBuf,
    pub kube_apiserver: PathBuf,
    pub kube_controller_manager: PathBuf,
    pub kube_scheduler: PathBuf,
    pub kubelet: PathBuf,
    pub kube_proxy: PathBuf,
    pub kubectl: PathBuf,
    pub kwok: PathBuf,
    pub helm: PathBuf,
}

impl Tools {
    /// Finds every program, building what is missing; `story` tells what is built and for how long.
    /// Programs in the folder `KUBEBUILDER_ASSETS` names are used before our own.
    pub fn find_or_build(story: Story) -> Result<Self> {
        let cache = cache_dir()?;
        let pin = |pin: &Pin| build::installed(&cache, pin, story);
        let etcd = asset("etcd").map_or_else(|| pin(&pins::ETCD).map(|home| home.join("etcd")), Ok)?;
        let kubernetes = pin(&pins::KUBERNETES)?;
        Ok(Self {
            etcd,
            kube_apiserver: asset("kube-apiserver").unwrap_or_else(|| kubernetes.join("kube-apiserver")),
            kube_controller_manager: kubernetes.join("kube-controller-manager"),
            kube_scheduler: kubernetes.join("kube-scheduler"),
            kubelet: kubernetes.join("kubelet"),
            kube_proxy: kubernetes.join("kube-proxy"),
            kubectl: asset("kubectl").unwrap_or_else(|| kubernetes.join("kubectl")),
            kwok: pin(&pins::KWOK)?.join("kwok"),
            helm: pin(&pins::HELM)?.join("helm"),
        })
    }

    /// The metrics-server, which few need: it is a large build.
    pub fn find_or_build_metrics_server(story: Story) -> Result<PathBuf> {
        Ok(build::installed(&cache_dir()?, &pins::METRICS_SERVER, story)?.join("metrics-server"))
    }

    /// What runs beside kubelet and containerd on a real node.
    pub fn find_or_build_node(story: Story) -> Result<Node> {
        let cache = cache_dir()?;
        let pin = |pin: &Pin| Ok::<_, anyhow::Error>(build::installed(&cache, pin, story)?.join(pin.name));
        Ok(Node {
            coredns: pin(&pins::COREDNS)?,
            kube_router: pin(&pins::KUBE_ROUTER)?,
            local_path: pin(&pins::LOCAL_PATH)?,
            traefik: pin(&pins::TRAEFIK)?,
        })
    }

    /// Helm alone, for a cluster somebody else runs.
    pub fn find_or_build_helm(story: Story) -> Result<PathBuf> {
        Ok(build::installed(&cache_dir()?, &pins::HELM, story)?.join("helm"))
    }
}

/// The paths of the programs of a real node that no package of Debian has.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is the path of the program it is named after")]
pub struct Node {
    pub coredns: PathBuf,
    pub kube_router: PathBuf,
    pub local_path: PathBuf,
    pub traefik: PathBuf,
}

/// Links `programs` into `dir`, so that one entry on `PATH` has them all.
pub fn link_into(dir: &Path, programs: &[&Path]) -> Result<()> {
    create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for program in programs {
        let link = dir.join(program.file_name().context("a program has a file name")?);
        if link.symlink_metadata().is_ok() {
            std::fs::remove_file(&link)?;
        }
        symlink(program, &link).with_context(|| format!("cannot link {}", link.display()))?;
    }
    Ok(())
}

/// Where built programs are kept: `nakhoda` in the user's cache folder.
pub fn cache_dir() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => {
            PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set: set one")?)
                .join(".cache")
        }
    };
    Ok(base.join("nakhoda"))
}

fn asset(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os("KUBEBUILDER_ASSETS")?).join(name);
    path.is_file().then_some(path)
}
