//! Background work: how fast many pending jobs are done, and how soon a single one is begun, beside what the same PostgreSQL does with as
//! many rows of a plain queue.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use base64::Engine as _;
use tokio::time::sleep;

use super::footprint::Footprint;
use super::report::{Figure, Machine, number, table_of};
use crate::api_process::{self, ApiServer, Settings};
use crate::people;
use crate::postgres::{APPLICATION, Durability, OWNER, Postgres};
use crate::story::Story;
use crate::wait;

const DATABASE: &str = "nakhoda";
/// How many rows the floor takes at a time: as many as a worker holds of a queue.
const AT_A_TIME: usize = 512;
/// How many single jobs are written one after the other.
const SINGLE: u32 = 300;
/// How long the program is looked at while nothing is to be done.
const REST: Duration = Duration::from_secs(10);
/// How long all of them may take.
const BOUND: Duration = Duration::from_mins(15);

/// How it is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many jobs are pending.
    pub jobs: usize,
}

/// Measures, in `dir`, and returns the table for people.
pub async fn run(program: &Path, dir: &Path, plan: Plan, story: Story) -> Result<String> {
    let machine = Machine::here();
    let logs = dir.join("logs");
    fs::create_dir_all(&logs)?;
    let postgres = Postgres::start(&people::home(dir)?, &logs, Durability::Kept).await?;
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
        env: &[],
        port: None,
        logs: &logs,
    };
    let api = ApiServer::start(&settings).await?;
    story.step("a program that serves and works is ready");
    let bench = Bench { postgres: &postgres, plan };
    let footprint = Footprint::of(api.process().pid());

    let pickups = bench.pick_ups().await?;
    story.step(format!("{SINGLE} single jobs were begun"));
    let (before, begun) = (footprint.cpu()?, Instant::now());
    sleep(REST).await;
    let rest = footprint.cpu()?.saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
    story.step("nothing was to be done for a while");
    let (before, drained) = (footprint.cpu()?, bench.drain().await?);
    let busy = footprint.cpu()?.saturating_sub(before).as_secs_f64();
    story.step(format!("{} jobs were done in {drained:.1} s", plan.jobs));
    let floor = bench.floor()?;
    let [half, most, longest] = pickups;
    let rate = |seconds: f64| number(plan.jobs) / seconds.max(0.001);
    let of = |what, value, unit, floor, goal| Figure { what, value, unit, floor, goal };
    let figures = [
        of("pending jobs done", rate(drained), "/s", Some(rate(floor)), "≥ 2000 /s"),
        of("processor time of the program for each", busy / number(plan.jobs) * 1000.0, "ms", None, ""),
        of("at rest: half are begun within", half, "ms", None, ""),
        of("at rest: 99 of 100 within", most, "ms", None, "≤ 200 ms"),
        of("at rest: all within", longest, "ms", None, ""),
        of("at rest: share of a core", rest, "%", None, ""),
    ];
    let Machine { cpus, memory_gib, load_before } = machine;
    let line = format!("{} jobs; {cpus} CPUs, {memory_gib} GiB, load {load_before} before", plan.jobs);
    Ok(table_of(&line, &figures))
}

struct Bench<'a> {
    postgres: &'a Postgres,
    plan: Plan,
}

impl Bench<'_> {
    fn sql(&self, sql: &str) -> Result<String> {
        Ok(self.postgres.sql(DATABASE, sql)?.trim().to_owned())
    }

    fn write(&self, from: usize, to: usize) -> Result<()> {
        self.sql(&format!(
            "insert into job_outbox (id, kind, queue, payload, allowed, run_at, created_at)
             select gen_random_uuid(), 'PROBE', 'QUICK', jsonb_build_object('number', n), 5, t, t
             from generate_series({from}, {to}) n, (select clock_timestamp() as t) as now"
        ))
        .map(drop)
    }

    async fn until_done(&self) -> Result<()> {
        wait::until("all jobs to be done", BOUND, async || {
            let left = "select exists (select from job_outbox) or exists (select from jobs where state in ('PENDING', 'RUNNING'))";
            Ok((self.sql(left)? == "f").then_some(()))
        })
        .await
    }

    /// In milliseconds: within what half of the single jobs are begun, 99 of 100, and all.
    async fn pick_ups(&self) -> Result<[f64; 3]> {
        for nth in 0..SINGLE {
            self.write(1, 1)?;
            // Not in step with whoever looks for them.
            sleep(Duration::from_millis(u64::from(nth * 37 % 113))).await;
        }
        self.until_done().await?;
        let text = self.sql(
            "select array_to_string(percentile_cont(array[0.5, 0.99, 1]) within group (order by extract(epoch from started_at - created_at) * 1000), ' ')
             from jobs where kind = 'PROBE' and key is null",
        )?;
        let all = text.split(' ').map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        all.try_into().ok().context("there are three")
    }

    /// How many seconds all jobs take, from when they are there until the last is done.
    async fn drain(&self) -> Result<f64> {
        self.write(2, self.plan.jobs + 1)?;
        let there = self.sql("select extract(epoch from clock_timestamp())")?.parse::<f64>()?;
        self.until_done().await?;
        let last = self.sql("select extract(epoch from max(ended_at)) from jobs where state = 'DONE' and (payload ->> 'number')::bigint > 1")?;
        Ok(last.parse::<f64>()? - there)
    }

    /// How many seconds it takes to take as many rows out of a table that has nothing else: no handing over, no state, nothing kept, and
    /// no way between program and database.
    fn floor(&self) -> Result<f64> {
        self.sql(&format!(
            "create table floor (id uuid primary key, payload jsonb not null, run_at timestamptz not null);
             create index on floor (run_at);
             insert into floor select gen_random_uuid(), jsonb_build_object('number', n), clock_timestamp() from generate_series(1, {}) n",
            self.plan.jobs
        ))?;
        let begun = Instant::now();
        self.sql(&format!(
            "do $$ declare taken uuid[]; begin loop
                 with gone as (delete from floor where id = any(array(select id from floor order by run_at limit {AT_A_TIME} for update skip locked)) returning id)
                 select array_agg(id) into taken from gone;
                 commit;
                 exit when taken is null;
             end loop; end $$"
        ))?;
        Ok(begun.elapsed().as_secs_f64())
    }
}
