//! `cargo dev up`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use crds::ServiceInstance;
use tokio::signal::unix::{SignalKind, signal};

use super::stage::Stage;
use super::{Only, cargo, own_cluster, preflight, sample, state};
use crate::charts::{self, NAMESPACE};
use crate::identity::Actor;
use crate::operator_process::{Operator, SERVICE_ACCOUNT, Settings};
use crate::people::{ADMINISTRATOR, PASSWORD, People, Start, Where};
use crate::story::Story;
use crate::walk::Walk;
use crate::{api_process, disk, process};

/// Free space a running control plane wants, in bytes.
const ROOM: u64 = disk::GIB;
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Use a cluster of one's own also when it looks like production
    #[arg(long)]
    yes: bool,
    /// Use this context of the kubeconfig, in the place of a control plane started here
    #[arg(long)]
    context: Option<String>,
    /// Start only this
    #[arg(long)]
    only: Option<Only>,
    /// Add a real node, on which containers run, beside the simulated ones (Linux, root)
    #[arg(long, conflicts_with = "context")]
    real_node: bool,
    /// The API server's port; without it a free one is chosen
    #[arg(long)]
    port: Option<u16>,
}

/// Runs until Ctrl-C or until one of the programs dies; either stops all.
pub(super) async fn run(options: Options) -> Result<ExitCode> {
    let dir = state::dir();
    let _lock = state::Lock::take(&dir)?;
    let story = Story::aloud();
    tokio::select! {
        ended = start(&options, &dir, story) => {
            ended?;
            story.step("all stopped; the data is kept");
            Ok(ExitCode::FAILURE)
        }
        name = interrupted() => {
            story.step(format!("{}: all stopped; the data is kept in .dev (`cargo dev down --purge` removes it)", name?));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Starts everything and stays; returns when a program has died, having told of it.
async fn start(options: &Options, dir: &Path, story: Story) -> Result<()> {
    for name in state::clean_up(dir) {
        story.step(format!("ended {name}, left by an earlier run that was killed"));
    }
    state::Doors::forget(dir);
    preflight::check(story)?;
    disk::require_free(dir, ROOM, "the control plane's data and logs")?;
    let stage = match own_cluster::select(options.context.as_deref(), options.yes, &dir.join("own"))? {
        Some(_) if options.real_node => {
            bail!("--real-node is for a control plane started here: unset KUBECONFIG")
        }
        Some(cluster) => Stage::own(cluster, story).await?,
        None => Stage::ours(options.port, dir, options.real_node, story).await?,
    };
    let running = match options.only {
        Some(Only::ControlPlane) => None,
        None => tokio::select! {
            running = play(&stage, dir, story) => Some(running?),
            died = stage.death() => bail!(died),
        },
    };
    if running.is_none() {
        story.step("up, as far as the control plane (--only control-plane); Ctrl-C stops it");
        story.detail("to talk to it:  . .dev/env && kubectl get nodes");
    }
    let died = match &running {
        Some((operator, people)) => tokio::select! {
            died = stage.death() => died,
            died = operator.process().died() => died,
            died = people.death() => died,
        },
        None => stage.death().await,
    };
    story.step(died);
    Ok(())
}

/// Charts, operator, samples: everything that needs an API server.
async fn play(stage: &Stage, dir: &Path, story: Story) -> Result<(Operator, People)> {
    let program = cargo::build_operator().await?;
    story.step("operator built");
    if stage.control_plane.is_some() {
        charts::forget_unfinished(&stage.cluster).await?;
    }
    charts::install(&stage.helm, &stage.cluster).await?;
    story.step(format!("charts installed into {NAMESPACE}"));
    let operator = start_operator(stage, &program).await?;
    story.step(format!("operator ready as {NAMESPACE}/{SERVICE_ACCOUNT} at http://{}", operator.address()));
    let api_server = cargo::build_api_server().await?;
    story.step("API server built");
    let api = Actor::service_account(&stage.cluster, NAMESPACE, api_process::SERVICE_ACCOUNT).await?;
    let kubeconfig = api.write_kubeconfig(&stage.cluster.kubeconfig("api-server"), None)?;
    let start =
        Start { program: &api_server, database: Where::Kept, kubeconfig: Some(&kubeconfig), env: &[] };
    let people = People::start(dir, story, start).await?;
    if let Some(control_plane) = &stage.control_plane {
        let ours = [operator.process()].into_iter().chain(people.processes());
        state::record(dir, control_plane.processes().chain(ours))?;
        let address = format!("http://{}", operator.address());
        let variables = [("NAKHODA_OPERATOR_URL", address), ("NAKHODA_API_URL", people.api.url())];
        stage.cluster.write_env(&dir.join("env"), &variables)?;
    }
    let walk = open_doors(stage, &people, dir)?;
    people.walk_administrator().await?;
    story.step(format!("administrator {ADMINISTRATOR} can log in (password: {PASSWORD})"));
    tokio::select! {
        walked = walk_all(stage, &walk, story) => {
            match walked {
                Ok(instance) => tell_what_next(stage, &people, &instance, story),
                Err(error) => tell_what_failed(&operator, &error, story),
            }
            Ok((operator, people))
        }
        died = operator.process().died() => bail!(died),
    }
}

/// A customer comes in, administrators and tools apply what they apply, then the customer buys.
async fn walk_all(stage: &Stage, walk: &Walk, story: Story) -> Result<ServiceInstance> {
    let customer = walk.come_in(story).await?;
    let instance = sample::walk(&stage.cluster, story, stage.simulated()).await?;
    walk.buy(story, &customer).await?;
    Ok(instance)
}

/// Notes where this story's doors are, for `cargo dev story`.
fn open_doors(stage: &Stage, people: &People, dir: &Path) -> Result<Walk> {
    let mails = dir.join("mails");
    if mails.exists() {
        std::fs::remove_dir_all(&mails)?;
    }
    let walk = people.doors(&mails, stage.simulated())?;
    let simulated = stage.control_plane.is_some();
    let doors =
        state::Doors { api: people.api.url(), gateway: people.gateway.url().to_owned(), mails, simulated };
    doors.write(dir)?;
    Ok(walk)
}

async fn start_operator(stage: &Stage, program: &Path) -> Result<Operator> {
    let actor = Actor::service_account(&stage.cluster, NAMESPACE, SERVICE_ACCOUNT).await?;
    let kubeconfig = actor.write_kubeconfig(&stage.cluster.kubeconfig("operator"), None)?;
    let logs = stage.cluster.logs();
    std::fs::create_dir_all(&logs)?;
    let operator = Operator::start(Settings {
        program,
        kubeconfig: &kubeconfig,
        config: &stage.settings(),
        identity: "operator",
        logs: &logs,
        args: Vec::new(),
        env: Vec::new(),
    })?;
    operator.until_ready().await?;
    Ok(operator)
}

fn tell_what_failed(operator: &Operator, error: &anyhow::Error, story: Story) {
    story.step(format!("the story stops here: {error:#}"));
    story.detail("the operator's last lines (`cargo dev logs operator` shows all):");
    println!("{}", process::tail(operator.process().log(), 5));
    story.detail("staying up, to be looked at; Ctrl-C stops everything");
}

fn tell_what_next(stage: &Stage, people: &People, instance: &crds::ServiceInstance, story: Story) {
    let name = instance.metadata.name.as_deref().unwrap_or_default();
    let namespace = instance.metadata.namespace.as_deref().unwrap_or_default();
    story.step("up; try in another terminal:");
    if stage.control_plane.is_some() {
        story.detail(". .dev/env");
    }
    story.detail("kubectl get tq,stpl,sp,si -A");
    story.detail(format!("kubectl -n {namespace} describe si {name}"));
    story.detail(format!(
        "kubectl -n {namespace} patch si {name} --type merge -p '{{\"spec\":{{\"powerState\":\"Stopped\"}}}}'"
    ));
    story.detail(format!("kubectl -n {namespace} get all,pvc,secret,networkpolicy"));
    story.detail(format!("the API and its page: {}/docs", people.api.url()));
    story.detail(format!(
        "the payment gateway's stand-in, whose pages of top-ups can be paid by hand: {}",
        people.gateway.url()
    ));
    story.detail("cargo dev story walks all of it again, as a new customer who cancels in the end");
    story.detail("cargo dev status · cargo dev logs operator · cargo dev logs api-server");
    story.detail("Ctrl-C stops everything");
}

/// Returns the name of the signal that asks us to end.
async fn interrupted() -> Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "asked to end",
        _ = hangup.recv() => "the terminal has gone",
    })
}
