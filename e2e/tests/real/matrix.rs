//! What was done to which app, how it went, and how long it took.

use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// One step of one app.
struct Row {
    app: &'static str,
    step: String,
    took: Duration,
    seen: String,
}

/// All steps so far.
#[derive(Default)]
pub struct Matrix(Vec<Row>);

impl Matrix {
    /// Does a step, and notes how long it took; what it gives is what was seen.
    pub async fn step(
        &mut self,
        app: &'static str,
        step: &str,
        done: impl Future<Output = Result<String>>,
    ) -> Result<()> {
        let start = Instant::now();
        let seen = Box::pin(done).await.with_context(|| format!("{app}: {step}"))?;
        let row = Row { app, step: step.to_owned(), took: start.elapsed(), seen };
        println!("{row}");
        self.0.push(row);
        Ok(())
    }

    /// A failure, with all that went before it.
    pub fn told(&self, error: anyhow::Error) -> anyhow::Error {
        error.context(self.to_string())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "| {:10} | {:42} | {:6.1} s | {} |",
            self.app,
            self.step,
            self.took.as_secs_f64(),
            self.seen
        )
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| app | step | time | seen |\n|---|---|---:|---|")?;
        self.0.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
