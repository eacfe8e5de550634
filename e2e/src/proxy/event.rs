//! The events of a watch: one JSON object a line.

use std::collections::{HashMap, VecDeque};

use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

/// Cuts a stream of bytes into events, each with its newline. A watch that isn't JSON is not understood and
/// passes as it comes.
pub(super) struct Framer {
    json: bool,
    partial: Vec<u8>,
}

impl Framer {
    pub(super) fn new(json: bool) -> Self {
        Self { json, partial: Vec::new() }
    }

    /// The events completed by these bytes.
    pub(super) fn push(&mut self, bytes: Bytes) -> Vec<Bytes> {
        if !self.json {
            return vec![bytes];
        }
        let mut events = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if line.ends_with(b"\n") {
                let mut event = std::mem::take(&mut self.partial);
                event.extend_from_slice(line);
                events.push(event.into());
            } else {
                self.partial.extend_from_slice(line);
            }
        }
        events
    }

    /// What is left at the end of the stream.
    pub(super) fn rest(&mut self) -> Vec<Bytes> {
        let rest = std::mem::take(&mut self.partial);
        if rest.is_empty() { Vec::new() } else { vec![rest.into()] }
    }
}

/// What an event is about.
pub(super) struct EventHead {
    kind: String,
    uid: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
}

impl EventHead {
    /// `None` for an event that isn't about an object: not JSON, an error, a bookmark.
    pub(super) fn read(event: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Wire {
            r#type: String,
            object: Object,
        }
        #[derive(Deserialize)]
        struct Object {
            metadata: Meta,
        }
        #[derive(Deserialize)]
        struct Meta {
            uid: Option<String>,
            namespace: Option<String>,
            name: Option<String>,
        }
        let Wire { r#type, object: Object { metadata } } = serde_json::from_slice(event).ok()?;
        matches!(r#type.as_str(), "ADDED" | "MODIFIED" | "DELETED").then_some(Self {
            kind: r#type,
            uid: metadata.uid,
            namespace: metadata.namespace,
            name: metadata.name,
        })
    }
}

/// Shrinks a burst to each object's newest event, in the place of that event. An object added within the
/// burst stays added, and one that came and went within it is never heard of.
pub(super) fn coalesce(events: &VecDeque<Bytes>) -> VecDeque<Bytes> {
    let heads: Vec<Option<EventHead>> = events.iter().map(|event| EventHead::read(event)).collect();
    let mut first_and_last = HashMap::<&str, (usize, usize)>::new();
    for (index, head) in heads.iter().enumerate() {
        if let Some(uid) = head.as_ref().and_then(|head| head.uid.as_deref()) {
            first_and_last.entry(uid).and_modify(|(_, last)| *last = index).or_insert((index, index));
        }
    }
    let kind = |index: usize| heads.get(index).and_then(Option::as_ref).map_or("", |head| head.kind.as_str());
    let mut kept = VecDeque::new();
    for (index, event) in events.iter().enumerate() {
        let uid = heads.get(index).and_then(Option::as_ref).and_then(|head| head.uid.as_deref());
        match uid.and_then(|uid| first_and_last.get(uid)) {
            Some((_, last)) if *last != index => {}
            Some((first, _)) if kind(*first) == "ADDED" && first != &index => match kind(index) {
                "DELETED" => {}
                _ => kept.push_back(as_added(event)),
            },
            _ => kept.push_back(event.clone()),
        }
    }
    kept
}

fn as_added(event: &Bytes) -> Bytes {
    let Ok(mut value) = serde_json::from_slice::<Value>(event) else { return event.clone() };
    value["type"] = json!("ADDED");
    format!("{value}\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, uid: &str, version: u32) -> Bytes {
        let meta = json!({ "uid": uid, "name": uid, "resourceVersion": version.to_string() });
        format!("{}\n", json!({ "type": kind, "object": { "metadata": meta } })).into()
    }

    #[test]
    fn events_are_cut_at_newlines_wherever_the_chunks_end() {
        let mut framer = Framer::new(true);
        assert!(framer.push(Bytes::from_static(b"{\"a\"")).is_empty());
        assert_eq!(framer.push(Bytes::from_static(b":1}\n{}\n{")), ["{\"a\":1}\n", "{}\n"]);
        assert_eq!(framer.rest(), ["{"]);
        assert!(framer.rest().is_empty());
    }

    #[test]
    fn a_burst_shrinks_to_the_newest_event_of_each_object() {
        let burst = VecDeque::from([
            event("MODIFIED", "old", 1),
            event("ADDED", "new", 2),
            event("ADDED", "gone", 3),
            event("MODIFIED", "old", 4),
            event("MODIFIED", "new", 5),
            event("DELETED", "gone", 6),
            Bytes::from_static(b"{\"type\":\"BOOKMARK\"}\n"),
        ]);
        let expected = [
            event("MODIFIED", "old", 4),
            event("ADDED", "new", 5),
            Bytes::from_static(b"{\"type\":\"BOOKMARK\"}\n"),
        ];
        assert_eq!(coalesce(&burst), expected);
    }

    #[test]
    fn bookmarks_and_errors_are_about_no_object() {
        assert!(EventHead::read(b"{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{}}}").is_none());
        assert!(EventHead::read(b"{\"type\":\"ERROR\",\"object\":{\"code\":410}}").is_none());
    }
}
