//! What is measured: the API server as it is shipped, on a PostgreSQL that syncs what it commits, with wallets that have money in them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use serde_json::{Value, json};
use tokio::task::block_in_place;
use uuid::Uuid;

use super::load::Target;
use crate::api_process::{self, ApiServer, Settings};
use crate::people::{ADMINISTRATOR, PASSWORD, home};
use crate::postgres::{APPLICATION, Durability, OWNER, Postgres};

const DATABASE: &str = "nakhoda";
/// What each wallet holds in rupiah: a debit is of one.
const FILLED: u64 = 1_000_000_000_000;
/// The path of a debit.
pub(super) const PATH: &str = "/api/v1/admin/billing/adjustments";
/// Cheap passwords, and the highest rates: 16,000 a second.
const FAST: [(&str, &str); 5] = [
    ("NAKHODA_ARGON2_MEMORY_KIB", "64"),
    ("NAKHODA_ARGON2_PASSES", "1"),
    ("NAKHODA_RATE_PER_ADDRESS", "1000000"),
    ("NAKHODA_RATE_PER_USER", "1000000"),
    ("RUST_LOG", "warn"),
];

/// A wallet that is debited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wallet {
    /// Whose.
    pub(super) user: Uuid,
    /// The account of cash.
    pub(super) account: i64,
}

/// All of it. Dropping it stops it, the API server first.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) api: ApiServer,
    pub(super) postgres: Postgres,
    /// The wallets, of which the first is the one that everybody debits.
    pub(super) wallets: Vec<Wallet>,
}

/// The body of a debit.
pub(super) fn debit(user: Uuid) -> Value {
    json!({"user_id": user, "kind": "DEBIT", "amount": 1, "reason": "measured", "description": "A debit"})
}

impl Shop {
    /// Starts it in a folder, with so many wallets.
    pub(super) async fn open(program: &Path, dir: &Path, wallets: usize) -> Result<Self> {
        let logs = dir.join("logs");
        fs::create_dir_all(&logs)?;
        let postgres = Postgres::start(&home(dir)?, &logs, Durability::Kept).await?;
        postgres.make_database(DATABASE)?;
        api_process::migrate(program, &postgres.url(OWNER, DATABASE))?;
        let secret = dir.join("secret");
        fs::write(&secret, base64::engine::general_purpose::STANDARD.encode([7; 32]))?;
        let settings = Settings {
            program,
            database: postgres.url(APPLICATION, DATABASE),
            secret: &secret,
            smtp: None,
            kubeconfig: None,
            env: &FAST,
            port: None,
            logs: &logs,
        };
        let api = ApiServer::start(&settings).await?;
        let body =
            json!({"email": ADMINISTRATOR, "password": PASSWORD, "name": "Administrator", "language": "EN"});
        api.must("POST", "/api/v1/auth/register", None, Some(&body)).await?;
        let mut shop = Self { api, postgres, wallets: Vec::new() };
        shop.sql("update users set email_verified_at = now()")?;
        settings.make_administrator(ADMINISTRATOR, "Administrator")?;
        shop.fill(wallets.max(1))?;
        Ok(shop)
    }

    /// Makes customers with money in their wallets, as the API would write it.
    fn fill(&mut self, wallets: usize) -> Result<()> {
        self.sql(&format!(
            "insert into users (id, email, name, language, email_verified_at, created_at, updated_at)
             select gen_random_uuid(), 'customer-' || n || '@nakhoda.test', 'A customer', 'en', now(), now(), now()
             from generate_series(1, {wallets}) n;
             select count(*) from users u, wallet_locked(u.id, now()) where role = 'USER';
             insert into transactions (id, user_id, type, direction, amount, status, created_at, decided_at)
             select gen_random_uuid(), id, 'ADJUSTMENT', 'CREDIT', {FILLED}, 'COMPLETED', now(), now() from users where role = 'USER';
             insert into entries (id, kind, key, at) select id, type, 'adjustment:' || id, now() from transactions;
             insert into transfers (entry_id, debit, credit, amount)
             select t.id, 4, a.id, t.amount from transactions t join accounts a on a.user_id = t.user_id and a.kind = 'CASH'"
        ))?;
        self.sql("vacuum analyze")?;
        let rows = self.sql("select user_id, id from accounts where kind = 'CASH' order by id")?;
        let wallet = |line: &str| {
            let (user, account) = line.split_once('|')?;
            Some(Wallet { user: user.parse().ok()?, account: account.parse().ok()? })
        };
        self.wallets = rows.lines().map(wallet).collect::<Option<_>>().context("wallets can't be read")?;
        ensure!(self.wallets.len() == wallets, "{} wallets were made", self.wallets.len());
        Ok(())
    }

    /// Runs SQL as the superuser.
    pub(super) fn sql(&self, sql: &str) -> Result<String> {
        block_in_place(|| self.postgres.sql(DATABASE, sql))
    }

    /// Has the server read a setting anew.
    pub(super) fn set(&self, setting: &str) -> Result<()> {
        self.sql(&format!("alter system {setting}"))?;
        self.sql("select pg_reload_conf()").map(drop)
    }

    /// The database's address, as the API server has it.
    pub(super) fn database(&self) -> String {
        self.postgres.url(APPLICATION, DATABASE)
    }

    /// Runs pgbench as the role that serves.
    pub(super) fn pgbench(&self) -> std::process::Command {
        self.postgres.pgbench(APPLICATION, DATABASE)
    }

    /// The API server as somebody who debits reaches it, with a token that was just given.
    pub(super) async fn target(&self) -> Result<Target> {
        let body = json!({"email": ADMINISTRATOR, "password": PASSWORD});
        let answer = self.api.must("POST", "/api/v1/auth/login", None, Some(&body)).await?;
        let token = answer.pointer("/tokens/access_token").and_then(Value::as_str).context("no token")?;
        let url = self.api.url();
        let address = url.strip_prefix("http://").context("it speaks HTTP")?.to_owned();
        Ok(Target { address, token: token.to_owned() })
    }
}
