//! All that sells: the API, its worker, PostgreSQL, mail, the operator and the control plane, each of which can be killed and is back at its address.

use std::fs::{create_dir_all, remove_dir_all, write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use e2e::api_client::ApiClient;
use e2e::api_process::{self, Role, Settings};
use e2e::charts::NAMESPACE;
use e2e::identity::Actor;
use e2e::mail_catcher::MailCatcher;
use e2e::people::{ADMINISTRATOR, home};
use e2e::postgres::{APPLICATION, Durability, OWNER, Postgres};
use e2e::postgres_proxy::PostgresProxy;
use e2e::{scratch, wait, walk};
use serde_json::json;
use tokio::task::block_in_place;

use super::program::{Common, Program};
use crate::world::{BOUND, RunningOperator, Turn, World};

const DATABASE: &str = "nakhoda";
/// What belongs to a process that is dead: its minutes are over at once here.
const LAPSE: &str = "
    update subscriptions set held_until = now() where held_until > now();
    update emails set next_attempt_at = now() where status = 'PENDING' and next_attempt_at > now()";

/// The server of the database, if it runs.
type Server = Arc<Mutex<Option<Postgres>>>;

/// All of it. Dropping it stops everything that is not the control plane's, and then removes the data.
pub(super) struct Shop {
    pub(super) api: Program,
    pub(super) worker: Program,
    pub(super) operator: RunningOperator,
    pub(super) mail: MailCatcher,
    /// What stands before PostgreSQL.
    pub(super) database: PostgresProxy,
    /// Calls the API, whichever process of it runs.
    pub(super) client: ApiClient,
    postgres: Server,
    port: u16,
    _home: Home,
    dir: PathBuf,
    pub(super) world: Turn,
}

/// A folder that goes when it is dropped.
struct Home(PathBuf);

impl Drop for Home {
    fn drop(&mut self) {
        // What is left is in a folder for things that are left.
        let _ = remove_dir_all(&self.0);
    }
}

impl Shop {
    /// Starts all of it.
    pub(super) async fn open(name: &str) -> Result<Self> {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        let dir = scratch::folder("purchase")?.join(name);
        let (logs, place) = (dir.join("logs"), Home(dir.clone()));
        create_dir_all(&logs)?;
        let program = api_process::program()?;
        // What was acknowledged must outlive the server's crash.
        let postgres = Postgres::start(&home(&dir)?, &logs, Durability::Kept).await?;
        postgres.make_database(DATABASE)?;
        api_process::migrate(&program, &postgres.url(OWNER, DATABASE))?;
        let secret = dir.join("secret");
        write(&secret, base64::engine::general_purpose::STANDARD.encode([7; 32]))?;
        let mail = MailCatcher::start().await?;
        let common = Common { program, secret, smtp: mail.url(), logs: logs.clone() };
        let database = PostgresProxy::start(postgres.port());
        let api = behind(&world, &database, &postgres, Role::Api, "api", &common).await?;
        let worker = behind(&world, &database, &postgres, Role::Worker, "worker", &common).await?;
        let direct = postgres.url(APPLICATION, DATABASE);
        let shop = Self {
            client: ApiClient::new(api.url()),
            api,
            worker,
            operator,
            mail,
            database,
            port: postgres.port(),
            postgres: Arc::new(Mutex::new(Some(postgres))),
            _home: place,
            dir,
            world,
        };
        shop.api.start().await?;
        shop.worker.start().await?;
        shop.let_administrator_in(&common, direct).await?;
        Ok(shop)
    }

    async fn let_administrator_in(&self, common: &Common, database: String) -> Result<()> {
        let body = json!({"email": ADMINISTRATOR, "password": e2e::people::PASSWORD, "name": "Administrator", "language": "EN"});
        self.client.must("POST", "/api/v1/auth/register", None, Some(&body)).await?;
        self.sql("update users set email_verified_at = now()")?;
        let Common { program, secret, logs, .. } = common;
        let settings =
            Settings { program, database, secret, smtp: None, kubeconfig: None, env: &[], port: None, logs };
        settings.make_administrator(ADMINISTRATOR, "Administrator")
    }

    /// The administrator's access token.
    pub(super) async fn administrator(&self) -> Result<String> {
        walk::log_in(&self.client, ADMINISTRATOR).await
    }

    /// The process of that name in the proxies.
    pub(super) fn program(&self, name: &str) -> Option<&Program> {
        [&self.api, &self.worker].into_iter().find(|program| program.name() == name)
    }

    /// Runs SQL as the superuser, past the proxy; what it answers, a line a row, a bar between columns.
    pub(super) fn sql(&self, sql: &str) -> Result<String> {
        let server = self.postgres.lock().unwrap_or_else(PoisonError::into_inner);
        let server = server.as_ref().context("PostgreSQL does not run")?;
        Ok(block_in_place(|| server.sql(DATABASE, sql))?.trim().to_owned())
    }

    /// Waits until what is asked is true, also while PostgreSQL is away.
    pub(super) async fn until(&self, what: &str, sql: &str) -> Result<()> {
        let mut said = Ok(String::new());
        let is_so = wait::until(what, BOUND * 2, async || {
            said = self.sql(sql);
            Ok(said.as_ref().is_ok_and(|said| said == "t").then_some(()))
        });
        let is_so = is_so.await;
        is_so.with_context(|| format!("the last answer was {said:?}"))
    }

    /// Kills PostgreSQL with all that it has begun.
    pub(super) fn kills_postgres(&self) -> impl Fn() + Send + Sync + 'static {
        let server = Arc::clone(&self.postgres);
        move || {
            if let Some(server) = server.lock().unwrap_or_else(PoisonError::into_inner).take() {
                server.process().kill();
            }
        }
    }

    /// Starts PostgreSQL again. It refuses to for as long as a process of the former one is there.
    pub(super) async fn restart_postgres(&self) -> Result<()> {
        let (home, logs) = (home(&self.dir)?, self.dir.join("logs"));
        let again = wait::until("PostgreSQL to be back", BOUND, async || {
            Ok(Postgres::start_at(&home, &logs, Durability::Kept, self.port).await.ok())
        });
        let again = again.await?;
        *self.postgres.lock().unwrap_or_else(PoisonError::into_inner) = Some(again);
        Ok(())
    }

    /// What a dead process had taken for a minute is free: nobody waits for that here.
    pub(super) fn lapse(&self) -> Result<()> {
        self.sql(LAPSE).map(drop)
    }

    /// All books are right.
    pub(super) async fn verify(&self) -> Result<()> {
        let said = self.api.verify().await?;
        ensure!(said.status.success(), "the books are wrong: {}", String::from_utf8_lossy(&said.stdout));
        Ok(())
    }
}

/// A process of the API behind both proxies.
async fn behind(
    world: &World,
    database: &PostgresProxy,
    postgres: &Postgres,
    role: Role,
    name: &str,
    common: &Common,
) -> Result<Program> {
    let cluster = world.cluster();
    let actor = Actor::service_account(cluster, NAMESPACE, api_process::SERVICE_ACCOUNT).await?;
    let port = world.proxy().actor(name)?;
    let path = cluster.kubeconfig(&format!("purchase-{name}"));
    let kubeconfig = actor.write_kubeconfig(&path, Some(&port.url))?;
    let direct = postgres.url(APPLICATION, DATABASE);
    let proxied = direct.replace(&format!(":{}/", postgres.port()), &format!(":{}/", database.open(name)?));
    Program::new(role, common.clone(), proxied, kubeconfig, port)
}
