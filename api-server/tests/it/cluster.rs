//! A cluster that hangs, fails, or loses its answer: what is answered then, and what stands in the audit log.

use std::future::pending;
use std::sync::Arc;

use anyhow::Result;
use api_server::cluster::Cluster;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::world::{Answer, Api, User, World};

/// What comes of a call to the scripted API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is done and answered.
    Done,
    /// It is done, and the answer never comes.
    AnswerLost,
    /// Nothing is done, and no answer comes.
    Hangs,
    /// It is refused by an error of the server's own.
    Fails,
}

/// What comes of reads, and of changes that are no dry runs. A read follows a change that has failed with `after`.
#[derive(Clone, Copy, Debug)]
struct Script {
    read: Fate,
    change: Fate,
    after: Fate,
}

/// One `TenantQuota` at most, as an API server keeps it.
struct Scripted {
    script: Script,
    quota: Option<Value>,
}

impl Scripted {
    /// Starts one, and the way to it.
    async fn start(script: Script) -> Result<Cluster> {
        let state = Arc::new(Mutex::new(Self { script, quota: None }));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let config = kube::Config::new(format!("http://{}", listener.local_addr()?).parse()?);
        tokio::spawn(
            axum::serve(listener, axum::Router::new().fallback(answer).with_state(state)).into_future(),
        );
        Ok(Cluster::of(config)?)
    }

    /// Does what a call asks for; with `dry_run` it only says what would be.
    fn change(&mut self, method: &Method, sent: &Value, dry_run: bool) -> Value {
        let mut quota = self.quota.clone().unwrap_or_else(|| {
            let mut new = sent.clone();
            new["metadata"]["uid"] = json!("0192a000-0000-7000-8000-000000000001");
            new["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
            new["metadata"]["generation"] = json!(0);
            new
        });
        if *method == Method::PATCH {
            quota["spec"]["limits"] = sent["spec"]["limits"].clone();
        }
        let generation = quota["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
        quota["metadata"]["generation"] = json!(generation);
        quota["metadata"]["resourceVersion"] = json!(generation.to_string());
        if !dry_run {
            self.quota = Some(quota.clone());
        }
        quota
    }
}

async fn answer(State(state): State<Arc<Mutex<Scripted>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let sent = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let sent: Value = serde_json::from_slice(&sent).unwrap_or_default();
    let mut state = state.lock().await;
    if parts.method == Method::GET {
        let (fate, found) = (state.script.read, state.quota.clone());
        drop(state);
        return match (fate, found) {
            (Fate::Hangs | Fate::AnswerLost, _) => pending().await,
            (Fate::Fails, _) => status(StatusCode::INTERNAL_SERVER_ERROR),
            (Fate::Done, None) => status(StatusCode::NOT_FOUND),
            (Fate::Done, Some(found)) => Json(found).into_response(),
        };
    }
    let dry_run = parts.uri.query().unwrap_or_default().contains("dryRun=All");
    // The resource is always made; what fails is the change of its limits.
    let is_meant = parts.method == Method::PATCH && !dry_run;
    let fate = if is_meant { state.script.change } else { Fate::Done };
    if is_meant {
        state.script.read = state.script.after;
    }
    let done =
        matches!(fate, Fate::Done | Fate::AnswerLost).then(|| state.change(&parts.method, &sent, dry_run));
    drop(state);
    match (fate, done) {
        (Fate::Done, Some(done)) => Json(done).into_response(),
        (Fate::Fails, _) => status(StatusCode::INTERNAL_SERVER_ERROR),
        _ => pending().await,
    }
}

fn status(code: StatusCode) -> Response {
    let reason = code.canonical_reason().unwrap_or_default().replace(' ', "");
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code.as_u16(),
        "reason": reason, "message": "as the script says"});
    (code, Json(body)).into_response()
}

/// Somebody's quota, and the administrator who sets it.
struct Stage {
    world: World,
    api: Api,
    boss: User,
    ayu: User,
}

