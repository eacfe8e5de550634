//! What the operator costs with many instances, on a control plane of its own, each figure beside its floor: what the same
//! API server does, in the same run, without us. The operator speaks straight to the API server; what it asked is read from
//! the audit log. Times are told, never tested: this machine is shared.

mod calls;
mod floor;
mod footprint;
pub mod jobs;
pub mod logins;
mod orders;
mod report;
pub mod wallet;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crds::managers::CATALOGUE;
use crds::{ServiceInstance, TenantQuota, names};
use jiff::Timestamp;
use kube::{Api, Client};

use crate::charts::{self, NAMESPACE};
use crate::cluster::Cluster;
use crate::control_plane::{ControlPlane, Nodes, Size};
use crate::identity::Actor;
use crate::operator_process::{Operator, SERVICE_ACCOUNT, Settings};
use crate::story::Story;
use crate::tools::Tools;
use crate::{apply, repository, wait};
use calls::{Call, Calls, Mark};
use floor::Pattern;
use footprint::Footprint;
use orders::{Arrivals, Product};
use report::number;
pub use report::{Figure, Machine, Report};

/// For how long the operator must write nothing until it counts as settled.
const QUIET: Duration = Duration::from_secs(5);
/// What anything may take that does not grow with the number of instances.
const BOUND: Duration = Duration::from_mins(3);
/// The largest share of the run's size that the floor has: more would only take longer.
const FLOOR: usize = 500;

/// What to measure, and with what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many instances.
    pub instances: usize,
    /// How many tenants they belong to.
    pub tenants: usize,
    /// The plans that they are ordered by, in turn.
    pub plans: Vec<String>,
    /// How many writers the floor has: as many as the operator reconciles at once.
    pub writers: usize,
    /// For how long the idle operator is looked at.
    pub idle: Duration,
    /// The operator.
    pub program: PathBuf,
    /// A folder for the control plane's files; empty.
    pub dir: PathBuf,
}

/// Everything that is used throughout a run.
struct Run<'a> {
    plan: &'a Plan,
    story: Story,
    control_plane: ControlPlane,
    admin: Client,
    kubeconfig: PathBuf,
    calls: Calls,
    products: Vec<Product>,
    figures: Vec<Figure>,
    /// What was asked for while the instances converged.
    asked: BTreeMap<String, usize>,
}

/// Measures it all.
pub async fn run(plan: &Plan, story: Story) -> Result<Report> {
    ensure!(plan.instances >= plan.tenants && plan.tenants > 0, "every tenant has at least one instance");
    let machine = Machine::here();
    let mut run = Run::prepare(plan, story).await?;
    let operator = run.start_operator().await?;
    run.converge(&operator).await?;
    run.rest(&operator).await?;
    run.idle(&operator).await?;
    run.relist(&operator).await?;
    drop(operator);
    run.restart().await?;
    run.floor().await?;
    Ok(Report {
        instances: plan.instances,
        tenants: plan.tenants,
        plans: plan.plans.clone(),
        writers: plan.writers,
        machine,
        kubernetes: run.admin.apiserver_version().await?.git_version,
        optimised: !cfg!(debug_assertions),
        figures: run.figures,
        calls: run.asked,
    })
}

impl<'a> Run<'a> {
    /// A control plane with room for everything, charts, catalogue; no operator yet.
    async fn prepare(plan: &'a Plan, story: Story) -> Result<Self> {
        let catalogue = repository::root().join("config/catalog");
        let products = orders::products(&catalogue, &plan.plans)?;
        let pods: usize = products.iter().map(|product| product.pods).max().unwrap_or(1);
        // The floor's pods run beside the instances', and some room is left.
        let pods = (plan.instances + plan.instances.min(FLOOR)) * pods;
        let nodes = Nodes { count: pods / 100 + 2, cpu: 256, memory: 1024, pods: 110 };
        let tools = tokio::task::spawn_blocking(move || Tools::find_or_build(story)).await??;
        let size = Size { nodes, audit_mb: 8000, ..Size::default() };
        let control_plane = ControlPlane::start_sized(&plan.dir, None, &size, &tools, story).await?;
        let cluster = control_plane.cluster();
        charts::install(&tools.helm, cluster).await?;
        let admin = cluster.admin().await?;
        apply::folder(&admin, &catalogue, CATALOGUE).await?;
        let actor = Actor::service_account(cluster, NAMESPACE, SERVICE_ACCOUNT).await?;
        let kubeconfig = actor.write_kubeconfig(&cluster.kubeconfig("operator"), None)?;
        let calls = Calls::of(cluster.audit_log(), &actor.user());
        story.step("charts and catalogue applied");
        Ok(Self {
            plan,
            story,
            admin,
            kubeconfig,
            calls,
            products,
            control_plane,
            figures: Vec::new(),
            asked: BTreeMap::new(),
        })
    }

