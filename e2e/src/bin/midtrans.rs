//! The payment gateway's stand-in as a program. It prints its address when it listens, and ends by a signal.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use e2e::midtrans::{Midtrans, Settings};
use tokio::signal::unix::{SignalKind, signal};

/// A stand-in for the payment gateway. No real money moves.
#[derive(Debug, Parser)]
struct Args {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// The server key.
    #[arg(long)]
    server_key: String,
    /// Another key that is taken, too.
    #[arg(long)]
    second_key: Option<String>,
    /// Where notifications go.
    #[arg(long)]
    notify: Option<String>,
    /// The file that keeps the book.
    #[arg(long)]
    book: Option<PathBuf>,
    /// How many notifications are sent at a time.
    #[arg(long, default_value_t = 32)]
    concurrency: usize,
    /// How long it waits for an answer to a notification, in seconds.
    #[arg(long, default_value_t = 15)]
    timeout: u64,
    /// What the intervals between tries are multiplied by; 1 is the gateway's own 2 to 210 minutes.
    #[arg(long, default_value_t = 0.001)]
    retry_factor: f64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Args { listen, server_key, second_key, notify, book, concurrency, timeout, retry_factor } =
        Args::parse();
    let timeout = Duration::from_secs(timeout);
    let settings =
        Settings { listen, server_key, second_key, notify, book, concurrency, timeout, retry_factor };
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let midtrans = Midtrans::start(settings).await?;
    println!("{}", midtrans.url());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
