//! The Core API's refunds.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::HeaderMap;
use serde_json::{Value, json};
use uuid::Uuid;

use super::body;
use super::book::Notice;
use super::core_api::{not_found, not_modifiable, told, with_key};
use super::faults::{Fault, On};
use super::gateway::Gateway;
use super::refund::{self, Ask, No};
use super::reply::Reply;
use super::server::Line;

/// `POST /v2/{id}/refund/online/direct`.
pub async fn direct(
    State(gateway): State<Arc<Gateway>>,
    Extension(line): Extension<Line>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    refunded(&gateway, &line, &id, &headers, &body, true).await
}

/// A refund by either endpoint.
pub(super) async fn refunded(
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
