//! The life of an instance, undisturbed and with every fault at every write.

mod counts;
mod crashes;
mod errors;
mod life;
mod reference;
mod write;

use serde_json::{Value, json};

/// Set (by `just prove`), every case is tried; without it, those that fit into a few minutes.
const PROVE: &str = "NAKHODA_PROVE";

/// Limits that no story here reaches.
fn roomy() -> Value {
    json!({"instances": 100, "cpu": "100", "memory": "400Gi", "storage": "4Ti"})
}

/// Whether every case is to be tried.
fn proves() -> bool {
    std::env::var_os(PROVE).is_some_and(|value| value == "1")
}

/// A line of a table, for whoever runs the tests with `--nocapture`.
fn prints(line: &str) {
    println!("{line}");
}