impl Stage {
    async fn new(script: Script) -> Result<Self> {
        let world = World::new().await?;
        let api = world.replica_on(Scripted::start(script).await?).await?;
        let (boss, ayu) = (world.administrator("boss").await?, world.user("ayu").await?);
        Ok(Self { world, api, boss, ayu })
    }

    fn path(&self) -> String {
        format!("/admin/users/{}/quota", self.ayu.id)
    }

    async fn set(&self, instances: i64) -> Result<Answer> {
        let body = json!({"reason": "Asked for it", "limits": {"instances": instances, "cpu_millicores": 8000,
            "memory_bytes": 1_i64 << 34, "storage_bytes": 1_i64 << 36}});
        let request = self.api.request(Method::PUT, &self.path()).bearer_auth(&self.boss.access);
        self.api.send(request.header("if-match", "*").json(&body)).await
    }

    /// The lines of the audit log of that user: what was done, and to how many instances.
    async fn log(&self) -> Result<Vec<(String, i64)>> {
        let path = format!("/admin/audit?entity_id={}&sort=at", self.ayu.id);
        let log = self.api.get_as(&self.boss, &path).await?.expect(StatusCode::OK)?.body;
        let line = |line: &Value| {
            let instances = line["after"]["instances"].as_i64().unwrap_or_default();
            (line["action"].as_str().unwrap_or_default().to_owned(), instances)
        };
        Ok(log["items"].as_array().into_iter().flatten().map(line).collect())
    }
}

fn is_away(answer: &Answer) -> bool {
    answer.status == StatusCode::SERVICE_UNAVAILABLE
        && answer.header("retry-after") == "2"
        && answer.body["detail"] == "The cluster can't be asked right now."
}

#[tokio::test]
async fn a_cluster_that_hangs_is_away_for_those_who_need_it_however_many_they_are() -> Result<()> {
    let stage = Stage::new(Script { read: Fate::Hangs, change: Fate::Hangs, after: Fate::Hangs }).await?;
    let needs = (0..100).map(|_| stage.api.get_as(&stage.ayu, "/me/quota"));
    let (answers, set, me) = tokio::join!(
        futures::future::try_join_all(needs),
        stage.set(3),
        stage.api.get_as(&stage.ayu, "/me"),
    );
    let wrong: Vec<Answer> = answers?.into_iter().chain([set?]).filter(|answer| !is_away(answer)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    me?.expect(StatusCode::OK)?;
    assert_eq!(stage.log().await?, []);
    Ok(())
}

#[tokio::test]
async fn limits_that_were_set_though_the_answer_was_lost_are_answered_as_set() -> Result<()> {
    let stage = Stage::new(Script { read: Fate::Done, change: Fate::AnswerLost, after: Fate::Done }).await?;
    let answer = stage.set(3).await?.expect(StatusCode::OK)?;
    assert_eq!((&answer.body["limits"]["instances"], &answer.body["is_default"]), (&json!(3), &json!(false)));
    assert_eq!(stage.log().await?, [("user.set_quota".to_owned(), 3)]);
    Ok(())
}

#[tokio::test]
async fn limits_that_were_not_set_have_a_line_that_says_so() -> Result<()> {
    let stage = Stage::new(Script { read: Fate::Done, change: Fate::Fails, after: Fate::Done }).await?;
    assert!(is_away(&stage.set(3).await?));
    let failed = [("user.set_quota".to_owned(), 3), ("user.set_quota_failed".to_owned(), 5)];
    assert_eq!(stage.log().await?, failed);
    Ok(())
}

#[tokio::test]
async fn limits_of_which_nobody_knows_whether_they_were_set_have_a_line_that_says_so() -> Result<()> {
    for change in [Fate::AnswerLost, Fate::Hangs] {
        let stage = Stage::new(Script { read: Fate::Done, change, after: Fate::Fails }).await?;
        assert!(is_away(&stage.set(3).await?));
        let unknown = [("user.set_quota".to_owned(), 3), ("user.set_quota_unconfirmed".to_owned(), 5)];
        assert_eq!(stage.log().await?, unknown);
        assert!(stage.world.api.get_as(&stage.ayu, "/me").await?.status.is_success());
    }
    Ok(())
}
