//! An open watch: passes events on one by one, and withholds or ends them as the rules say.

use std::{collections::VecDeque, sync::Arc};

use futures::stream;
use http::{Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use tokio::sync::mpsc;

use super::{
    body::{Body, BoxError},
    call::{Outcome, Request},
    event::{EventHead, Framer, coalesce},
    handle::{Room, boxed},
    log::{Ending, Record},
    matcher::StreamMatch,
    rule::{Action, RuleId},
    rules::{Entry, Rules, is_hold},
    status,
};

/// Events on the way to a watcher that doesn't read; beyond that the API server has to wait.
const IN_FLIGHT: usize = 16;

/// Answers a watch, with a task that feeds the answer until either side ends it.
pub(super) fn follow(
    room: &Room,
    request: Arc<Request>,
    response: Response<Incoming>,
    record: Record,
    ending: Ending,
) -> Response<Body> {
    let (head, incoming) = response.into_parts();
    let json = head.headers.get(CONTENT_TYPE).is_none_or(|it| it.as_bytes().starts_with(b"application/json"));
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    let stream = Stream {
        actor: Arc::clone(&room.actor.name),
        request,
        rules: room.rules.clone(),
        record,
        _ending: ending,
        json,
        sender,
        waiting: VecDeque::new(),
        caught: None,
        asked: Vec::new(),
    };
    tokio::spawn(stream.run(incoming));
    let frames = stream::unfold(receiver, |mut receiver: mpsc::Receiver<Result<Bytes, BoxError>>| async {
        let item = receiver.recv().await?;
        Some((item.map(Frame::data), receiver))
    });
    Response::from_parts(head, StreamBody::new(frames).boxed_unsync())
}

struct Stream {
    actor: Arc<str>,
    request: Arc<Request>,
    rules: Rules,
    record: Record,
    _ending: Ending,
    json: bool,
    sender: mpsc::Sender<Result<Bytes, BoxError>>,
    /// Events received and not delivered yet.
    waiting: VecDeque<Bytes>,
    /// The rule that holds the stream.
    caught: Option<Arc<Entry>>,
    /// The rules that have counted this stream: each does so once.
    asked: Vec<RuleId>,
}

/// How a stream came to its end.
enum End {
    /// The watcher is gone, or the stream was closed in order.
    Done,
    /// The API server broke off.
    Broken(BoxError),
}

impl Stream {
    async fn run(mut self, mut incoming: Incoming) {
        let mut additions = self.rules.additions();
        let mut framer = Framer::new(self.json);
        let mut end: Option<End> = None;
        loop {
            // Seen first, read afterwards: a rule added in between is looked for again.
            additions.mark_unchanged();
            if self.deliver().await.is_err() {
                return;
            }
            if self.caught.is_none() && self.waiting.is_empty() && end.is_some() {
                break;
            }
            tokio::select! {
                frame = incoming.frame(), if end.is_none() => match frame {
                    Some(Ok(frame)) => self.receive(framer.push(frame.into_data().unwrap_or_default())),
                    Some(Err(error)) => end = Some(End::Broken(boxed(error))),
                    None => {
                        self.receive(framer.rest());
                        end = Some(End::Done);
                    }
                },
                () = ended(self.caught.as_deref()) => self.release(),
                changed = additions.changed() => if changed.is_err() { return },
                () = self.sender.closed() => return,
            }
        }
        if let Some(End::Broken(error)) = end {
            // A watcher that is gone needs no bad news.
            let _ = self.sender.send(Err(error)).await;
        }
    }

    fn receive(&mut self, events: Vec<Bytes>) {
        if let Some(entry) = &self.caught {
            entry.withheld(events.len());
        }
        self.waiting.extend(events);
    }

    fn release(&mut self) {
        if self.caught.take().is_some_and(|entry| entry.rule.action == Action::CoalesceWatch) && self.json {
            self.waiting = coalesce(&self.waiting);
        }
    }

    /// Delivers what may be delivered; an error means that the stream is over.
    async fn deliver(&mut self) -> Result<(), ()> {
        loop {
            if self.caught.as_ref().is_some_and(|entry| entry.ended.is_cancelled()) {
                self.release();
            }
            if self.caught.is_some() {
                return Ok(());
            }
            if let Some(entry) = self.rule_for_next() {
                self.obey(entry).await?;
                continue;
            }
            match self.waiting.pop_front() {
                Some(event) => self.sender.send(Ok(event)).await.map_err(|_| ())?,
                None => return Ok(()),
            }
        }
    }

    /// The rule that acts on this stream before its next event is delivered.
    fn rule_for_next(&mut self) -> Option<Arc<Entry>> {
        let mut rules = self.rules.about_stream(&self.actor, &self.request);
        rules.retain(|(entry, _)| !self.asked.contains(&entry.id));
        if rules.is_empty() {
            return None;
        }
        let next = self.waiting.front().and_then(|event| EventHead::read(event));
        for (entry, how) in rules {
            let meant =
                how == StreamMatch::Whole || next.as_ref().is_some_and(|event| self.is_about(event, &entry));
            if meant {
                self.asked.push(entry.id);
                if entry.fires() {
                    return Some(entry);
                }
            }
        }
        None
    }

    fn is_about(&self, event: &EventHead, entry: &Entry) -> bool {
        let namespace = self.request.namespace.as_deref().or(event.namespace.as_deref());
        let name = self.request.name.as_deref().or(event.name.as_deref());
        entry.rule.matcher.matches_object(namespace, name)
    }

    async fn obey(&mut self, entry: Arc<Entry>) -> Result<(), ()> {
        if is_hold(&entry.rule.action) {
            entry.withheld(self.waiting.len());
            self.caught = Some(entry);
            return Ok(());
        }
        self.record.decide(Outcome::Injected(entry.id), Some(200));
        if entry.rule.action == Action::Watch410 && self.json {
            let event = Bytes::from(status::expired_event(&self.request));
            self.sender.send(Ok(event)).await.map_err(|_| ())?;
        }
        Err(())
    }
}

async fn ended(caught: Option<&Entry>) {
    match caught {
        Some(entry) => entry.ended.cancelled().await,
        None => std::future::pending().await,
    }
}
