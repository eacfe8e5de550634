//! What was measured, as people and as programs read it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::read_to_string;

use serde::Serialize;

/// How many kinds of calls the table names.
const MOST: usize = 20;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What it is of.
    pub what: &'static str,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What the same work costs without the operator, where there is such a thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
    /// What is aimed at, with 10,000 instances.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub goal: &'static str,
}

impl Figure {
    /// The figure as a part of its floor.
    pub fn ratio(&self) -> Option<f64> {
        self.floor.filter(|floor| *floor > 0.0).map(|floor| self.value / floor)
    }
}

/// All figures of one run, and where it ran.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How many instances there were.
    pub instances: usize,
    /// How many tenants.
    pub tenants: usize,
    /// What was ordered.
    pub plans: Vec<String>,
    /// How many writers the floor had.
    pub writers: usize,
    /// The machine.
    pub machine: Machine,
    /// The version of Kubernetes.
    pub kubernetes: String,
    /// Whether the programs were built as they are shipped.
    pub optimised: bool,
    /// The figures, in the order in which they were taken.
    pub figures: Vec<Figure>,
    /// What the operator asked for from the first order until all was quiet, such as `get secrets`, and how often.
    pub calls: BTreeMap<String, usize>,
}

/// The machine, and how busy it was with other things.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processors.
    pub cpus: usize,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// The load average of a minute before anything was started.
    pub load_before: f64,
}

impl Machine {
    /// This one, now.
    pub fn here() -> Self {
        let read = |path: &str| read_to_string(path).unwrap_or_default();
        let number = |text: &str, word: usize| {
            text.split_whitespace().nth(word).map(str::to_owned).unwrap_or_default()
        };
        let total = read("/proc/meminfo").lines().next().map(|line| number(line, 1)).unwrap_or_default();
        Self {
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: total.parse::<u64>().unwrap_or_default() >> 20,
            load_before: number(&read("/proc/loadavg"), 0).parse().unwrap_or_default(),
        }
    }
}

impl Report {
    /// The figure of that name.
    pub fn figure(&self, what: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.what == what)
    }

    /// The table for people, in Markdown.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} instances ({}) of {} tenants; {} writers in the floor; {} CPUs, {} GiB, load {} before; Kubernetes {}{}\n\n",
            self.instances,
            self.plans.join(", "),
            self.tenants,
            self.writers,
            self.machine.cpus,
            self.machine.memory_gib,
            self.machine.load_before,
            self.kubernetes,
            if self.optimised { "" } else { "; programs NOT optimised" },
        );
        text.push_str(&rows("goal at 10,000", &self.figures));
        let mut calls: Vec<(&String, &usize)> = self.calls.iter().collect();
        calls.sort_by_key(|(_, count)| Reverse(**count));
        let each = |(what, count): &(&String, &usize)| {
            format!("{what} {:.2}", number(**count) / number(self.instances.max(1)))
        };
        let calls: Vec<String> = calls.iter().take(MOST).map(each).collect();
        let _ = writeln!(text, "\nThe operator's calls, for each instance: {}", calls.join(", "));
        text
    }
}

/// A table for people, in Markdown, with a line above it.
pub(super) fn table_of(line: &str, figures: &[Figure]) -> String {
    format!("{line}\n\n{}", rows("goal", figures))
}

fn rows(goal: &str, figures: &[Figure]) -> String {
    let mut text = format!("| what | value | floor | ratio | {goal} |\n|---|---:|---:|---:|---|\n");
    for figure in figures {
        let floor = figure.floor.map(|floor| shown(floor, figure.unit)).unwrap_or_default();
        let ratio = figure.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let value = shown(figure.value, figure.unit);
        // Writing into a String does not fail.
        let _ = writeln!(text, "| {} | {value} | {floor} | {ratio} | {} |", figure.what, figure.goal);
    }
    text
}

/// A count as a figure.
pub(super) fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

fn shown(value: f64, unit: &str) -> String {
    let digits = if value >= 100.0 || value.fract() == 0.0 { 0 } else { 2 };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Figure, shown};

    #[test]
    fn a_ratio_needs_a_floor() {
        let figure = Figure { what: "x", value: 3.0, unit: "/s", floor: Some(4.0), goal: "" };
        assert_eq!(figure.ratio(), Some(0.75));
        assert_eq!(Figure { floor: None, ..figure }.ratio(), None);
    }

    #[test]
    fn figures_have_as_many_digits_as_they_deserve() {
        assert_eq!(shown(1234.56, "/s"), "1235 /s");
        assert_eq!(shown(1.234, "s"), "1.23 s");
        assert_eq!(shown(0.0, ""), "0");
    }
}
