//! The Core API: Get Status, and what the merchant can change. It answers most refusals with HTTP 200 and a code in the body.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::HeaderMap;
use serde_json::json;

use super::body;
use super::book::Notice;
use super::core_refund;
use super::faults::{Fault, On};
use super::gateway::Gateway;
use super::reply::{self, Reply, Shape};
use super::server::Line;
use super::transaction::{Refused, Status, Step};

fn unauthorized() -> Reply {
    Reply::core(401, "401", "Transaction cannot be authorized with the current client/server key.")
}

pub(super) fn not_found() -> Reply {
    Reply::core(200, "404", "Transaction doesn't exist.")
}

pub(super) fn not_modifiable() -> Reply {
    Reply::core(200, "412", "Transaction status cannot be updated.")
}

/// `GET /v2/{id}/status`.
pub async fn status(
    State(gateway): State<Arc<Gateway>>,
    Extension(line): Extension<Line>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Reply {
    gateway.count("core.status");
    if !gateway.keys.admit(&headers) {
        return unauthorized();
    }
    let fault = gateway.fault(On::Status, &order_of(&gateway, &id), |_| true);
    let found = || {
        let found = gateway.look(|book, _| {
            book.find(&id)
                .map(|(order, transaction)| body::status(&order.terms, transaction, &gateway.keys.signing()))
        });
        found.map_or_else(not_found, |body| Reply::json(200, body))
    };
    reply::under(fault, Shape::Core, &line, found, |_| ()).await
}

/// The order that an id means, for the rules; an unknown one means itself.
fn order_of(gateway: &Gateway, id: &str) -> String {
    let order = gateway.look(|book, _| book.find(id).map(|(order, _)| order.terms.order_id.clone()));
    order.unwrap_or_else(|| id.to_owned())
}

/// `POST /v2/{id}/{cancel, expire, approve, deny, refund}`.
pub async fn change(
    State(gateway): State<Arc<Gateway>>,
    Extension(line): Extension<Line>,
    Path((id, verb)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    let step = match verb.as_str() {
        "cancel" => Step::Cancel,
        "expire" => Step::Expire,
        "approve" => Step::Approve,
        "deny" => Step::Deny,
        "refund" => return core_refund::refunded(&gateway, &line, &id, &headers, &body, false).await,
        _ => return Reply::core(404, "404", "The requested resource is not found"),
    };
    gateway.count(&format!("core.{verb}"));
    let act = |_: Option<Fault>| stepped(&gateway, &id, step);
    with_key(&gateway, &line, &id, &headers, On::Change, act).await
}

/// A call that may have an `Idempotency-Key` and a fault.
pub(super) async fn with_key(
    gateway: &Gateway,
    line: &Line,
    id: &str,
    headers: &HeaderMap,
    on: On,
    act: impl FnOnce(Option<Fault>) -> Reply,
) -> Reply {
    if !gateway.keys.admit(headers) {
        return unauthorized();
    }
    let deaf = gateway.look(|book, _| book.find(id).is_some_and(|(_, one)| one.method.ignores_idempotency()));
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).filter(|_| !deaf);
    let running = match key.map(|key| gateway.idempotency.begin(key, gateway.now())).transpose() {
        Ok(running) => running,
        Err(reply) => return reply,
    };
    let fault = gateway.fault(on, &order_of(gateway, id), |_| true);
    let told = |reply: &Reply| {
        if let Some(running) = &running {
            running.answered(reply, gateway.now());
        }
    };
    reply::under(fault, Shape::Core, line, || act(fault), told).await
}

fn stepped(gateway: &Gateway, id: &str, step: Step) -> Reply {
    let taken = gateway.change(|book, now| {
        let (_, transaction) = book.find(id).ok_or(Refused::Unknown)?;
        // Here a refusal is of what the fraud detection doubts, and only what is pending expires.
        let allowed = match step {
            Step::Deny => transaction.status == Status::Capture,
            Step::Expire => transaction.status == Status::Pending,
            _ => true,
        };
        if !allowed {
            return Err(Refused::State(transaction.status));
        }
        let id = transaction.id.clone();
        let notice = book.step(&id, step, false, now)?;
        Ok((notice.clone(), vec![notice]))
    });
    match (taken, step) {
        (Ok(notice), Step::Expire) => told(&notice, "407", "Success, transaction has expired"),
        (Ok(notice), Step::Cancel) => told(&notice, "200", "Success, transaction is canceled"),
        (Ok(notice), _) => told(&notice, "200", "Success, transaction status is updated"),
        (Err(Refused::Unknown), _) => not_found(),
        (Err(_), _) => not_modifiable(),
    }
}

pub(super) fn told(notice: &Notice, code: &str, message: &str) -> Reply {
    let mut body = body::status(&notice.terms, &notice.transaction, "");
    if let Some(fields) = body.as_object_mut() {
        fields.remove("signature_key");
        fields.insert("status_code".to_owned(), json!(code));
        fields.insert("status_message".to_owned(), json!(message));
    }
    Reply::json(200, body)
}
