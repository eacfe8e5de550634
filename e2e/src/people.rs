//! The part of the story that plays between people and the API: PostgreSQL, mail, an administrator, and a customer who registers,
//! proves an address, logs in and tops up a wallet, at a stand-in for the payment gateway.

use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use serde_json::{Value, json};

use crate::api_process::{self, ApiServer, Settings};
use crate::mail_catcher::MailCatcher;
use crate::midtrans::{self, Act, Method, Midtrans};
use crate::postgres::{APPLICATION, Durability, OWNER, Postgres};
use crate::process::Process;
use crate::story::Story;
use crate::wait;

const DATABASE: &str = "nakhoda";
/// Good enough where nobody can reach it from outside.
pub const PASSWORD: &str = "kapal layar putih 7";
/// The administrator's address.
pub const ADMINISTRATOR: &str = "admin@nakhoda.test";
/// The key of the gateway's stand-in.
pub const SERVER_KEY: &str = "SB-Mid-server-nakhoda-stand-in";
/// What the customer of the story pays in, in rupiah.
const TOP_UP: i64 = 500_000;
/// How long it may take until what was paid is in the wallet.
const PAID: Duration = Duration::from_secs(30);
/// What the customer of the story buys.
const PLAN: &str = "ghost-small";
/// How long it may take until it can be bought.
const SOLD: Duration = Duration::from_secs(30);
/// How long it may take until it is there; a promise to customers is two to five minutes.
const ACTIVE: Duration = Duration::from_mins(5);
/// How long a mail may take.
const MAIL: Duration = Duration::from_secs(30);

/// What runs for people. Dropping it stops it, the API server first.
#[derive(Debug)]
pub struct People {
    /// The API server.
    pub api: ApiServer,
    /// Where mail goes.
    pub mail: MailCatcher,
    /// Where people pay, with play money.
    pub gateway: Midtrans,
    /// Ours; none where `DATABASE_URL` names another.
    postgres: Option<Postgres>,
}

/// Somebody who has come in, and has money.
#[derive(Debug)]
pub struct Customer {
    /// The address.
    pub email: String,
    /// The access token.
    pub access: String,
}

/// Where the database is, for the role that serves and the one that migrates.
struct Addresses {
    serve: String,
    migrate: String,
}

/// Which database is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// The one that `DATABASE_URL` names, or one that is kept for the next run.
    Kept,
    /// One for this run alone.
    Forgotten,
}

/// How to start it all.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The built API server.
    pub program: &'a Path,
    /// Which database.
    pub database: Where,
    /// Whose rights the API server has in a cluster; none: it runs without one.
    pub kubeconfig: Option<&'a Path>,
    /// Settings of the API server beside the usual ones, as variables.
    pub env: &'a [(&'a str, &'a str)],
}

impl People {
    /// Starts it all in `dir`.
    pub async fn start(dir: &Path, story: Story, start: Start<'_>) -> Result<Self> {
        let Start { program, database: which, kubeconfig, env } = start;
        let logs = dir.join("logs");
        fs::create_dir_all(&logs)?;
        let (postgres, addresses) = database(dir, &logs, story, which).await?;
        api_process::migrate(program, &addresses.migrate)?;
        story.step("database migrated, as the owner of its tables");
        let (mail, secret) = (MailCatcher::start().await?, secret(&dir.join("api-secret"))?);
        let gateway = gateway(dir, which).await?;
        let snap = format!("{}/snap/v1", gateway.url());
        let payments = [
            ("NAKHODA_MIDTRANS_SNAP_URL", snap.as_str()),
            ("NAKHODA_MIDTRANS_CORE_URL", gateway.url()),
            ("NAKHODA_MIDTRANS_SERVER_KEY", SERVER_KEY),
        ];
        let env = &[&payments, env].concat();
        let settings = Settings {
            program,
            database: addresses.serve,
            secret: &secret,
            smtp: Some(mail.url()),
            kubeconfig,
            env,
            port: None,
            logs: &logs,
        };
        settings.make_administrator(ADMINISTRATOR, "Administrator")?;
        let api = ApiServer::start(&settings).await?;
        story.step(format!("API server ready at {}", api.url()));
        gateway.set_notify(Some(format!("{}/api/v1/webhooks/midtrans", api.url())));
        story.step(format!("stand-in of the payment gateway at {}: no real money", gateway.url()));
        Ok(Self { api, mail, gateway, postgres })
    }

