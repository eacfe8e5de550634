//! What runs for people, and that an administrator can come in: PostgreSQL, mail, the API, and a stand-in for the payment gateway.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use serde_json::json;

use crate::api_process::{self, ApiServer, Settings};
use crate::mail_catcher::MailCatcher;
use crate::mail_folder::MailFolder;
use crate::midtrans::{self, Midtrans};
use crate::postgres::{APPLICATION, Durability, OWNER, Postgres};
use crate::process::Process;
use crate::story::Story;
use crate::walk::{self, Walk};

const DATABASE: &str = "nakhoda";
/// Good enough where nobody can reach it from outside.
pub const PASSWORD: &str = "kapal layar putih 7";
/// The administrator's address.
pub const ADMINISTRATOR: &str = "admin@nakhoda.test";
/// The key of the gateway's stand-in.
pub const SERVER_KEY: &str = "SB-Mid-server-nakhoda-stand-in";
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
    /// The API server's program, and its settings.
    program: PathBuf,
    env: Vec<(String, OsString)>,
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
        let (program, env) = (program.to_owned(), settings.env());
        Ok(Self { api, mail, gateway, postgres, program, env })
    }

    /// The programs, in the order they are to end.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        std::iter::once(self.api.process()).chain(self.postgres.as_ref().map(Postgres::process))
    }

    /// The doors by which a customer walks; mails are kept in that folder from now on.
    pub fn doors(&self, mails: &Path, simulated: &'static str) -> Result<Walk> {
        self.mail.keep_in(mails)?;
        let (api, gateway) = ((*self.api).clone(), self.gateway.control()?);
        Ok(Walk { api, mails: MailFolder::new(mails), gateway, simulated })
    }

    /// Runs a command of the API server's program with the server's settings; how it ends, and what it says.
    pub async fn command(&self, arguments: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = Command::new(&self.program);
        command.args(arguments).envs(self.env.clone()).stdin(Stdio::null());
        // The gateway may be asked, which is in this process.
        let done = tokio::task::spawn_blocking(move || command.output()).await??;
        Ok((done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned()))
    }

    /// Asks our database, as somebody who may everything.
    pub fn sql(&self, sql: &str) -> Result<String> {
        let postgres = self.postgres.as_ref().context("the database is not ours")?;
        Ok(postgres.sql(DATABASE, sql)?.trim().to_owned())
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
        walk::register(&self.api).await
    }

    /// The token in the link of the `nth` mail to an address, from 1 on.
    pub async fn mailed_token(&self, email: &str, nth: usize) -> Result<String> {
        let mail = self.mail.nth_to(email, nth, MAIL).await?;
        mail.link_parameter("token").with_context(|| format!("no link in the mail to {email}: {}", mail.text))
    }

    /// Logs in; the access token.
    pub async fn log_in(&self, email: &str) -> Result<String> {
        walk::log_in(&self.api, email).await
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
        fs::write(path, base64::engine::general_purpose::STANDARD.encode(walk::random()?))?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    Ok(path.to_owned())
}