    fn cluster(&self) -> &Cluster {
        self.control_plane.cluster()
    }

    /// Starts the operator, which may not be ready yet.
    fn begin_operator(&self) -> Result<Operator> {
        Operator::start(Settings {
            program: &self.plan.program,
            kubeconfig: &self.kubeconfig,
            config: &repository::root().join("config/default.yaml"),
            identity: "operator",
            logs: &self.cluster().logs(),
            args: Vec::new(),
            env: Vec::new(),
        })
    }

    async fn start_operator(&self) -> Result<Operator> {
        let operator = self.begin_operator()?;
        operator.until_ready().await?;
        Ok(operator)
    }

    /// What all instances together may take.
    fn bound(&self) -> Duration {
        BOUND + Duration::from_secs(self.plan.instances as u64)
    }

    fn tell(&mut self, what: &'static str, value: f64, unit: &'static str, goal: &'static str) {
        self.story.detail(format!("{what}: {value:.2} {unit}"));
        self.figures.push(Figure { what, value, unit, floor: None, goal });
    }

    /// Tenants, then instances as fast as they are taken, until all of them serve and nothing is written any more.
    async fn converge(&mut self, operator: &Operator) -> Result<()> {
        let Plan { instances, tenants, .. } = *self.plan;
        let (opened, ready) =
            (Instant::now(), Arrivals::expect::<TenantQuota>(&self.admin, tenants, orders::is_ready));
        orders::open(&self.admin, tenants, instances.div_ceil(tenants)).await?;
        ready.times("all tenants to be Ready", self.bound()).await?;
        self.story.step(format!("{tenants} tenants Ready"));
        self.tell("tenants: first order to all Ready", opened.elapsed().as_secs_f64(), "s", "");
        let mark = self.calls.until_quiet(QUIET, self.bound()).await?;

        let cpu = Footprint::of(operator.process().pid()).cpu()?;
        let arrivals = Arrivals::expect::<ServiceInstance>(&self.admin, instances, orders::is_available);
        let begun = Instant::now();
        orders::order(&self.admin, instances, tenants, &self.products).await?;
        let ordered = begun.elapsed();
        let available = arrivals.times("all instances to be Available", self.bound()).await?;
        self.calls.until_quiet(QUIET, self.bound()).await?;
        self.story.step(format!("{instances} instances Available (on simulated nodes: no container runs)"));
        self.tell("orders: first to last taken", ordered.as_secs_f64(), "s", "");
        let last = available.last().map_or(Duration::ZERO, |last| last.duration_since(begun));
        let half = available.get(instances / 2).map_or(Duration::ZERO, |half| half.duration_since(begun));
        let cpu = Footprint::of(operator.process().pid()).cpu()?.saturating_sub(cpu);
        self.count_writes(mark)?;
        self.tell("first order to half of all Available", half.as_secs_f64(), "s", "");
        self.tell("first order to all Available", last.as_secs_f64(), "s", "");
        self.tell("operator's processor time meanwhile", cpu.as_secs_f64(), "s", "");
        Ok(())
    }

