//! A name server of the test's own: it answers what it is told to, remembers who asked when, and can fall silent.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use crds::instance::DnsRecord;
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// A running name server. Dropping it stops it.
pub struct Dns {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    records: HashMap<(String, RecordType), Vec<RData>>,
    ttl: u32,
    silent: bool,
    asked: Vec<(String, Instant)>,
}

impl Dns {
    /// Starts one that knows no record; what it says, that there is none, too, counts for `ttl` seconds.
    pub async fn start(ttl: u32) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.context("no name server without a port")?;
        let address = socket.local_addr()?;
        let state = Arc::new(Mutex::new(State { ttl, ..State::default() }));
        let task = tokio::spawn(serve(socket, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Adds a record.
    pub fn add(&self, record: &DnsRecord) -> Result<()> {
        let (kind, data) = match record.type_.as_str() {
            "CNAME" => {
                (RecordType::CNAME, RData::CNAME(CNAME(Name::from_utf8(format!("{}.", record.value))?)))
            }
            _ => (RecordType::TXT, RData::TXT(TXT::new(vec![record.value.clone()]))),
        };
        self.state().records.entry((record.name.clone(), kind)).or_default().push(data);
        Ok(())
    }

    /// Takes away everything that it knows.
    pub fn clear(&self) {
        self.state().records.clear();
    }

    /// Whether it answers nobody.
    pub fn silent(&self, silent: bool) {
        self.state().silent = silent;
    }

    /// The pauses between the questions for a name, those of one look taken as one.
    pub fn pauses(&self, name: &str) -> Vec<Duration> {
        let state = self.state();
        let times: Vec<Instant> =
            state.asked.iter().filter(|(asked, _)| asked == name).map(|(_, at)| *at).collect();
        times.windows(2).map(|pair| pair[1].duration_since(pair[0])).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, state: Arc<Mutex<State>>) {
    let mut buffer = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { return };
        let answer = answer(&buffer[..length], &mut state.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(answer) = answer {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// The answer to a question; none while it is silent, or to what is no question.
fn answer(question: &[u8], state: &mut State) -> Option<Vec<u8>> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?.clone();
    let name = query.name().to_utf8().trim_end_matches('.').to_ascii_lowercase();
    state.asked.push((name.clone(), Instant::now()));
    if state.silent {
        return None;
    }
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    let Some(all) = state.records.get(&(name, query.query_type())) else {
        answer.metadata.response_code = ResponseCode::NXDomain;
        let zone = Name::from_utf8("example.com.").ok()?;
        let soa = SOA::new(zone.clone(), zone.clone(), 1, 60, 60, 60, state.ttl);
        answer.add_authority(Record::from_rdata(zone, state.ttl, RData::SOA(soa)));
        return answer.to_vec().ok();
    };
    for data in all {
        answer.add_answer(Record::from_rdata(query.name().clone(), state.ttl, data.clone()));
    }
    answer.to_vec().ok()
}
