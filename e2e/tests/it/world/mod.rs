//! What a story plays in: a control plane of its own with the charts and the catalogue, a fault proxy before it,
//! and the people who write. An operator is started by the story.

mod dns;
mod instance;
mod operator;
mod quota;
mod sale;
mod snapshot;
mod tenant;
mod write;

use std::fs::{create_dir_all, read_dir, remove_dir_all};
use std::future::Future;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use crds::instance::Phase;
use crds::managers::CATALOGUE;
use e2e::charts::NAMESPACE;
use e2e::cluster::Cluster;
use e2e::control_plane::ControlPlane;
use e2e::identity::Actor;
use e2e::operator_process::SERVICE_ACCOUNT;
use e2e::people::{Start, Where};
use e2e::proxy::{FaultProxy, ProxyConfig};
use e2e::story::Story;
use e2e::tools::Tools;
use e2e::{api_process, apply, charts, repository, scratch};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use tokio::task::spawn_blocking;

pub use dns::Dns;
pub use instance::{Instance, is_settled_in};
pub use operator::{RunningOperator, Setup};
pub use sale::{sell, sell_plan, sell_template, small};
pub use tenant::Tenant;
pub use write::{Place, Write};

/// How long anything may take that is not what a story is about.
pub const BOUND: Duration = Duration::from_mins(1);

/// Processes, proxies and clients outlive the test that made them, so they hang on no test's runtime.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().worker_threads(4).build().expect("a runtime can be had")
});

/// Plays a story on the runtime that all tests share.
pub fn block_on<F: Future>(story: F) -> F::Output {
    RUNTIME.block_on(story)
}

/// This machine's time, by which the operators of the stories act.
#[expect(clippy::disallowed_methods, reason = "the operator of the story reads this machine's clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Whether everything is to be proved (`just prove`), or only what fits into some minutes.
pub fn proves() -> bool {
    std::env::var_os("NAKHODA_PROVE").is_some_and(|value| value == "1")
}

/// A control plane, what stands before it, and who writes to it.
pub struct World {
    control_plane: ControlPlane,
    proxy: FaultProxy,
    operator: Actor,
    people: People,
}

/// Clients of those who write beside the operator, straight to the API server.
#[derive(Clone)]
pub(crate) struct People {
    /// May do everything.
    admin: Client,
    /// May say until when something is paid for.
    entitler: Client,
    /// The platform's API server, whose rights the operator binds in each tenant's namespace.
    billing: Client,
}

/// The API server with its database and its mail. Dropping it stops them and then removes their data.
pub struct Customers {
    everything: e2e::people::People,
    _home: Home,
}

/// A folder that goes when it is dropped.
struct Home(PathBuf);

impl Deref for Customers {
    type Target = e2e::people::People;

    fn deref(&self) -> &Self::Target {
        &self.everything
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What is left is in a folder for things that are left.
        let _ = remove_dir_all(&self.0);
    }
}

/// A world that the tests of a suite use one after the other.
type Shared = Mutex<Option<World>>;

/// A suite's turn in its world.
pub type Turn = MappedMutexGuard<'static, World>;

static FAULTS: Shared = Shared::const_new(None);
static STORIES: Shared = Shared::const_new(None);

impl World {
    /// Starts one: control plane, charts, catalogue, proxy; no operator yet.
    pub async fn start(name: &str) -> Result<Self> {
        let tools = spawn_blocking(|| Tools::find_or_build(Story::aloud())).await??;
        let dir = fresh_dir(name)?;
        let control_plane =
            ControlPlane::start(&dir, None, &tools, Story::quiet()).await.context("a world")?;
        let cluster = control_plane.cluster();
        charts::install(&tools.helm, cluster).await?;
        let admin = cluster.admin().await?;
        apply::folder(&admin, &repository::root().join("config/catalog"), CATALOGUE).await?;
        quota::counts_instances(&admin).await?;
        let operator = Actor::service_account(cluster, NAMESPACE, SERVICE_ACCOUNT).await?;
        let entitler = Actor::create(cluster, NAMESPACE, "e2e-entitler").await?;
        entitler.bind_everywhere(cluster, "nakhoda-entitler").await?;
        let billing = Actor::service_account(cluster, NAMESPACE, api_process::SERVICE_ACCOUNT).await?;
        let people = People { admin, entitler: entitler.client(None)?, billing: billing.client(None)? };
        let mut config = ProxyConfig::new(&cluster.server().url);
        if let Some(ca) = &cluster.server().ca {
            config = config.ca_pem(ca.as_bytes());
        }
        Ok(Self { proxy: FaultProxy::start(config)?, control_plane, operator, people })
    }

    /// The world of the suite that disturbs the operator's calls.
    pub async fn shared_faults() -> Result<Turn> {
        turn(&FAULTS, "faults").await
    }