    /// How fast the operator wrote, and how much.
    fn count_writes(&mut self, mark: Mark) -> Result<()> {
        let calls = self.calls.since(mark)?;
        let writes: Vec<&Call> = calls.iter().filter(|call| call.is_write()).collect();
        let children: Vec<&Call> = writes.iter().copied().filter(|call| call.is_child_write()).collect();
        let refused = calls.iter().filter(|call| call.status >= 400 && call.status != 404).count();
        let reads = calls.iter().filter(|call| matches!(call.verb.as_str(), "get" | "list")).count();
        let mut of_each: BTreeMap<&(String, String), usize> = BTreeMap::new();
        for call in writes.iter().filter(|call| call.resource == "serviceinstances") {
            *of_each.entry(&call.object).or_default() += 1;
        }
        let (own, most) = (of_each.values().sum(), of_each.values().max().copied().unwrap_or_default());
        let took = span(&children);
        let mut asked = BTreeMap::new();
        for call in calls.iter().filter(|call| !call.begins) {
            *asked.entry(format!("{} {}", call.verb, call.resource)).or_insert(0) += 1;
        }
        let (writes, children) = (writes.len(), children.len());
        let each = number(self.plan.instances);
        self.asked = asked;
        self.tell("first to last child write", took, "s", "");
        self.tell("child writes per second", number(children) / took, "/s", "0.60 of the floor, aim 0.85");
        self.tell("all writes per second meanwhile", number(writes) / took, "/s", "");
        self.tell("child writes per instance", number(children) / each, "", "its children");
        self.tell("writes to the instance itself", number(own) / each, "", "≤ 4");
        self.tell("most writes to any one instance itself", number(most), "", "≤ 4");
        self.tell("reads per instance", number(reads) / each, "", "");
        self.tell("refused calls (404 apart)", number(refused), "", "");
        Ok(())
    }

    /// What it keeps in memory once it has settled.
    async fn rest(&mut self, operator: &Operator) -> Result<()> {
        let footprint = Footprint::of(operator.process().pid());
        self.calls.until_quiet(QUIET, self.bound()).await?;
        self.tell("memory at rest", mebibytes(footprint.resident()?), "MiB", "≤ 192 MiB");
        self.tell("highest memory while converging", mebibytes(footprint.peak()?), "MiB", "");
        Ok(())
    }

    /// What it asks for, and computes, when there is nothing to do.
    async fn idle(&mut self, operator: &Operator) -> Result<()> {
        let footprint = Footprint::of(operator.process().pid());
        let (mark, cpu, begun) = (self.calls.mark()?, footprint.cpu()?, Instant::now());
        tokio::select! {
            () = tokio::time::sleep(self.plan.idle) => {}
            died = operator.process().died() => anyhow::bail!(died),
        }
        let (cpu, took) = (footprint.cpu()?.saturating_sub(cpu), begun.elapsed().as_secs_f64());
        let calls = self.calls.since(mark)?;
        let asked = calls.iter().filter(|call| !call.begins && !call.is_apart()).count();
        let writes = calls.iter().filter(|call| call.is_write()).count();
        self.story.step(format!("looked at the idle operator for {took:.0} s"));
        self.tell("idle: requests per second, watches and lease apart", number(asked) / took, "/s", "≤ 1 /s");
        self.tell("idle: writes", number(writes), "", "0");
        self.tell("idle: share of a core", cpu.as_secs_f64() / took * 100.0, "%", "≤ 1 %");
        Ok(())
    }

    /// The API server killed and started again: every watch ends, everything is listed anew.
    async fn relist(&mut self, operator: &Operator) -> Result<()> {
        let footprint = Footprint::of(operator.process().pid());
        let watched = self.watched(Mark::START)?;
        footprint.forget_peak()?;
        let (mark, begun) = (self.calls.mark()?, Instant::now());
        self.control_plane.restart_api_server().await?;
        let answers = begun.elapsed();
        wait::until("every watch of the operator to be back", BOUND, async || {
            operator.process().check()?;
            Ok(self.watched(mark)?.is_superset(&watched).then_some(()))
        })
        .await?;
        let back = begun.elapsed();
        self.calls.until_quiet(QUIET, self.bound()).await?;
        let calls = self.calls.since(mark)?;
        let listed: BTreeSet<_> = calls.iter().filter(|call| call.verb == "list").map(Call::kind).collect();
        let listed = listed.intersection(&watched).count();
        let writes = calls.iter().filter(|call| call.is_write()).count();
        self.story.step("API server killed and started again");
        self.tell("API server killed to ready again", answers.as_secs_f64(), "s", "");
        self.tell("API server killed to every watch back", back.as_secs_f64(), "s", "≤ 60 s");
        self.tell("kinds listed anew", number(listed), "", "");
        self.tell("kinds watched", number(watched.len()), "", "");
        self.tell("highest memory meanwhile", mebibytes(footprint.peak()?), "MiB", "≤ 400 MiB");
        self.tell("writes after it", number(writes), "", "0");
        self.tell("memory at rest after it", mebibytes(footprint.resident()?), "MiB", "");
        Ok(())
    }

