//! What goes wrong with calls.

use serde_json::json;

use super::merchant::{Merchant, plain, text};
use crate::midtrans::{Act, Fault, Method, On, Rule};

const CREATE: &str = "/snap/v1/transactions";

#[tokio::test]
async fn a_creation_fails_in_each_way_and_then_works() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let faults = [Fault::Http500, Fault::TooMany, Fault::Html502, Fault::Nothing];
    gateway.add_rules(faults.map(|fault| Rule::new(On::Create, fault).times(1)).to_vec()).unwrap();
    let body = plain("a", 50_000);
    let (status, answer) = merchant.create(&gateway, &body).await;
    assert!(status == 500 && answer["error_messages"].is_array(), "{answer}");
    assert_eq!(merchant.create(&gateway, &body).await.0, 429);
    let (status, answer) = merchant.create(&gateway, &body).await;
    assert!(status == 502 && answer.as_str().unwrap().starts_with("<html>"), "{answer}");
    assert!(merchant.call(&gateway, "POST", CREATE, &[], Some(&body)).await.is_err());
    assert!(gateway.entry("a").is_none());
    assert_eq!(merchant.create(&gateway, &body).await.0, 201);
    assert_eq!(gateway.requests()["snap.create"], 5);
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_was_done() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    gateway.add_rules(vec![Rule::new(On::Create, Fault::ClosedAfterDone).times(1)]).unwrap();
    assert!(merchant.call(&gateway, "POST", CREATE, &[], Some(&plain("a", 50_000))).await.is_err());
    let lost = gateway.entry("a").unwrap().token;
    assert_ne!(merchant.order(&gateway, "a", 50_000).await, lost);
}

#[tokio::test]
async fn get_status_fails_for_one_order_only_and_may_be_slow() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    for id in ["a", "b"] {
        merchant.order(&gateway, id, 50_000).await;
        gateway.act(&Act::pay(id, Method::BcaVa)).unwrap();
    }
    let rules = [Fault::Http500, Fault::Delay { ms: 1 }, Fault::Stall { ms: 1 }];
    gateway.add_rules(rules.map(|fault| Rule::new(On::Status, fault).order("a").times(1)).to_vec()).unwrap();
    assert_eq!(text(&merchant.status(&gateway, "b").await, "status_code"), "200");
    let transaction = gateway.entry("a").unwrap().transactions[0].transaction_id.clone();
    let (status, answer) = merchant.get(&gateway, &format!("/v2/{transaction}/status")).await;
    assert_eq!((status, text(&answer, "status_code")), (500, "500"));
    for _ in 0..2 {
        assert_eq!(text(&merchant.status(&gateway, "a").await, "status_code"), "200");
    }
    assert!(gateway.rules().is_empty());
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_answered_again_by_its_key() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    merchant.order(&gateway, "a", 50_000).await;
    gateway.act(&Act::pay("a", Method::Gopay)).unwrap();
    gateway.add_rules(vec![Rule::new(On::Refund, Fault::ClosedAfterDone).times(1)]).unwrap();
    let (keyed, body) = ([("Idempotency-Key", "one")], json!({"refund_key": "r", "amount": 1_000}));
    let refund = async || merchant.call(&gateway, "POST", "/v2/a/refund", &keyed, Some(&body)).await;
    assert!(refund().await.is_err());
    assert_eq!(text(&refund().await.unwrap().1, "status_code"), "200");
    assert_eq!(gateway.total(), 49_000);
}
