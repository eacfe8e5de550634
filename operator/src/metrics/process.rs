//! The process itself, under the names that every Prometheus client library uses.

use super::page::{Page, count};
use procfs::process::Process;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use std::fmt;

/// What the kernel knows of this process.
#[derive(Debug)]
pub(super) struct OfProcess;

/// What `/proc` says; each where it can be read.
#[derive(Debug, Default)]
struct Told {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    virtual_bytes: Option<f64>,
    threads: Option<f64>,
    open_fds: Option<f64>,
    max_fds: Option<f64>,
}

#[expect(clippy::cast_precision_loss, reason = "a sample is a float")]
fn told() -> Told {
    let Ok(process) = Process::myself() else { return Told::default() };
    let stat = process.stat().ok();
    let limit = process.limits().ok().map(|limits| limits.max_open_files.soft_limit);
    Told {
        cpu_seconds: stat
            .as_ref()
            .map(|stat| (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64),
        resident_bytes: stat.as_ref().map(|stat| (stat.rss * procfs::page_size()) as f64),
        virtual_bytes: stat.as_ref().map(|stat| stat.vsize as f64),
        threads: stat.as_ref().map(|stat| stat.num_threads as f64),
        open_fds: process.fd_count().ok().map(count),
        max_fds: limit.and_then(|limit| match limit {
            procfs::process::LimitValue::Value(most) => Some(most as f64),
            procfs::process::LimitValue::Unlimited => None,
        }),
    }
}

impl Collector for OfProcess {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let (told, mut page) = (told(), Page(encoder));
        page.counter("process_cpu_seconds", "CPU time used, in seconds", told.cpu_seconds)?;
        page.gauge("process_resident_memory_bytes", "Memory in use", told.resident_bytes)?;
        page.gauge("process_virtual_memory_bytes", "Address space in use", told.virtual_bytes)?;
        page.gauge("process_threads", "Threads", told.threads)?;
        page.gauge("process_open_fds", "Open file descriptors", told.open_fds)?;
        page.gauge("process_max_fds", "File descriptors that may be open", told.max_fds)
    }
}
