//! Runs jobs: hands over what the outbox has, takes what is due, runs it, and writes down how it ended. Whoever takes a job has it for a
//! minute, and says again and again that it lives; who does not is taken for dead, and another takes the job. What the dead one still has to say
//! is not heard: it knows an older attempt.

use super::{
    JobError, Kind, Queue, Run, backoff,
    hand::Hand,
    registry::Registry,
    schedule::{self, Schedule},
    store::{self, Taken},
};
use crate::{clock, random, state::State};
use futures::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Between two looks while nobody wakes us: what other processes write, and what was put off.
const LOOK: Duration = Duration::from_millis(100);
/// Between two looks while the database is away.
const AWAY: Duration = Duration::from_secs(1);
/// How many rows are handed over from the outbox at a time.
const HANDED_OVER: i64 = 1000;
/// How long a job is its worker's alone, counted from its last word.
const LEASE: Duration = Duration::from_mins(1);
/// For how long the worker itself counts on that: it lets go before another may take.
const SURE: Duration = Duration::from_secs(45);
/// Between two words.
const BEAT: Duration = Duration::from_secs(10);
/// How long one of them may take.
const TOLD: Duration = Duration::from_secs(5);
/// How many ends are written at a time.
const ENDS: usize = 512;
/// How long jobs may take to end once the process is told to stop; then they are given back.
const PATIENCE: Duration = Duration::from_secs(8);
/// Between two looks at the schedules, and at how jobs stand.
const TICK: Duration = Duration::from_secs(1);
const STAND: SignedDuration = SignedDuration::from_secs(15);

/// Runs jobs.
#[derive(Debug)]
pub struct Worker {
    state: Arc<State>,
    registry: Registry,
    kinds: Vec<&'static str>,
    schedules: Vec<Schedule>,
    hand: Hand,
    places: BTreeMap<Queue, Semaphore>,
    /// What is still run is given back.
    over: CancellationToken,
}

/// How a run ended.
#[derive(Debug)]
enum Outcome {
    Done,
    Failed(JobError),
    GivenBack,
    Lost,
}

#[derive(Debug)]
struct End {
    job: Taken,
    kind: Kind,
    outcome: Outcome,
}

impl Worker {
    /// One that does these, and all that is scheduled.
    ///
    /// # Errors
    /// Where the payload of a schedule is no JSON.
    pub fn new(state: Arc<State>, registry: Registry) -> Result<Self, serde_json::Error> {
        Ok(Self { schedules: schedule::all()?, ..Self::unscheduled(state, registry) })
    }

    /// One that does these, and only what somebody else writes.
    pub fn unscheduled(state: Arc<State>, registry: Registry) -> Self {
        let places = Queue::ALL.iter().map(|queue| (*queue, Semaphore::new(queue.at_once()))).collect();
        let kinds = registry.kinds();
        Self {
            state,
            registry,
            kinds,
            schedules: Vec::new(),
            hand: Hand::default(),
            places,
            over: CancellationToken::new(),
        }
    }

    /// Works until told to stop; what is run then has some seconds to end, and is given back. Dropped in the middle, it runs nothing any more,
    /// and what it had is taken by another once its minute is over.
    pub async fn run(self, stop: CancellationToken) {
        let (worker, (ends, ended)) = (Arc::new(self), mpsc::channel(ENDS));
        let quiet = CancellationToken::new();
        let finish = async {
            worker.finish(ended).await;
            quiet.cancel();
        };
        tokio::join!(worker.pump(ends, &stop), finish, worker.live(&quiet), worker.keep_time(&stop));
    }

