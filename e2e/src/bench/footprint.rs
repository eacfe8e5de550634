//! What a process costs the machine, as the kernel counts it.

use std::fs::{read_to_string, write};
use std::time::Duration;

use anyhow::{Context, Result};

/// Ticks a second of the times in `/proc/PID/stat`: Linux fixes `USER_HZ` for programs.
const TICKS: u32 = 100;

/// A process to look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Footprint {
    pid: i32,
}

impl Footprint {
    pub(super) fn of(pid: i32) -> Self {
        Self { pid }
    }

    /// The memory it has, in bytes.
    pub(super) fn resident(self) -> Result<u64> {
        self.memory("VmRSS")
    }

    /// The most that it had since its start, or since the peak was forgotten; in bytes.
    pub(super) fn peak(self) -> Result<u64> {
        self.memory("VmHWM")
    }

    /// Forgets the peak.
    pub(super) fn forget_peak(self) -> Result<()> {
        write(format!("/proc/{}/clear_refs", self.pid), "5").context("cannot forget the peak of a process")
    }

    /// The processor time it took so far.
    pub(super) fn cpu(self) -> Result<Duration> {
        let text = self.read("stat")?;
        // The name before may have spaces; it ends with the last parenthesis. User time is field 14, system time 15.
        let fields = text.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let ticks: u64 =
            fields.split_whitespace().skip(11).take(2).filter_map(|tick| tick.parse::<u64>().ok()).sum();
        Ok(Duration::from_secs(ticks) / TICKS)
    }

    fn memory(self, field: &str) -> Result<u64> {
        let text = self.read("status")?;
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kib.with_context(|| format!("/proc/{}/status has no {field}", self.pid))? * 1024)
    }

    fn read(self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.pid);
        read_to_string(&path).with_context(|| format!("cannot read {path}: has the process ended?"))
    }
}

#[cfg(test)]
mod tests {
    use super::Footprint;

    #[test]
    fn this_process_has_memory_and_takes_time() {
        let this = Footprint::of(i32::try_from(std::process::id()).unwrap());
        let (resident, peak) = (this.resident().unwrap(), this.peak().unwrap());
        assert!(resident > 1 << 20 && peak >= resident / 2, "{resident} {peak}");
        assert!(this.cpu().unwrap().as_secs() < 3600);
    }
}
