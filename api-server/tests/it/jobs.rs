//! Background work: what was written in a transaction is done, by one at a time, whoever is killed; what fails is tried again and given up in
//! the open.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::Result;
use api_server::jobs::forget::{Forget, What};
use api_server::jobs::probe::Probe;
use api_server::jobs::registry::Registry;
use api_server::jobs::worker::Worker;
use api_server::jobs::{JobError, New, Run, enqueue};
use api_server::serve::{self, Role};
use api_server::state::State;
use e2e::wait;
use jiff::{SignedDuration, ToSpan as _};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::{BOUND, User, World};

/// Workers of a test, on a database where nothing else is scheduled.
struct Crew {
    world: World,
    state: Arc<State>,
}

/// A worker that runs; dropped in the middle by `kill`.
struct Hired {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Hired {
    /// Ends it as a kill of its process would.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(tokio::time::timeout(BOUND, self.task).await??)
    }
}

impl Crew {
    async fn new() -> Result<Self> {
        let world = World::with_role(Role::Api).await?;
        let state = world.state_with(|_| {})?;
        Ok(Self { world, state })
    }

    /// A worker with connections of its own.
    fn hire<W>(&self, probe: impl Fn(Arc<State>, Probe, Run) -> W + Send + Sync + 'static) -> Result<Hired>
    where
        W: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let (state, stop) = (self.world.state_with(|_| {})?, CancellationToken::new());
        let worker = Worker::unscheduled(state, Registry::default().on(probe));
        Ok(Hired { task: tokio::spawn(worker.run(stop.clone())), stop })
    }

    async fn write(&self, new: &New) -> Result<()> {
        let mut tx = self.state.db.begin().await?;
        enqueue(&mut tx, new, self.state.clock.now()).await?;
        Ok(tx.commit().await?)
    }

    fn sql(&self, sql: &str) -> Result<String> {
        Ok(self.world.database.server.sql(&self.world.database.name, sql)?.trim().to_owned())
    }

    fn count(&self, state: &str) -> Result<i64> {
        Ok(self.sql(&format!("select count(*) from jobs where state = '{state}'"))?.parse()?)
    }

    /// Waits until so many jobs are in that state.
    async fn until(&self, state: &str, count: i64) -> Result<()> {
        wait::until("jobs to come to their end", BOUND, async || {
            Ok((self.count(state)? == count).then_some(()))
        })
        .await
    }
}

fn probe(number: i64) -> New {
    New::of(&Probe { number }).unwrap()
}

/// Which jobs were run how often, and whether any was run by two at once.
#[derive(Debug, Default)]
struct Book {
    runs: Mutex<BTreeMap<i64, i64>>,
    inside: Mutex<BTreeMap<i64, i64>>,
    at_once: AtomicI64,
}

impl Book {
    fn begin(self: &Arc<Self>, number: i64) -> Inside {
        *self.runs.lock().unwrap().entry(number).or_default() += 1;
        let mut inside = self.inside.lock().unwrap();
        let count = inside.entry(number).or_default();
        *count += 1;
        self.at_once.fetch_max(*count, Ordering::SeqCst);
        Inside { book: Arc::clone(self), number }
    }

    fn runs(&self) -> BTreeMap<i64, i64> {
        self.runs.lock().unwrap().clone()
    }
}

struct Inside {
    book: Arc<Book>,
    number: i64,
}

impl Drop for Inside {
    fn drop(&mut self) {
        *self.book.inside.lock().unwrap().get_mut(&self.number).unwrap() -= 1;
    }
}