    async fn pump(self: &Arc<Self>, ends: mpsc::Sender<End>, stop: &CancellationToken) {
        let mut running = JoinSet::new();
        while !stop.is_cancelled() {
            while running.try_join_next().is_some() {}
            let pause = match self.turn(&mut running, &ends).await {
                Ok(true) => continue,
                Ok(false) => LOOK,
                Err(error) => {
                    tracing::warn!(%error, "jobs can't be taken from the database; it is tried again");
                    AWAY
                }
            };
            tokio::select! {
                () = self.state.jobs_are_due.notified() => {}
                () = self.hand.freed.notified() => {}
                () = sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
        let all = async |running: &mut JoinSet<()>| while running.join_next().await.is_some() {};
        if timeout(PATIENCE, all(&mut running)).await.is_err() {
            self.over.cancel();
            all(&mut running).await;
        }
    }

    /// Hands over, takes and begins what there is; whether there may be more right now.
    async fn turn(
        self: &Arc<Self>,
        running: &mut JoinSet<()>,
        ends: &mpsc::Sender<End>,
    ) -> Result<bool, sqlx::Error> {
        let (db, now) = (&self.state.db, self.state.clock.now());
        let look = store::look(db, now).await?;
        let moved = if look.outbox { store::relay(db, HANDED_OVER).await? } else { 0 };
        let mut more = moved == HANDED_OVER;
        for queue in Queue::ALL.iter().copied().filter(|_| look.due || look.lost || moved > 0) {
            let room = self.hand.room(queue);
            if room == 0 {
                continue;
            }
            let (begun, lease) = (Instant::now(), LEASE.as_secs_f64());
            let want = store::Want { queue, kinds: &self.kinds, most: number(room), now, lease };
            let mut jobs = store::take(db, &want).await?;
            if look.lost {
                let rest = store::Want { most: number(room.saturating_sub(jobs.len())), ..want };
                // What was taken already must not wait for its minute where this fails; it is tried again at the next look.
                match store::take_lost(db, &rest, &self.hand.all().0).await {
                    Ok(lost) => jobs.extend(lost),
                    Err(error) => tracing::warn!(%error, "what other workers lost can't be taken"),
                }
            }
            more |= jobs.len() == room;
            jobs.sort_by_key(|job| job.position);
            for job in jobs {
                // The store asks only for kinds that there are.
                let Some(kind) = Kind::of(&job.kind) else { continue };
                let lost = self.hand.take(queue, &job, begun + SURE);
                running.spawn(Arc::clone(self).see_through(kind, job, lost, ends.clone()));
            }
        }
        Ok(more)
    }

    async fn see_through(
        self: Arc<Self>,
        kind: Kind,
        job: Taken,
        lost: CancellationToken,
        ends: mpsc::Sender<End>,
    ) {
        let outcome = tokio::select! {
            biased;
            () = lost.cancelled() => Outcome::Lost,
            () = self.over.cancelled() => Outcome::GivenBack,
            outcome = self.work(kind, &job) => outcome,
        };
        // Nobody listens only where the worker was dropped.
        drop(ends.send(End { job, kind, outcome }).await);
    }

    async fn work(&self, kind: Kind, job: &Taken) -> Outcome {
        let conduct = kind.conduct();
        if job.attempts > job.allowed {
            return Outcome::Failed(JobError::dead("every worker that took it was lost"));
        }
        let Some(places) = self.places.get(&conduct.queue) else { return Outcome::GivenBack };
        // They are never closed.
        let Ok(_place) = places.acquire().await else { return Outcome::GivenBack };
        let (begun, now) = (Instant::now(), self.state.clock.now());
        if job.attempts == 1 {
            self.state.metrics.jobs.picked_up(conduct.queue, now.duration_since(job.due_at));
        }
        let run = Run { id: job.id, attempt: job.attempts, now };
        let Some(work) = self.registry.begin(kind, Arc::clone(&self.state), job.payload.clone(), run) else {
            return Outcome::GivenBack;
        };
        let done = timeout(conduct.longest, AssertUnwindSafe(work).catch_unwind()).await;
        self.state.metrics.jobs.took(kind, begun.elapsed());
        match done {
            Ok(Ok(Ok(()))) => Outcome::Done,
            Ok(Ok(Err(error))) => Outcome::Failed(error),
            Ok(Err(_)) => Outcome::Failed(JobError::again("it panicked")),
            Err(_) => {
                let seconds = conduct.longest.as_secs();
                Outcome::Failed(JobError::again(format!("it took longer than {seconds} s")))
            }
        }
    }

    /// Writes down how jobs ended, many at a time.
    async fn finish(&self, mut ended: mpsc::Receiver<End>) {
        let mut ends = Vec::new();
        while ended.recv_many(&mut ends, ENDS).await > 0 {
            let done = ends.iter().filter(|end| matches!(end.outcome, Outcome::Done));
            let (ids, attempts): (Vec<Uuid>, Vec<i32>) =
                done.map(|end| (end.job.id, end.job.attempts)).unzip();
            if !ids.is_empty() {
                self.insist(async || {
                    store::done(&self.state.db, &ids, &attempts, self.state.clock.now()).await
                })
                .await;
            }
            for end in &ends {
                self.end(end).await;
            }
            self.hand.put_down(ends.drain(..).map(|end| end.job.id));
        }
    }

    async fn end(&self, End { job, kind, outcome }: &End) {
        let now = self.state.clock.now();
        let outcome = match outcome {
            Outcome::Done => "done",
            Outcome::Lost => {
                tracing::warn!(job.id = %job.id, job.kind = kind.as_str(), attempt = job.attempts, "a job was lost to another worker");
                "lost"
            }
            Outcome::GivenBack => {
                self.insist(async || store::give_back(&self.state.db, job, now).await).await;
                "given_back"
            }
            Outcome::Failed(error) => {
                let (why, next) = next_try(job, *kind, error, now);
                tracing::warn!(job.id = %job.id, job.kind = kind.as_str(), attempt = job.attempts, error = why, given_up = next.is_none(), "a job was not done");
                if let Some(next) = next {
                    self.insist(async || store::again(&self.state.db, job, &why, next, now).await).await;
                    "failed"
                } else {
                    self.insist(async || store::dead(&self.state.db, job, &why, now).await).await;
                    "dead"
                }
            }
        };
        self.state.metrics.jobs.ended(*kind, outcome);
    }

    /// Writes until it is written, or another has the job anyhow.
    async fn insist<F: Future<Output = Result<(), sqlx::Error>>>(&self, write: impl Fn() -> F) {
        let until = Instant::now() + SURE;
        while let Err(error) = write().await {
            if self.state.db.is_closed() || Instant::now() >= until {
                tracing::warn!(%error, "how jobs ended can't be written down; they are run again");
                return;
            }
            sleep(LOOK).await;
        }
    }

    /// Says again and again that what is held is.
    async fn live(&self, quiet: &CancellationToken) {
        let mut pause = BEAT;
        loop {
            tokio::select! {
                () = sleep(pause) => {}
                () = quiet.cancelled() => return,
            }
            let (begun, (ids, attempts)) = (Instant::now(), self.hand.all());
            let lease = LEASE.as_secs_f64();
            // A connection may be dead without telling.
            let told = timeout(TOLD, store::live(&self.state.db, &ids, &attempts, lease)).await;
            pause = match told.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                Ok(ours) => {
                    self.hand.renew(&ids, &ours, begun + SURE);
                    BEAT
                }
                Err(error) => {
                    tracing::warn!(%error, "the database can't be told that jobs are being run; it is tried again");
                    AWAY
                }
            };
            self.hand.let_go(Instant::now());
        }
    }

    /// Writes what is scheduled, and tells how jobs stand.
    async fn keep_time(&self, stop: &CancellationToken) {
        let (mut next, mut stand) = (Timestamp::MIN, Timestamp::MIN);
        loop {
            let now = self.state.clock.now();
            if now >= next && !self.schedules.is_empty() {
                match schedule::tick(&self.state, &self.schedules).await {
                    Ok(then) => next = then,
                    Err(error) => {
                        tracing::warn!(%error, "what is scheduled can't be written; it is tried again");
                    }
                }
            }
            if now >= stand {
                match store::standing(&self.state.db, now).await {
                    Ok(standing) => self.state.metrics.jobs.stand(&standing),
                    Err(error) => tracing::warn!(%error, "how jobs stand can't be read; it is tried again"),
                }
                stand = clock::after(now, STAND);
            }
            tokio::select! {
                () = sleep(TICK) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// What is said of a try that failed, and when the next is; none: it is given up.
fn next_try(job: &Taken, kind: Kind, error: &JobError, now: Timestamp) -> (String, Option<Timestamp>) {
    match error {
        JobError::Dead { why } => (why.clone(), None),
        JobError::Again { why, .. } if job.attempts >= job.allowed => (why.clone(), None),
        JobError::Again { why, after } => {
            // Counted from when it was last begun anew.
            let nth = job.attempts - (job.allowed - i32::from(kind.conduct().attempts));
            let pause = after.unwrap_or_else(|| backoff::pause(nth, random::bytes::<1>()[0]));
            (why.clone(), Some(clock::after(now, pause)))
        }
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
