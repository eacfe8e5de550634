//! Background work while a worker is killed every few seconds: no job and no mail is lost, no job is two workers' at a time, and a mail that is sent
//! again is known by its Message-ID.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{create_dir_all, remove_dir_all, write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use e2e::api_process::{self, ApiServer, Role, Settings};
use e2e::mail_catcher::{MailCatcher, Mood};
use e2e::people::home;
use e2e::postgres::{APPLICATION, Durability, OWNER, Postgres};
use e2e::{ports, scratch, wait};

use crate::{block_on, proves, setting};

const DATABASE: &str = "nakhoda";
/// How many workers there are.
const WORKERS: usize = 2;
/// Between two kills.
const EVERY: Duration = Duration::from_secs(5);
/// How many jobs and mails are written for each kill.
const JOBS: usize = 3_000;
const MAILS: usize = 60;
/// How long the mail server thinks about a mail.
const THINKS: Duration = Duration::from_millis(100);
/// A job that is being run, and a mail that is being sent.
const UNDER_WAY: [&str; 2] = [
    "select exists (select from jobs where state = 'RUNNING')",
    "select exists (select from emails where status = 'PENDING' and attempts > 0)",
];
/// What a dead worker had is another's after a minute.
const DRAINED: Duration = Duration::from_mins(5);
/// Who has taken, and who has ended, which attempt of which job.
const HISTORY: &str = "
    create table job_history (id uuid, attempts integer, state text, who text, backend integer, at timestamptz);
    create function job_told() returns trigger language plpgsql security definer set search_path = public as $$ begin
        if (new.attempts, new.state) is distinct from (old.attempts, old.state) then
            insert into job_history values (new.id, new.attempts, new.state, current_setting('toil.who', true), pg_backend_pid(), clock_timestamp());
        end if;
        return null;
    end $$;
    create trigger job_told after update on jobs for each row execute function job_told()";
/// Attempts that were taken from somebody, with whom they were taken from.
const TAKEN_OVER: &str = "
    select former.who, extract(epoch from later.at) from job_history later
    join job_history former on former.id = later.id and former.attempts = later.attempts - 1 and former.state = 'RUNNING'
    where later.state = 'RUNNING'
      and not exists (select from job_history back where back.id = later.id and back.attempts = former.attempts and back.state <> 'RUNNING')";

/// What works, and what it works on.
struct Works {
    postgres: Postgres,
    mail: MailCatcher,
    workers: Vec<Option<ApiServer>>,
    ports: Vec<u16>,
    /// How often each was started.
    lives: Vec<usize>,
    /// When whom was dead, by the database's clock.
    deaths: BTreeMap<String, f64>,
    program: PathBuf,
    secret: PathBuf,
    dir: PathBuf,
}

#[test]
fn with_a_kill_every_five_seconds_no_job_and_no_mail_is_lost() -> Result<()> {
    block_on(async {
        let dir = scratch::folder("toil")?;
        let kills = setting("NAKHODA_TOIL_KILLS", if proves() { 60 } else { 4 })?;
        let mut works = Works::start(&dir).await?;
        let begun = Instant::now();
        for kill in 0..kills {
            works.order(kill)?;
            // The worst moment: something is being run, or sent.
            tokio::time::sleep_until((begun + EVERY * u32::try_from(kill + 1)?).into()).await;
            works.order(kill + kills)?;
            works.until("something to be under way", UNDER_WAY[kill / WORKERS % 2]).await?;
            works.kill(kill % WORKERS).await?;
        }
        let drained = "select not exists (select from job_outbox) and not exists (select from jobs where state in ('PENDING', 'RUNNING'))
             and not exists (select from emails where status = 'PENDING')";
        works.until("all to be done", drained).await?;
        let (jobs, mails) = works.are_right(kills * 2)?;
        println!("{kills} kills in {:.0?}, one every {EVERY:?}: {jobs}; {mails}", begun.elapsed());
        drop(works);
        Ok(remove_dir_all(&dir)?)
    })
}

impl Works {
    async fn start(dir: &std::path::Path) -> Result<Self> {
        let logs = dir.join("logs");
        create_dir_all(&logs)?;
        let program = api_process::program()?;
        let postgres = Postgres::start(&home(dir)?, &logs, Durability::Kept).await?;
        postgres.make_database(DATABASE)?;
        api_process::migrate(&program, &postgres.url(OWNER, DATABASE))?;
        postgres.sql(DATABASE, HISTORY)?;
        let secret = dir.join("secret");
        write(&secret, base64::engine::general_purpose::STANDARD.encode([7; 32]))?;
        let mut works = Self {
            postgres,
            mail: MailCatcher::start().await?,
            workers: (0..WORKERS).map(|_| None).collect(),
            ports: (0..WORKERS).map(|_| ports::free()).collect::<Result<_>>()?,
            lives: vec![0; WORKERS],
            deaths: BTreeMap::new(),
            program,
            secret,
            dir: dir.to_owned(),
        };
        works.mail.set_mood(Mood::Slow(THINKS));
        for place in 0..WORKERS {
            works.begin(place).await?;
        }
        Ok(works)
    }

