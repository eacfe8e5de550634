//! Snap: the creation of a payment page, and its closing.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::HeaderMap;
use serde_json::json;

use super::ask;
use super::faults::On;
use super::gateway::Gateway;
use super::order::Terms;
use super::reply::{self, Reply, Shape};
use super::server::Line;
use super::wib;

/// The largest body, in bytes.
const LARGEST: usize = 16 * 1024;

fn unauthorized() -> Reply {
    Reply::snap(401, &["Access denied due to unauthorized transaction, please check client or server key"])
}

/// `POST /snap/v1/transactions`.
pub async fn create(
    State(gateway): State<Arc<Gateway>>,
    Extension(line): Extension<Line>,
    headers: HeaderMap,
    body: Bytes,
) -> Reply {
    gateway.count("snap.create");
    if !gateway.keys.admit(&headers) {
        return unauthorized();
    }
    if body.len() > LARGEST {
        return Reply::snap(400, &["the request body is larger than 16 KB"]);
    }
    let terms = match ask::terms(&body, &headers, gateway.now()) {
        Ok(terms) => terms,
        Err(messages) => return Reply::snap(400, &messages),
    };
    let fault = gateway.fault(On::Create, &terms.order_id, |_| true);
    reply::under(fault, Shape::Snap, &line, || created(&gateway, terms), |_| ()).await
}

fn created(gateway: &Gateway, terms: Terms) -> Reply {
    let token = terms.token.clone();
    match gateway.change(|book, _| book.create(terms).map(|()| ((), Vec::new()))) {
        Ok(()) => {
            let page = format!("{}/snap/v4/redirection/{token}", gateway.url());
            Reply::json(201, json!({"token": token, "redirect_url": page}))
        }
        Err(_) => Reply::snap(400, &["transaction_details.order_id sudah digunakan"]),
    }
}

/// `POST /snap/v1/transactions/{token}/cancel`.
pub async fn cancel(
    State(gateway): State<Arc<Gateway>>,
    Extension(line): Extension<Line>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Reply {
    gateway.count("snap.cancel");
    if !gateway.keys.admit(&headers) {
        return unauthorized();
    }
    let order = gateway.look(|book, _| book.order_of_token(&token).map(|order| order.terms.order_id.clone()));
    let Some(order_id) = order else { return Reply::snap(404, &["token not found"]) };
    let fault = gateway.fault(On::Change, &order_id, |_| true);
    reply::under(fault, Shape::Snap, &line, || canceled(&gateway, &order_id), |_| ()).await
}

fn canceled(gateway: &Gateway, order_id: &str) -> Reply {
    let canceled = gateway.change(|book, now| {
        let order = book.order_mut(order_id).map_err(|_| "token not found")?;
        if order.canceled_at.is_some() {
            return Err("token already canceled");
        }
        if !order.is_free() {
            return Err("Transaction is on progress");
        }
        order.canceled_at = Some(now);
        Ok((now, Vec::new()))
    });
    match canceled {
        Ok(at) => Reply::json(200, json!({"canceled_at": wib::text(at)})),
        Err(why) => Reply::snap(400, &[why]),
    }
}
