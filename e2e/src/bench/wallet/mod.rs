//! What the API makes of money in a second, beside what PostgreSQL makes of the same statements without it: debits of one wallet, by one client
//! and by many, and of many wallets; and how long it takes to verify large books.

mod bare;
mod books;
mod load;
mod pgbench;
mod recording;
mod shop;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::footprint::Footprint;
use super::report::{Figure, Machine, number, table_of};
use crate::story::Story;
use bare::Bare;
pub(crate) use bare::serve as serve_floor;
use load::Outcome;
use recording::Recording;
use shop::{Shop, Wallet};

/// How it is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The built API server.
    pub program: PathBuf,
    /// This program, which is the floor's server too.
    pub this: PathBuf,
    /// A folder for the data; empty.
    pub dir: PathBuf,
    /// How often each rate is taken, in turn with its floor; the middle one counts. Nothing: debits are left out.
    pub rounds: usize,
    /// How long it is taken each time.
    pub part: Duration,
    /// How many clients are many.
    pub clients: usize,
    /// How many wallets are many.
    pub wallets: usize,
    /// How many transfers the books have; none: they are left out.
    pub transfers: u64,
    /// How many come after the checkpoint.
    pub later: u64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The machine.
    pub machine: Machine,
    /// Whether the programs were built as they are shipped.
    pub optimised: bool,
    /// How many clients are many.
    pub clients: usize,
    /// How many wallets are many.
    pub wallets: usize,
    /// What one debit asks of PostgreSQL between begin and commit.
    pub statements: Vec<String>,
    /// The figures, in the order in which they were taken.
    pub figures: Vec<Figure>,
}

/// Rates of one wallet, with one client and with many: the API's and their floors'.
#[derive(Debug, Default)]
struct Rates {
    one: Vec<f64>,
    one_floor: Vec<f64>,
    many: Vec<f64>,
    many_floor: Vec<f64>,
}

/// What is used throughout.
struct Run<'a> {
    plan: &'a Plan,
    story: Story,
    shop: Shop,
    recording: Recording,
    failed: usize,
}

/// Measures it all.
pub async fn run(plan: &Plan, story: Story) -> Result<Report> {
    let machine = Machine::here();
    let mut report = Report {
        machine,
        optimised: !cfg!(debug_assertions),
        clients: plan.clients,
        wallets: plan.wallets,
        statements: Vec::new(),
        figures: Vec::new(),
    };
    if plan.rounds > 0 {
        debits(plan, story, &mut report).await?;
    }
    if plan.transfers > 0 {
        report.figures.extend(books::measure(plan, story).await?);
    }
    Ok(report)
}

/// Measures debits.
async fn debits(plan: &Plan, story: Story, report: &mut Report) -> Result<()> {
    let shop = Shop::open(&plan.program, &plan.dir.join("shop"), plan.wallets).await?;
    story.step(format!("API server and PostgreSQL ready, with {} wallets", plan.wallets));
    let recording = Recording::take(&shop, &shop.target().await?).await?;
    report.statements = recording.statements.iter().map(|one| one.sql.clone()).collect();
    story.step(format!("a debit asks for {} statements", recording.statements.len()));
    let mut run = Run { plan, story, shop, recording, failed: 0 };
    report.figures.push(Figure {
        what: "statements of a debit, begin and commit apart",
        value: number(report.statements.len()),
        unit: "",
        floor: None,
        goal: "",
    });
    report.figures.extend(run.one_wallet().await?);
    report.figures.extend(run.many_wallets().await?);
    report.figures.extend(run.without_sync().await?);
    let failed = number(run.failed);
    report.figures.push(Figure {
        what: "refused or failed",
        value: failed,
        unit: "",
        floor: None,
        goal: "0",
    });
    Ok(())
}

