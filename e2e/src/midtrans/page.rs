//! The customer's page: plain HTML with forms, so that a browser without scripts can pay.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use http::StatusCode;

use super::act::{Act, Verb};
use super::gateway::Gateway;
use super::method::Method;
use super::order::Order;
use super::transaction::{Status, Transaction};
use super::wib;

/// What the page shows of an order.
struct Shown {
    order_id: String,
    gross: i64,
    closed: Option<String>,
    until: String,
    methods: Vec<Method>,
    transactions: Vec<(String, Method, Status)>,
    finish: Option<String>,
}

impl Shown {
    fn of(order: &Order, now: jiff::Timestamp) -> Self {
        let attempt = |one: &Transaction| (one.id.clone(), one.method, one.status);
        Self {
            order_id: order.terms.order_id.clone(),
            gross: order.terms.gross,
            closed: order.check_page(now).err().map(|why| why.to_string()),
            until: wib::text(order.terms.page_until),
            methods: order.methods().collect(),
            transactions: order.transactions.iter().map(attempt).collect(),
            finish: order.terms.finish.clone(),
        }
    }

    fn html(&self, token: &str) -> String {
        let mut page = String::from(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Payment (stand-in)</title>\
             <body style=\"font-family:sans-serif;max-width:36em;margin:2em auto\">\
             <p><strong>This is a stand-in for the payment gateway. No real money moves.</strong></p>",
        );
        // Writing to a text can't fail.
        let _ = write!(
            page,
            "<h1>Rp {}</h1><p>Order <code>{}</code>, to be paid until {} WIB</p>",
            thousands(self.gross),
            escape(&self.order_id),
            self.until
        );
        for (id, method, status) in &self.transactions {
            let _ = write!(page, "<p>{method}: <strong>{}</strong></p>", status.name());
            if matches!(status, Status::Pending) {
                let at = format!("/snap/v4/redirection/{token}");
                page.push_str(&button(&format!("{at}/pay?transaction={id}"), &format!("Pay by {method}")));
                page.push_str(&button(&format!("{at}/deny?transaction={id}"), "Be refused"));
            }
        }
        if let Some(why) = &self.closed {
            let _ = write!(page, "<p>{why}.</p>");
        } else {
            page.push_str("<h2>How do you pay?</h2>");
            for method in &self.methods {
                let action = format!("/snap/v4/redirection/{token}/pick/{method}");
                page.push_str(&button(&action, method.name()));
            }
        }
        page.push_str(&button(&format!("/snap/v4/redirection/{token}/close"), "Close"));
        page.push_str("</body></html>");
        page
    }
}

fn button(action: &str, label: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{}\"><button style=\"margin:.2em;padding:.5em 1em\">{}</button></form>",
        escape(action),
        escape(label)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `1.000.000`.
fn thousands(rupiah: i64) -> String {
    let digits = rupiah.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

fn find(gateway: &Gateway, token: &str) -> Option<Shown> {
    gateway.look(|book, now| book.order_of_token(token).map(|order| Shown::of(order, now)))
}

fn lost() -> Response {
    (StatusCode::NOT_FOUND, Html("<!doctype html><title>Not found</title><p>There is no such page.</p>"))
        .into_response()
}

/// `GET` of the page.
pub async fn show(State(gateway): State<Arc<Gateway>>, Path(token): Path<String>) -> Response {
    gateway.count("page.show");
    find(&gateway, &token).map_or_else(lost, |shown| Html(shown.html(&token)).into_response())
}

/// A method's button.
pub async fn pick(
    State(gateway): State<Arc<Gateway>>,
    Path((token, method)): Path<(String, String)>,
) -> Response {
    gateway.count("page.pick");
    let (Some(shown), Some(method)) = (find(&gateway, &token), Method::parse(&method)) else { return lost() };
    // What is refused, the page itself says.
    drop(gateway.act(&Act::new(Verb::Pick, shown.order_id).by(method)));
    back(&token)
}

/// The buttons of what is pending, and the one that leaves: pay, deny, close.
pub async fn answer(
    State(gateway): State<Arc<Gateway>>,
    Path((token, answer)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    gateway.count("page.answer");
    let Some(shown) = find(&gateway, &token) else { return lost() };
    let verb = match answer.as_str() {
        "pay" => Verb::Pay,
        "deny" => Verb::Deny,
        "close" => return leave(&token, &shown, "201", "pending"),
        _ => return lost(),
    };
    let named = query.as_deref().and_then(|query| query.strip_prefix("transaction="));
    let act = Act { transaction_id: named.map(str::to_owned), ..Act::new(verb, shown.order_id.clone()) };
    match (gateway.act(&act), verb) {
        (Ok(done), Verb::Pay) => {
            leave(&token, &shown, "200", done.transaction_status.as_deref().unwrap_or_default())
        }
        _ => back(&token),
    }
}

/// To where the merchant wants the customer afterwards, with words that nobody should trust.
fn leave(token: &str, shown: &Shown, code: &str, status: &str) -> Response {
    let Some(finish) = &shown.finish else { return back(token) };
    let mark = if finish.contains('?') { '&' } else { '?' };
    let order_id = &shown.order_id;
    let query = format!("order_id={order_id}&status_code={code}&transaction_status={status}");
    Redirect::to(&format!("{finish}{mark}{query}")).into_response()
}

fn back(token: &str) -> Response {
    Redirect::to(&format!("/snap/v4/redirection/{token}")).into_response()
}
