//! The control doors: for tests, in JSON, open to everybody on this machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::act::Act;
use super::control_body::{
    ClockBody, DeliveriesBody, ForgeBody, KeysBody, NotifyBody, ReleaseBody, RulesBody,
};
use super::entry::Entry;
use super::gateway::Gateway;
use super::transaction::Refused;

type Shared = State<Arc<Gateway>>;

#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    from: usize,
    order_id: Option<String>,
}

pub(super) fn router() -> Router<Arc<Gateway>> {
    Router::new()
        .route("/pay_many", post(pay_many))
        .route("/pay_other", post(pay_other))
        .route("/rules", get(rules).post(add_rules).delete(clear_rules))
        .route("/release", post(release))
        .route("/forge", post(forge))
        .route("/clock", get(now).post(clock))
        .route("/keys", post(keys))
        .route("/notify", post(notify))
        .route("/book", get(book))
        .route("/book/total", get(total))
        .route("/book/{order_id}", get(entry))
        .route("/deliveries", get(deliveries))
        .route("/idle", get(idle))
        .route("/requests", get(requests))
        .route("/{verb}", post(act))
}

fn refused(why: &Refused) -> Response {
    let status = if *why == Refused::Unknown { StatusCode::NOT_FOUND } else { StatusCode::CONFLICT };
    (status, Json(json!({"error": why.to_string()}))).into_response()
}

fn bad(why: &impl ToString) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": why.to_string()}))).into_response()
}

async fn act(State(gateway): Shared, Path(verb): Path<String>, Json(mut body): Json<Value>) -> Response {
    if let Some(fields) = body.as_object_mut() {
        fields.insert("verb".to_owned(), json!(verb));
    }
    match serde_json::from_value::<Act>(body) {
        Ok(act) => gateway.act(&act).map_or_else(|why| refused(&why), |done| Json(done).into_response()),
        Err(why) => bad(&why),
    }
}

async fn pay_many(State(gateway): Shared, Json(mut bodies): Json<Vec<Value>>) -> Response {
    for fields in bodies.iter_mut().filter_map(Value::as_object_mut) {
        fields.insert("verb".to_owned(), json!("pay"));
    }
    let acts: Result<Vec<Act>, _> = bodies.into_iter().map(serde_json::from_value).collect();
    match acts {
        Ok(acts) => {
            let refused: Vec<String> = gateway.pay_many(&acts).iter().map(Refused::to_string).collect();
            Json(json!({"paid": acts.len() - refused.len(), "refused": refused})).into_response()
        }
        Err(why) => bad(&why),
    }
}

async fn pay_other(State(gateway): Shared) -> Json<Value> {
    Json(json!({"order_id": gateway.pay_other()}))
}

async fn rules(State(gateway): Shared) -> Json<RulesBody> {
    Json(RulesBody { rules: gateway.rules() })
}

async fn add_rules(State(gateway): Shared, Json(body): Json<RulesBody>) -> Response {
    gateway.add_rules(body.rules).map_or_else(|why| bad(&why), |()| StatusCode::NO_CONTENT.into_response())
}

async fn clear_rules(State(gateway): Shared) -> StatusCode {
    gateway.clear_rules();
    StatusCode::NO_CONTENT
}

async fn release(State(gateway): Shared, Json(body): Json<ReleaseBody>) -> Json<Value> {
    Json(json!({"released": gateway.release(body.order)}))
}

async fn forge(State(gateway): Shared, Json(body): Json<ForgeBody>) -> Response {
    let forged = gateway.forge(&body.order_id, body.kind);
    forged.map_or_else(|why| refused(&why), |()| StatusCode::NO_CONTENT.into_response())
}

async fn now(State(gateway): Shared) -> Json<Value> {
    Json(json!({"now": gateway.now()}))
}

async fn clock(State(gateway): Shared, Json(body): Json<ClockBody>) -> Json<Value> {
    if let Some(set) = body.set {
        gateway.set_clock(set);
    }
    if let Some(seconds) = body.advance_seconds {
        gateway.advance(seconds);
    }
    now(State(gateway)).await
}

async fn keys(State(gateway): Shared, Json(body): Json<KeysBody>) -> StatusCode {
    gateway.set_keys(body.server_key, body.second_key);
    StatusCode::NO_CONTENT
}

async fn notify(State(gateway): Shared, Json(body): Json<NotifyBody>) -> StatusCode {
    gateway.set_notify(body.url);
    StatusCode::NO_CONTENT
}

async fn book(State(gateway): Shared) -> Json<Vec<Entry>> {
    Json(gateway.book())
}

async fn entry(State(gateway): Shared, Path(order_id): Path<String>) -> Response {
    gateway.entry(&order_id).map_or_else(|| refused(&Refused::Unknown), |entry| Json(entry).into_response())
}

async fn total(State(gateway): Shared) -> Json<Value> {
    Json(json!({"net": gateway.total()}))
}

async fn deliveries(State(gateway): Shared, Query(asked): Query<Asked>) -> Json<DeliveriesBody> {
    let mut deliveries = gateway.deliveries(asked.from);
    if let Some(order_id) = &asked.order_id {
        deliveries.retain(|delivery| delivery.order_id == *order_id);
    }
    Json(DeliveriesBody { outstanding: gateway.outstanding(), held: gateway.held(), deliveries })
}

/// Answers when no notification is under way and none will be tried again.
async fn idle(State(gateway): Shared) -> StatusCode {
    gateway.idle().await;
    StatusCode::NO_CONTENT
}

async fn requests(State(gateway): Shared) -> Json<BTreeMap<String, u64>> {
    Json(gateway.requests())
}
