//! What the merchant can change, and the codes it hears.

use std::time::Duration;

use serde_json::{Value, json};

use super::merchant::{Merchant, text};
use crate::midtrans::{Act, Fault, Fraud, Method, Midtrans, On, Rule, Verb};
use crate::wait;

async fn post(merchant: &Merchant, gateway: &Midtrans, path: &str, body: Value) -> Value {
    let (status, answer) = merchant.post(gateway, path, &body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn code(merchant: &Merchant, gateway: &Midtrans, path: &str) -> String {
    text(&post(merchant, gateway, path, json!({})).await, "status_code").to_owned()
}

#[tokio::test]
async fn only_what_is_pending_expires_and_its_success_is_407() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    merchant.order(&gateway, "a", 10_000).await;
    assert_eq!(code(&merchant, &gateway, "/v2/a/expire").await, "404");
    gateway.act(&Act::new(Verb::Pick, "a")).unwrap();
    assert_eq!(code(&merchant, &gateway, "/v2/a/expire").await, "407");
    assert_eq!(code(&merchant, &gateway, "/v2/a/expire").await, "412");
    assert_eq!(code(&merchant, &gateway, "/v2/a/cancel").await, "412");
    let status = merchant.status(&gateway, "a").await;
    assert_eq!((text(&status, "status_code"), text(&status, "transaction_status")), ("407", "expire"));
    assert_eq!(merchant.heard(&gateway).await, ["pending 201", "expire 202"]);
}

#[tokio::test]
async fn what_has_not_settled_is_cancelled_by_either_id() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    for id in ["a", "b", "c", "d"] {
        merchant.order(&gateway, id, 10_000).await;
    }
    let picked = gateway.act(&Act::new(Verb::Pick, "a")).unwrap().transaction_id.unwrap();
    assert_eq!(code(&merchant, &gateway, &format!("/v2/{picked}/cancel")).await, "200");
    gateway.act(&Act::new(Verb::Authorize, "b")).unwrap();
    assert_eq!(code(&merchant, &gateway, "/v2/b/expire").await, "412");
    assert_eq!(code(&merchant, &gateway, "/v2/b/cancel").await, "200");
    gateway.act(&Act::pay("c", Method::CreditCard).captured()).unwrap();
    assert_eq!(gateway.total(), 10_000);
    assert_eq!(code(&merchant, &gateway, "/v2/c/cancel").await, "200");
    gateway.act(&Act::pay("d", Method::BcaVa)).unwrap();
    assert_eq!(code(&merchant, &gateway, "/v2/d/cancel").await, "412");
    assert_eq!(gateway.total(), 10_000);
}

#[tokio::test]
async fn a_doubted_charge_is_approved_or_denied_and_nothing_else_is() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    for id in ["a", "b"] {
        merchant.order(&gateway, id, 10_000).await;
        gateway.act(&Act::pay(id, Method::CreditCard).fraud(Fraud::Challenge)).unwrap();
    }
    assert_eq!(gateway.total(), 0);
    assert_eq!(code(&merchant, &gateway, "/v2/a/approve").await, "200");
    assert_eq!(code(&merchant, &gateway, "/v2/a/approve").await, "412");
    assert_eq!(code(&merchant, &gateway, "/v2/a/deny").await, "412");
    assert_eq!(code(&merchant, &gateway, "/v2/b/deny").await, "200");
    assert_eq!(gateway.total(), 10_000);
    let mut heard = merchant.heard(&gateway).await;
    heard.sort_unstable();
    assert_eq!(heard, ["capture 200", "capture 201", "capture 201", "deny 202"]);
}

#[tokio::test]
async fn a_refund_is_told_twice_with_all_refunds_so_far_and_the_amount_as_it_was() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    merchant.order(&gateway, "a", 10_000).await;
    gateway.act(&Act::pay("a", Method::Gopay).quiet()).unwrap();
    let first =
        post(&merchant, &gateway, "/v2/a/refund", json!({"refund_key": "r-1", "amount": 4_000})).await;
    assert_eq!((text(&first, "status_code"), text(&first, "refund_amount")), ("200", "4000.00"));
    assert_eq!(text(&first, "transaction_status"), "partial_refund");
    let second = post(&merchant, &gateway, "/v2/a/refund/online/direct", json!({"refund_key": "r-2"})).await;
    assert_eq!((text(&second, "transaction_status"), text(&second, "refund_amount")), ("refund", "6000.00"));
    let told = merchant.told(&gateway).await;
    assert_eq!(told.len(), 5);
    let confirmed: Vec<Vec<bool>> = told[1..]
        .iter()
        .map(|body| {
            body["refunds"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one.get("bank_confirmed_at").is_some())
                .collect()
        })
        .collect();
    assert_eq!(confirmed, [vec![false], vec![true], vec![true, false], vec![true, true]]);
    assert!(told.iter().all(|body| text(body, "gross_amount") == "10000.00"));
    assert_eq!(gateway.total(), 0);
}

