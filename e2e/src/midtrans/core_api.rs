//! The Core API: Get Status, and what the merchant can change. It answers most refusals with HTTP 200 and a code in the body.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::HeaderMap;
use serde_json::{Value, json};
use uuid::Uuid;

use super::body;
use super::book::Notice;
use super::faults::{Fault, On};
use super::gateway::Gateway;
use super::refund::{self, Ask, No};
use super::reply::{self, Reply, Shape};
use super::server::Line;
use super::transaction::{Refused, Status, Step};

fn unauthorized() -> Reply {
    Reply::core(401, "401", "Transaction cannot be authorized with the current client/server key.")
}

fn not_found() -> Reply {
    Reply::core(200, "404", "Transaction doesn't exist.")
}

fn not_modifiable() -> Reply {
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
        "refund" => return refunded(&gateway, &line, &id, &headers, &body, false).await,
        _ => return Reply::core(404, "404", "The requested resource is not found"),
    };
    gateway.count(&format!("core.{verb}"));
    let act = |_: Option<Fault>| stepped(&gateway, &id, step);
    with_key(&gateway, &line, &id, &headers, On::Change, act).await
}

/// `POST /v2/{id}/refund/online/direct`.
pub async fn refund_direct(
    State(gateway): State<Arc<Gateway>>,
    Extension(line): Extension<Line>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    refunded(&gateway, &line, &id, &headers, &body, true).await
}

/// A call that may have an `Idempotency-Key` and a fault.
async fn with_key(
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

fn told(notice: &Notice, code: &str, message: &str) -> Reply {
    let mut body = body::status(&notice.terms, &notice.transaction, "");
    if let Some(fields) = body.as_object_mut() {
        fields.remove("signature_key");
        fields.insert("status_code".to_owned(), json!(code));
        fields.insert("status_message".to_owned(), json!(message));
    }
    Reply::json(200, body)
}

async fn refunded(
    gateway: &Gateway,
    line: &Line,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
    direct: bool,
) -> Reply {
    gateway.count("core.refund");
    let ask = read_ask(body, direct);
    let act = |fault: Option<Fault>| match ask {
        Ok(ask) => refund_now(gateway, id, &ask, fault),
        Err(reply) => reply,
    };
    with_key(gateway, line, id, headers, On::Refund, act).await
}

fn read_ask(body: &[u8], direct: bool) -> Result<Ask, Reply> {
    let body: Value = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(body) }
        .map_err(|_| Reply::core(200, "413", "The request cannot be processed due to malformed syntax."))?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let key = text("refund_key").unwrap_or_else(|| Uuid::new_v4().to_string());
    let good = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let reason = text("reason");
    if !good || reason.as_ref().is_some_and(|reason| reason.chars().count() > 255) {
        return Err(Reply::core(200, "400", "One or more parameters in the payload is invalid."));
    }
    let amount = match body.get("amount") {
        None | Some(Value::Null) => None,
        Some(amount) => {
            Some(amount.as_i64().ok_or_else(|| Reply::core(200, "408", "The amount is of a wrong type."))?)
        }
    };
    Ok(Ask { key, amount, reason, direct })
}

fn refund_now(gateway: &Gateway, id: &str, ask: &Ask, fault: Option<Fault>) -> Reply {
    let refunded = gateway.change(|book, now| {
        let notices = refund::refund(book, id, ask, fault, now)?;
        Ok((notices.first().cloned(), notices))
    });
    match refunded {
        Ok(Some(notice)) => refund_made(&notice),
        Ok(None) | Err(No::NotRefundable) => not_modifiable(),
        Err(No::Unknown) => not_found(),
        Err(No::Duplicate) => Reply::core(200, "406", "Duplicate refund ID"),
        Err(No::Amount) => Reply::core(200, "414", "Refund request is rejected."),
        Err(No::Denied) => refund_denied(gateway, id, &ask.key),
    }
}

fn refund_made(notice: &Notice) -> Reply {
    let Reply::Json(status, mut body) = told(notice, "200", "Success, refund request is approved") else {
        return not_found();
    };
    if let Some(last) = notice.transaction.returned.last() {
        body["refund_chargeback_id"] = json!(last.id);
        body["refund_amount"] = json!(body::money(last.amount));
        body["refund_key"] = json!(last.key);
    }
    Reply::Json(status, body)
}

/// The bank's refusal looks fine but for its code.
fn refund_denied(gateway: &Gateway, id: &str, key: &str) -> Reply {
    let found = gateway.look(|book, _| {
        book.find(id).map(|(order, transaction)| body::status(&order.terms, transaction, ""))
    });
    let Some(mut body) = found else { return not_found() };
    if let Some(fields) = body.as_object_mut() {
        fields.remove("signature_key");
    }
    body["status_code"] = json!("202");
    body["status_message"] = json!("Refund request is denied by the bank");
    body["refund_amount"] = json!("0.00");
    body["refund_key"] = json!(key);
    Reply::json(200, body)
}