    /// The programs, in the order they are to end.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        std::iter::once(self.api.process()).chain(self.postgres.as_ref().map(Postgres::process))
    }

    /// Walks the story: an administrator and a customer come in. Whoever can go on with it.
    pub async fn walk(&self, story: Story) -> Result<Customer> {
        self.walk_administrator().await?;
        story.step(format!("administrator {ADMINISTRATOR} can log in (password: {PASSWORD})"));
        let email = self.customer().await?;
        story.step(format!("customer {email} registered"));
        let token = self.mailed_token(&email, 1).await?;
        self.api.must("POST", "/api/v1/auth/email/verify", None, Some(&json!({"token": token}))).await?;
        story.step("address proven by the mailed link");
        let access = self.log_in(&email).await?;
        let me = self.api.must("GET", "/api/v1/me", Some(&access), None).await?;
        story.step(format!(
            "logged in as {} ({})",
            me["name"].as_str().unwrap_or_default(),
            me["role"].as_str().unwrap_or_default()
        ));
        self.walk_top_up(story, &access).await?;
        story.step(format!("the mail tells: {}", self.mail.nth_to(&email, 3, MAIL).await?.subject));
        Ok(Customer { email, access })
    }

    /// The customer buys an app, and waits until it is there.
    pub async fn walk_purchase(&self, story: Story, customer: &Customer, simulated: &str) -> Result<()> {
        let Customer { email, access } = customer;
        let parameters = json!({"ownerEmail": email});
        let asked = json!({"plan": PLAN, "parameters": parameters});
        // The operator may not have looked at the plan yet.
        let offered = wait::until("the plan to be sold", SOLD, async || {
            let path = "/api/v1/subscriptions/quote";
            let offered = self.api.must("POST", path, Some(access), Some(&asked)).await?;
            Ok((offered["can_buy"] == true).then_some(offered))
        })
        .await?;
        story
            .step(format!("{PLAN} costs IDR {} a month, of it IDR {} tax", offered["total"], offered["tax"]));
        let key = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random()?);
        let order = json!({"plan": PLAN, "parameters": parameters, "expected_total": offered["total"]});
        let headers = [("Idempotency-Key", key.as_str())];
        let (status, _, bought) =
            self.api.exchange("POST", "/api/v1/subscriptions", Some(access), &headers, Some(&order)).await?;
        ensure!(status.is_success(), "the purchase: {status}: {bought}");
        let text = |name: &str| bought[name].as_str().unwrap_or_default().to_owned();
        story.step(format!(
            "bought: {}, paid from the wallet; its resource is {}",
            text("name"),
            text("resource")
        ));
        let path = format!("/api/v1/subscriptions/{}", text("id"));
        let active = wait::until("what was bought to be active", ACTIVE, async || {
            let now = self.api.must("GET", &path, Some(access), None).await?;
            Ok((now["status"] == "ACTIVE").then_some(now))
        })
        .await?;
        let until = active["paid_until"].as_str().unwrap_or_default().to_owned();
        story.step(format!("it is ACTIVE{simulated}, paid until {until}"));
        story.step(format!("the mail tells: {}", self.mail.nth_to(email, 5, MAIL).await?.subject));
        Ok(())
    }

    /// The customer tops up, pays at the gateway, and the wallet has it.
    async fn walk_top_up(&self, story: Story, access: &str) -> Result<()> {
        let key = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random()?);
        let body = json!({"amount": TOP_UP, "method": "BANK_TRANSFER"});
        let headers = [("Idempotency-Key", key.as_str())];
        let (status, _, top_up) =
            self.api.exchange("POST", "/api/v1/wallet/top-ups", Some(access), &headers, Some(&body)).await?;
        ensure!(status.is_success(), "the top-up: {status}: {top_up}");
        let text = |name: &str| top_up.pointer(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        story.step(format!(
            "top-up {} of IDR {TOP_UP} begun, to be paid at {}",
            text("/number"),
            text("/payment/redirect_url")
        ));
        let order =
            self.gateway.order_of(&text("/payment/token")).context("the gateway knows no such page")?;
        let paid = self.gateway.act(&Act::pay(order, Method::BcaVa));
        paid.map_err(|why| anyhow::anyhow!("the gateway refuses the payment: {why:?}"))?;
        story.step("paid at the gateway's stand-in, which notifies the API server");
        let path = format!("/api/v1/wallet/top-ups/{}", text("/id"));
        wait::until("the top-up to be completed", PAID, async || {
            let now = self.api.must("GET", &path, Some(access), None).await?;
            Ok((now["status"] == "COMPLETED").then_some(()))
        })
        .await?;
        let wallet = self.api.must("GET", "/api/v1/wallet", Some(access), None).await?;
        ensure!(wallet["cash"] == TOP_UP, "what was paid is not in the wallet: {wallet}");
        story.step(format!("in the wallet: IDR {}", wallet["cash"]));
        Ok(())
    }

    /// An administrator of an earlier run has a password already. A new one has been mailed a link; one whose run ended before the link
    /// was followed asks for another. Either is good.
    pub async fn walk_administrator(&self) -> Result<()> {
        if self.log_in(ADMINISTRATOR).await.is_ok() {
            return Ok(());
        }
        let forgot = json!({"email": ADMINISTRATOR});
        self.api.must("POST", "/api/v1/auth/password/forgot", None, Some(&forgot)).await?;
        let token = self.mailed_token(ADMINISTRATOR, 1).await?;
        let reset = json!({"token": token, "password": PASSWORD});
        self.api.must("POST", "/api/v1/auth/password/reset", None, Some(&reset)).await?;
        self.log_in(ADMINISTRATOR).await.map(drop)
    }

    /// Registers somebody new; the address.
    pub async fn customer(&self) -> Result<String> {
        let [a, b, c, d, ..] = random()?;
        let email = format!("customer-{:08x}@nakhoda.test", u32::from_be_bytes([a, b, c, d]));
        let body = json!({"email": email, "password": PASSWORD, "name": "A customer", "language": "EN"});
        self.api.must("POST", "/api/v1/auth/register", None, Some(&body)).await?;
        Ok(email)
    }

    /// The token in the link of the `nth` mail to an address, from 1 on.
    pub async fn mailed_token(&self, email: &str, nth: usize) -> Result<String> {
        let mail = self.mail.nth_to(email, nth, MAIL).await?;
        mail.link_parameter("token").with_context(|| format!("no link in the mail to {email}: {}", mail.text))
    }

    /// Logs in; the access token.
    pub async fn log_in(&self, email: &str) -> Result<String> {
        let body = json!({"email": email, "password": PASSWORD});
        let answer = self.api.must("POST", "/api/v1/auth/login", None, Some(&body)).await?;
        Ok(answer.pointer("/tokens/access_token").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Returns when a program has ended.
    pub async fn death(&self) -> String {
        match &self.postgres {
            Some(postgres) => {
                let (api, database) =
                    (Box::pin(self.api.process().died()), Box::pin(postgres.process().died()));
                futures::future::select(api, database).await.factor_first().0
            }
            None => self.api.process().died().await,
        }
    }
}

/// The database that `DATABASE_URL` and `NAKHODA_OWNER_DATABASE_URL` name, or one started here.
async fn database(
    dir: &Path,
    logs: &Path,
    story: Story,
    which: Where,
) -> Result<(Option<Postgres>, Addresses)> {
    if let Ok(serve) = std::env::var("DATABASE_URL")
        && which == Where::Kept
    {
        let migrate = std::env::var("NAKHODA_OWNER_DATABASE_URL").unwrap_or_else(|_| serve.clone());
        story.step("using the database of DATABASE_URL");
        return Ok((None, Addresses { serve, migrate }));
    }
    let home = home(dir)?;
    let durability = if which == Where::Kept { Durability::Kept } else { Durability::Forgotten };
    let postgres = Postgres::start(&home, logs, durability).await?;
    postgres.make_database(DATABASE)?;
    story.step(format!("PostgreSQL ready, its data in {}", home.display()));
    let addresses =
        Addresses { serve: postgres.url(APPLICATION, DATABASE), migrate: postgres.url(OWNER, DATABASE) };
    Ok((Some(postgres), addresses))
}

/// Where the database's data goes: beside everything else, unless its unprivileged user can't get there.
pub fn home(dir: &Path) -> Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let dir = dir.canonicalize()?;
    let is_open = |path: &Path| fs::metadata(path).is_ok_and(|entry| entry.permissions().mode() & 0o001 != 0);
    if !nix::unistd::geteuid().is_root() || dir.ancestors().all(is_open) {
        return Ok(dir.join("postgres"));
    }
    let name: String =
        dir.display().to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    Ok(Path::new("/var/tmp").join(format!("nakhoda-postgres{name}")))
}

/// The stand-in of the payment gateway; its book is kept where the database is.
async fn gateway(dir: &Path, which: Where) -> Result<Midtrans> {
    let book = (which == Where::Kept).then(|| dir.join("midtrans.json"));
    Midtrans::start(midtrans::Settings { book, ..midtrans::Settings::new(SERVER_KEY) }).await
}

/// The installation's secret, made once.
fn secret(path: &Path) -> Result<PathBuf> {
    if !path.exists() {
        fs::write(path, base64::engine::general_purpose::STANDARD.encode(random()?))?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    Ok(path.to_owned())
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
