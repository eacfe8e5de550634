//! Custom domains: whom to ask about DNS records, and how often.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// Whom to ask about the DNS records of custom hosts, and how often.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Domains {
    /// The name servers, as addresses with or without a port; they must answer recursively. Empty: those of the system.
    pub nameservers: Vec<String>,
    /// How long one question may take, in seconds; it is asked twice at most.
    pub timeout_seconds: u32,
    /// How many hosts are looked up at the same time; a quarter of them at most for one tenant, so that a tenant's slow name
    /// servers make only that tenant wait.
    pub concurrency: u16,
    /// The shortest time for which an answer counts, in seconds, whatever time to live it has.
    pub shortest_ttl_seconds: u32,
    /// The longest, the same for the answer that there is no record.
    pub longest_ttl_seconds: u32,
    /// The longest pause between two looks for a record that was not seen yet, in seconds; the first ones are shorter.
    pub recheck_unverified_seconds: u32,
    /// The pause between two looks at a record that was seen, in seconds.
    pub recheck_verified_seconds: u32,
    /// For how long DNS must say that the records of a routed host are gone until it is taken off, in seconds.
    pub lapse_after_seconds: u32,
}

impl Default for Domains {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            timeout_seconds: 3,
            concurrency: 16,
            shortest_ttl_seconds: 5,
            longest_ttl_seconds: 300,
            recheck_unverified_seconds: 300,
            recheck_verified_seconds: 3600,
            lapse_after_seconds: 259_200,
        }
    }
}

/// Seconds as a duration.
fn seconds(count: u32) -> Duration {
    Duration::from_secs(u64::from(count))
}

impl Domains {
    /// The name servers, or none for the system's.
    ///
    /// # Errors
    /// The first one that is no address.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        let parse = |text: &String| {
            let with_port = text.parse::<SocketAddr>().ok();
            with_port
                .or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53)))
                .ok_or_else(|| text.clone())
        };
        self.nameservers.iter().map(parse).collect()
    }

    /// How long one question may take.
    pub fn timeout(&self) -> Duration {
        seconds(self.timeout_seconds)
    }

    /// For how long an answer counts whose records may live for `ttl`.
    pub fn bounded_ttl(&self, ttl: Duration) -> Duration {
        ttl.clamp(seconds(self.shortest_ttl_seconds), seconds(self.longest_ttl_seconds))
    }

    /// How many hosts are looked up at the same time for one tenant.
    pub fn share(&self) -> usize {
        usize::from(self.concurrency / 4).max(1)
    }

    /// The longest pause between two looks for what was not seen.
    pub fn recheck_unverified(&self) -> Duration {
        seconds(self.recheck_unverified_seconds)
    }

    /// The pause between two looks at what was seen.
    pub fn recheck_verified(&self) -> Duration {
        seconds(self.recheck_verified_seconds)
    }

    /// For how long records must be gone until their host is taken off.
    pub fn lapse_after(&self) -> jiff::SignedDuration {
        jiff::SignedDuration::from_secs(i64::from(self.lapse_after_seconds))
    }

    /// What is out of its bounds.
    pub(super) fn problem(&self) -> Option<String> {
        if let Err(text) = self.addresses() {
            return Some(format!(
                "domains.nameservers: {text:?} is no address; write 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:5353"
            ));
        }
        if self.nameservers.len() > 8 {
            return Some("domains.nameservers are 8 at most".to_owned());
        }
        if !(1..=30).contains(&self.timeout_seconds) {
            return Some("domains.timeoutSeconds must be from 1 to 30".to_owned());
        }
        if !(1..=256).contains(&self.concurrency) {
            return Some("domains.concurrency must be from 1 to 256".to_owned());
        }
        if self.shortest_ttl_seconds == 0
            || self.recheck_unverified_seconds == 0
            || self.recheck_verified_seconds == 0
        {
            return Some(
                "domains.shortestTtlSeconds and domains.recheck…Seconds must be at least 1".to_owned(),
            );
        }
        if self.shortest_ttl_seconds > self.longest_ttl_seconds {
            return Some("domains.shortestTtlSeconds must not be above domains.longestTtlSeconds".to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_addresses_with_or_without_a_port() {
        let with = |one: &str| Domains { nameservers: vec![one.to_owned()], ..Domains::default() };
        let port = |one: &str| with(one).addresses().map(|all| all[0].port());
        assert_eq!(
            [port("192.0.2.53"), port("[2001:db8::53]:5353"), port("2001:db8::53")],
            [Ok(53), Ok(5353), Ok(53)]
        );
        assert!(with("dns.example.com").problem().is_some_and(|said| said.contains("dns.example.com")));
        assert_eq!(Domains::default().problem(), None);
    }

    #[test]
    fn the_time_to_live_is_bounded_both_ways() {
        let settings = Domains::default();
        let bounded = [0, 60, 86_400].map(|ttl| settings.bounded_ttl(seconds(ttl)).as_secs());
        assert_eq!(bounded, [5, 60, 300]);
    }
}
