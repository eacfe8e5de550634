//! The store of the API server.

use anyhow::Result;

use super::{Site, flag};
use crate::ports;
use crate::process::Process;

/// Starts etcd on the data of `site`; returns it with the address clients use.
pub(super) fn start(site: &Site<'_>) -> Result<(Process, String)> {
    let client = format!("http://127.0.0.1:{}", ports::free()?);
    let peer = format!("http://127.0.0.1:{}", ports::free()?);
    let args = vec![
        flag("name", "nakhoda"),
        flag("data-dir", site.dir.join("etcd")),
        flag("listen-client-urls", &client),
        flag("advertise-client-urls", &client),
        flag("listen-peer-urls", &peer),
        flag("initial-advertise-peer-urls", &peer),
        flag("initial-cluster", format!("nakhoda={peer}")),
        // A machine that loses power loses a development cluster; nothing else needs the disk's word.
        flag("unsafe-no-fsync", "true"),
        flag("quota-backend-bytes", "4294967296"),
        flag("log-level", "warn"),
    ];
    Ok((Process::spawn(site.spec("etcd", &site.tools.etcd, args))?, client))
}
