//! What holds for all routes: who may call them, how they answer what is not asked for, and that the document says so.

use std::collections::BTreeSet;

use anyhow::Result;
use api_server::http;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Answer, Api, BOUND, PASSWORD, User, World};

/// An id that nothing has.
const NOTHING: &str = "0192a000-0000-7000-8000-000000000000";

/// Every operation of the document: method, path, and what it says.
fn operations() -> Vec<(Method, String, Value)> {
    let document = serde_json::to_value(http::openapi::document()).unwrap();
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    let mut all = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().into_iter().flatten() {
            all.push((method.to_uppercase().parse().unwrap(), path.clone(), operation.clone()));
        }
    }
    all
}

fn is_public(method: &Method, path: &str) -> bool {
    http::PUBLIC.iter().any(|one| *one == (method.as_str(), path))
}

/// Whose object a call names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// The caller's own.
    Own,
    /// Another user's.
    Anothers,
    /// Nobody's: there is no such thing.
    Missing,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Nobody,
    User,
    Administrator,
}

/// What makes somebody's object of that id, where such a path names one.
fn insert(path: &str, id: &str, owner: &User) -> Option<String> {
    let User { id: user, email, .. } = owner;
    Some(match path {
        "/api/v1/admin/users" => format!(
            "insert into users (id, email, name, language, role, email_verified_at, created_at, updated_at)
             values ('{id}', '{id}@example.com', 'Somebody', 'en', 'USER', now(), now(), now())"
        ),
        "/api/v1/wallet/transactions" | "/api/v1/admin/billing/transactions" => format!(
            "insert into transactions (id, user_id, type, direction, amount, status, created_at)
             values ('{id}', '{user}', 'TOP_UP', 'CREDIT', 50000, 'PENDING', now())"
        ),
        "/api/v1/admin/emails" => format!(
            "insert into emails (id, message_id, user_id, recipient, kind, language, data, created_at, next_attempt_at)
             values ('{id}', '{id}@nakhoda', '{user}', '{email}', 'WELCOME', 'en', '{{}}', now(), now())"
        ),
        "/api/v1/admin/jobs" => format!(
            "insert into jobs (id, position, kind, queue, payload, allowed, created_at, run_at)
             values ('{id}', 0, 'PROBE', 'QUICK', '{{\"number\": 0}}', 5, now(), now() + interval '1 day')"
        ),
        "/api/v1/wallet/top-ups" => format!(
            "with t as (insert into transactions (id, user_id, type, direction, amount, status, created_at, decided_at)
                 values (gen_random_uuid(), '{user}', 'TOP_UP', 'CREDIT', 10000, 'EXPIRED', now(), now()) returning id),
             u as (insert into top_ups (id, transaction_id, user_id, expires_at, created_at)
                 select '{id}', id, '{user}', now(), now() from t returning id)
             insert into payment_attempts (id, top_up_id, order_id, amount, created_at, expires_at)
             select id, id, id::text, 10000, now(), now() from u"
        ),
        "/api/v1/subscriptions" | "/api/v1/instances" => format!(
            "insert into subscriptions (id, user_id, name, service, plan, period, price, tax, cpu_millicores, memory_bytes, storage_bytes, created_at)
             values ('{id}', '{user}', 'Mine', 'ghost', 'ghost-small', 'MONTHLY', 0, 0, 0, 0, 0, now())"
        ),
        "/api/v1/admin/categories" => format!(
            "insert into categories (slug, name_en, name_id, position, created_at, updated_at) values ('{id}', 'a', 'a', 1, now(), now())"
        ),
        // Resources of the cluster, which is away here; who may call is decided before.
        "/api/v1/admin/services" | "/api/v1/admin/plans" | "/api/v1/catalog/services" | "/api/v1/catalog/plans" => {
            "select 1".to_owned()
        }
        "/api/v1/admin/billing/findings" => format!(
            "insert into payment_findings (id, kind, subject, detail, found_at) values ('{id}', 'SECOND_PAYMENT', '{id}', '{{}}', now())"
        ),
        _ => return None,
    })
}

/// Where the matrix is played: an API, two users, an administrator, and which object each path names.
struct Stage<'a> {
    api: &'a Api,
    world: &'a World,
    user: User,
    administrator: User,
    stranger: User,
}

impl<'a> Stage<'a> {
    async fn new(world: &'a World, api: &'a Api) -> Result<Self> {
        let user = world.user("ayu").await?;
        let administrator = world.administrator("boss").await?;
        Ok(Self { api, world, user, administrator, stranger: world.user("budi").await? })
    }

    fn caller(&self, caller: Caller) -> Option<&User> {
        match caller {
            Caller::Nobody => None,
            Caller::User => Some(&self.user),
            Caller::Administrator => Some(&self.administrator),
        }
    }

