//! The API server's program.

use anyhow::{Context as _, Result};
use api_server::{
    clock::Clock,
    cluster::Cluster,
    config::{self, ClusterMode},
    db, http,
    ledger::{
        House, checkpoint,
        verify::{self, Difference, Report, Scope},
    },
    serve::{self, Role},
    users::{self, administration, email::Email},
};
use clap::{Parser, Subcommand};
use secrecy::SecretString;
use sqlx::PgPool;
use std::{path::PathBuf, process::ExitCode, time::Duration};
use tokio::{net::TcpListener, signal::unix};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How long one statement of a verification may take.
const LONGEST: Duration = Duration::from_hours(1);

/// Nakhoda's REST API.
#[derive(Debug, Parser)]
#[command(name = "api-server", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API, and do the background work, until stopped
    Serve(Box<Server>),
    /// Do the background work alone (jobs, mail, payments that come in), until stopped; --listen says where it tells how it is
    Worker(Box<Serving>),
    /// Bring the database up to this version; running it twice is fine
    Migrate {
        /// The database, as the owner of its tables
        #[arg(long, env = "NAKHODA_OWNER_DATABASE_URL", hide_env_values = true)]
        owner_database_url: SecretString,
    },
    /// Administrators
    #[command(subcommand)]
    Admin(Admin),
    /// The books
    #[command(subcommand)]
    Ledger(Ledger),
    /// Print the OpenAPI document, or write it into a file
    Openapi {
        /// The file
        #[arg(long)]
        write: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum Admin {
    /// Make an administrator, or make one of a user who is there. A link to set a password is mailed to a new one
    Create(Box<Create>),
}

#[derive(Debug, Subcommand)]
enum Ledger {
    /// Say what is wrong with the books, a line each; it fails where anything is. It only reads
    Verify {
        /// Everything from the beginning, not only what came after the last checkpoint
        #[arg(long)]
        full: bool,
        #[command(flatten)]
        database: config::Database,
    },
    /// Write a checkpoint, from which the next verification begins; `serve` does so every hour by itself
    Checkpoint {
        #[command(flatten)]
        database: config::Database,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The address
    #[arg(long)]
    email: String,
    /// The name
    #[arg(long)]
    name: String,
    #[command(flatten)]
    settings: Serve,
}

#[derive(Debug, clap::Args)]
struct Server {
    /// Serve the API alone; then `api-server worker` must run somewhere
    #[arg(long, env = "NAKHODA_NO_WORKER")]
    no_worker: bool,
    #[command(flatten)]
    serving: Serving,
}

#[derive(Debug, clap::Args)]
struct Serving {
    /// The cluster whose resources are written
    #[arg(long, env = "NAKHODA_CLUSTER", value_enum, default_value = "infer")]
    cluster: ClusterMode,
    #[command(flatten)]
    settings: Serve,
}

#[derive(Debug, clap::Args)]
struct Serve {
    #[command(flatten)]
    database: config::Database,
    #[command(flatten)]
    http: config::Http,
    #[command(flatten)]
    passwords: config::Passwords,
    #[command(flatten)]
    mail: config::Mail,
    #[command(flatten)]
    midtrans: config::Midtrans,
    #[command(flatten)]
    methods: config::PaymentMethods,
    #[command(flatten)]
    billing: config::Billing,
    #[command(flatten)]
    secret: config::Secret,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let command = Cli::parse().command;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    match command {
        Command::Serve(server) => {
            run(server.serving, if server.no_worker { Role::Api } else { Role::Both }).await?;
        }
        Command::Worker(serving) => run(*serving, Role::Worker).await?,
        Command::Migrate { owner_database_url } => db::migrate(&owner_database_url).await?,
        Command::Admin(Admin::Create(create)) => make_administrator(*create).await?,
        Command::Ledger(Ledger::Verify { full, database }) => return verify(full, &database).await,
        Command::Ledger(Ledger::Checkpoint { database }) => write_checkpoint(&database).await?,
        Command::Openapi { write: None } => print!("{}", http::openapi::text()),
        Command::Openapi { write: Some(path) } => std::fs::write(&path, http::openapi::text())
            .with_context(|| format!("can't write {}", path.display()))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn connect(database: &config::Database) -> Result<PgPool> {
    let config::Database { database_url, database_connections, .. } = database;
    let db = db::pool(database_url, *database_connections, database.statement_timeout())?;
    db::check(&db).await?;
    Ok(db)
}

async fn verify(full: bool, database: &config::Database) -> Result<ExitCode> {
    let scope = if full { Scope::Full } else { Scope::Incremental };
    let report = verify::verify(&connect(database).await?, scope, LONGEST).await?;
    let Report { scope, transfers, since, customers, house, differences } = report;
    let begins = if scope == Scope::Full { "the beginning".to_owned() } else { format!("transfer {since}") };
    println!("{transfers} transfers were read, from {begins} on");
    println!("CUSTOMERS {customers}");
    for (account, balance) in House::ALL.iter().zip(house) {
        println!("{} {balance}", account.as_str());
    }
    for Difference { fault, subject, expected, found } in &differences {
        println!("DIFFERENCE {} {subject}: it should be {expected} and is {found}", fault.as_str());
    }
    println!("{} differences", differences.len());
    Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn write_checkpoint(database: &config::Database) -> Result<()> {
    match checkpoint::write(&connect(database).await?, Clock::system().now()).await? {
        Some(up_to) => println!("a checkpoint up to transfer {up_to} is written"),
        None => println!(
            "no checkpoint is written: nothing came since the last, or some transaction lasts too long"
        ),
    }
    Ok(())
}

async fn make_administrator(create: Create) -> Result<()> {
    let Create { email, name, settings } = create;
    let email = Email::parse(&email).with_context(|| format!("`{email}`"))?;
    let name = users::parse_name(&name).with_context(|| format!("`{name}`"))?;
    let (state, _) = serve::build(settings.read()?, Cluster::none(), Clock::system())?;
    db::check(&state.db).await?;
    let made = administration::make_administrator(&state, email, name).await;
    let user = made.map_err(|problem| anyhow::anyhow!(problem.body("").detail))?;
    println!("{} is an administrator ({})", user.email, user.id);
    Ok(())
}

impl Serve {
    fn read(self) -> Result<serve::Settings> {
        let Self { database, http, passwords, mail, midtrans, methods, billing, secret } = self;
        let secret = secret.read()?;
        Ok(serve::Settings { database, http, passwords, mail, midtrans, methods, billing, secret })
    }
}

async fn run(serving: Serving, role: Role) -> Result<()> {
    let Serving { cluster, settings } = serving;
    let listen = settings.http.listen;
    let cluster = match cluster {
        ClusterMode::Infer => Cluster::infer().await?,
        ClusterMode::None => Cluster::none(),
    };
    let (state, sender) = serve::build(settings.read()?, cluster, Clock::system())?;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("can't listen on {listen}; choose another address with --listen"))?;
    tracing::info!(address = %listener.local_addr()?, ?role, "serving");
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    serve::serve(state, sender, role, listener, stop).await?;
    Ok(())
}

fn stop_on_signal(stop: CancellationToken) -> Result<()> {
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_makes_sense() {
        Cli::command().debug_assert();
    }
}
