//! One call from arrival to answer: read, write down, ask the rules, do what they say.

use std::{future::pending, sync::Arc};

use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy;
use tokio::task::JoinHandle;

use super::{
    Unreachable,
    actor::Actor,
    body::{self, Body, BoxError},
    call::{Outcome, Request, Verb},
    log::{CallLog, Ending, Record},
    parse,
    rule::{Action, Lost},
    rules::{Entry, Rules},
    server::Connection,
    status::Reply,
    upstream::{Outgoing, Upstream},
    watch,
};

/// The API server's own limit is 3 MiB.
const MAX_BODY: usize = 16 << 20;

/// What a port shares among its connections.
pub(super) struct Room {
    pub(super) actor: Arc<Actor>,
    pub(super) log: CallLog,
    pub(super) rules: Rules,
    pub(super) keep_bodies: bool,
    pub(super) unreachable: Unreachable,
}

/// A call under way.
struct Arrived<'a> {
    room: &'a Room,
    connection: &'a Connection,
    request: Arc<Request>,
    outgoing: Outgoing,
    record: Record,
    ending: Ending,
}

/// Answers one HTTP request, or breaks its connection and never returns.
pub(super) async fn handle(
    room: &Room,
    connection: &Connection,
    request: http::Request<Incoming>,
) -> Response<Body> {
    let (head, incoming) = request.into_parts();
    let Ok(body) = Limited::new(incoming, MAX_BODY).collect().await.map(http_body_util::Collected::to_bytes)
    else {
        return plain(StatusCode::BAD_REQUEST);
    };
    if room.actor.life().is_none() {
        // A last gasp: the connection is about to be cut.
        return pending().await;
    }
    let request = Arc::new(parse::parse(&head, &body, room.keep_bodies));
    let record = room.log.begin(Arc::clone(&room.actor.name), Arc::clone(&request));
    let ending = Ending(record.clone());
    let rule = room.rules.take(&room.actor.name, &request);
    let call = Arrived { room, connection, request, outgoing: Outgoing { head, body }, record, ending };
    match rule {
        None => call.forward(Outcome::Forwarded).await,
        Some(entry) => call.disturb(&entry).await,
    }
}

