//! Which DNS records prove that a custom host may be used, and whether an answer holds one of them.

use crds::{instance::DnsRecord, names};

/// What DNS said to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These values.
    Found(Vec<String>),
    /// For certain that there is none.
    Nothing,
    /// No answer: it took too long, or the name servers have a problem of their own.
    Failed,
}

/// What DNS said of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The TXT records at the verification name.
    pub txt: Answer,
    /// Where the host itself points by CNAME.
    pub cname: Answer,
}

/// What an answer means for one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A record is there.
    Proven,
    /// For certain there is none.
    Refuted,
    /// Nobody knows: a question had no answer.
    Unknown,
}

/// The records of which one is enough: a TXT record bound to the tenant, or a CNAME to the instance's platform host.
pub fn records(host: &str, tenant: &str, platform_host: &str) -> Vec<DnsRecord> {
    vec![
        DnsRecord {
            type_: "TXT".to_owned(),
            name: names::verification_name(host),
            value: names::verification_value(tenant),
        },
        DnsRecord { type_: "CNAME".to_owned(), name: host.to_owned(), value: platform_host.to_owned() },
    ]
}

impl Answer {
    /// Whether it holds a value; none where nobody knows.
    fn holds(&self, is_wanted: impl Fn(&str) -> bool) -> Option<bool> {
        match self {
            Self::Found(values) => Some(values.iter().any(|value| is_wanted(value))),
            Self::Nothing => Some(false),
            Self::Failed => None,
        }
    }
}

impl Seen {
    /// What it means for an instance of that tenant with that platform host.
    pub fn proof(&self, tenant: &str, platform_host: &str) -> Proof {
        let wanted = names::verification_value(tenant);
        let txt = self.txt.holds(|value| value.trim() == wanted);
        let cname = self
            .cname
            .holds(|value| value.strip_suffix('.').unwrap_or(value).eq_ignore_ascii_case(platform_host));
        match (txt, cname) {
            (Some(true), _) | (_, Some(true)) => Proof::Proven,
            (Some(false), Some(false)) => Proof::Refuted,
            _ => Proof::Unknown,
        }
    }

    /// Whether a question had no answer.
    pub fn has_failed(&self) -> bool {
        self.txt == Answer::Failed || self.cname == Answer::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLATFORM: &str = "abc.apps.example.test";

    fn found(value: &str) -> Answer {
        Answer::Found(vec!["something else".to_owned(), value.to_owned()])
    }

    #[test]
    fn one_of_both_records_is_enough_and_anothers_is_not() {
        let ours = names::verification_value("ours");
        for (txt, cname, proof) in [
            (found(&ours), Answer::Nothing, Proof::Proven),
            (found(&ours), Answer::Failed, Proof::Proven),
            (Answer::Failed, found("ABC.apps.example.test."), Proof::Proven),
            (found(&names::verification_value("theirs")), Answer::Nothing, Proof::Refuted),
            (Answer::Nothing, found("xyz.apps.example.test."), Proof::Refuted),
            (Answer::Nothing, Answer::Failed, Proof::Unknown),
            (Answer::Failed, Answer::Failed, Proof::Unknown),
        ] {
            let seen = Seen { txt, cname };
            assert_eq!(seen.proof("ours", PLATFORM), proof, "{seen:?}");
        }
    }

    #[test]
    fn what_is_asked_for_proves_it() {
        let records = records("shop.example.com", "ours", PLATFORM);
        let [txt, cname] = &records[..] else { panic!("{records:?}") };
        assert_eq!(
            (txt.name.as_str(), cname.name.as_str()),
            ("_nakhoda.shop.example.com", "shop.example.com")
        );
        let seen = |txt, cname| Seen { txt, cname }.proof("ours", PLATFORM);
        assert_eq!(seen(found(&txt.value), Answer::Nothing), Proof::Proven);
        assert_eq!(seen(Answer::Nothing, found(&cname.value)), Proof::Proven);
    }
}
