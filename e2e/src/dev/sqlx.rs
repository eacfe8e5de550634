//! `cargo dev sqlx`: what the query macros found out about each query, written anew from the migrations.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::{cargo, preflight};
use crate::postgres::{Durability, Postgres};
use crate::story::Story;
use crate::{repository, scratch};

const DATABASE: &str = "queries";
/// As the migrations' library makes it; a migration grants the application to read it.
const APPLIED: &str = "create table _sqlx_migrations (version bigint primary key, description text not null, \
    installed_on timestamptz not null default now(), success boolean not null, checksum bytea not null, execution_time bigint not null)";

/// Writes `.sqlx`, or with `check` only tells whether it is as it must be.
pub(super) async fn run(check: bool) -> Result<ExitCode> {
    let story = Story::aloud();
    preflight::check(story)?;
    let home = scratch::folder("sqlx")?;
    let done = write(&home, story, check).await;
    fs::remove_dir_all(&home).with_context(|| format!("{} can't be removed", home.display()))?;
    done
}

async fn write(home: &Path, story: Story, check: bool) -> Result<ExitCode> {
    let server = Postgres::start(home, home, Durability::Forgotten).await?;
    server.make_database(DATABASE)?;
    server.sql(DATABASE, APPLIED)?;
    for migration in migrations()? {
        server
            .sql(DATABASE, &fs::read_to_string(&migration)?)
            .with_context(|| migration.display().to_string())?;
    }
    story.step("migrations applied");
    let (found, kept) = (home.join("found"), repository::root().join(".sqlx"));
    fs::create_dir(&found)?;
    // Cargo would not ask again what it has built already.
    let touched = repository::root().join("api-server/src/lib.rs");
    fs::write(&touched, fs::read(&touched)?)?;
    let env = [
        ("SQLX_DATABASE_URL", server.admin_url(DATABASE).into()),
        ("SQLX_OFFLINE_DIR", found.clone().into_os_string()),
    ];
    if !cargo::check("api-server", &env).await?.success() {
        bail!("the API server does not compile against its migrations: see above");
    }
    if same(&found, &kept)? {
        story.step("the queries are as they were");
        return Ok(ExitCode::SUCCESS);
    }
    if check {
        story.step("what is known of the queries is not fresh: `cargo dev sqlx`");
        return Ok(ExitCode::FAILURE);
    }
    if kept.exists() {
        fs::remove_dir_all(&kept)?;
    }
    fs::create_dir(&kept)?;
    for entry in fs::read_dir(&found)? {
        let entry = entry?;
        fs::copy(entry.path(), kept.join(entry.file_name()))?;
    }
    story.step(".sqlx written");
    Ok(ExitCode::SUCCESS)
}

/// The migrations in their order.
fn migrations() -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(repository::root().join("migrations"))?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    Ok(files)
}

fn same(left: &Path, right: &Path) -> Result<bool> {
    let read = |dir: &Path| -> Result<Vec<(std::ffi::OsString, Vec<u8>)>> {
        let Ok(entries) = fs::read_dir(dir) else { return Ok(Vec::new()) };
        let mut all = entries
            .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), fs::read(entry.path())?))))
            .collect::<Result<Vec<_>, _>>()?;
        all.sort();
        Ok(all)
    };
    Ok(read(left)? == read(right)?)
}
