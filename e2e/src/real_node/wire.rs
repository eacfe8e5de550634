//! The wire between this machine and the node: a pair of devices, an address at either end, and the API server brought to the
//! node's side of it.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::house::House;

/// How many nodes there may be on one machine, each of a network of four addresses in 10.213.0.0/16.
const SLOTS: u8 = 64;

/// A wire to one node. The devices go with the node's namespace.
#[derive(Debug)]
pub(super) struct Wire {
    slot: u8,
    relay: JoinHandle<()>,
}

impl Wire {
    /// Lays one to `house`, and brings the API server at `port` of the loopback address to this machine's end of it.
    pub(super) async fn lay(house: &House, port: u16) -> Result<Self> {
        let slot = Self::free(house.process().pid())?;
        let device = device(slot);
        ip(&["address", "add", &format!("{}/30", here(slot)), "dev", &device])?;
        ip(&["link", "set", &device, "up"])?;
        house.run("ip", &["address", "add", &format!("{}/30", there(slot)), "dev", "eth0"])?;
        house.run("ip", &["link", "set", "eth0", "up"])?;
        house.run("ip", &["route", "add", "default", "via", &here(slot).to_string()])?;
        let listener = TcpListener::bind((here(slot), port))
            .await
            .with_context(|| format!("cannot listen at {}:{port}", here(slot)))?;
        Ok(Self { slot, relay: tokio::spawn(relay(listener, port)) })
    }

    /// The first network that nobody has taken, taken by the name of its device.
    fn free(pid: i32) -> Result<u8> {
        let mut last = None;
        for slot in 0..SLOTS {
            let device = device(slot);
            let peer = ["type", "veth", "peer", "name", "eth0", "netns"];
            match ip(&[&["link", "add", &device], &peer[..], &[&pid.to_string()]].concat()) {
                Ok(()) => return Ok(slot),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) => Err(error.context(format!("no network for the node, of {SLOTS} that there are"))),
            None => bail!("there are no networks"),
        }
    }

    /// The number of this node on this machine.
    pub(super) fn slot(&self) -> u8 {
        self.slot
    }

    /// This machine's device.
    pub(super) fn device(&self) -> String {
        device(self.slot)
    }

    /// This machine, as the node sees it.
    pub(super) fn here(&self) -> Ipv4Addr {
        here(self.slot)
    }

    /// The node's address.
    pub(super) fn there(&self) -> Ipv4Addr {
        there(self.slot)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

fn device(slot: u8) -> String {
    device_of(&slot.to_string())
}

/// This machine's device of the wire to the node with that number.
pub(super) fn device_of(number: &str) -> String {
    format!("nakhoda{number}")
}

/// Whether a device of this machine is one of ours.
pub(super) fn is_ours(name: &str) -> bool {
    name.strip_prefix("nakhoda").is_some_and(|number| number.parse::<u8>().is_ok())
}

fn here(slot: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 213, slot, 1)
}

fn there(slot: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 213, slot, 2)
}

async fn relay(listener: TcpListener, port: u16) {
    while let Ok((mut near, _)) = listener.accept().await {
        tokio::spawn(async move {
            if let Ok(mut far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                // Either side may break off; the other then sees the end.
                let _ = copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .context("cannot run `ip` of the package iproute2")?;
    if !output.status.success() {
        bail!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