    /// The id that a path names, made anew for each call, since a call may take it away. A path with an id that is not known here
    /// fails: say whose it is.
    async fn object(&self, path: &str, whose: Whose, caller: Caller) -> Result<String> {
        let owner = match whose {
            Whose::Own => self.caller(caller).unwrap_or(&self.user),
            Whose::Anothers => &self.stranger,
            Whose::Missing => return Ok(NOTHING.to_owned()),
        };
        let sql = |sql: &str| self.world.database.server.sql(&self.world.database.name, sql);
        let at = path.split("/{").next().unwrap_or_default();
        if at == "/api/v1/me/sessions" {
            self.world.log_in(&owner.email, PASSWORD).await?;
            let last =
                format!("select id from sessions where user_id = '{}' order by id desc limit 1", owner.id);
            return Ok(sql(&last)?.trim().to_owned());
        }
        // A name begins with a letter.
        let id = uuid::Uuid::new_v4().to_string();
        let id = if at == "/api/v1/admin/categories" { format!("c{}", &id[1..]) } else { id };
        let made = insert(at, &id, owner);
        sql(&made.ok_or_else(|| anyhow::anyhow!("{at}: say in the matrix whose objects these are"))?)?;
        Ok(id)
    }

    /// A call of an operation with an id; the body is empty, so what is let through is refused for that at the latest.
    async fn call(&self, method: &Method, path: &str, id: &str, caller: Caller) -> Result<Answer> {
        let mut filled = path.to_owned();
        while let (Some(from), Some(to)) = (filled.find('{'), filled.find('}')) {
            filled.replace_range(from..=to, id);
        }
        let mut request = self.api.request(method.clone(), &filled).header("if-match", "*");
        if let Some(user) = self.caller(caller) {
            request = request.bearer_auth(&user.access);
        }
        if *method == Method::POST {
            request = request.header("idempotency-key", format!("{id} {caller:?}"));
        }
        if *method != Method::GET {
            request = request.json(&json!({}));
        }
        self.api.send(request).await
    }

    /// What is wrong with how an operation treats those who call it.
    async fn wrong_with(&self, method: &Method, path: &str) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        let kinds = [Whose::Own, Whose::Anothers, Whose::Missing];
        let kinds = if path.contains('{') { &kinds[..] } else { &kinds[..1] };
        for caller in [Caller::Nobody, Caller::User, Caller::Administrator] {
            let mut answers = Vec::new();
            for whose in kinds {
                let id =
                    if path.contains('{') { self.object(path, *whose, caller).await? } else { String::new() };
                let mut answer = self.call(method, path, &id, caller).await?;
                if answer.body.get("request_id").is_some() {
                    answer.body["request_id"] = Value::Null;
                }
                let found = wrong_with_answer(method, path, caller, &answer);
                wrong.extend(found.map(|found| format!("{method} {path}: {caller:?} at {whose:?} {found}")));
                answers.push(answer);
            }
            if let [_, anothers, missing] = &answers[..]
                && !is_public(method, path)
            {
                let found = wrong_between(path, caller, anothers, missing);
                wrong.extend(found.map(|found| format!("{method} {path}: {caller:?} {found}")));
            }
        }
        Ok(wrong)
    }
}

fn is_for_administrators(path: &str) -> bool {
    path.starts_with("/api/v1/admin/")
}

/// What is wrong with one answer.
fn wrong_with_answer(method: &Method, path: &str, caller: Caller, answer: &Answer) -> Option<String> {
    let (code, status) = (answer.code(), answer.status);
    if status.is_server_error() && code != "unavailable" {
        return Some(format!("gets {status}"));
    }
    let expected = match caller {
        _ if is_public(method, path) => {
            return (code == "auth.required").then(|| "is kept out of what is public".to_owned());
        }
        Caller::Nobody => "auth.required",
        Caller::User if is_for_administrators(path) => "auth.forbidden",
        Caller::User | Caller::Administrator => {
            let is_kept_out = ["auth.required", "auth.forbidden"].contains(&code);
            return is_kept_out.then(|| "is kept out".to_owned());
        }
    };
    (code != expected).then(|| format!("gets {status} in the place of {expected}"))
}

/// What is wrong with how another's object and none are answered: they are to look alike. Administrators see everybody's.
fn wrong_between(path: &str, caller: Caller, anothers: &Answer, missing: &Answer) -> Option<String> {
    let statuses = format!("{} and {}", anothers.status, missing.status);
    if is_for_administrators(path) && caller == Caller::Administrator {
        return None;
    }
    if (anothers.status, &anothers.body) != (missing.status, &missing.body) {
        return Some(format!("can tell another's from what is missing: {statuses}"));
    }
    let is_hidden = is_for_administrators(path) || anothers.status == StatusCode::NOT_FOUND;
    (caller == Caller::User && !is_hidden).then(|| format!("gets {statuses} in the place of 404"))
}

