//! A stand-in for a cluster's API server: it keeps resources, lists them in pages, lets them be watched, and takes server-side applies. What
//! a real one does with fields of several managers is seen end to end; here a field is somebody else's where a test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use api_server::cluster::Cluster;
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use url::form_urlencoded;

/// Objects of a page, so that lists have several.
const PAGE: usize = 3;

/// Kind, namespace and name.
type Place = (String, String, String);

/// Why something is not done: status, reason, causes.
type Refusal = (StatusCode, &'static str, Value);

#[derive(Default)]
struct Kept {
    objects: BTreeMap<Place, Value>,
    events: Vec<(u64, String, Value)>,
    version: u64,
    /// Events up to here are forgotten.
    forgotten: u64,
    /// Whether nothing is answered but an error.
    is_away: bool,
    /// Fields of specs that another manager has.
    foreign: BTreeSet<(String, String)>,
    /// Namespaces in which nobody has any rights.
    forbidden: BTreeSet<String>,
    /// What is refused the next times: method, kind, status, how often.
    refused: Vec<(Method, String, StatusCode, usize)>,
    /// The manager of which every apply fails.
    failing: Option<&'static str>,
    /// Kinds of which nothing is ever answered.
    hanging: BTreeSet<String>,
    /// How often each was asked for: method and kind.
    asked: BTreeMap<(String, String), usize>,
}

/// The stand-in. Clones are the same one.
#[derive(Clone)]
pub struct Kubernetes {
    kept: Arc<Mutex<Kept>>,
    wake: watch::Sender<u64>,
    pub url: String,
}

impl Kubernetes {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let this = Self { kept: Arc::default(), wake: watch::Sender::new(0), url };
        let service = axum::Router::new().fallback(answer).with_state(this.clone());
        tokio::spawn(axum::serve(listener, service).into_future());
        Ok(this)
    }

    /// The way to it.
    pub fn cluster(&self) -> Result<Cluster> {
        Ok(Cluster::of(kube::Config::new(self.url.parse()?))?)
    }

    /// Puts an object there as it is, as `kubectl` would. What it has no uid for gets one.
    pub async fn put(&self, object: Value) -> Value {
        let mut kept = self.kept.lock().await;
        let stored = kept.put(object);
        self.wake.send_replace(kept.version);
        stored
    }

    /// All objects of some YAML documents.
    pub async fn put_yaml(&self, text: &str) {
        for document in text.split("\n---\n") {
            let object: Value = serde_yaml::from_str(document).unwrap();
            self.put(object).await;
        }
    }

    /// Takes an object away.
    pub async fn delete(&self, plural: &str, namespace: &str, name: &str) {
        let mut kept = self.kept.lock().await;
        kept.delete(&(plural.to_owned(), namespace.to_owned(), name.to_owned()));
        self.wake.send_replace(kept.version);
    }

    /// Lets the operator say something of an object.
    pub async fn set_status(&self, plural: &str, namespace: &str, name: &str, status: Value) {
        let mut kept = self.kept.lock().await;
        let place = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        let mut object = kept.objects[&place].clone();
        object["status"] = status;
        kept.put(object);
        self.wake.send_replace(kept.version);
    }

    /// An object of a namespace as it is there.
    pub async fn get_in(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let place = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        self.kept.lock().await.objects.get(&place).cloned()
    }

    /// An object as it is there.
    pub async fn get(&self, plural: &str, name: &str) -> Option<Value> {
        let place = (plural.to_owned(), String::new(), name.to_owned());
        self.kept.lock().await.objects.get(&place).cloned()
    }

    /// Takes all rights in a namespace away, as its end does.
    pub async fn forbid(&self, namespace: &str) {
        self.kept.lock().await.forbidden.insert(namespace.to_owned());
    }

    /// Refuses a method on a kind so many times.
    pub async fn refuse(&self, method: Method, plural: &str, code: StatusCode, times: usize) {
        self.kept.lock().await.refused.push((method, plural.to_owned(), code, times));
    }

    /// Lets every apply of a manager fail from now on; of none again.
    pub async fn fail(&self, manager: Option<&'static str>) {
        self.kept.lock().await.failing = manager;
    }

    /// Takes every question about a kind and answers none, or answers again from now on.
    pub async fn hang(&self, plural: &str, hangs: bool) {
        let mut kept = self.kept.lock().await;
        if hangs {
            kept.hanging.insert(plural.to_owned())
        } else {
            kept.hanging.remove(plural)
        };
    }

    /// How often a method was asked for on a kind.
    pub async fn asked(&self, method: &Method, plural: &str) -> usize {
        let asked = (method.to_string(), plural.to_owned());
        self.kept.lock().await.asked.get(&asked).copied().unwrap_or_default()
    }

    /// Answers nothing but errors from now on, or again what is asked. Watches end.
    pub async fn set_away(&self, is_away: bool) {
        let mut kept = self.kept.lock().await;
        kept.is_away = is_away;
        kept.version += 1;
        self.wake.send_replace(kept.version);
    }

    /// Forgets all events so far: whoever goes on from one of them must list anew.
    pub async fn forget(&self) {
        let mut kept = self.kept.lock().await;
        kept.version += 1;
        kept.forgotten = kept.version;
        kept.events.clear();
        self.wake.send_replace(kept.version);
    }

    /// Lets another manager set parameters of an app, beside those that are there.
    pub async fn set_parameters(&self, namespace: &str, name: &str, set: &[(&str, &str)]) {
        let mut kept = self.kept.lock().await;
        let place = ("serviceinstances".to_owned(), namespace.to_owned(), name.to_owned());
        let mut object = kept.objects[&place].clone();
        for (parameter, value) in set {
            object["spec"]["parameters"][*parameter] = json!(value);
        }
        let said: Map<String, Value> =
            set.iter().map(|(parameter, _)| (format!("f:{parameter}"), json!({}))).collect();
        let entry = json!({"manager": "gitops", "operation": "Apply", "fieldsType": "FieldsV1",
            "apiVersion": "nakhoda.dev/v1alpha1", "fieldsV1": {"f:spec": {"f:parameters": said}}});
        object["metadata"]["managedFields"].as_array_mut().unwrap().push(entry);
        kept.put(object);
        self.wake.send_replace(kept.version);
    }

    /// What a manager has said of the spec of an object, as its managed fields have it.
    pub async fn said(&self, plural: &str, namespace: &str, name: &str, manager: &str) -> Value {
        let object = self.get_in(plural, namespace, name).await.unwrap_or_default();
        let mut all = object["metadata"]["managedFields"].as_array().into_iter().flatten();
        all.find(|entry| entry["manager"] == manager)
            .map_or(Value::Null, |entry| entry["fieldsV1"]["f:spec"].clone())
    }

    /// Lets another manager have a field of an object's spec.
    pub async fn give_away(&self, name: &str, field: &str) {
        self.kept.lock().await.foreign.insert((name.to_owned(), field.to_owned()));
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl Kept {
    fn put(&mut self, mut object: Value) -> Value {
        self.version += 1;
        let kind = text(&object, "/kind").to_lowercase();
        let place = (
            if kind == "podmetrics" { kind } else { format!("{kind}s") },
            text(&object, "/metadata/namespace").to_owned(),
            text(&object, "/metadata/name").to_owned(),
        );
        let old = self.objects.get(&place);
        let same = |field: &str| old.map(|old| old["metadata"][field].clone());
        let generation = old.and_then(|old| old["metadata"]["generation"].as_i64()).unwrap_or_default();
        let changed = old.is_none_or(|old| old["spec"] != object["spec"]);
        let uid = json!(format!("0192a000-0000-7000-8000-{:012}", self.version));
        let metadata = &mut object["metadata"];
        metadata["uid"] = same("uid").unwrap_or(uid);
        metadata["creationTimestamp"] =
            same("creationTimestamp").unwrap_or_else(|| json!("2026-01-01T00:00:00Z"));
        metadata["generation"] = json!(generation + i64::from(changed));
        metadata["resourceVersion"] = json!(self.version.to_string());
        let event = json!({"type": if old.is_some() { "MODIFIED" } else { "ADDED" }, "object": object});
        self.events.push((self.version, place.0.clone(), event));
        self.objects.insert(place, object.clone());
        object
    }

    fn delete(&mut self, place: &Place) -> Option<Value> {
        let mut object = self.objects.remove(place)?;
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let event = json!({"type": "DELETED", "object": object});
        self.events.push((self.version, place.0.clone(), event));
        Some(object)
    }

    /// Whether an apply fails, since all of its manager's do.
    fn fails(&self, query: &BTreeMap<String, String>) -> bool {
        query.get("fieldManager").is_some_and(|manager| self.failing == Some(manager))
    }

    /// Whether this is refused, by what was planted or for want of rights.
    fn refuses(&mut self, method: &Method, namespace: &str, plural: &str) -> Option<Refusal> {
        *self.asked.entry((method.to_string(), plural.to_owned())).or_default() += 1;
        let planted =
            self.refused.iter_mut().find(|(of, kind, _, left)| of == method && kind == plural && *left > 0);
        if let Some((.., code, left)) = planted {
            *left -= 1;
            return Some(refusal(*code, "Planted", &json!([])));
        }
        let is_forbidden = plural != "namespaces" && self.forbidden.contains(namespace);
        is_forbidden.then(|| refusal(StatusCode::FORBIDDEN, "Forbidden", &json!([])))
    }

    /// A list of a namespace, or of all; whoever wants pages gets small ones.
    fn list(&self, plural: &str, namespace: &str, query: &BTreeMap<String, String>) -> Value {
        let in_pages = query.contains_key("limit");
        let begin: usize = query.get("continue").and_then(|begin| begin.parse().ok()).unwrap_or_default();
        let label = query.get("labelSelector").and_then(|selector| selector.split_once('='));
        let is_wanted =
            |object: &Value| label.is_none_or(|(name, value)| object["metadata"]["labels"][name] == *value);
        let of_kind = self.objects.iter().filter(|(place, object)| {
            place.0 == plural && (namespace.is_empty() || place.1 == namespace) && is_wanted(object)
        });
        let all: Vec<&Value> = of_kind.map(|(_, object)| object).collect();
        let end = if in_pages { all.len().min(begin + PAGE) } else { all.len() };
        let next = if end < all.len() { end.to_string() } else { String::new() };
        json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "List", "items": all[begin..end],
            "metadata": {"resourceVersion": self.version.to_string(), "continue": next}})
    }

    /// An apply: what is sent is put over what is there, unless somebody else has it.
    fn apply(
        &mut self,
        place: &Place,
        sent: &Value,
        query: &BTreeMap<String, String>,
    ) -> Result<Value, Refusal> {
        let manager = query.get("fieldManager").map_or("", String::as_str);
        let force = query.get("force").is_some_and(|force| force == "true");
        let dry_run = query.contains_key("dryRun");
        let old = self.objects.get(place).cloned();
        let (version, known) = (text(sent, "/metadata/resourceVersion"), old.as_ref());
        let uid = text(sent, "/metadata/uid");
        if !uid.is_empty() && known.map(|old| text(old, "/metadata/uid")) != Some(uid) {
            return Err(refusal(StatusCode::CONFLICT, "Conflict", &json!([])));
        }
        let current = known.map(|old| text(old, "/metadata/resourceVersion").to_owned()).unwrap_or_default();
        if !version.is_empty() && version != current {
            return Err(refusal(StatusCode::CONFLICT, "Conflict", &json!([])));
        }
        let mut object = old.unwrap_or_else(|| sent.clone());
        let none = Map::new();
        let fields = sent["spec"].as_object().unwrap_or(&none);
        let is_foreign = |field: &str| self.foreign.contains(&(place.2.clone(), field.to_owned()));
        let conflicts: Vec<Value> = fields
            .iter()
            .filter(|(field, value)| is_foreign(field) && object["spec"][field] != **value)
            .map(|(field, _)| {
                json!({"reason": "FieldManagerConflict", "field": format!(".spec.{field}"),
                    "message": "conflict with \"gitops\""})
            })
            .collect();
        if !conflicts.is_empty() && !force {
            return Err(refusal(StatusCode::CONFLICT, "Conflict", &json!(conflicts)));
        }
        // What this manager said before and says no more goes, where nobody else says it.
        let written = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let (own, others): (Vec<Value>, Vec<Value>) =
            written.into_iter().partition(|entry| entry["manager"] == manager);
        let is_said = |entries: &[Value], field: &str| {
            entries.iter().any(|entry| entry["fieldsV1"]["f:spec"].get(format!("f:{field}")).is_some())
        };
        let is_left_out = |field: &str| {
            is_said(&own, field)
                && !is_said(&others, field)
                && !fields.contains_key(field)
                && !is_foreign(field)
        };
        let parameters =
            merge_parameters(&object["spec"]["parameters"], fields.get("parameters"), &own, &others);
        let parameters =
            parameters.map_err(|conflicts| refusal(StatusCode::CONFLICT, "Conflict", &conflicts))?;
        let spec = object["spec"].as_object().cloned().unwrap_or_default();
        let stays = spec.into_iter().filter(|(field, _)| !is_left_out(field));
        object["spec"] = stays.chain(fields.clone()).collect();
        // Those of a template are a list, which is one thing.
        if let Some(spec) = object["spec"].as_object_mut().filter(|_| place.0 == "serviceinstances") {
            spec.remove("parameters");
            spec.extend(parameters.map(|all| ("parameters".to_owned(), all)));
        }
        let ours = said_of(fields);
        let entry = json!({"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1",
            "apiVersion": "nakhoda.dev/v1alpha1", "fieldsV1": {"f:spec": ours}});
        object["metadata"]["managedFields"] = others.into_iter().chain([entry]).collect();
        if place.2.contains("refused") {
            let causes = json!([{"field": "spec.displayName", "reason": "FieldValueInvalid", "message": "is refused"}]);
            return Err(refusal(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", &causes));
        }
        Ok(if dry_run { object } else { self.put(object) })
    }
}

/// The set of fields that somebody says who sends these; of parameters each is one.
fn said_of(fields: &Map<String, Value>) -> Value {
    let below = |field: &str, value: &Value| -> Map<String, Value> {
        let entries = value.as_object().filter(|_| field == "parameters").into_iter().flatten();
        entries.map(|(name, _)| (format!("f:{name}"), json!({}))).collect()
    };
    fields.iter().map(|(field, value)| (format!("f:{field}"), json!(below(field, value)))).collect()
}

/// Of parameters each is somebody's: those that are sent take their place beside those of others, and those that this manager says no more
/// go. None where none are left.
fn merge_parameters(
    old: &Value,
    sent: Option<&Value>,
    own: &[Value],
    others: &[Value],
) -> Result<Option<Value>, Value> {
    let sent = sent.and_then(Value::as_object).cloned().unwrap_or_default();
    let old = old.as_object().cloned().unwrap_or_default();
    let of = |entries: &[Value], name: &str| {
        let said =
            |entry: &&Value| entry["fieldsV1"]["f:spec"]["f:parameters"].get(format!("f:{name}")).is_some();
        entries.iter().find(said).map(|entry| text(entry, "/manager").to_owned())
    };
    let conflicts = sent.iter().filter(|(name, value)| old.get(*name).is_some_and(|now| now != *value));
    let conflicts: Vec<Value> = conflicts
        .filter_map(|(name, _)| {
            let manager = of(others, name)?;
            Some(json!({"reason": "FieldManagerConflict", "field": format!(".spec.parameters.{name}"),
                "message": format!("conflict with {manager:?}")}))
        })
        .collect();
    if !conflicts.is_empty() {
        return Err(json!(conflicts));
    }
    let is_left_out =
        |name: &str| of(own, name).is_some() && of(others, name).is_none() && !sent.contains_key(name);
    let stays = old.into_iter().filter(|(name, _)| !is_left_out(name));
    let all: Map<String, Value> = stays.chain(sent.clone()).collect();
    Ok((!all.is_empty()).then_some(Value::Object(all)))
}

fn refusal(code: StatusCode, reason: &'static str, causes: &Value) -> Refusal {
    (code, reason, causes.clone())
}

fn planted() -> Refusal {
    refusal(StatusCode::INTERNAL_SERVER_ERROR, "Planted", &json!([]))
}

fn status(code: StatusCode, reason: &str, causes: &Value) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code.as_u16(),
        "reason": reason, "message": "as the stand-in says", "details": {"causes": causes}});
    (code, Json(body)).into_response()
}

