//! Whether and to whom an app that speaks TCP is opened to the outside: a pure function of its spec and the settings.

use crate::{digest, settings::access::AccessType};
use crds::{instance, template::Expose};
use ipnet::IpNet;
use serde_json::json;

/// Access from outside that can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// By what.
    pub by: AccessType,
    /// Who may connect, as networks in their canonical form, without repetition; empty: everybody.
    pub allowed: Vec<String>,
}

impl Access {
    /// The hash of what the owner decides of it.
    pub fn inputs(&self) -> String {
        digest::desired_hash(&json!({"allowed": self.allowed}))
    }
}

/// Why access from outside is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAccess {
    /// The platform does not offer it.
    NotOffered,
    /// The app speaks HTTP and is reached by its hosts.
    SpeaksHttp,
    /// One of the ranges is none.
    CidrInvalid,
}

impl NoAccess {
    /// A constant CamelCase word, and a sentence: what is wrong and who must act.
    pub fn said(self) -> (&'static str, &'static str) {
        match self {
            Self::NotOffered => (
                crds::reasons::ACCESS_NOT_OFFERED,
                "This platform does not open apps to the outside; it is reached from within the tenant's namespace. An administrator \
                 can offer it by the setting access.type.",
            ),
            Self::SpeaksHttp => (
                crds::reasons::ACCESS_NOT_APPLICABLE,
                "The app speaks HTTP and is reached by its host names from everywhere. Take spec.access out.",
            ),
            Self::CidrInvalid => (
                crds::reasons::CIDR_INVALID,
                "One of spec.access.allowedCidrs is no address range, so nothing is opened. Correct it.",
            ),
        }
    }
}

/// What is to be made; none where nothing is asked for.
pub fn decide(
    asked: Option<&instance::Access>,
    expose: &Expose,
    by: AccessType,
) -> Option<Result<Access, NoAccess>> {
    let asked = asked.filter(|asked| asked.external)?;
    if expose.tcp.is_none() {
        return Some(Err(NoAccess::SpeaksHttp));
    }
    if by == AccessType::None {
        return Some(Err(NoAccess::NotOffered));
    }
    // One that can't be read must never leave an empty list, which lets everybody in.
    let parsed: Result<Vec<IpNet>, _> = asked.allowed_cidrs.iter().map(|text| text.parse()).collect();
    let Ok(mut networks) = parsed else { return Some(Err(NoAccess::CidrInvalid)) };
    for network in &mut networks {
        *network = network.trunc();
    }
    networks.sort();
    networks.dedup();
    let allowed = networks.iter().map(ToString::to_string).collect();
    Some(Ok(Access { by, allowed }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::template::{ExposeHttp, ExposeTcp};

    fn ask(cidrs: &[&str]) -> instance::Access {
        instance::Access {
            external: true,
            allowed_cidrs: cidrs.iter().map(|one| (*one).to_owned()).collect(),
        }
    }

    fn tcp() -> Expose {
        Expose { tcp: Some(ExposeTcp::default()), ..Expose::default() }
    }

    #[test]
    fn ranges_become_networks_each_once_in_one_order() {
        let asked = ask(&["203.0.113.9/24", "2001:DB8:0::1/32", "203.0.113.0/24", "192.0.2.1/32"]);
        let access = decide(Some(&asked), &tcp(), AccessType::NodePort).unwrap().unwrap();
        assert_eq!(access.allowed, ["192.0.2.1/32", "203.0.113.0/24", "2001:db8::/32"]);
    }

    #[test]
    fn what_is_no_range_opens_nothing() {
        let asked = ask(&["everybody"]);
        assert_eq!(decide(Some(&asked), &tcp(), AccessType::LoadBalancer), Some(Err(NoAccess::CidrInvalid)));
    }

    #[test]
    fn nothing_is_made_that_nobody_asks_for_or_nobody_offers() {
        let off = instance::Access { external: false, ..ask(&[]) };
        assert_eq!(decide(Some(&off), &tcp(), AccessType::NodePort), None);
        assert_eq!(decide(None, &tcp(), AccessType::NodePort), None);
        assert_eq!(decide(Some(&ask(&[])), &tcp(), AccessType::None), Some(Err(NoAccess::NotOffered)));
        let http = Expose { http: Some(ExposeHttp::default()), ..Expose::default() };
        assert_eq!(decide(Some(&ask(&[])), &http, AccessType::NodePort), Some(Err(NoAccess::SpeaksHttp)));
    }
}
