//! The measurement itself, tried on little: that it runs to its end and counts right. What it takes is nobody's promise here.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::bench::{self, Plan, Report};
use e2e::operator_process::program;
use e2e::story::Story;

use crate::world::block_on;

const INSTANCES: usize = 20;

#[test]
fn the_measurement_runs_to_its_end_and_counts_right() -> Result<()> {
    block_on(async {
        // Beside the worlds, which a later run clears away.
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("worlds/{}/bench", std::process::id()));
        let plan = Plan {
            instances: INSTANCES,
            tenants: 2,
            plans: vec!["postgresql-small".to_owned(), "wordpress-small".to_owned()],
            writers: 4,
            idle: Duration::from_secs(3),
            program: program()?,
            dir: dir.clone(),
        };
        let report = Box::pin(bench::run(&plan, Story::quiet())).await?;
        println!("{}", report.table());
        let value = |what: &str| value(&report, what);
        ensure!(
            value("restart: writes")? == 0.0
                && value("writes after it")? == 0.0
                && value("idle: writes")? == 0.0
        );
        let children = report.figure("child writes per instance").context("it is counted")?;
        ensure!(
            children.floor.is_some_and(|floor| (floor - children.value).abs() < 0.5),
            "the floor writes as much: {children:?}"
        );
        ensure!(value("kinds listed anew")? > 0.0 && value("floor: writes per second")? > 0.0);
        std::fs::remove_dir_all(&dir)?;
        Ok(())
    })
}

fn value(report: &Report, what: &str) -> Result<f64> {
    Ok(report.figure(what).with_context(|| format!("there is a figure {what:?}"))?.value)
}
