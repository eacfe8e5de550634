//! A PostgreSQL of one's own: Debian's programs, as an unprivileged user, on a free port of the loopback address. Its roles are those
//! that the charts expect: one owns the tables and migrates, the other serves.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};

use crate::process::{Process, Spec};
use crate::{ports, wait};

/// Owns the tables and runs migrations.
pub const OWNER: &str = "nakhoda_owner";
/// Serves: no DDL, no more than migrations grant.
pub const APPLICATION: &str = "nakhoda_app";
/// The one that `initdb` makes.
const SUPERUSER: &str = "postgres";
/// Where Debian keeps the server's programs, a folder a version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// How long it may take until it answers.
const READY: Duration = Duration::from_mins(1);

/// Whether what is written must outlive a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It must.
    Kept,
    /// It must not: tests.
    Forgotten,
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    programs: PathBuf,
    port: u16,
    password: String,
}

/// The folder of the newest server's programs.
pub fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((version(&entry.path())?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").is_file())
        .collect();
    found.sort();
    if let Some((_, newest)) = found.pop() {
        return Ok(newest);
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&paths).find(|dir| dir.join("initdb").is_file());
    on_path.context("PostgreSQL's programs are not here: `apt-get install postgresql`")
}

impl Postgres {
    /// Starts one on the data in `home`, which is made where there is none.
    pub async fn start(home: &Path, logs: &Path, durability: Durability) -> Result<Self> {
        Self::start_at(home, logs, durability, ports::free()?).await
    }

    /// The same at a port, where one was before.
    pub async fn start_at(home: &Path, logs: &Path, durability: Durability, port: u16) -> Result<Self> {
        let programs = programs()?;
        fs::create_dir_all(home)?;
        let password = password(&home.join("password"))?;
        let user = server_user()?;
        let data = home.join("data");
        if !data.join("PG_VERSION").is_file() {
            init(&programs, home, &data, user.as_ref(), &password)?;
        }
        let process = Process::spawn(Spec {
            name: "postgres".to_owned(),
            program: "setpriv".into(),
            args: arguments(&programs, &data, user.as_ref(), port, durability),
            env: Vec::new(),
            logs: logs.to_owned(),
        })?;
        let server = Self { process, programs, port, password };
        wait::until("PostgreSQL to answer", READY, async || {
            server.process.check()?;
            Ok(server.sql("postgres", "select 1").is_ok().then_some(()))
        })
        .await?;
        server.make_roles()?;
        Ok(server)
    }

    /// The program.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The port it listens at.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address of a database, as that role.
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// The address of a database, as the superuser.
    pub fn admin_url(&self, database: &str) -> String {
        self.url(SUPERUSER, database)
    }

    /// Makes a database that the owner of tables owns, if there is none of that name.
    pub fn make_database(&self, name: &str) -> Result<()> {
        let there = self.sql("postgres", &format!("select 1 from pg_database where datname = '{name}'"))?;
        if there.trim().is_empty() {
            self.sql("postgres", &format!("create database {name} owner {OWNER}"))?;
        }
        Ok(())
    }

    /// A call of pgbench, as that role; what it is to do is added.
    pub fn pgbench(&self, role: &str, database: &str) -> Command {
        let mut command = Command::new(self.programs.join("pgbench"));
        command.args(["--host=127.0.0.1", "--username", role]).arg(format!("--port={}", self.port));
        command.env("PGPASSWORD", &self.password).env("PGDATABASE", database);
        command
    }

    fn make_roles(&self) -> Result<()> {
        let password = &self.password;
        for role in [OWNER, APPLICATION] {
            let there = self.sql("postgres", &format!("select 1 from pg_roles where rolname = '{role}'"))?;
            if there.trim().is_empty() {
                self.sql("postgres", &format!("create role {role} login password '{password}'"))?;
            }
        }
        Ok(())
    }

    /// Runs SQL as the superuser; what it answers, a line a row.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]);
        command.args(["--host=127.0.0.1", "--username", SUPERUSER, "--dbname", database]);
        command.arg(format!("--port={}", self.port)).args(["--command", sql]);
        let done = command
            .env("PGPASSWORD", &self.password)
            .stdin(Stdio::null())
            .output()
            .context("cannot run psql")?;
        if !done.status.success() {
            bail!("PostgreSQL refused: {}", String::from_utf8_lossy(&done.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A fast shutdown; the signal that follows would wait for clients to leave.
        self.process.signal(Signal::SIGINT);
    }
}

/// The one the server runs as where we are root, which it refuses to be.
fn server_user() -> Result<Option<User>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name)? {
            return Ok(Some(user));
        }
    }
    bail!("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` here")
}

/// A password of the server's roles, kept beside its data.
fn password(path: &Path) -> Result<String> {
    if let Ok(text) = fs::read_to_string(path) {
        return Ok(text);
    }
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let text = format!("{:032x}", u128::from_be_bytes(bytes));
    fs::write(path, &text)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(text)
}

fn init(programs: &Path, home: &Path, data: &Path, user: Option<&User>, password: &str) -> Result<()> {
    if data.exists() {
        fs::remove_dir_all(data).context("an unfinished database can't be removed")?;
    }
    fs::create_dir(data)?;
    let given = home.join("password-for-initdb");
    fs::write(&given, password)?;
    fs::set_permissions(&given, Permissions::from_mode(0o600))?;
    if let Some(user) = user {
        chown(data, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        chown(&given, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
    }
    let mut args = as_user(user);
    args.push(programs.join("initdb").into());
    for text in
        ["--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-sync", "--username", SUPERUSER]
    {
        args.push(text.into());
    }
    args.extend(["--pwfile".into(), given.clone().into(), "--pgdata".into(), data.into()]);
    let made = Command::new("setpriv")
        .args(args)
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .context("cannot run initdb")?;
    fs::remove_file(given)?;
    if !made.status.success() {
        fs::remove_dir_all(data)?;
        bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr).trim());
    }
    Ok(())
}

/// How setpriv starts what follows: as that user, and ended by the kernel with its parent.
fn as_user(user: Option<&User>) -> Vec<OsString> {
    let mut args: Vec<OsString> = Vec::new();
    if let Some(user) = user {
        let ids = [format!("--reuid={}", user.uid), format!("--regid={}", user.gid)];
        args.extend(ids.into_iter().map(OsString::from));
        args.push("--clear-groups".into());
    }
    // Said here again: the kernel forgets it when the user changes.
    args.extend(["--pdeathsig".into(), "KILL".into(), "--".into()]);
    args
}

fn arguments(
    programs: &Path,
    data: &Path,
    user: Option<&User>,
    port: u16,
    durability: Durability,
) -> Vec<OsString> {
    let mut args = as_user(user);
    args.extend([programs.join("postgres").into(), "-D".into(), data.into()]);
    let port = format!("port={port}");
    let mut set = vec![
        "listen_addresses=127.0.0.1",
        &port,
        "unix_socket_directories=",
        "max_connections=400",
        "timezone=UTC",
    ];
    if durability == Durability::Forgotten {
        set.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"]);
    }
    args.extend(set.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
    args
}
