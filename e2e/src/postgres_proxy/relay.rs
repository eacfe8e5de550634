//! One connection: what the program asks goes to the server a round at a time, and what the server answers goes back.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::wire::{End, Message};
use super::{Shared, sql};

/// What the program's messages say (`p` is a password or what stands for one).
const PARSE: u8 = b'P';
const BIND: u8 = b'B';
const EXECUTE: u8 = b'E';
const QUERY: u8 = b'Q';
const SYNC: u8 = b'S';
const FLUSH: u8 = b'H';
const PASSWORD: u8 = b'p';
const END: u8 = b'X';
/// What the server's say.
const DONE: u8 = b'C';
const READY: u8 = b'Z';
/// No transaction is open.
const IDLE: u8 = b'I';

/// Accepts until told to stop.
pub(super) async fn accept(
    listener: TcpListener,
    actor: Arc<str>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (actor, shared) = (Arc::clone(&actor), Arc::clone(&shared));
        tokio::spawn(async move {
            // Whoever breaks off, or is killed, has nothing to be told.
            drop(relay(stream, actor, &shared).await);
        });
    }
}

async fn relay(stream: TcpStream, actor: Arc<str>, shared: &Shared) -> io::Result<()> {
    let (mut client, upstream) = (End::new(stream), TcpStream::connect(shared.upstream).await?);
    let mut server = End::new(upstream);
    let Some(first) = client.first().await? else { return Ok(()) };
    server.send(&first).await?;
    let mut session =
        Session { actor, shared, statements: HashMap::new(), changed: Vec::new(), status: IDLE };
    let mut round = Round::default();
    loop {
        tokio::select! {
            message = client.next() => {
                let Some(message) = message? else { return Ok(()) };
                let kind = message.kind();
                session.note(&message, &mut round);
                round.bytes.extend_from_slice(message.bytes());
                match kind {
                    SYNC | QUERY => {
                        let ended = session.play(std::mem::take(&mut round), &mut client, &mut server).await?;
                        if ended {
                            return Ok(());
                        }
                    }
                    FLUSH | PASSWORD | END => {
                        server.send(&std::mem::take(&mut round.bytes)).await?;
                    }
                    _ => {}
                }
            }
            message = server.next() => {
                let Some(message) = message? else { return Ok(()) };
                client.send(message.bytes()).await?;
            }
        }
    }
}

/// What goes to the server at once.
#[derive(Default)]
struct Round {
    bytes: Vec<u8>,
    /// The statements that are run, in that order.
    run: Vec<Arc<str>>,
    /// What each portal runs.
    portals: HashMap<String, Arc<str>>,
}

struct Session<'a> {
    actor: Arc<str>,
    shared: &'a Shared,
    /// The text of each prepared statement.
    statements: HashMap<String, Arc<str>>,
    /// What the open transaction has changed.
    changed: Vec<String>,
    /// Whether one is open.
    status: u8,
}

impl Session<'_> {
    fn note(&mut self, message: &Message, round: &mut Round) {
        let mut texts = message.texts();
        let (first, second) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        match message.kind() {
            PARSE => drop(self.statements.insert(first, second.into())),
            BIND => {
                let text = self.statements.get(&second).cloned();
                round.portals.insert(first, text.unwrap_or_default());
            }
            EXECUTE => round.run.push(round.portals.get(&first).cloned().unwrap_or_default()),
            QUERY => round.run.push(first.into()),
            _ => {}
        }
    }

    /// What a round would change for good, if it does.
    fn would_change(&self, round: &Round) -> Option<String> {
        if round.run.iter().any(|text| sql::is_commit(text)) {
            return (!self.changed.is_empty()).then(|| format!("commit of {}", self.changed.join(", ")));
        }
        let all: Vec<String> = round.run.iter().flat_map(|text| sql::changes(text)).collect();
        (self.status == IDLE && !all.is_empty()).then(|| all.join(", "))
    }

    /// Sends a round and brings its answer back; whether the connection has ended with something that was killed.
    async fn play(&mut self, round: Round, client: &mut End, server: &mut End) -> io::Result<bool> {
        let change = self.would_change(&round);
        if let Some(change) = &change
            && self.shared.arrives(&self.actor, change)
        {
            return Ok(true);
        }
        let keep = change.as_ref().is_some_and(|change| self.shared.may_strike_after(&self.actor, change));
        server.send(&round.bytes).await?;
        let (mut kept, mut run, mut is_changed) = (Vec::new(), round.run.iter(), false);
        loop {
            let Some(message) = server.next().await? else { return Ok(true) };
            match message.kind() {
                DONE => {
                    let (tag, text) = (message.texts().next().unwrap_or_default(), run.next());
                    is_changed |= self.ends(text.map_or("", |text| text), &tag);
                }
                READY => self.status = message.status(),
                _ => {}
            }
            let is_over = message.kind() == READY;
            if is_over
                && let Some(change) = change.as_ref().filter(|_| is_changed)
                && self.shared.changed(&self.actor, change)
            {
                return Ok(true);
            }
            if keep {
                kept.extend_from_slice(message.bytes());
            } else {
                client.send(message.bytes()).await?;
            }
            if is_over {
                client.send(&kept).await?;
                return Ok(false);
            }
        }
    }

    /// A statement has ended; whether what it changed is there for good.
    fn ends(&mut self, text: &str, tag: &str) -> bool {
        match tag {
            "COMMIT" => !std::mem::take(&mut self.changed).is_empty(),
            "ROLLBACK" => {
                self.changed.clear();
                false
            }
            _ if sql::rows(tag) == 0 => false,
            _ if self.status == IDLE => !sql::changes(text).is_empty(),
            _ => {
                for change in sql::changes(text) {
                    if !self.changed.contains(&change) {
                        self.changed.push(change);
                    }
                }
                false
            }
        }
    }
}