impl Arrived<'_> {
    async fn disturb(self, entry: &Entry) -> Response<Body> {
        let id = entry.id;
        tracing::debug!(actor = %self.room.actor.name, rule = %id, action = ?entry.rule.action, "a rule acts");
        match &entry.rule.action {
            Action::CrashBefore => self.crash(Outcome::CrashedBefore(id)).await,
            Action::CrashAfter => {
                let committed = self.commit(Outcome::CrashedAfter(id));
                let actor = Arc::clone(&self.room.actor);
                // Detached: the actor dies even if it has given up the call meanwhile.
                tokio::spawn(async move {
                    let _ = committed.await;
                    actor.crash();
                });
                pending().await
            }
            Action::Reply(reply) => self.reply(reply, Outcome::Injected(id)),
            Action::Reset => self.reset(Outcome::Injected(id)).await,
            Action::CommitThen(lost) => self.lose_reply(lost, entry).await,
            Action::Delay(duration) => {
                tokio::time::sleep(*duration).await;
                self.forward(Outcome::Delayed(id)).await
            }
            Action::Hang => {
                entry.ended.cancelled().await;
                self.forward(Outcome::Delayed(id)).await
            }
            Action::CutAll => {
                self.record.decide(Outcome::Injected(id), None);
                self.room.actor.cut();
                pending().await
            }
            // These act on the stream once it flows; the rules never hand them out for a request.
            Action::HoldWatch | Action::CoalesceWatch | Action::CloseWatch | Action::Watch410 => {
                self.forward(Outcome::Forwarded).await
            }
        }
    }

    fn reply(self, reply: &Reply, outcome: Outcome) -> Response<Body> {
        self.record.decide(outcome, Some(reply.status()));
        reply.to_response(&self.request)
    }

    async fn reset(self, outcome: Outcome) -> Response<Body> {
        self.record.decide(outcome, None);
        self.connection.reset();
        pending().await
    }

    async fn crash(self, outcome: Outcome) -> Response<Body> {
        self.record.decide(outcome, None);
        self.room.actor.crash();
        pending().await
    }

    async fn lose_reply(self, lost: &Lost, entry: &Entry) -> Response<Body> {
        let outcome = Outcome::ReplyLost(entry.id);
        let answer = self.commit(outcome).await.ok().flatten();
        let outcome = if answer.is_some() { outcome } else { Outcome::UpstreamFailed };
        match lost {
            Lost::Reply(reply) => self.reply(reply, outcome),
            Lost::Reset => self.reset(outcome).await,
            Lost::Hang => {
                entry.ended.cancelled().await;
                match answer {
                    Some((head, body)) => {
                        self.record.decide(outcome, Some(head.status.as_u16()));
                        Response::from_parts(head, body::full(body))
                    }
                    None => self.reset(outcome).await,
                }
            }
        }
    }

    /// Has the API server carry the call out, in a task of its own: whether or not the actor waits for it.
    fn commit(&self, outcome: Outcome) -> JoinHandle<Option<Answer>> {
        let outgoing = Outgoing { head: self.outgoing.head.clone(), body: self.outgoing.body.clone() };
        let (upstream, record) = (self.room.actor.upstream.clone(), self.record.clone());
        let endless = self.request.verb == Verb::Watch;
        tokio::spawn(async move {
            let answer = carry_out(&upstream, outgoing, endless).await;
            match &answer {
                Some((head, body)) => {
                    record.answered(head.status.as_u16(), Some(body));
                    record.decide(outcome, None);
                }
                None => record.decide(Outcome::UpstreamFailed, None),
            }
            answer
        })
    }

    /// Passes the call on and the answer back.
    async fn forward(self, outcome: Outcome) -> Response<Body> {
        let Self { room, connection, request, outgoing, record, ending } = self;
        if room.actor.life().is_none() {
            return pending().await;
        }
        let readable = request.verb.is_write() || request.verb == Verb::Watch;
        let response = match room.actor.upstream.send(outgoing, readable).await {
            Ok(response) => response,
            Err(error) => return fail(room, connection, &request, &record, &error).await,
        };
        let status = response.status();
        if request.verb.is_write() {
            let (head, incoming) = response.into_parts();
            return match incoming.collect().await {
                Ok(collected) => {
                    let body = collected.to_bytes();
                    record.answered(status.as_u16(), Some(&body));
                    record.decide(outcome, Some(status.as_u16()));
                    drop(ending);
                    Response::from_parts(head, body::full(body))
                }
                Err(error) => fail(room, connection, &request, &record, &error).await,
            };
        }
        record.answered(status.as_u16(), None);
        record.decide(outcome, Some(status.as_u16()));
        if request.verb == Verb::Watch && status == StatusCode::OK {
            return watch::follow(room, request, response, record, ending);
        }
        response.map(|incoming| body::pass(incoming, ending))
    }
}

/// A whole answer. Of a watch, which has no whole, it is the head alone.
type Answer = (http::response::Parts, Bytes);

async fn carry_out(upstream: &Upstream, outgoing: Outgoing, endless: bool) -> Option<Answer> {
    let (head, incoming) = upstream.send(outgoing, true).await.ok()?.into_parts();
    let body = if endless { Bytes::new() } else { incoming.collect().await.ok()?.to_bytes() };
    Some((head, body))
}

/// The API server was not there, or broke off. Whether it was not there is known; whether a call broken off
/// was carried out isn't, so there is no answer that would be true.
async fn fail(
    room: &Room,
    connection: &Connection,
    request: &Request,
    record: &Record,
    error: &(dyn std::error::Error + Send + Sync + 'static),
) -> Response<Body> {
    tracing::debug!(actor = %room.actor.name, %error, "the API server failed");
    let connecting = error.downcast_ref::<legacy::Error>().is_some_and(legacy::Error::is_connect);
    if connecting && room.unreachable == Unreachable::BadGateway {
        let reply = Reply::code(502);
        record.decide(Outcome::UpstreamFailed, Some(reply.status()));
        return reply.to_response(request);
    }
    record.decide(Outcome::UpstreamFailed, None);
    connection.reset();
    pending().await
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(body::full(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// A failure as a body carries it.
pub(super) fn boxed(error: hyper::Error) -> BoxError {
    Box::new(error)
}
