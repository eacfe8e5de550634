//! The port of an actor: accepts its connections, and can break them.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

use super::handle::{self, Room};

/// How long to leave a port alone after it failed to accept.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// One connection, as a call on it sees it.
#[derive(Clone, Default)]
pub(super) struct Connection {
    hang_up: CancellationToken,
    reset: Arc<AtomicBool>,
}

impl Connection {
    /// Resets the connection: its peer gets an RST, not an end of stream.
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::Release);
        self.hang_up.cancel();
    }
}

/// Accepts until told to stop.
pub(super) async fn accept(listener: TcpListener, room: Arc<Room>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(actor = %room.actor.name, %error, "a connection could not be accepted");
                // Out of file descriptors, say: trying again at once would only take time from others.
                tokio::time::sleep(ACCEPT_BACKOFF).await;
                continue;
            }
        };
        match room.actor.life() {
            Some(life) => drop(tokio::spawn(serve(stream, Arc::clone(&room), life, stop.clone()))),
            None => drop(Socket { stream, reset: Arc::new(AtomicBool::new(true)) }),
        }
    }
}

async fn serve(stream: TcpStream, room: Arc<Room>, life: CancellationToken, stop: CancellationToken) {
    // Only latency depends on it.
    let _ = stream.set_nodelay(true);
    let connection = Connection::default();
    let socket = Socket { stream, reset: Arc::clone(&connection.reset) };
    let service = service_fn(|request| {
        let (room, connection) = (Arc::clone(&room), connection.clone());
        async move { Ok::<_, Infallible>(handle::handle(&room, &connection, request).await) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let serving = server.serve_connection(TokioIo::new(socket), service);
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = life.cancelled() => {}
        () = connection.hang_up.cancelled() => {}
        outcome = serving => if let Err(error) = outcome {
            tracing::debug!(actor = %room.actor.name, %error, "a connection ended badly");
        },
    }
}

/// A connection that is reset when dropped, if so marked.
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Acquire) {
            // Without it the peer sees an orderly end, which is the lesser fault.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
