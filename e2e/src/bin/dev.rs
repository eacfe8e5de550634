//! `cargo dev`: the commands a contributor needs.

use std::process::ExitCode;

use clap::Parser;
use e2e::dev::{self, Args};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(dev::run(args));
    // A build still under way on a thread of its own ends with this process.
    runtime.shutdown_background();
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
