//! Where the story of `up` plays.

use std::path::{Path, PathBuf};

use anyhow::Result;
use futures::future::{Either, pending};
use tokio::task::spawn_blocking;

use super::state;
use crate::cluster::Cluster;
use crate::control_plane::{ControlPlane, Size};
use crate::real_node::{self, RealNode};
use crate::story::Story;
use crate::tools::{self, Tools};
use crate::{operator_process, repository};

/// Said beside every claim about a pod that is only simulated.
pub(super) const SIMULATED: &str = " (on simulated nodes: KWOK says so, no container runs)";

/// Where the story plays: on a control plane started here, or on somebody's cluster.
pub(super) struct Stage {
    /// On which containers run, beside the simulated ones. It ends before the control plane does.
    pub(super) node: Option<RealNode>,
    /// The operator's settings.
    settings: PathBuf,
    /// Ours; none on somebody's own cluster.
    pub(super) control_plane: Option<ControlPlane>,
    pub(super) cluster: Cluster,
    pub(super) helm: PathBuf,
}

impl Stage {
    /// Starts a control plane in `dir`, with a real node beside the simulated ones where one is asked for.
    pub(super) async fn ours(port: Option<u16>, dir: &Path, real: bool, story: Story) -> Result<Self> {
        let ready = if real {
            // n8n is shipped disabled, and its image is by far the largest.
            let images: Vec<_> =
                real_node::CATALOGUE.into_iter().filter(|image| image.recipe != "n8n").collect();
            Some(spawn_blocking(move || real_node::prepare(&images, story)).await??)
        } else {
            None
        };
        let tools = spawn_blocking(move || Tools::find_or_build(story)).await??;
        story.step("programs found");
        tools::link_into(&dir.join("bin"), &[&tools.kubectl, &tools.helm])?;
        let size = Size { real_nodes: real, ..Size::default() };
        let control_plane = ControlPlane::start_sized(dir, port, &size, &tools, story).await?;
        let node = match &ready {
            Some(ready) => Some(RealNode::start(&dir.join("node"), &control_plane, ready, story).await?),
            None => None,
        };
        let settings = dir.join("operator.yaml");
        let special = node.as_ref().map_or_else(|| serde_json::json!({}), RealNode::settings);
        operator_process::write_settings(&special, &settings)?;
        state::record(dir, control_plane.processes())?;
        let cluster = control_plane.cluster().clone();
        cluster.write_env(&dir.join("env"), &[])?;
        Ok(Self { node, settings, control_plane: Some(control_plane), cluster, helm: tools.helm })
    }

    /// Takes a cluster as it is.
    pub(super) async fn own(cluster: Cluster, story: Story) -> Result<Self> {
        let helm = spawn_blocking(move || Tools::find_or_build_helm(story)).await??;
        let version = cluster.admin().await?.apiserver_version().await?;
        story.step(format!("using the cluster at {} ({})", cluster.server().url, version.git_version));
        let settings = repository::root().join("config/default.yaml");
        Ok(Self { node: None, settings, control_plane: None, cluster, helm })
    }

    /// Returns when a program of the control plane has ended; never on somebody's own cluster.
    pub(super) async fn death(&self) -> String {
        match &self.control_plane {
            Some(control_plane) => Either::Left(control_plane.death()),
            None => Either::Right(pending()),
        }
        .await
    }

    /// The file of the operator's settings.
    pub(super) fn settings(&self) -> PathBuf {
        self.settings.clone()
    }

    /// What to add to a claim about a pod.
    pub(super) fn simulated(&self) -> &'static str {
        if self.control_plane.is_some() && self.node.is_none() { SIMULATED } else { "" }
    }
}
