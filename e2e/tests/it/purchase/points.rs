//! The crash points of a purchase: every write to the cluster, and every change of the database, that an undisturbed one makes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use e2e::midtrans::shuffle::{next, shuffle};
use e2e::postgres_proxy::{DatabaseWrite, Moment, Strike, Target};
use e2e::proxy::{Action, Call, Matcher};

use super::SEED;
use super::buyer::{Buyer, Phase};
use super::shop::Shop;
use crate::world::{BOUND, Write};

/// How long a write may take to come.
const COMES: Duration = Duration::from_secs(8);
/// How long after the last write of a phase no further one comes.
const QUIET: Duration = Duration::from_millis(2500);

/// What a phase writes.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) cluster: Vec<Write>,
    pub(super) database: Vec<DatabaseWrite>,
}

/// Who is killed at a change of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Program,
    Postgres,
}

/// What is killed, and when.
#[derive(Clone, Debug)]
enum Point {
    Cluster { write: Write, action: Action },
    Database { write: DatabaseWrite, follows: Option<DatabaseWrite>, moment: Moment, victim: Victim },
}

/// A crash point.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) phase: Phase,
    point: Point,
}

/// All writes to the cluster but leases and events.
fn writes() -> Matcher {
    Matcher::writes().without_leases().without_events()
}

impl Trace {
    /// Lets somebody go through a phase undisturbed.
    pub(super) async fn of(shop: &Shop, buyer: &Buyer<'_>, phase: Phase) -> Result<Self> {
        let log = shop.world.proxy().log();
        log.wait_quiet(&writes(), QUIET, BOUND).await?;
        let mark = log.mark();
        shop.database.forget();
        buyer.begins(phase).await?;
        buyer.ends(phase).await?;
        let database = shop.database.trace();
        log.wait_quiet(&writes(), QUIET, BOUND).await?;
        let mut calls = log.writes(mark, &writes());
        calls.retain(Call::is_committed);
        Ok(Self { cluster: Write::all(&calls, buyer.place()), database })
    }

    /// What both have: the rest is chance.
    pub(super) fn common(mut self, other: &Self) -> Self {
        self.cluster.retain(|write| other.cluster.contains(write));
        self.database.retain(|write| other.database.contains(write));
        self
    }

    /// Its crash points.
    pub(super) fn cases(&self, phase: Phase) -> Vec<Case> {
        let mut all = Vec::new();
        for write in &self.cluster {
            for action in [Action::CrashBefore, Action::CrashAfter] {
                all.push(Case { phase, point: Point::Cluster { write: write.clone(), action } });
            }
        }
        for (at, write) in self.database.iter().enumerate() {
            let follows = at.checked_sub(1).map(|before| self.database[before].clone());
            for victim in [Victim::Program, Victim::Postgres] {
                for moment in [Moment::Before, Moment::After] {
                    let (write, follows) = (write.clone(), follows.clone());
                    all.push(Case { phase, point: Point::Database { write, follows, moment, victim } });
                }
            }
        }
        all
    }
}

impl Case {
    /// What is killed in which phase.
    pub(super) fn group(&self) -> String {
        let victim = match &self.point {
            Point::Cluster { write, .. } => format!("{} at a write to the cluster", write.actor()),
            Point::Database { victim: Victim::Postgres, write, .. } => {
                format!("PostgreSQL at a change by {}", write.actor)
            }
            Point::Database { write, .. } => format!("{} at a change of the database", write.actor),
        };
        format!("{:?}: {victim}", self.phase)
    }

    /// Lies in wait, kills, starts what was killed again; whether it came to that. To be begun with the phase.
    pub(super) async fn strikes(&self, shop: &Shop, buyer: &Buyer<'_>) -> Result<bool> {
        match &self.point {
            Point::Cluster { write, action } => {
                let rule = shop.world.proxy().add_rule(write.rule(buyer.place(), action.clone()));
                // Counted below.
                let _ = rule.wait_hits(1, COMES).await;
                rule.remove();
                if rule.hits() == 0 {
                    return Ok(false);
                }
                revive(shop, write.actor(), true).await?;
            }
            Point::Database { write, follows, moment, victim } => {
                let strike: Strike = match victim {
                    Victim::Postgres => Arc::new(shop.kills_postgres()),
                    Victim::Program => {
                        let program = shop.program(&write.actor).context("it is a process of the API")?;
                        Arc::new(program.kills())
                    }
                };
                let (write, follows, moment) = (write.clone(), follows.clone(), *moment);
                let actor = Arc::clone(&write.actor);
                shop.database.aim(Target { write, follows, moment, strike });
                let is_struck = shop.database.struck(COMES).await.is_ok();
                shop.database.put_down();
                match (is_struck, victim) {
                    (false, _) => return Ok(false),
                    (true, Victim::Postgres) => shop.restart_postgres().await?,
                    (true, Victim::Program) => revive(shop, &actor, false).await?,
                }
            }
        }
        shop.lapse()?;
        Ok(true)
    }
}

/// Starts again what was killed, by the proxy before the cluster or by the other.
async fn revive(shop: &Shop, actor: &str, by_cluster: bool) -> Result<()> {
    let Some(program) = shop.program(actor) else {
        shop.operator.crashed().await?;
        return shop.operator.restart().await;
    };
    if by_cluster {
        program.crashed().await?;
    }
    program.start().await
}

/// So many of them, of each group in turn, chosen by the seed.
pub(super) fn sample(cases: &[Case], most: usize) -> Vec<Case> {
    let mut seed = SEED;
    let mut groups: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in cases {
        groups.entry(case.group()).or_default().push(case.clone());
    }
    for group in groups.values_mut() {
        shuffle(group, next(&mut seed));
    }
    let mut chosen = Vec::new();
    while chosen.len() < most.min(cases.len()) {
        chosen.extend(groups.values_mut().filter_map(Vec::pop));
    }
    chosen.truncate(most);
    chosen
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.point {
            Point::Cluster { write, action } => {
                write!(f, "{:?}: {}: {action:?} at {write}", self.phase, write.actor())
            }
            Point::Database { write, moment, victim, .. } => {
                write!(f, "{:?}: {victim:?} killed {moment:?} {write}", self.phase)
            }
        }
    }
}