#[tokio::test]
async fn whoever_calls_whatever_of_whomever_is_let_in_or_kept_out_as_the_document_says() -> Result<()> {
    let world = World::new().await?;
    let (mut wrong, mut guarded) = (Vec::new(), 0);
    for (method, path, operation) in operations() {
        let says_secured = operation["security"][0].get("access_token").is_some();
        assert_eq!(says_secured, !is_public(&method, &path), "{method} {path}: what the document says");
        guarded += usize::from(says_secured);
    }
    // Those that end the callers' sessions or accounts come last, each with callers of its own.
    let ends = |path: &str| path.ends_with("/logout-all") || path == "/api/v1/me";
    let stage = Stage::new(&world, &world.api).await?;
    for (method, path, _) in operations().into_iter().filter(|(_, path, _)| !ends(path)) {
        wrong.extend(stage.wrong_with(&method, &path).await?);
    }
    for (method, path, _) in operations().into_iter().filter(|(_, path, _)| ends(path)) {
        let world = World::new().await?;
        wrong.extend(Stage::new(&world, &world.api).await?.wrong_with(&method, &path).await?);
    }
    assert_eq!(wrong, [""; 0]);
    assert!(guarded >= 26, "{guarded}");
    Ok(())
}

/// A route that somebody forgot to guard.
#[utoipa::path(get, path = "/api/v1/admin/forgotten", security(("access_token" = [])), responses((status = 200)))]
async fn forgotten() -> &'static str {
    "everything"
}

/// A route of one's own things that looks at nobody's.
#[utoipa::path(get, path = "/api/v1/me/sessions/{id}/secrets", params(("id" = String, Path)), security(("access_token" = [])), responses((status = 200)))]
async fn careless(_user: http::auth::CurrentUser) -> &'static str {
    "another's"
}

#[tokio::test]
async fn a_route_without_a_guard_is_found_by_the_matrix() -> Result<()> {
    let world = World::new().await?;
    let planted =
        http::routes().routes(utoipa_axum::routes!(forgotten)).routes(utoipa_axum::routes!(careless));
    let api = world.replica_of(|state| http::around(planted.split_for_parts().0, state)).await?;
    let stage = Stage::new(&world, &api).await?;
    let found = stage.wrong_with(&Method::GET, "/api/v1/admin/forgotten").await?;
    assert!(found.iter().any(|one| one.contains("Nobody") && one.contains("auth.required")), "{found:?}");
    assert!(found.iter().any(|one| one.contains("User") && one.contains("auth.forbidden")), "{found:?}");
    let found = stage.wrong_with(&Method::GET, "/api/v1/me/sessions/{id}/secrets").await?;
    assert!(found.iter().any(|one| one.contains("in the place of 404")), "{found:?}");
    assert_eq!(stage.wrong_with(&Method::GET, "/api/v1/me/sessions").await?, [""; 0]);
    Ok(())
}

/// POSTs of somebody who is logged in that have no effect to be repeated, or none that a repeat could add to.
const WITHOUT_KEY: [&str; 2] = ["/api/v1/auth/logout-all", "/api/v1/admin/billing/ledger/verify"];

#[test]
fn every_post_of_somebody_takes_an_idempotency_key_and_no_other_call_does() {
    for (method, path, operation) in operations() {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let takes_key = parameters.iter().any(|one| one["name"] == "Idempotency-Key");
        let is_wanted = method == Method::POST && !is_public(&method, &path);
        assert_eq!(takes_key, is_wanted && !WITHOUT_KEY.contains(&path.as_str()), "{method} {path}");
    }
}