    fn sql(&self, sql: &str) -> Result<String> {
        Ok(self.postgres.sql(DATABASE, sql)?.trim().to_owned())
    }

    async fn until(&self, what: &str, sql: &str) -> Result<()> {
        wait::until(what, DRAINED, async || Ok((self.sql(sql)? == "t").then_some(()))).await
    }

    fn name(&self, place: usize) -> String {
        format!("worker-{place}-{}", self.lives[place])
    }

    async fn begin(&mut self, place: usize) -> Result<()> {
        self.lives[place] += 1;
        let logs = self.dir.join(format!("logs/worker-{place}"));
        create_dir_all(&logs)?;
        let name = self.name(place);
        let settings = Settings {
            program: &self.program,
            database: format!("{}?options[toil.who]={name}", self.postgres.url(APPLICATION, DATABASE)),
            secret: &self.secret,
            smtp: Some(self.mail.url()),
            kubeconfig: None,
            env: &[("RUST_LOG", "warn")],
            port: Some(self.ports[place]),
            logs: &logs,
        };
        self.workers[place] = Some(ApiServer::start_as(Role::Worker, &settings).await?);
        Ok(())
    }

    /// Writes jobs and mails.
    fn order(&self, batch: usize) -> Result<()> {
        self.sql(&format!(
            "insert into job_outbox (id, kind, queue, payload, allowed, run_at, created_at)
             select gen_random_uuid(), 'PROBE', 'QUICK', jsonb_build_object('number', n), 20, now(), now() from generate_series(1, {JOBS}) n;
             insert into emails (id, message_id, recipient, kind, language, data, created_at, next_attempt_at)
             select id, id || '@nakhoda', 'mail-{batch}-' || n || '@nakhoda.test', 'WELCOME', 'en', '{{\"name\": \"Somebody\"}}', now(), now()
             from (select gen_random_uuid() as id, n from generate_series(1, {MAILS}) n) new"
        ))
        .map(drop)
    }

    /// Kills a worker as a crash would, and starts it again.
    async fn kill(&mut self, place: usize) -> Result<()> {
        let name = self.name(place);
        if let Some(worker) = self.workers[place].take() {
            worker.process().kill();
        }
        // What it had sent may still be carried out.
        let gone =
            format!("select not exists (select from pg_stat_activity where application_name = '{name}')");
        self.until("the server to have ended what it was sent", &gone).await?;
        let now = self.sql("select extract(epoch from clock_timestamp())")?;
        self.deaths.insert(name, now.parse()?);
        self.begin(place).await
    }

    /// Everything is done once, and known; what it was, in words.
    fn are_right(&self, batches: usize) -> Result<(String, String)> {
        let counts = self.sql(
            "select count(*), count(*) filter (where state = 'DONE') from jobs where kind = 'PROBE' and key is null",
        )?;
        let all = JOBS * batches;
        ensure!(counts == format!("{all}|{all}"), "of {all} jobs: {counts}");
        let twice = self.sql(
            "select count(*) from (select id from job_history where state = 'DONE' group by id having count(*) > 1) twice",
        )?;
        ensure!(twice == "0", "{twice} jobs were done twice");
        let stolen = self.sql(
            "select count(*) from job_history done join job_history taken using (id, attempts)
             where done.state = 'DONE' and taken.state = 'RUNNING' and done.who <> taken.who",
        )?;
        ensure!(stolen == "0", "{stolen} jobs were ended by another than who ran them");
        let again = self.sql(TAKEN_OVER)?;
        for line in again.lines() {
            let (who, at) = line.split_once('|').context("two columns")?;
            // Whoever lives keeps what he has.
            let died = self
                .deaths
                .get(who)
                .with_context(|| format!("{who} lives, and another took a job of his"))?;
            ensure!(*died <= at.parse::<f64>()?, "a job was taken from {who}, who lived then");
        }
        let jobs =
            format!("{all} jobs done, {} of them taken over from a dead worker", again.lines().count());
        Ok((jobs, self.has_mails(MAILS * batches)?))
    }

    fn has_mails(&self, all: usize) -> Result<String> {
        let sent = self.sql("select count(*) from emails where status = 'SENT'")?;
        ensure!(sent == all.to_string(), "of {all} mails {sent} are sent");
        let came = self.mail.mails();
        let mut ids: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for mail in &came {
            ids.entry(mail.to[0].as_str()).or_default().insert(&mail.message_id);
        }
        ensure!(ids.len() == all, "{} of {all} mails came", ids.len());
        ensure!(ids.values().all(|ids| ids.len() == 1), "a mail came again under another Message-ID");
        Ok(format!("{all} mails, {} of them sent again under the same Message-ID", came.len() - all))
    }
}