    /// The kinds that the operator has begun to watch since then.
    fn watched(&mut self, mark: Mark) -> Result<BTreeSet<(String, String)>> {
        let begun = self.calls.since(mark)?.iter().filter(|call| call.begins && call.status < 300);
        Ok(begun.map(Call::kind).collect())
    }

    /// The operator stopped and started again beside everything.
    async fn restart(&mut self) -> Result<()> {
        let (mark, begun) = (self.calls.mark()?, Instant::now());
        let operator = self.begin_operator()?;
        operator.until_ready().await?;
        let reconciled = async |count: u64| -> Result<f64> {
            wait::until("the operator to have looked at the instances", self.bound(), async || {
                operator.process().check()?;
                Ok((reconciles(&operator).await? >= count).then_some(()))
            })
            .await?;
            Ok(begun.elapsed().as_secs_f64())
        };
        let first = reconciled(1).await?;
        let all = reconciled(self.plan.instances as u64).await?;
        self.calls.until_quiet(QUIET, self.bound()).await?;
        let writes = self.calls.since(mark)?.iter().filter(|call| call.is_write()).count();
        let memory = Footprint::of(operator.process().pid()).resident()?;
        self.story.step("operator stopped and started again");
        self.tell("restart: start to first reconcile of an instance", first, "s", "≤ 5 s");
        self.tell("restart: start to all instances checked", all, "s", "≤ 20 s");
        self.tell("restart: writes", number(writes), "", "0");
        self.tell("restart: memory at rest", mebibytes(memory), "MiB", "≤ 192 MiB");
        Ok(())
    }

    /// What a plain generator reaches, the operator being stopped.
    async fn floor(&mut self) -> Result<()> {
        let mut patterns = Vec::new();
        for number in 0..self.products.len().min(self.plan.instances) {
            let namespace = names::tenant_namespace(&orders::tenant(number % self.plan.tenants));
            let instances: Api<ServiceInstance> = Api::namespaced(self.admin.clone(), &namespace);
            patterns.push(Pattern::of(&self.admin, &instances.get(&orders::instance(number)).await?).await?);
        }
        let like = patterns.first().context("something was ordered")?;
        let namespaces = floor::prepare(&self.admin, like, self.plan.tenants).await?;
        let all = self.calls.since(Mark::START)?;
        let mut kinds = BTreeSet::new();
        let watches: Vec<&Call> =
            all.iter().filter(|call| call.begins && kinds.insert(call.kind())).collect();
        let open = floor::watch_like(&self.admin, &watches).await?;
        let count = self.plan.instances.min(FLOOR);
        let floor = floor::write(&self.admin, &patterns, &namespaces, count, self.plan.writers).await?;
        drop(open);
        let rate = number(floor.writes) / floor.took.as_secs_f64();
        self.story.step(format!("the floor: {} writes in {:.1} s", floor.writes, floor.took.as_secs_f64()));
        for figure in &mut self.figures {
            match figure.what {
                "child writes per second" | "all writes per second meanwhile" => figure.floor = Some(rate),
                "child writes per instance" => figure.floor = Some(number(floor.writes) / number(count)),
                _ => {}
            }
        }
        self.tell("floor: writes per second", rate, "/s", "");
        self.tell("floor: size of an object", number(floor.bytes) / number(floor.writes), "B", "");
        Ok(())
    }
}

/// From the arrival of the first to the answer to the last, in seconds.
fn span(calls: &[&Call]) -> f64 {
    let first = calls.iter().map(|call| call.received).min().unwrap_or(Timestamp::MIN);
    let last = calls.iter().map(|call| call.answered).max().unwrap_or(Timestamp::MIN);
    last.duration_since(first).as_secs_f64()
}

fn mebibytes(bytes: u64) -> f64 {
    u32::try_from(bytes >> 10).map_or(f64::INFINITY, f64::from) / 1024.0
}

/// How often the instance controller has reconciled since its start, failures included.
async fn reconciles(operator: &Operator) -> Result<u64> {
    let text = operator.get("/metrics").await?.1;
    let lines = text.lines().filter(|line| {
        line.starts_with("nakhoda_operator_reconciles_total{") && line.contains("controller=\"instance\"")
    });
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}
