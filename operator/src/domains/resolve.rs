//! The questions to DNS: what is at a host's verification name, and where the host itself points.

use super::records::{Answer, Seen};
use crate::settings::domains::Domains as Settings;
use crds::names;
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::rr::{Name, RData, RecordType},
};
use std::{collections::BTreeSet, fmt, time::Duration};

/// How often one question is asked.
const ATTEMPTS: u32 = 2;

/// What every value begins with that proves anything (see `names::verification_value`).
const PROOF: &str = "nakhoda=";
/// The longest value that may be one.
const LONGEST: usize = 80;
/// How many values of one name are looked at.
const MOST_VALUES: usize = 16;

/// Asks the name servers of the settings, or the system's.
pub struct Resolver {
    /// None where the system has no name servers: every question fails then.
    inner: Option<TokioResolver>,
    /// How long one question may take, its repetition included.
    bound: Duration,
}

impl Resolver {
    /// One that asks as the settings say.
    pub fn new(settings: &Settings) -> Self {
        let bound = settings.timeout() * ATTEMPTS + Duration::from_secs(1);
        match build(settings) {
            Ok(inner) => Self { inner: Some(inner), bound },
            Err(error) => {
                tracing::error!(%error, "the system names no DNS servers, so custom domains can't be verified: set domains.nameservers");
                Self { inner: None, bound }
            }
        }
    }

    /// What DNS says of a host, and for how long it may be believed.
    pub async fn look(&self, host: &str) -> (Seen, Duration) {
        let name = names::verification_name(host);
        let (txt, cname) = tokio::join!(self.ask(&name, RecordType::TXT), self.ask(host, RecordType::CNAME));
        (Seen { txt: txt.0, cname: cname.0 }, txt.1.min(cname.1))
    }

    async fn ask(&self, name: &str, kind: RecordType) -> (Answer, Duration) {
        let failed = (Answer::Failed, Duration::ZERO);
        let Some(resolver) = &self.inner else { return failed };
        // With a dot at its end: the system's search list is not for it. What is too long for DNS can't be there.
        let Ok(name) = Name::from_utf8(format!("{name}.")) else { return (Answer::Nothing, Duration::MAX) };
        match tokio::time::timeout(self.bound, resolver.lookup(name, kind)).await {
            Ok(Ok(lookup)) => {
                let answers = lookup.answers();
                let ttl = answers.iter().map(|record| record.ttl).min().unwrap_or_default();
                // Ordered, since a name server may give them in another order each time.
                let values: BTreeSet<String> =
                    answers.iter().filter_map(|record| text(&record.data, kind)).take(MOST_VALUES).collect();
                let values: Vec<String> = values.into_iter().collect();
                let answer = if values.is_empty() { Answer::Nothing } else { Answer::Found(values) };
                (answer, Duration::from_secs(u64::from(ttl)))
            }
            Ok(Err(NetError::Dns(DnsError::NoRecordsFound(none)))) => {
                // Name servers that only name others did not look for it.
                if none.soa.is_none() && none.ns.is_some() {
                    return failed;
                }
                (Answer::Nothing, Duration::from_secs(u64::from(none.negative_ttl.unwrap_or_default())))
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "a DNS question failed");
                failed
            }
            Err(_) => failed,
        }
    }
}

fn text(data: &RData, kind: RecordType) -> Option<String> {
    match data {
        RData::TXT(txt) if kind == RecordType::TXT => {
            let bytes: Vec<u8> = txt.txt_data.iter().flat_map(|part| part.iter().copied()).collect();
            // Others' values are no concern of ours, and may be many and long.
            let value = String::from_utf8(bytes).ok()?.trim().to_owned();
            (value.starts_with(PROOF) && value.len() <= LONGEST).then_some(value)
        }
        RData::CNAME(target) if kind == RecordType::CNAME => Some(target.to_string().to_lowercase()),
        _ => None,
    }
}

fn build(settings: &Settings) -> Result<TokioResolver, NetError> {
    let servers = settings.addresses().unwrap_or_default();
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = servers.into_iter().map(|address| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
            let connections = connections.map(|mut one| {
                one.port = address.port();
                one
            });
            NameServerConfig::new(address.ip(), true, connections.to_vec())
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.timeout = settings.timeout();
    options.attempts = usize::try_from(ATTEMPTS).unwrap_or(2);
    // The book remembers, within bounds of its own.
    options.cache_size = 0;
    builder.build()
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resolver")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::{
        op::{Message, OpCode, ResponseCode},
        rr::{
            Record,
            rdata::{CNAME, NS, SOA, TXT},
        },
    };
    use tokio::net::UdpSocket;

    fn name(text: &str) -> Name {
        Name::from_utf8(text).unwrap()
    }

    /// What our name server says to a question, by the first label of the host: the rest of this test in one place.
    fn answer(question: &Message) -> Message {
        let query = question.queries[0].clone();
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        let asked = query.name().to_utf8();
        let record = |data| Record::from_rdata(query.name().clone(), 70, data);
        let zone = name("example.com.");
        match (asked.trim_start_matches("_nakhoda.").split('.').next(), query.query_type()) {
            (Some("proven"), RecordType::TXT) => {
                answer.add_answer(record(RData::TXT(TXT::new(vec!["nakhoda=".into(), "abc".into()]))));
            }
            (Some("proven"), RecordType::CNAME) => {
                answer.add_answer(record(RData::CNAME(CNAME(name("id.apps.example.test.")))));
            }
            (Some("broken"), _) => answer.metadata.response_code = ResponseCode::ServFail,
            (Some("lame"), _) => {
                answer.add_authority(Record::from_rdata(zone, 70, RData::NS(NS(name("ns.example.com.")))));
            }
            _ => {
                answer.metadata.response_code = ResponseCode::NXDomain;
                let soa = SOA::new(zone.clone(), zone.clone(), 1, 60, 60, 60, 40);
                answer.add_authority(Record::from_rdata(zone, 70, RData::SOA(soa)));
            }
        }
        answer
    }

    async fn resolver() -> Resolver {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let nameservers = vec![socket.local_addr().unwrap().to_string()];
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
                let answer = answer(&Message::from_vec(&buffer[..length]).unwrap());
                socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
            }
        });
        Resolver::new(&Settings { nameservers, timeout_seconds: 2, ..Settings::default() })
    }

    #[tokio::test]
    async fn records_are_read_whole_and_with_their_time_to_live() {
        let (seen, ttl) = resolver().await.look("proven.example.com").await;
        assert_eq!(seen.txt, Answer::Found(vec!["nakhoda=abc".to_owned()]));
        assert_eq!(seen.cname, Answer::Found(vec!["id.apps.example.test.".to_owned()]));
        assert_eq!(ttl, Duration::from_secs(70));
    }

    #[tokio::test]
    async fn only_a_name_server_that_looked_can_say_that_there_is_nothing() {
        let resolver = resolver().await;
        let (seen, ttl) = resolver.look("absent.example.com").await;
        assert_eq!(seen, Seen { txt: Answer::Nothing, cname: Answer::Nothing });
        assert_eq!(ttl, Duration::from_secs(40), "the zone says for how long");
        for host in ["broken.example.com", "lame.example.com"] {
            assert!(resolver.look(host).await.0.has_failed(), "{host}");
        }
    }

    #[tokio::test]
    async fn a_name_that_is_too_long_for_dns_is_not_there() {
        let host = format!(
            "{}.example.com",
            ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(55)].join(".")
        );
        let (seen, _) = resolver().await.look(&host).await;
        assert_eq!((host.len() < 254, seen.txt), (true, Answer::Nothing));
    }
}
