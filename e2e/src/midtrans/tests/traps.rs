//! The traps of the contract, each of them shown.

use serde_json::json;

use super::merchant::{Merchant, plain, text};
use crate::midtrans::{Act, Fault, Fraud, Method, On, Refused, Rule, Status, Verb};

#[tokio::test]
async fn a_fee_at_the_customers_cost_raises_the_amount_and_is_told_in_the_metadata() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    gateway.add_rules(vec![Rule::new(On::Pick, Fault::Fee { rupiah: 4_000 })]).unwrap();
    let mut body = plain("tu-1", 50_000);
    body["metadata"] = json!({"ours": 1});
    body["custom_field2"] = json!("two");
    merchant.create(&gateway, &body).await;
    gateway.act(&Act::pay("tu-1", Method::BcaVa)).unwrap();
    let told = merchant.told(&gateway).await;
    let info =
        json!({"original_amount": "50000", "gross_amount": "54000", "customer_imposed_payment_fee": "4000"});
    for body in [&told[1], &merchant.status(&gateway, "tu-1").await] {
        assert_eq!(text(body, "gross_amount"), "54000.00");
        assert_eq!(body["metadata"], json!({"ours": 1, "extra_info": {"gross_amount_info": info}}));
        assert_eq!((text(body, "custom_field2"), body.get("custom_field1")), ("two", None));
    }
    assert_eq!(gateway.total(), 50_000);
}

#[tokio::test]
async fn dana_names_the_order_otherwise_and_is_found_by_the_transaction_alone() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    merchant.order(&gateway, "tu-1", 50_000).await;
    gateway.act(&Act::pay("tu-1", Method::Dana)).unwrap();
    let told = merchant.told(&gateway).await;
    let other = text(&told[0], "order_id");
    assert!(other.starts_with("tu-1-"), "{other}");
    assert_eq!(text(&merchant.status(&gateway, "tu-1").await, "status_code"), "404");
    assert_eq!(text(&merchant.status(&gateway, other).await, "status_code"), "404");
    let status = merchant.status(&gateway, text(&told[0], "transaction_id")).await;
    assert_eq!((text(&status, "order_id"), text(&status, "transaction_status")), ("tu-1", "settlement"));
}

#[tokio::test]
async fn what_is_pending_may_be_written_in_capitals_with_another_code() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    gateway.add_rules(vec![Rule::new(On::Pick, Fault::UppercasePending).times(1)]).unwrap();
    merchant.order(&gateway, "tu-1", 50_000).await;
    gateway.act(&Act::new(Verb::Pick, "tu-1").by(Method::Shopeepay)).unwrap();
    let status = merchant.status(&gateway, "tu-1").await;
    assert_eq!((text(&status, "status_code"), text(&status, "transaction_status")), ("200", "PENDING"));
    gateway.act(&Act::new(Verb::Settle, "tu-1")).unwrap();
    assert_eq!(merchant.heard(&gateway).await, ["PENDING 201", "settlement 200"]);
}

#[tokio::test]
async fn two_transactions_of_one_order_may_both_be_paid() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    merchant.order(&gateway, "tu-1", 50_000).await;
    let first = gateway.act(&Act::new(Verb::Pick, "tu-1").by(Method::BcaVa)).unwrap().transaction_id.unwrap();
    let second =
        gateway.act(&Act::new(Verb::Pick, "tu-1").by(Method::BniVa)).unwrap().transaction_id.unwrap();
    assert_ne!(first, second);
    for id in [&first, &second] {
        gateway.act(&Act::new(Verb::Settle, "tu-1").transaction(id)).unwrap();
    }
    gateway.act(&Act::new(Verb::SecondPayment, "tu-1")).unwrap();
    assert_eq!(gateway.total(), 150_000);
    let latest = merchant.status(&gateway, "tu-1").await;
    assert!(![first.as_str(), &second].contains(&text(&latest, "transaction_id")));
    assert_eq!(text(&merchant.status(&gateway, &first).await, "transaction_id"), first);
}