impl Run<'_> {
    /// Debits through the API.
    async fn debits(&mut self, wallets: &Arc<[Wallet]>, clients: usize, part: Duration) -> Result<Outcome> {
        let outcome = load::run(&self.shop.target().await?, wallets, clients, part).await?;
        self.failed += outcome.failed;
        Ok(outcome)
    }

    fn pgbench(&self, clients: usize, part: Duration) -> Result<f64> {
        pgbench::run(&self.shop, &self.recording, &self.plan.dir, clients, part)
    }

    fn first(&self) -> Arc<[Wallet]> {
        self.shop.wallets.iter().take(1).copied().collect()
    }

    /// L1: one wallet, which its clients queue for.
    async fn one_wallet(&mut self) -> Result<Vec<Figure>> {
        let Plan { rounds, part, clients, .. } = *self.plan;
        let (first, mut rates) = (self.first(), Rates::default());
        for _ in 0..rounds {
            rates.one.push(self.debits(&first, 1, part).await?.rate);
            rates.one_floor.push(self.pgbench(1, part)?);
            rates.many.push(self.debits(&first, clients, part).await?.rate);
            rates.many_floor.push(self.pgbench(clients, part)?);
        }
        self.story.step("one wallet");
        let Rates { one, one_floor, many, many_floor } = rates;
        let (one, many) = (middle(one), middle(many));
        let of = |what, value, floor, goal| Figure { what, value, unit: "/s", floor: Some(floor), goal };
        Ok(vec![
            of("L1 one wallet, one client", one, middle(one_floor), "≥ 0.7 of pgbench"),
            of("L1 one wallet, many clients", many, middle(many_floor), "≥ 0.7 of pgbench"),
            of("L1 the same against one client", many, one, "≥ 0.9 of one client"),
        ])
    }

    /// L2: many wallets, drawn by many clients.
    async fn many_wallets(&mut self) -> Result<Vec<Figure>> {
        let Plan { rounds, part, clients, .. } = *self.plan;
        let wallets: Arc<[Wallet]> = self.shop.wallets.iter().copied().collect();
        let bare =
            Bare::start(&self.plan.this, &self.shop, &self.recording, &self.plan.dir.join("shop")).await?;
        let (api, floor) =
            (Footprint::of(self.shop.api.process().pid()), Footprint::of(bare.process().pid()));
        let (mut ours, mut theirs, mut costs) = (Vec::new(), Vec::new(), (Vec::new(), Vec::new()));
        for _ in 0..rounds {
            let before = api.cpu()?;
            ours.push(self.debits(&wallets, clients, part).await?);
            costs.0.push(each(api.cpu()?.saturating_sub(before), ours.last()));
            let before = floor.cpu()?;
            theirs.push(load::run(&bare.target, &wallets, clients, part).await?);
            costs.1.push(each(floor.cpu()?.saturating_sub(before), theirs.last()));
        }
        self.failed += theirs.iter().map(|one| one.failed).sum::<usize>();
        self.story.step("many wallets");
        let both = |read: fn(&Outcome) -> f64| {
            (middle(ours.iter().map(read).collect()), Some(middle(theirs.iter().map(read).collect())))
        };
        let of =
            |what, (value, floor): (f64, Option<f64>), unit, goal| Figure { what, value, unit, floor, goal };
        Ok(vec![
            of("L2 many wallets, many clients", both(|one| one.rate), "/s", "≥ 0.7 of bare axum and sqlx"),
            of("L2 half of the answers within", both(|one| percentile(&one.took, 50)), "ms", ""),
            of("L2 99 of 100 within", both(|one| percentile(&one.took, 99)), "ms", ""),
            of("L2 processor time of a debit", (middle(costs.0), Some(middle(costs.1))), "ms", ""),
        ])
    }

    /// Once more where PostgreSQL does not wait for the disk: what is left is work.
    async fn without_sync(&mut self) -> Result<Vec<Figure>> {
        let Plan { part, clients, .. } = *self.plan;
        self.shop.set("set fsync = off")?;
        let first = self.first();
        let one = (self.debits(&first, 1, part).await?.rate, self.pgbench(1, part)?);
        let many = (self.debits(&first, clients, part).await?.rate, self.pgbench(clients, part)?);
        self.story.step("one wallet once more, with fsync off");
        let of = |what, (value, floor)| Figure { what, value, unit: "/s", floor: Some(floor), goal: "" };
        Ok(vec![
            of("one wallet, one client, fsync off", one),
            of("one wallet, many clients, fsync off", many),
        ])
    }
}

/// The middle one.
fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// What so many of a hundred do not exceed.
fn percentile(sorted: &[f64], hundredths: usize) -> f64 {
    let place = sorted.len() * hundredths / 100;
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The processor time of one debit, in milliseconds; those that are not counted in the beginning take theirs too.
fn each(cpu: Duration, outcome: Option<&Outcome>) -> f64 {
    let done = outcome.map_or(0, |one| one.took.len() + one.warming);
    cpu.as_secs_f64() * 1000.0 / number(done.max(1))
}

impl Report {
    /// The figure of that name.
    pub fn figure(&self, what: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.what == what)
    }

    /// The table for people, in Markdown.
    pub fn table(&self) -> String {
        let Machine { cpus, memory_gib, load_before } = &self.machine;
        let (clients, wallets) = (self.clients, self.wallets);
        let built = if self.optimised { "" } else { "; programs NOT optimised" };
        let line = format!(
            "{clients} clients are many, and {wallets} wallets; {cpus} CPUs, {memory_gib} GiB, load {load_before} before{built}"
        );
        table_of(&line, &self.figures)
    }
}
