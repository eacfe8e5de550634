//! What is put under fire: two replicas of the API on one PostgreSQL, and the stand-in for the payment gateway. Each of them can be killed
//! as by a crash, and is back at the same address.

mod replicas;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::task::{block_in_place, spawn_blocking};

use super::caller::{Caller, Person};
use crate::api_process::{self, ApiServer};
use crate::midtrans::{Midtrans, Settings as Gateway};
use crate::people::{ADMINISTRATOR, home};
use crate::postgres::{APPLICATION, Durability, OWNER, Postgres};
use crate::{ports, wait};

const DATABASE: &str = "nakhoda";
const SERVER_KEY: &str = "SB-Mid-server-under-fire";
/// How long something that was killed may take until it is back.
const BACK: Duration = Duration::from_mins(2);
/// Whether anything is to be looked at yet. It waits in the database for a while, where that costs nothing.
const LOOK: &str = "
    do $$ begin
        for n in 1..20 loop
            exit when not exists (select from payment_notifications where state = 'RECEIVED');
            perform pg_sleep(0.1);
        end loop;
    end $$;
    select exists (select from payment_notifications where state = 'RECEIVED')";
/// How many replicas there are.
pub const REPLICAS: usize = 2;
/// How it is set up.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Whether what is written must outlive a crash of the machine.
    pub durability: Durability,
    /// How many customers there are.
    pub customers: usize,
    /// Whether each replica has the gateway tell the other one; else it tells whom the test names.
    pub tells_across: bool,
}

/// All of it. Dropping it stops everything; its folder stays.
#[derive(Debug)]
pub struct House {
    /// The gateway.
    pub gateway: Midtrans,
    /// Who may set things right.
    pub administrator: Person,
    /// Whose wallets they are.
    pub customers: Vec<Person>,
    /// Calls the replicas.
    pub caller: Caller,
    replicas: [Mutex<Option<ApiServer>>; REPLICAS],
    postgres: Mutex<Option<Postgres>>,
    dir: PathBuf,
    secret: PathBuf,
    plan: Plan,
    program: PathBuf,
    ports: [u16; REPLICAS],
    database: (String, u16),
}

impl House {
    /// Starts everything in a folder.
    pub async fn start(dir: &Path, plan: Plan) -> Result<Self> {
        let logs = dir.join("logs");
        fs::create_dir_all(&logs)?;
        let program = api_process::program()?;
        let postgres = Postgres::start(&home(dir)?, &logs, plan.durability).await?;
        postgres.make_database(DATABASE)?;
        api_process::migrate(&program, &postgres.url(OWNER, DATABASE))?;
        let secret = dir.join("secret");
        fs::write(&secret, base64::engine::general_purpose::STANDARD.encode([7; 32]))?;
        let ports = [ports::free()?, ports::free()?];
        let gateway = Midtrans::start(Gateway::new(SERVER_KEY)).await?;
        let mut house = Self {
            gateway,
            administrator: Person::new(ADMINISTRATOR),
            customers: (0..plan.customers)
                .map(|n| Person::new(format!("customer-{n}@nakhoda.test")))
                .collect(),
            caller: Caller::new(ports)?,
            replicas: [Mutex::new(None), Mutex::new(None)],
            database: (postgres.url(APPLICATION, DATABASE), postgres.port()),
            postgres: Mutex::new(Some(postgres)),
            dir: dir.to_owned(),
            secret,
            plan,
            program,
            ports,
        };
        for place in 0..REPLICAS {
            house.start_replica(place).await?;
        }
        house.let_in().await?;
        Ok(house)
    }

    /// Everybody comes in, with addresses that count as proven: no mail is sent here. One registers, and the others are made alike, for
    /// nobody may register hundreds.
    async fn let_in(&mut self) -> Result<()> {
        self.caller.register(&self.administrator).await?;
        self.sql("update users set email_verified_at = now()").await?;
        self.sql(&format!(
            "insert into users (id, email, name, language, password_hash, email_verified_at, created_at, updated_at)
             select gen_random_uuid(), 'customer-' || n || '@nakhoda.test', name, language, password_hash, now(), now(), now()
             from users, generate_series(0, {} - 1) n",
            self.customers.len()
        ))
        .await?;
        self.make_administrator()?;
        let ids = self.sql("select email, id from users").await?;
        let ids: HashMap<&str, &str> = ids.lines().filter_map(|line| line.split_once('|')).collect();
        for one in std::iter::once(&mut self.administrator).chain(&mut self.customers) {
            let id = ids.get(one.email.as_str()).context("everybody has an account")?;
            (*id).clone_into(&mut one.id);
        }
        let everybody = std::iter::once(&self.administrator).chain(&self.customers);
        self.caller.log_in_all(everybody).await
    }

    /// Kills a replica and starts it again.
    pub async fn kill_replica(&self, place: usize) -> Result<()> {
        let running = self.replicas[place].lock().await.take();
        spawn_blocking(move || running.map(|server| server.process().kill())).await?;
        self.start_replica(place).await
    }

    /// Kills PostgreSQL and starts it again. It refuses to for as long as a process of the former one is there.
    pub async fn kill_postgres(&self) -> Result<()> {
        let mut running = self.postgres.lock().await;
        let former = running.take();
        spawn_blocking(move || former.map(|server| server.process().kill())).await?;
        let (home, logs) = (home(&self.dir)?, self.dir.join("logs"));
        let again = wait::until("PostgreSQL to be back", BACK, async || {
            let port = self.database.1;
            Ok(Postgres::start_at(&home, &logs, self.plan.durability, port).await.ok())
        });
        *running = Some(again.await?);
        Ok(())
    }

    /// Runs SQL as the superuser; what it answers, a line a row, a bar between columns.
    pub async fn sql(&self, sql: &str) -> Result<String> {
        let running = self.postgres.lock().await;
        let server = running.as_ref().context("PostgreSQL runs")?;
        block_in_place(|| server.sql(DATABASE, sql))
    }

    /// Has the API verify all of its books by its own command.
    pub async fn verify(&self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command.args(["ledger", "verify", "--full"]).env("DATABASE_URL", &self.database.0).kill_on_drop(true);
        let done = command.stdin(Stdio::null()).output().await.context("cannot run the verification")?;
        ensure!(done.status.success(), "the books are wrong: {}", String::from_utf8_lossy(&done.stdout));
        Ok(())
    }

    /// Waits until what the gateway told is told, and was looked at.
    pub async fn settles(&self, bound: Duration) -> Result<()> {
        let told = async {
            self.gateway.idle().await;
            Ok::<_, anyhow::Error>(())
        };
        wait::within("all to be told", bound, told).await?;
        wait::until("all that was told to be looked at", bound, async || {
            Ok((self.sql(LOOK).await?.trim() == "f").then_some(()))
        })
        .await
    }
}