#[tokio::test]
async fn money_of_certain_methods_goes_back_after_it_settled() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let methods = [
        (Method::PermataVa, true),
        (Method::Echannel, true),
        (Method::Indomaret, true),
        (Method::BcaVa, false),
    ];
    for (method, reversible) in methods {
        let id = method.name();
        merchant.order(&gateway, id, 50_000).await;
        gateway.act(&Act::pay(id, method)).unwrap();
        let reversed = gateway.act(&Act::new(Verb::Reverse, id));
        assert_eq!(reversed.is_ok(), reversible, "{reversed:?}");
    }
    assert_eq!(gateway.total(), 50_000);
    gateway.act(&Act::new(Verb::Reverse, "bca_va").forced()).unwrap();
    assert_eq!(gateway.total(), 0);
    let told = merchant.told(&gateway).await;
    let of = |id: &str| told.iter().filter(|body| text(body, "order_id") == id).cloned().collect::<Vec<_>>();
    assert!(of("indomaret").iter().all(|body| body.get("fraud_status").is_none()));
    assert_eq!(text(&of("permata_va")[2], "transaction_status"), "deny");
    assert!(of("permata_va")[0].get("permata_va_number").is_some());
    assert!(of("echannel")[0].get("bill_key").is_some());
}

#[tokio::test]
async fn a_card_is_captured_and_settles_later_or_is_called_off() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    for id in ["a", "b", "c", "d"] {
        merchant.order(&gateway, id, 50_000).await;
    }
    gateway.act(&Act::pay("a", Method::CreditCard)).unwrap();
    gateway.act(&Act::pay("b", Method::CreditCard).captured()).unwrap();
    gateway.act(&Act::new(Verb::Void, "b")).unwrap();
    gateway.act(&Act::new(Verb::Authorize, "c")).unwrap();
    gateway.act(&Act::new(Verb::Capture, "c")).unwrap();
    gateway.act(&Act::new(Verb::Settle, "c")).unwrap();
    gateway.act(&Act::pay("d", Method::CreditCard).fraud(Fraud::Deny)).unwrap();
    let told = merchant.told(&gateway).await;
    let of = |id: &str| -> Vec<&str> {
        let mine = told.iter().filter(|body| text(body, "order_id") == id);
        mine.map(|body| text(body, "transaction_status")).collect()
    };
    assert_eq!(of("a"), ["capture", "settlement"]);
    assert_eq!(of("b"), ["capture", "cancel"]);
    assert_eq!(of("c"), ["authorize", "capture", "settlement"]);
    assert_eq!(of("d"), ["capture"]);
    assert_eq!(gateway.total(), 100_000);
}

#[tokio::test]
async fn a_refused_attempt_leaves_the_page_open_for_another() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    merchant.order(&gateway, "tu-1", 50_000).await;
    gateway.act(&Act::new(Verb::Pick, "tu-1").by(Method::CreditCard)).unwrap();
    gateway.act(&Act::new(Verb::Deny, "tu-1")).unwrap();
    assert_eq!(text(&merchant.status(&gateway, "tu-1").await, "transaction_status"), "deny");
    assert_eq!(merchant.create(&gateway, &plain("tu-1", 50_000)).await.0, 400);
    gateway.act(&Act::pay("tu-1", Method::Gopay)).unwrap();
    assert_eq!(gateway.total(), 50_000);
    assert!(gateway.act(&Act::pay("tu-1", Method::Gopay)).is_err(), "it is paid");
}

#[tokio::test]
async fn a_dispute_takes_a_part_and_then_the_rest() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    merchant.order(&gateway, "tu-1", 50_000).await;
    gateway.act(&Act::pay("tu-1", Method::CreditCard)).unwrap();
    gateway.act(&Act::new(Verb::Chargeback, "tu-1").amount(20_000)).unwrap();
    assert_eq!(gateway.total(), 30_000);
    let refused = gateway.act(&Act::new(Verb::Chargeback, "tu-1").amount(30_001));
    assert_eq!(refused, Err(Refused::Amount(30_000)));
    gateway.act(&Act::new(Verb::Chargeback, "tu-1")).unwrap();
    assert_eq!(
        (gateway.total(), gateway.entry("tu-1").unwrap().transactions[0].status),
        (0, Status::Chargeback)
    );
    let heard = merchant.heard(&gateway).await;
    assert_eq!(heard, ["capture 200", "settlement 200", "partial_chargeback 200", "chargeback 200"]);
}

#[tokio::test]
async fn an_amount_a_method_does_not_take_is_not_offered() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    merchant.order(&gateway, "small", 9_999).await;
    merchant.order(&gateway, "large", 10_000_001).await;
    assert!(gateway.act(&Act::pay("small", Method::BcaVa)).is_err());
    assert!(gateway.act(&Act::pay("large", Method::OtherQris)).is_err());
    gateway.act(&Act::pay("large", Method::BcaVa)).unwrap();
    gateway.act(&Act::pay("small", Method::OtherQris)).unwrap();
}