/// The namespace that a path names, and what of it.
fn place_in(path: &str) -> (&str, Vec<&str>) {
    // Kubernetes' own kinds have no group.
    let group = if path.starts_with("/api/") { 3 } else { 4 };
    let parts: Vec<&str> = path.split('/').skip(group).collect();
    let (namespace, rest) = match &parts[..] {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        rest => ("", rest),
    };
    let is_usage = path.starts_with("/apis/metrics.k8s.io/");
    (namespace, if is_usage { vec!["podmetrics"] } else { rest.to_vec() })
}

async fn answer(State(this): State<Kubernetes>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let sent = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let sent: Value = serde_json::from_slice(&sent).unwrap_or_default();
    let query: BTreeMap<String, String> =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let (namespace, rest) = place_in(parts.uri.path());
    let rest = &rest[..];
    let mut kept = this.kept.lock().await;
    if kept.is_away {
        return status(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", &json!([]));
    }
    let kind = rest.first().copied().unwrap_or_default();
    if let Some((code, reason, causes)) = kept.refuses(&parts.method, namespace, kind) {
        return status(code, reason, &causes);
    }
    if kept.hanging.contains(kind) {
        drop(kept);
        return std::future::pending().await;
    }
    let dry_run = query.contains_key("dryRun");
    let done = match (&parts.method, rest) {
        (&Method::GET, [plural]) if query.contains_key("watch") => {
            let plural = (*plural).to_owned();
            drop(kept);
            return watching(this, plural, &query);
        }
        (&Method::GET, [plural]) => Ok(kept.list(plural, namespace, &query)),
        (&Method::POST, [_]) => {
            let plural = rest[0].to_owned();
            let place = (plural, namespace.to_owned(), text(&sent, "/metadata/name").to_owned());
            if kept.objects.contains_key(&place) {
                Err(refusal(StatusCode::CONFLICT, "AlreadyExists", &json!([])))
            } else if dry_run {
                Ok(sent)
            } else {
                Ok(kept.put(sent))
            }
        }
        (method, [plural, name]) => {
            let place = ((*plural).to_owned(), namespace.to_owned(), (*name).to_owned());
            let missing = || refusal(StatusCode::NOT_FOUND, "NotFound", &json!([]));
            match *method {
                Method::GET => kept.objects.get(&place).cloned().ok_or_else(missing),
                Method::DELETE if dry_run => kept.objects.get(&place).cloned().ok_or_else(missing),
                Method::DELETE => kept.delete(&place).ok_or_else(missing),
                _ if kept.fails(&query) => Err(planted()),
                _ => kept.apply(&place, &sent, &query),
            }
        }
        _ => Err(refusal(StatusCode::NOT_FOUND, "NotFound", &json!([]))),
    };
    this.wake.send_replace(kept.version);
    drop(kept);
    match done {
        Ok(done) => Json(done).into_response(),
        Err((code, reason, causes)) => status(code, reason, &causes),
    }
}

fn watching(this: Kubernetes, plural: String, query: &BTreeMap<String, String>) -> Response {
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let end = tokio::time::Instant::now() + Duration::from_secs(number("timeoutSeconds"));
    let wake = this.wake.subscribe();
    let events = futures::stream::unfold((number("resourceVersion"), wake), move |(from, mut wake)| {
        let (this, plural) = (this.clone(), plural.clone());
        async move {
            loop {
                wake.mark_unchanged();
                let kept = this.kept.lock().await;
                if kept.is_away {
                    return None;
                }
                let lines = if from < kept.forgotten {
                    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "status": "Failure",
                        "code": 410, "reason": "Expired", "message": "too old resource version"}});
                    format!("{gone}\n")
                } else {
                    let new = kept.events.iter().filter(|(version, of, _)| *version > from && *of == plural);
                    new.map(|(_, _, event)| format!("{event}\n")).collect::<Vec<_>>().concat()
                };
                let version = kept.version;
                drop(kept);
                if !lines.is_empty() {
                    return Some((Ok::<_, Infallible>(lines), (version, wake)));
                }
                if !matches!(tokio::time::timeout_at(end, wake.changed()).await, Ok(Ok(()))) {
                    return None;
                }
            }
        }
    });
    Body::from_stream(events).into_response()
}
