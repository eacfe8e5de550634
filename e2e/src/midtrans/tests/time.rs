//! What happens because time passes.

use serde_json::{Value, json};

use super::merchant::{Merchant, plain, text};
use crate::midtrans::{Act, Method, Midtrans, Verb, wib};

const MINUTE: i64 = 60;

async fn create(merchant: &Merchant, gateway: &Midtrans, id: &str, more: &Value) {
    let mut body = plain(id, 50_000);
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, answer) = merchant.create(gateway, &body).await;
    assert_eq!(status, 201, "{answer}");
}

#[tokio::test]
async fn what_is_not_paid_in_time_expires_and_is_told() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    create(&merchant, &gateway, "a", &json!({"expiry": {"unit": "minutes", "duration": 30}})).await;
    gateway.act(&Act::new(Verb::Pick, "a")).unwrap();
    gateway.advance(29 * MINUTE);
    assert_eq!(merchant.heard(&gateway).await, ["pending 201"]);
    gateway.advance(2 * MINUTE);
    assert_eq!(merchant.heard(&gateway).await, ["pending 201", "expire 202"]);
    assert!(gateway.act(&Act::new(Verb::Settle, "a")).is_err());
    gateway.act(&Act::new(Verb::LateSettle, "a")).unwrap();
    assert_eq!(merchant.heard(&gateway).await, ["pending 201", "expire 202", "settlement 200"]);
    assert_eq!(gateway.total(), 50_000);
}

#[tokio::test]
async fn nobody_is_told_of_a_page_that_is_over() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let token = merchant.order(&gateway, "a", 50_000).await;
    gateway.advance(25 * 60 * MINUTE);
    assert!(merchant.heard(&gateway).await.is_empty());
    assert_eq!(text(&merchant.status(&gateway, "a").await, "status_code"), "404");
    assert!(gateway.act(&Act::pay("a", Method::BcaVa)).is_err());
    let page = merchant.get(&gateway, &format!("/snap/v4/redirection/{token}")).await.1;
    assert!(page.as_str().unwrap().contains("the page is over"), "{page}");
}

#[tokio::test]
async fn without_a_start_time_the_span_begins_when_a_method_is_picked() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let start = format!("{} +0700", wib::text(gateway.now()));
    let expiry = json!({"unit": "hour", "duration": 1});
    create(&merchant, &gateway, "late", &json!({"expiry": expiry})).await;
    create(
        &merchant,
        &gateway,
        "sure",
        &json!({"expiry": {"start_time": start, "unit": "hour", "duration": 1}}),
    )
    .await;
    gateway.advance(50 * MINUTE);
    for id in ["late", "sure"] {
        gateway.act(&Act::new(Verb::Pick, id)).unwrap();
    }
    gateway.advance(20 * MINUTE);
    assert_eq!(text(&merchant.status(&gateway, "late").await, "transaction_status"), "pending");
    assert_eq!(text(&merchant.status(&gateway, "sure").await, "transaction_status"), "expire");
}

#[tokio::test]
async fn a_method_outlives_a_page_that_has_its_own_end() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    create(&merchant, &gateway, "a", &json!({"page_expiry": {"unit": "minute", "duration": 10}})).await;
    create(&merchant, &gateway, "b", &json!({"page_expiry": {"unit": "minute", "duration": 10}})).await;
    gateway.act(&Act::new(Verb::Pick, "a").by(Method::BcaVa)).unwrap();
    gateway.advance(11 * MINUTE);
    gateway.act(&Act::new(Verb::Settle, "a")).unwrap();
    assert!(gateway.act(&Act::new(Verb::Pick, "b")).is_err());
    assert_eq!(gateway.total(), 50_000);
}

#[tokio::test]
async fn an_expiry_may_be_late_and_the_payment_come_before_it() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    create(&merchant, &gateway, "a", &json!({"expiry": {"unit": "minute", "duration": 15}})).await;
    gateway.act(&Act::new(Verb::Pick, "a").by(Method::OtherQris)).unwrap();
    gateway.act(&Act::new(Verb::HoldExpiry, "a")).unwrap();
    gateway.advance(60 * MINUTE);
    assert_eq!(text(&merchant.status(&gateway, "a").await, "transaction_status"), "pending");
    gateway.act(&Act::new(Verb::Settle, "a")).unwrap();
    assert_eq!(gateway.total(), 50_000);
}

#[tokio::test]
async fn times_are_local_and_without_an_offset() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    gateway.set_clock("2030-01-01T20:00:00Z".parse().unwrap());
    merchant.order(&gateway, "a", 50_000).await;
    gateway.act(&Act::pay("a", Method::BcaVa)).unwrap();
    let status = merchant.status(&gateway, "a").await;
    assert!(text(&status, "transaction_time").starts_with("2030-01-02 03:0"), "{status}");
    assert!(text(&status, "settlement_time").starts_with("2030-01-02 03:0"));
    assert!(text(&status, "expiry_time").starts_with("2030-01-03 03:0"));
    assert_eq!(text(&status, "transaction_time").len(), "2030-01-02 03:00:00".len());
}