#[tokio::test]
async fn a_refund_is_refused_in_five_ways() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    for (id, method) in [("a", Method::Gopay), ("va", Method::BcaVa)] {
        merchant.order(&gateway, id, 10_000).await;
        gateway.act(&Act::new(Verb::Pick, id).by(method)).unwrap();
    }
    let refund =
        async |id: &str, body: Value| post(&merchant, &gateway, &format!("/v2/{id}/refund"), body).await;
    assert_eq!(text(&refund("a", json!({})).await, "status_code"), "412");
    assert_eq!(text(&refund("none", json!({})).await, "status_code"), "404");
    for id in ["a", "va"] {
        gateway.act(&Act::new(Verb::Settle, id)).unwrap();
    }
    assert_eq!(text(&refund("va", json!({})).await, "status_code"), "412");
    assert_eq!(text(&refund("a", json!({"amount": 10_001})).await, "status_code"), "414");
    assert_eq!(text(&refund("a", json!({"amount": 1.5})).await, "status_code"), "408");
    assert_eq!(text(&refund("a", json!({"refund_key": "a b"})).await, "status_code"), "400");
    let rule = |fault| vec![Rule::new(On::Refund, fault).times(1)];
    gateway.add_rules(rule(Fault::NoFunds)).unwrap();
    assert_eq!(text(&refund("a", json!({"refund_key": "r"})).await, "status_code"), "414");
    gateway.add_rules(rule(Fault::Denied)).unwrap();
    let denied = refund("a", json!({"refund_key": "r"})).await;
    assert_eq!((text(&denied, "status_code"), text(&denied, "refund_amount")), ("202", "0.00"));
    assert_eq!(text(&denied, "transaction_status"), "settlement");
    assert_eq!(gateway.total(), 20_000);
    gateway.advance(8 * 24 * 3600);
    assert_eq!(text(&refund("a", json!({"refund_key": "r"})).await, "status_code"), "406");
    let again = json!({"refund_key": "r-2", "amount": 1});
    assert_eq!(text(&refund("a", again.clone()).await, "status_code"), "200");
    assert_eq!(text(&refund("a", again).await, "status_code"), "406");
    gateway.advance(180 * 24 * 3600);
    assert_eq!(text(&refund("a", json!({})).await, "status_code"), "412");
}

#[tokio::test]
async fn a_key_gives_the_good_answer_again_for_five_minutes_whatever_is_asked() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    merchant.order(&gateway, "a", 10_000).await;
    gateway.act(&Act::pay("a", Method::Gopay)).unwrap();
    let keyed = [("Idempotency-Key", "one")];
    let refund = async |body: Value| {
        merchant.call(&gateway, "POST", "/v2/a/refund", &keyed, Some(&body)).await.unwrap().1
    };
    assert_eq!(text(&refund(json!({"amount": 99_000})).await, "status_code"), "414");
    let first = refund(json!({"amount": 1_000})).await;
    assert_eq!(text(&first, "status_code"), "200");
    assert_eq!(refund(json!({"amount": 2_000})).await, first);
    assert_eq!(gateway.total(), 9_000);
    gateway.advance(301);
    assert_eq!(text(&refund(json!({"amount": 2_000})).await, "status_code"), "200");
    assert_eq!(gateway.total(), 7_000);
}

#[tokio::test]
async fn a_second_call_with_a_key_is_told_that_the_first_is_under_way() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    merchant.order(&gateway, "a", 10_000).await;
    gateway.act(&Act::new(Verb::Pick, "a").by(Method::Gopay)).unwrap();
    // Longer than any test: it is given up, not awaited.
    let hour = Fault::Delay { ms: 3_600_000 };
    gateway.add_rules(vec![Rule::new(On::Change, hour).times(1)]).unwrap();
    let keyed = [("Idempotency-Key", "one")];
    let first = merchant.call(&gateway, "POST", "/v2/a/cancel", &keyed, None);
    let second = async {
        let begun = async || Ok(gateway.rules().is_empty().then_some(()));
        wait::until("the first call to begin", Duration::from_mins(2), begun).await.unwrap();
        merchant.call(&gateway, "POST", "/v2/a/cancel", &keyed, None).await.unwrap()
    };
    let (status, answer) = tokio::select! {
        _ = first => panic!("the first call must be waiting"),
        answer = second => answer,
    };
    assert_eq!((status, text(&answer, "status_code")), (202, "202"));
}