#[tokio::test]
async fn a_job_is_run_once_its_transaction_has_ended_well_and_only_then() -> Result<()> {
    let crew = Crew::new().await?;
    let book = Arc::new(Book::default());
    let theirs = Arc::clone(&book);
    let worker = crew.hire(move |_, job, _| {
        drop(theirs.begin(job.number));
        async { Ok(()) }
    })?;
    let now = crew.state.clock.now();
    let mut undone = crew.state.db.begin().await?;
    enqueue(&mut undone, &probe(1), now).await?;
    undone.rollback().await?;
    crew.write(&probe(2)).await?;
    crew.write(&probe(3).at(now.checked_add(2.hours())?)).await?;
    crew.until("DONE", 1).await?;
    assert_eq!((book.runs(), crew.count("PENDING")?), (BTreeMap::from([(2, 1)]), 1));
    crew.world.clock.advance(SignedDuration::from_hours(2));
    crew.until("DONE", 2).await?;
    assert_eq!(book.runs(), BTreeMap::from([(2, 1), (3, 1)]));
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_jobs_are_each_run_once_by_two_workers_in_the_order_they_were_written() -> Result<()> {
    let crew = Crew::new().await?;
    let book = Arc::new(Book::default());
    let order = Arc::new(Mutex::new(Vec::new()));
    crew.sql(
        "insert into job_outbox (id, kind, queue, payload, allowed, run_at, created_at)
         select gen_random_uuid(), 'PROBE', 'QUICK', jsonb_build_object('number', n), 5, now(), now() from generate_series(1, 1000) n",
    )?;
    let mut workers = Vec::new();
    for _ in 0..2 {
        let (book, order) = (Arc::clone(&book), Arc::clone(&order));
        workers.push(crew.hire(move |_, job, _| {
            let inside = book.begin(job.number);
            order.lock().unwrap().push(job.number);
            async move {
                tokio::task::yield_now().await;
                drop(inside);
                Ok(())
            }
        })?);
    }
    crew.until("DONE", 1000).await?;
    assert_eq!(book.runs(), (1..=1000).map(|number| (number, 1)).collect());
    assert_eq!(crew.sql("select count(*) from job_outbox")?, "0");
    let handed: Vec<String> = crew
        .sql("select payload ->> 'number' from jobs order by position")?
        .lines()
        .map(str::to_owned)
        .collect();
    assert_eq!(handed, (1..=1000).map(|number: i64| number.to_string()).collect::<Vec<_>>());
    for worker in workers {
        worker.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_killed_worker_had_is_run_by_another_and_nothing_by_two_at_once() -> Result<()> {
    let crew = Crew::new().await?;
    let book = Arc::new(Book::default());
    for number in 0..40 {
        crew.write(&probe(number)).await?;
    }
    let (theirs, stuck) = (Arc::clone(&book), Arc::new(Semaphore::new(0)));
    let begun = Arc::clone(&stuck);
    let doomed = crew.hire(move |_, job, _| {
        let inside = theirs.begin(job.number);
        begun.add_permits(1);
        async move {
            // As long as it lives.
            let _inside = inside;
            std::future::pending().await
        }
    })?;
    drop(tokio::time::timeout(BOUND, stuck.acquire_many(16)).await??);
    doomed.kill().await;
    assert_eq!((crew.count("RUNNING")?, crew.count("DONE")?), (40, 0));
    let theirs = Arc::clone(&book);
    let other = crew.hire(move |_, job, _| {
        let inside = theirs.begin(job.number);
        async move {
            drop(inside);
            Ok(())
        }
    })?;
    crew.write(&probe(40)).await?;
    crew.until("DONE", 1).await?;
    assert_eq!(book.runs().get(&40), Some(&1), "the others are the dead one's for now");
    // However far ahead the other's clock is, only the database's counts.
    crew.world.clock.advance(SignedDuration::from_hours(1));
    crew.write(&probe(41)).await?;
    crew.until("DONE", 2).await?;
    assert_eq!(crew.count("RUNNING")?, 40);
    crew.sql("update jobs set lease_until = now() - interval '1 second' where state = 'RUNNING'")?;
    crew.until("DONE", 42).await?;
    let runs = book.runs();
    assert_eq!(runs.len(), 42);
    assert!(runs.values().all(|count| (1..=2).contains(count)), "{runs:?}");
    assert_eq!(book.at_once.load(Ordering::SeqCst), 1);
    other.stop().await
}

#[tokio::test]
async fn a_worker_that_comes_back_too_late_is_not_heard() -> Result<()> {
    let crew = Crew::new().await?;
    let go = Arc::new(Semaphore::new(0));
    let (waits, held) = (Arc::clone(&go), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&held);
    let late = crew.hire(move |state: Arc<State>, _, run: Run| {
        let (waits, seen) = (Arc::clone(&waits), Arc::clone(&seen));
        async move {
            drop(waits.acquire().await.unwrap());
            let mut tx = state.db.begin().await?;
            let still = run.hold(&mut tx).await;
            seen.lock().unwrap().push((run.attempt, still.is_ok()));
            tx.rollback().await?;
            still
        }
    })?;
    crew.write(&probe(1)).await?;
    crew.until("RUNNING", 1).await?;
    // As if it had stood still for a minute, and another had come, which knows no more of it than the second attempt.
    crew.sql("update jobs set attempts = 2, lease_until = now() + interval '1 hour'")?;
    go.add_permits(1);
    wait::until("it to go on", BOUND, async || Ok((!held.lock().unwrap().is_empty()).then_some(()))).await?;
    late.stop().await?;
    assert_eq!(*held.lock().unwrap(), [(1, false)]);
    assert_eq!(crew.sql("select state, attempts, last_error is null from jobs")?, "RUNNING|2|t");
    Ok(())
}

#[tokio::test]
async fn of_one_kind_and_key_one_waits_and_one_is_run() -> Result<()> {
    let crew = Crew::new().await?;
    let (book, go) = (Arc::new(Book::default()), Arc::new(Semaphore::new(0)));
    let hire = || {
        let (book, go) = (Arc::clone(&book), Arc::clone(&go));
        crew.hire(move |_, job, _| {
            // All of one key are the same thing.
            let thing = i64::from(job.number == 50);
            let (inside, go, number) = (book.begin(thing), Arc::clone(&go), job.number);
            drop(book.begin(number + 100));
            async move {
                go.acquire().await.unwrap().forget();
                drop(inside);
                Ok(())
            }
        })
    };
    let workers = [hire()?, hire()?];
    crew.write(&probe(1).with_key("same")).await?;
    crew.until("RUNNING", 1).await?;
    let later = crew.state.clock.now().checked_add(3.hours())?;
    crew.write(&probe(2).with_key("same").at(later)).await?;
    crew.until("PENDING", 1).await?;
    // In one transaction, handed over together.
    let mut tx = crew.state.db.begin().await?;
    for number in 3..6 {
        enqueue(&mut tx, &probe(number).with_key("same"), crew.state.clock.now()).await?;
    }
    enqueue(&mut tx, &probe(50).with_key("other"), crew.state.clock.now()).await?;
    tx.commit().await?;
    wait::until("the other key to be run", BOUND, async || {
        Ok((crew.count("RUNNING")? == 2 && crew.sql("select count(*) from job_outbox")? == "0").then_some(()))
    })
    .await?;
    let waiting =
        crew.sql("select payload ->> 'number', run_at <= now() from jobs where state = 'PENDING'")?;
    assert_eq!(waiting, "5|t", "the newest payload at the earliest time");
    go.add_permits(3);
    crew.until("DONE", 3).await?;
    let runs = book.runs();
    assert_eq!(book.at_once.load(Ordering::SeqCst), 1);
    assert_eq!(
        (runs.get(&101), runs.get(&105), runs.get(&150), runs.get(&102)),
        (Some(&1), Some(&1), Some(&1), None)
    );
    for worker in workers {
        worker.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_failed_job_makes_way_for_a_newer_one_of_its_key() -> Result<()> {
    let crew = Crew::new().await?;
    let go = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&go);
    let worker = crew.hire(move |_, job, _| {
        let waits = Arc::clone(&waits);
        async move {
            waits.acquire().await.unwrap().forget();
            if job.number == 1 { Err(JobError::again("not yet")) } else { Ok(()) }
        }
    })?;
    crew.write(&probe(1).with_key("same")).await?;
    crew.until("RUNNING", 1).await?;
    crew.write(&probe(2).with_key("same")).await?;
    crew.until("PENDING", 1).await?;
    go.add_permits(2);
    crew.until("DONE", 1).await?;
    let ended = crew.sql("select payload ->> 'number', state, last_error from jobs order by position")?;
    assert_eq!(ended, "1|DISCARDED|a newer one of its key took its place; not yet\n2|DONE|");
    worker.stop().await
}

#[tokio::test]
async fn what_fails_is_tried_again_with_growing_pauses_and_given_up_in_the_open() -> Result<()> {
    let crew = Crew::new().await?;
    let worker = crew.hire(|_, job, _| async move {
        match job.number {
            1 => panic!("as a bug would"),
            2 => Err(JobError::dead("there is no such thing")),
            _ => {
                Err(JobError::Again { why: "not yet".to_owned(), after: Some(SignedDuration::from_hours(5)) })
            }
        }
    })?;
    for number in 1..4 {
        crew.write(&probe(number)).await?;
    }
    crew.sql("insert into job_outbox (id, kind, queue, payload, allowed, run_at, created_at) values (gen_random_uuid(), 'PROBE', 'QUICK', '{\"x\": 1}', 5, now(), now())")?;
    crew.until("DEAD", 2).await?;
    let dead = "select last_error from jobs where state = 'DEAD' order by position";
    assert_eq!(crew.sql(dead)?, "there is no such thing\nits payload can't be read");
    wait::until("the attempts to be used up", BOUND, async || {
        crew.world.clock.advance(SignedDuration::from_secs(2));
        Ok((crew.count("DEAD")? == 3).then_some(()))
    })
    .await?;
    let panicked = crew.sql("select attempts, last_error from jobs where payload ->> 'number' = '1'")?;
    assert_eq!(panicked, "5|it panicked");
    let told =
        crew.sql("select run_at > now() + interval '4 hours' from jobs where payload ->> 'number' = '3'")?;
    assert_eq!(told, "t", "the pause that it asked for");
    worker.stop().await
}

#[tokio::test]
async fn what_is_run_when_the_process_stops_ends_or_is_given_back() -> Result<()> {
    let crew = Crew::new().await?;
    let go = Arc::new(Semaphore::new(0));
    let waits = Arc::clone(&go);
    let stopped = crew.hire(move |_, job, _| {
        let waits = Arc::clone(&waits);
        async move {
            if job.number == 1 {
                std::future::pending::<()>().await;
            }
            drop(waits.acquire().await.unwrap());
            Ok(())
        }
    })?;
    crew.write(&probe(1)).await?;
    crew.write(&probe(2)).await?;
    crew.until("RUNNING", 2).await?;
    stopped.stop.cancel();
    go.add_permits(1);
    tokio::time::timeout(BOUND, stopped.task).await??;
    let after = crew.sql("select state, attempts, allowed, run_at <= now() from jobs order by position")?;
    assert_eq!(after, "PENDING|1|6|t\nDONE|1|5|t", "an attempt that was cut off does not count");
    let other = crew.hire(|_, _, _| async { Ok(()) })?;
    crew.until("DONE", 2).await?;
    other.stop().await
}

#[tokio::test]
async fn workers_outlive_a_database_that_is_away() -> Result<()> {
    let crew = Crew::new().await?;
    let book = Arc::new(Book::default());
    let (theirs, go) = (Arc::clone(&book), Arc::new(Semaphore::new(0)));
    let waits = Arc::clone(&go);
    let worker = crew.hire(move |_, job, _| {
        let (inside, waits) = (theirs.begin(job.number), Arc::clone(&waits));
        async move {
            drop(waits.acquire().await.unwrap());
            drop(inside);
            Ok(())
        }
    })?;
    for number in 0..20 {
        crew.write(&probe(number)).await?;
    }
    crew.until("RUNNING", 20).await?;
    let admin = |sql: String| crew.world.database.server.sql("postgres", &sql);
    let name = &crew.world.database.name;
    admin(format!("alter database {name} allow_connections false"))?;
    admin(format!("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{name}'"))?;
    go.add_permits(1);
    // They end while that can't be written.
    wait::until("the jobs to end", BOUND, async || {
        let is_over = book.inside.lock().unwrap().values().all(|count| *count == 0);
        Ok((book.runs().len() == 20 && is_over).then_some(()))
    })
    .await?;
    admin(format!("alter database {name} allow_connections true"))?;
    crew.until("DONE", 20).await?;
    assert_eq!(book.runs(), (0..20).map(|number| (number, 1)).collect());
    worker.stop().await
}

#[tokio::test]
async fn what_is_scheduled_is_written_by_one_replica_and_made_up_for_once() -> Result<()> {
    let (begun, world) = (Instant::now(), World::new().await?);
    let _other = world.replica().await?;
    let sql = |text: &str| {
        anyhow::Ok(world.database.server.sql(&world.database.name, text)?.trim().parse::<u64>()?)
    };
    let probes = "select count(*) from jobs where kind = 'PROBE' and state = 'DONE'";
    let forgets = "select count(distinct key) from jobs where kind = 'FORGET' and state = 'DONE'";
    let all = u64::try_from(What::ALL.len())?;
    wait::until("each to be done", BOUND, async || {
        Ok((sql(probes)? >= 1 && sql(forgets)? == all).then_some(()))
    })
    .await?;
    world.database.server.sql(
        &world.database.name,
        "insert into rate_limits (key, arrival) values ('old', now() - interval '10 years')",
    )?;
    let before = sql(probes)?;
    world.clock.advance(SignedDuration::from_mins(30));
    wait::until("what was missed to be made up for", BOUND, async || {
        let is_gone = sql("select count(*) from rate_limits where key = 'old'")? == 0;
        Ok((sql(probes)? > before && is_gone).then_some(()))
    })
    .await?;
    // One at the start and one for the thirty that were missed, beside those of the minutes that the test itself took.
    let found = sql("select count(*) from jobs where kind = 'PROBE'")?;
    assert!(found <= 2 + begun.elapsed().as_secs() / 60, "{found}");
    Ok(())
}

#[tokio::test]
async fn jobs_that_ended_are_forgotten_after_a_while() -> Result<()> {
    let crew = Crew::new().await?;
    crew.sql(
        "insert into jobs (id, position, kind, queue, payload, allowed, created_at, run_at, state, ended_at)
         select gen_random_uuid(), n, 'PROBE', 'QUICK', '{}', 5, now(), now(), s, now() - d * interval '1 day'
         from generate_series(1, 6000) n, (values ('DONE', 8), ('DONE', 6), ('DEAD', 8), ('DEAD', 91), ('DISCARDED', 8)) as v (s, d)
         where n <= 10 or (s, d) = ('DONE', 8)",
    )?;
    let (state, stop) = (crew.world.state_with(|_| {})?, CancellationToken::new());
    let worker = tokio::spawn(Worker::unscheduled(state, Registry::standard()).run(stop.clone()));
    crew.write(&New::of(&Forget { what: What::Jobs })?).await?;
    wait::until("them to be gone", BOUND, async || {
        let left =
            crew.sql("select string_agg(distinct state, ' '), count(*) from jobs where kind = 'PROBE'")?;
        Ok((left == "DEAD DONE|20").then_some(()))
    })
    .await?;
    stop.cancel();
    Ok(worker.await?)
}

async fn get(world: &World, who: &User, path: &str) -> Result<Value> {
    Ok(world.api.get_as(who, path).await?.expect(StatusCode::OK)?.body)
}

/// Three jobs that were given up and one that waits, an administrator, and what mends the cause.
async fn given_up(crew: &Crew) -> Result<(User, Hired, Arc<AtomicBool>)> {
    let (state, sender) = crew.world.parts()?;
    let stop = CancellationToken::new();
    let told = stop.clone();
    let mails = tokio::spawn(async move { sender.run(state, told).await });
    let boss = crew.world.administrator("boss").await?;
    stop.cancel();
    mails.await?;
    let mended = Arc::new(AtomicBool::new(false));
    let is_well = Arc::clone(&mended);
    let worker = crew.hire(move |_, _, _| {
        let is_well = is_well.load(Ordering::SeqCst);
        async move { if is_well { Ok(()) } else { Err(JobError::dead("the thing is broken")) } }
    })?;
    for number in 1..4 {
        crew.write(&probe(number).with_key(format!("thing:{number}"))).await?;
    }
    crew.write(&probe(4).at(crew.state.clock.now().checked_add(5.hours())?)).await?;
    crew.until("DEAD", 3).await?;
    crew.until("PENDING", 1).await?;
    Ok((boss, worker, mended))
}

#[tokio::test]
async fn an_administrator_sees_how_jobs_stand_and_what_was_given_up() -> Result<()> {
    let crew = Crew::new().await?;
    let (boss, worker, _) = given_up(&crew).await?;
    let world = &crew.world;
    let queues = get(world, &boss, "/admin/jobs/queues").await?;
    assert_eq!(
        queues["queues"][0],
        json!({"queue": "QUICK", "pending": 1, "due": 0, "oldest_due_seconds": 0, "running": 0, "dead": 3})
    );
    assert_eq!((&queues["queues"][1]["queue"], &queues["outbox"]), (&json!("UPKEEP"), &json!(0)));
    let query = "/admin/jobs?state=DEAD&kind=PROBE&queue=QUICK&sort=created_at&page[size]=2";
    let page = get(world, &boss, query).await?;
    let next = page["next"].as_str().unwrap_or_default();
    let rest = get(world, &boss, next).await?;
    let mut dead = page["items"].as_array().cloned().unwrap_or_default();
    assert_eq!(dead.len(), 2);
    dead.extend(rest["items"].as_array().cloned().unwrap_or_default());
    assert_eq!((dead.len(), &rest["next"]), (3, &Value::Null));
    let first = dead.iter().find(|job| job["payload"] == json!({"number": 1})).unwrap();
    assert_eq!((&first["key"], &first["attempts"]), (&json!("thing:1"), &json!(1)));
    assert_eq!((&first["last_error"], &first["state"]), (&json!("the thing is broken"), &json!("DEAD")));
    let path = format!("/admin/jobs/{}", first["id"].as_str().unwrap_or_default());
    assert_eq!(get(world, &boss, &path).await?, *first);
    let none = get(world, &boss, "/admin/jobs?created_before=2020-01-01T00:00:00Z").await?;
    assert_eq!(none["items"], json!([]));
    assert_eq!(world.api.get_as(&boss, "/admin/jobs?state=LOST").await?.code(), "request.malformed");
    worker.stop().await
}

#[tokio::test]
async fn an_administrator_retries_or_discards_what_was_given_up() -> Result<()> {
    let crew = Crew::new().await?;
    let (boss, worker, mended) = given_up(&crew).await?;
    let world = &crew.world;
    let path = |verb: &str, number: i64| -> Result<String> {
        let id =
            crew.sql(&format!("select id from jobs where key = 'thing:{number}' and state <> 'PENDING'"))?;
        Ok(format!("/admin/jobs/{id}/{verb}"))
    };
    let because = json!({"reason": "The thing was mended"});
    let post = async |path: &str| world.api.send_as(&boss, Method::POST, path, &because).await;
    // Another of its key waits: it would only do the same.
    crew.write(&probe(9).with_key("thing:1").at(crew.state.clock.now().checked_add(5.hours())?)).await?;
    crew.until("PENDING", 2).await?;
    assert_eq!(post(&path("retry", 1)?).await?.code(), "job.replaced");

    mended.store(true, Ordering::SeqCst);
    let retry = path("retry", 2)?;
    let answer = world.api.post_once(&boss, &retry, "once", &because).await?.expect(StatusCode::OK)?;
    assert_eq!((&answer.body["state"], &answer.body["attempts_allowed"]), (&json!("PENDING"), &json!(6)));
    crew.until("DONE", 1).await?;
    world.api.post_once(&boss, &retry, "once", &because).await?.expect(StatusCode::OK)?;
    assert_eq!(crew.count("DONE")?, 1, "the same request is done once");
    assert_eq!(
        post(&path("discard", 2)?).await?.expect(StatusCode::OK)?.body["state"],
        "DONE",
        "it stays so"
    );
    let answer = post(&path("discard", 3)?).await?.expect(StatusCode::OK)?;
    assert_eq!(answer.body["state"], "DISCARDED");

    let log = get(world, &boss, "/admin/audit?entity_type=job&sort=at").await?;
    assert_eq!(log["items"].as_array().map(Vec::len), Some(2));
    let line = &log["items"][0];
    assert_eq!(
        (&line["action"], &line["reason"], &line["before"]["state"]),
        (&json!("job.retry"), &json!("The thing was mended"), &json!("DEAD"))
    );
    worker.stop().await?;
    crew.sql("update jobs set state = 'RUNNING', ended_at = null, lease_until = now() where state = 'DONE'")?;
    for verb in ["retry", "discard"] {
        assert_eq!(post(&path(verb, 2)?).await?.code(), "job.running");
    }
    Ok(())
}

#[tokio::test]
async fn a_process_does_one_half_or_both() -> Result<()> {
    let world = World::with_role(Role::Api).await?;
    let sql =
        |text: &str| anyhow::Ok(world.database.server.sql(&world.database.name, text)?.trim().to_owned());
    let worker = world.replica_in(Role::Worker).await?;
    wait::until("the worker to work", BOUND, async || {
        Ok((sql("select count(*) from jobs where kind = 'PROBE' and state = 'DONE'")? == "1").then_some(()))
    })
    .await?;
    let refused = worker.post("/auth/login", &json!({"email": "x@example.com", "password": "x"})).await?;
    assert_eq!(refused.code(), "request.no_such_route");
    let metrics = async |api: &crate::world::Api| {
        let answer = api.send(api.request(Method::GET, "/metrics")).await?;
        anyhow::Ok(answer.body.as_str().unwrap_or_default().to_owned())
    };
    let ran = "nakhoda_api_jobs_total{kind=\"PROBE\",outcome=\"done\"} ";
    assert!(metrics(&worker).await?.contains(&format!("{ran}1")));
    assert!(metrics(&world.api).await?.contains(&format!("{ran}0")));
    // Mail is the worker's, too.
    world.user("ayu").await?;
    Ok(())
}

/// The parts that a test may run by themselves.
impl World {
    fn parts(&self) -> Result<(Arc<State>, api_server::mail::sender::Sender)> {
        let (state, sender) =
            serve::build(self.settings(), api_server::cluster::Cluster::none(), self.clock.clone())?;
        Ok((state, sender.ok_or_else(|| anyhow::anyhow!("no mail server"))?))
    }
}
