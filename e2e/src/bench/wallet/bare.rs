//! The floor of many wallets: a server of axum and sqlx that runs what a debit asks for, and nothing else. It is a program of its own, as the API
//! is, with as many connections; it knows nobody, reads no more of the body than whose wallet is meant, and remembers nothing.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff_sqlx::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::postgres::{PgArguments, PgPoolOptions};
use sqlx::{Arguments as _, AssertSqlSafe, PgPool};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::load::Target;
use super::recording::{Parameter, Part, Recording};
use super::shop::{PATH, Shop};
use crate::process::{Process, Spec};
use crate::{ports, wait};

/// As many as the API has.
const CONNECTIONS: u32 = 16;
/// How long it may take until it is ready.
const READY: Duration = Duration::from_mins(1);

/// What it is told.
#[derive(Debug, Serialize, Deserialize)]
struct Settings {
    listen: String,
    database: String,
    recording: Recording,
    accounts: HashMap<Uuid, i64>,
}

/// A running one. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Bare {
    process: Process,
    pub(super) target: Target,
}

impl Bare {
    /// Starts it beside a shop, whose database it uses.
    pub(super) async fn start(this: &Path, shop: &Shop, recording: &Recording, dir: &Path) -> Result<Self> {
        let settings = Settings {
            listen: format!("127.0.0.1:{}", ports::free()?),
            database: shop.database(),
            recording: recording.clone(),
            accounts: shop.wallets.iter().map(|one| (one.user, one.account)).collect(),
        };
        let file = dir.join("bare.json");
        fs::write(&file, serde_json::to_vec(&settings)?)?;
        let process = Process::spawn(Spec {
            name: "bare".to_owned(),
            program: this.to_owned(),
            args: vec!["bench-wallet-floor".into(), OsString::from(&file)],
            env: Vec::new(),
            logs: dir.join("logs"),
        })?;
        let address = settings.listen;
        wait::until("the floor to be ready", READY, async || {
            process.check()?;
            Ok(TcpStream::connect(&address).await.is_ok().then_some(()))
        })
        .await?;
        Ok(Self { process, target: Target { address, token: "nobody's".to_owned() } })
    }
}

impl Bare {
    /// The program.
    pub(super) fn process(&self) -> &Process {
        &self.process
    }
}

/// What a debit needs.
struct Till {
    pool: PgPool,
    recording: Vec<(Arc<str>, Vec<Parameter>)>,
    fresh: usize,
    accounts: HashMap<Uuid, i64>,
}

/// What of the body is read.
#[derive(Deserialize)]
struct Order {
    user_id: Uuid,
}

/// Serves until it is killed.
pub(crate) async fn serve(file: PathBuf) -> Result<()> {
    let settings: Settings = serde_json::from_slice(&fs::read(file)?)?;
    let Settings { listen, database, recording: Recording { statements, fresh }, accounts } = settings;
    // No look at a connection before it is used: nothing breaks here.
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).test_before_acquire(false);
    let pool = pool.connect(&database).await?;
    let recording = statements.into_iter().map(|one| (Arc::from(one.sql), one.parameters)).collect();
    let till = Arc::new(Till { pool, recording, fresh, accounts });
    let app = Router::new().route(PATH, post(debit)).route("/", get(StatusCode::OK)).with_state(till);
    Ok(axum::serve(TcpListener::bind(listen).await?, app).await?)
}

async fn debit(
    State(till): State<Arc<Till>>,
    Json(order): Json<Order>,
) -> Result<(StatusCode, Json<Value>), (StatusCode, String)> {
    let done = till.debit(order.user_id).await;
    let id = done.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")))?;
    Ok((StatusCode::CREATED, Json(json!({"id": id, "user_id": order.user_id, "amount": 1}))))
}

impl Till {
    async fn debit(&self, user: Uuid) -> Result<Uuid> {
        let account = *self.accounts.get(&user).context("a wallet of nobody")?;
        let fresh: Vec<Uuid> = (0..self.fresh).map(|_| Uuid::now_v7()).collect();
        let mut tx = self.pool.begin().await?;
        for (sql, parameters) in &self.recording {
            let mut arguments = PgArguments::default();
            for parameter in parameters {
                let text = parameter.parts.as_ref().map(|parts| text(parts, user, account, &fresh));
                bind(&mut arguments, &parameter.kind, text.as_deref())?;
            }
            sqlx::query_with(AssertSqlSafe(Arc::clone(sql)), arguments).fetch_all(&mut *tx).await?;
        }
        tx.commit().await?;
        fresh.first().copied().context("a debit has ids")
    }
}

fn text(parts: &[Part], user: Uuid, account: i64, fresh: &[Uuid]) -> String {
    let text = |part: &Part| match part {
        Part::Same(text) => text.clone(),
        Part::Fresh(nth) => fresh.get(*nth).copied().unwrap_or_default().to_string(),
        Part::User => user.to_string(),
        Part::Account => account.to_string(),
    };
    parts.iter().map(text).collect()
}

/// Binds a value as a program would that knows its type.
fn bind(arguments: &mut PgArguments, kind: &str, text: Option<&str>) -> Result<()> {
    let added = match kind {
        "uuid" => arguments.add(text.map(str::parse::<Uuid>).transpose()?),
        "bigint" => arguments.add(text.map(str::parse::<i64>).transpose()?),
        "integer" => arguments.add(text.map(str::parse::<i32>).transpose()?),
        "smallint" => arguments.add(text.map(str::parse::<i16>).transpose()?),
        "boolean" => arguments.add(text.map(|text| text == "t")),
        "text" => arguments.add(text.map(str::to_owned)),
        "jsonb" => arguments.add(text.map(serde_json::from_str::<Value>).transpose()?),
        "bytea" => arguments.add(text.map(bytes).transpose()?),
        "timestamp with time zone" => {
            let time = text.map(str::parse::<jiff::Timestamp>).transpose()?;
            arguments.add(time.map(Timestamp::from))
        }
        _ => bail!("the floor can't bind a parameter of the type {kind} yet"),
    };
    added.map_err(|error| anyhow!("a value can't be bound: {error}"))
}

/// `\x6162`.
fn bytes(text: &str) -> Result<Vec<u8>> {
    let digits = text.strip_prefix("\\x").context("bytes are told in hexadecimal digits")?;
    let pairs =
        digits.as_bytes().chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
    pairs.collect()
}
