//! One thread starts all children. The kernel's parent-death signal fires when the *thread*
//! that forked ends, and a test's or a runtime's threads end long before the process does.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{OnceLock, mpsc};
use std::thread;

use tokio::sync::watch;

type Order = (Command, mpsc::Sender<io::Result<Child>>);

static ORDERS: OnceLock<mpsc::Sender<Order>> = OnceLock::new();

/// A started child and the two ways to learn of its end.
pub(super) struct Spawned {
    pub(super) pid: u32,
    pub(super) exit: watch::Receiver<Option<ExitStatus>>,
    pub(super) ended: mpsc::Receiver<()>,
}

/// Starts `command` in a process group of its own, so that a Ctrl-C in the terminal
/// reaches only us and we decide the order in which things stop.
pub(super) fn spawn(mut command: Command) -> io::Result<Spawned> {
    command.process_group(0);
    let (reply, answer) = mpsc::channel();
    orders().send((command, reply)).map_err(io::Error::other)?;
    let mut child = answer.recv().map_err(io::Error::other)??;
    let pid = child.id();
    let (status, exit) = watch::channel(None);
    let (end, ended) = mpsc::channel();
    thread::spawn(move || {
        let waited = child.wait();
        status.send_replace(waited.ok());
        // Nobody listens when the Process was dropped first.
        let _ = end.send(());
    });
    Ok(Spawned { pid, exit, ended })
}

fn orders() -> &'static mpsc::Sender<Order> {
    ORDERS.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, reply) in orders {
                // The asker waits for the answer; it can't have gone.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    })
}