#[test]
fn everything_that_is_public_exists() {
    let known: BTreeSet<(String, String)> =
        operations().into_iter().map(|(method, path, _)| (method.to_string(), path)).collect();
    for (method, path) in http::PUBLIC.iter().filter(|(_, path)| *path != "/openapi.json") {
        assert!(known.contains(&((*method).to_owned(), (*path).to_owned())), "{method} {path}");
    }
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_meant_is_a_problem_with_the_requests_id() -> Result<()> {
    let world = World::new().await?;
    let request = world.api.request(Method::GET, "/nowhere").header("x-request-id", "0123456789-abc");
    let answer = world.api.send(request).await?.expect(StatusCode::NOT_FOUND)?;
    assert_eq!((answer.code(), answer.header("x-request-id")), ("request.no_such_route", "0123456789-abc"));
    assert_eq!(answer.body["request_id"], "0123456789-abc");
    let method = world.api.send(world.api.request(Method::DELETE, "/auth/login")).await?;
    assert_eq!(method.code(), "request.method_not_allowed");
    for header in [
        "x-content-type-options",
        "x-frame-options",
        "content-security-policy",
        "referrer-policy",
        "strict-transport-security",
    ] {
        assert!(!answer.header(header).is_empty(), "{header}");
    }
    assert_eq!(answer.header("cache-control"), "no-store");
    Ok(())
}

#[tokio::test]
async fn pages_of_known_origins_may_call_and_no_others() -> Result<()> {
    let world = World::new().await?;
    let preflight = async |origin: &str| {
        let request = world.api.request(Method::OPTIONS, "/auth/login").header("origin", origin);
        let asks = request
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        world.api.send(asks).await
    };
    assert_eq!(
        preflight("https://app.example.com").await?.header("access-control-allow-origin"),
        "https://app.example.com"
    );
    assert_eq!(preflight("https://evil.example").await?.header("access-control-allow-origin"), "");
    Ok(())
}

#[tokio::test]
async fn the_document_and_its_page_are_served_and_counted() -> Result<()> {
    let world = World::new().await?;
    let document =
        world.api.send(world.api.request(Method::GET, "/openapi.json")).await?.expect(StatusCode::OK)?;
    assert_eq!(document.body["openapi"], "3.1.0");
    let page = world.api.send(world.api.request(Method::GET, "/docs/")).await?.expect(StatusCode::OK)?;
    assert!(page.body.as_str().unwrap_or_default().contains("swagger-ui"));
    assert!(page.header("content-security-policy").contains("default-src 'self'"));
    let metrics = world.api.send(world.api.request(Method::GET, "/metrics")).await?.expect(StatusCode::OK)?;
    let text = metrics.body.as_str().unwrap_or_default().to_owned();
    assert!(
        text.contains("nakhoda_api_requests_total{method=\"GET\",route=\"/openapi.json\",status=\"200\"} 1"),
        "{text}"
    );
    Ok(())
}

/// The names that docs/API-METRICS.md explains are those that are served, and the alerts use no others.
#[tokio::test]
async fn every_metric_is_explained_and_nothing_else_is() -> Result<()> {
    let world = World::new().await?;
    let text = e2e::wait::until("mails and subscriptions to be counted", BOUND, async || {
        let answer = world.api.send(world.api.request(Method::GET, "/metrics")).await?;
        let text = answer.body.as_str().unwrap_or_default().to_owned();
        let is_counted = |name: &str| text.contains(&format!("nakhoda_api_{name}{{"));
        Ok((is_counted("mails_kept") && is_counted("subscriptions")).then_some(text))
    })
    .await?;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let served: BTreeSet<&str> = types.filter_map(|line| line.split(' ').next()).collect();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/API-METRICS.md"))?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let explained: BTreeSet<&str> = rows
        .filter_map(|row| row.split('`').next())
        .map(|name| name.strip_suffix("_total").unwrap_or(name))
        .collect();
    assert_eq!(served, explained);
    let alerts = std::fs::read_to_string(root.join("config/monitoring/api-alerts.yaml"))?;
    for word in alerts.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        let is_metric = word.starts_with("nakhoda_api_");
        let name = ["_total", "_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end));
        assert!(!is_metric || explained.contains(name.unwrap_or(word)), "{word}");
    }
    Ok(())
}

#[tokio::test]
async fn without_a_cluster_only_what_needs_one_is_away() -> Result<()> {
    let world = World::new().await?;
    let (ayu, boss) = (world.user("ayu").await?, world.administrator("boss").await?);
    for answer in [
        world.api.get_as(&ayu, "/me/quota").await?,
        world.api.get_as(&boss, &format!("/admin/users/{}/quota", ayu.id)).await?,
        world.api.get_as(&ayu, "/catalog/services").await?,
        world.api.get_as(&boss, "/admin/plans").await?,
    ] {
        assert_eq!((answer.code(), answer.header("retry-after")), ("unavailable", "2"));
        assert!(answer.body["detail"].as_str().unwrap_or_default().contains("without a cluster"));
    }
    world.api.get_as(&ayu, "/me").await?.expect(StatusCode::OK)?;
    Ok(())
}

/// The committed document is what the types say.
#[test]
fn the_committed_document_is_fresh() -> Result<()> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if std::env::var_os("NAKHODA_WRITE_DOCS").is_some() {
        std::fs::write(&path, http::openapi::text())?;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == http::openapi::text(), "write it anew: cargo openapi");
    Ok(())
}