    /// The world of the other suites.
    pub async fn shared_stories() -> Result<Turn> {
        turn(&STORIES, "stories").await
    }

    /// How to reach the control plane.
    pub fn cluster(&self) -> &Cluster {
        self.control_plane.cluster()
    }

    /// The control plane itself, to start and stop parts of it.
    pub fn control_plane(&mut self) -> &mut ControlPlane {
        &mut self.control_plane
    }

    /// What stands between the operators and the API server; the actors are `operator-a`, `operator-b`, …
    pub fn proxy(&self) -> &FaultProxy {
        &self.proxy
    }

    /// A client with all rights, straight to the API server.
    pub fn admin(&self) -> Client {
        self.people.admin.clone()
    }

    /// The identity that operators run under.
    pub fn operator_identity(&self) -> &Actor {
        &self.operator
    }

    /// Starts an operator called `operator-<letter>` and waits until it is ready. The same letter is the same
    /// candidate in the leader election.
    pub async fn operator(&self, letter: &str) -> Result<RunningOperator> {
        self.operator_as(letter, Setup::default()).await
    }

    /// The same with settings put over the shipped ones.
    pub async fn operator_with(&self, letter: &str, settings: &Value) -> Result<RunningOperator> {
        self.operator_as(letter, Setup { settings: settings.clone(), ..Setup::default() }).await
    }

    /// The same, with settings or arguments of its own.
    pub async fn operator_as(&self, letter: &str, setup: Setup) -> Result<RunningOperator> {
        RunningOperator::start(self, letter, setup).await
    }

    /// Applies a tenant and waits until it is Ready, which takes an operator.
    pub async fn tenant(&self, name: &str, limits: Value) -> Result<Tenant> {
        Tenant::apply(self.people.clone(), name, limits).await
    }

    /// The instance of that name in a namespace `customer-<tenant>` that no tenant stands behind.
    pub fn nobodys(&self, tenant: &str, name: &str) -> Instance {
        Tenant::unmade(self.people.clone(), tenant).named(name)
    }

    /// A tenant that somebody else has made.
    pub fn tenant_of(&self, name: &str) -> Tenant {
        Tenant::unmade(self.people.clone(), name)
    }

    /// A tenant with one PostgreSQL that serves.
    pub async fn tenant_with_db(&self, name: &str) -> Result<(Tenant, Instance)> {
        let limits = json!({"instances": 5, "cpu": "10", "memory": "10Gi", "storage": "1Ti"});
        let tenant = self.tenant(name, limits).await?;
        let db = self.instance(&tenant, "db", json!({"planRef": "postgresql-small"})).await?;
        db.entitle().await?;
        db.settled_in(Phase::Running, BOUND).await?;
        Ok((tenant, db))
    }

    /// Starts PostgreSQL, a mail catcher and the API server, which has its own rights in this cluster.
    pub async fn customers(&self, name: &str) -> Result<Customers> {
        let cluster = self.cluster();
        let actor = Actor::service_account(cluster, NAMESPACE, api_process::SERVICE_ACCOUNT).await?;
        let kubeconfig = actor.write_kubeconfig(&cluster.kubeconfig(&format!("api-{name}")), None)?;
        let home = scratch::folder("customers")?.join(name);
        let program = api_process::program()?;
        let start =
            Start { program: &program, database: Where::Forgotten, kubeconfig: Some(&kubeconfig), env: &[] };
        let everything = e2e::people::People::start(&home, Story::quiet(), start).await?;
        everything.walk_administrator().await?;
        Ok(Customers { everything, _home: Home(home) })
    }

    /// Orders an instance; `spec` is the whole spec.
    pub async fn instance(&self, tenant: &Tenant, name: &str, spec: Value) -> Result<Instance> {
        tenant.instance(name, spec).await
    }
}

/// Waits for a suite's turn. What the test before left is cleared away.
async fn turn(shared: &'static Shared, name: &str) -> Result<Turn> {
    let mut world = shared.lock().await;
    match &*world {
        Some(world) => world.proxy.clear_rules(),
        None => *world = Some(World::start(name).await?),
    }
    MutexGuard::try_map(world, Option::as_mut).ok().context("the world was made just now")
}

/// A folder for this process, those of dead ones removed. Logs stay until the next run.
fn fresh_dir(name: &str) -> Result<PathBuf> {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("worlds");
    for entry in read_dir(&all).into_iter().flatten().flatten() {
        let alive = Path::new("/proc").join(entry.file_name()).exists();
        if !alive {
            // Another run may be removing the same one.
            let _ = remove_dir_all(entry.path());
        }
    }
    let dir = all.join(std::process::id().to_string()).join(name);
    create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    Ok(dir)
}
