//! The API server's program.

use anyhow::{Context as _, Result};
use api_server::{
    audit::Actor,
    clock,
    clock::Clock,
    cluster::Cluster,
    config::{self, ClusterMode},
    db, http,
    inspection::{self, Part, Sources, report},
    ledger::{
        House, checkpoint,
        verify::{self, Difference, Report, Scope},
    },
    payments::{
        midtrans::{self, OrderId},
        settle,
    },
    serve::{self, Role},
    subscriptions::{
        self,
        cancel::{Back, Cancelled, cancel_of},
    },
    users::{self, administration, email::Email},
};
use clap::{Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use secrecy::SecretString;
use sqlx::PgPool;
use std::{path::PathBuf, process::ExitCode, time::Duration};
use tokio::{net::TcpListener, signal::unix};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

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
    /// Compare the books, what was sold, the cluster and the gateway, and say what differs and what mends it. It only reads.
    /// Ends with 0 where all agrees, 1 where something differs, 2 where something could not be looked at
    Audit(Box<Audit>),
    /// Subscriptions
    #[command(subcommand)]
    Subscription(SubscriptionCommand),
    /// Payments
    #[command(subcommand)]
    Payment(PaymentCommand),
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
struct Audit {
    /// How far back payments are compared with the gateway, such as 36h or 14d; all else is compared as a whole
    #[arg(long, default_value = "3d", value_parser = crds::span::parse_span)]
    since: SignedDuration,
    /// How it is said
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
    /// The cluster that is looked at
    #[arg(long, env = "NAKHODA_CLUSTER", value_enum, default_value = "infer")]
    cluster: ClusterMode,
    #[command(flatten)]
    database: config::Database,
    #[command(flatten)]
    midtrans: config::Midtrans,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Subcommand)]
enum SubscriptionCommand {
    /// Have the cluster told once more what a subscription's resource is to say; a worker does so at once
    Retell {
        /// The subscription
        id: Uuid,
        /// What the resource was told last, where that is newer than the subscription
        #[arg(long, default_value_t = 0)]
        above: i64,
        #[command(flatten)]
        database: config::Database,
    },
    /// Cancel anybody's subscription, as its owner can: its app is stopped at once and deleted, its data is kept for a while, and its owner
    /// gets a mail. The money comes back once nothing of it runs any more. The audit log keeps the reason; running it twice is fine
    Cancel {
        /// The subscription
        id: Uuid,
        /// What comes back
        #[arg(long, value_enum)]
        refund: Back,
        /// Why, for the audit log
        #[arg(long, value_parser = parse_reason)]
        reason: String,
        #[command(flatten)]
        database: config::Database,
    },
}

#[derive(Debug, Subcommand)]
enum PaymentCommand {
    /// Ask the gateway about an order, and book what it says
    Settle(Box<Settle>),
}

#[derive(Debug, clap::Args)]
struct Settle {
    /// The order, such as tu-0192a000000070008000000000000000
    order: String,
    #[command(flatten)]
    settings: Serve,
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
        Command::Audit(audit) => return Ok(inspect(*audit).await),
        Command::Subscription(SubscriptionCommand::Retell { id, above, database }) => {
            retell(id, above, &database).await?;
        }
        Command::Subscription(SubscriptionCommand::Cancel { id, refund, reason, database }) => {
            cancel(id, refund, &reason, &database).await?;
        }
        Command::Payment(PaymentCommand::Settle(settle)) => settle_payment(*settle).await?,
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

/// What can't be begun is not looked at, and ends as such.
async fn inspect(audit: Audit) -> ExitCode {
    let output = audit.output;
    let report = match look(audit).await {
        Ok(report) => report,
        Err(error) => {
            eprintln!("nothing could be looked at: {error:#}");
            return report::Verdict::Unknown.code().into();
        }
    };
    match output {
        Output::Table => print!("{report}"),
        Output::Json => println!("{}", serde_json::json!(report)),
    }
    report.verdict().code().into()
}

async fn look(audit: Audit) -> Result<report::Report> {
    let Audit { since, output: _, cluster, database, midtrans } = audit;
    let db = connect(&database).await?;
    let gateway = midtrans::Client::new(&midtrans)?;
    let now = Clock::system().now();
    let since = clock::before(now, since);
    let cluster = match cluster {
        ClusterMode::Infer => Cluster::infer().await.map(Some),
        ClusterMode::None => Ok(None),
    };
    let there = cluster.as_ref().ok().and_then(Option::as_ref);
    let sources = Sources { db: &db, cluster: there, gateway: gateway.as_ref(), since, now };
    let mut report = report::Report::new(now, since, inspection::inspect(sources).await);
    if let Err(error) = cluster {
        report.miss(Part::Cluster, &error.to_string());
    }
    Ok(report)
}

async fn retell(id: Uuid, above: i64, database: &config::Database) -> Result<()> {
    let db = connect(database).await?;
    let told = subscriptions::retell(&db, id, above, Clock::system().now()).await;
    told.with_context(|| format!("subscription {id}"))?;
    println!("the cluster is told again of subscription {id} by the next worker that looks");
    Ok(())
}

/// A reason that is one, and bearable to read.
fn parse_reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("say why".to_owned()),
        text if text.chars().count() > 500 => Err("it has more than 500 characters".to_owned()),
        text => Ok(text.to_owned()),
    }
}

async fn cancel(id: Uuid, back: Back, reason: &str, database: &config::Database) -> Result<()> {
    let db = connect(database).await?;
    let (actor, now) = (Actor::command_line(), Clock::system().now());
    match cancel_of(&db, id, back, &actor, reason, now).await.with_context(|| format!("subscription {id}"))? {
        Cancelled::Now(refund) => {
            println!("subscription {id} is cancelled; {refund} comes back once nothing of it runs any more");
        }
        Cancelled::Before(refund) => {
            println!(
                "an administrator had cancelled subscription {id} already, with {refund} coming back; nothing was changed"
            );
        }
    }
    Ok(())
}

async fn settle_payment(order: Settle) -> Result<()> {
    let Settle { order, settings } = order;
    let attempt = OrderId::parse(&order).with_context(|| format!("`{order}`"))?.attempt();
    let (state, _) = serve::build(settings.read()?, Cluster::none(), Clock::system())?;
    db::check(&state.db).await?;
    let done = settle::settle(&state, attempt, None, settle::Source::Told).await?;
    println!("{order}: {}", if done.moved { "booked what was not known" } else { "nothing is new" });
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
