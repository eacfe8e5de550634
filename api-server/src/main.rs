//! The API server's program.

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::net::SocketAddr;
use tokio::{net::TcpListener, signal::unix};

/// Nakhoda's REST API.
#[derive(Debug, Parser)]
#[command(name = "api-server", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API until stopped.
    Serve {
        /// Where.
        #[arg(long, env = "NAKHODA_LISTEN", default_value = "127.0.0.1:8081")]
        listen: SocketAddr,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Command::Serve { listen } = Cli::parse().command;
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("can't listen on {listen}; choose another address with --listen"))?;
    tracing::info!(address = %listener.local_addr()?, "serving");
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    axum::serve(listener, api_server::router()).with_graceful_shutdown(stop).await?;
    Ok(())
}
