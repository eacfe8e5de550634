//! Whatever happens, the book says what the notifications say.

use std::collections::HashMap;

use serde_json::Value;

use super::merchant::{Merchant, text};
use crate::midtrans::method::{ALL, Method};
use crate::midtrans::shuffle;
use crate::midtrans::{Act, Fraud, Midtrans, Verb};

const VERBS: [Verb; 18] = [
    Verb::Pay,
    Verb::Pick,
    Verb::Settle,
    Verb::Capture,
    Verb::Challenge,
    Verb::Authorize,
    Verb::Approve,
    Verb::Deny,
    Verb::Expire,
    Verb::Cancel,
    Verb::Void,
    Verb::Fail,
    Verb::Reverse,
    Verb::Refund,
    Verb::Chargeback,
    Verb::LateSettle,
    Verb::SecondPayment,
    Verb::HoldExpiry,
];

/// An act at random.
fn act(state: &mut u64, order: &str) -> Act {
    let mut below = |bound: u64| usize::try_from(shuffle::next(state) % bound).unwrap();
    let mut act = Act::new(VERBS[below(18)], order);
    if below(2) == 0 {
        act = act.by(ALL[below(22)]);
    }
    if below(3) == 0 {
        act = act.fee(4_000);
    }
    if below(3) == 0 {
        act = act.amount(i64::try_from(below(30_000)).unwrap());
    }
    if below(4) == 0 {
        act = act.captured();
    }
    if below(4) == 0 {
        act = act.forced();
    }
    if below(6) == 0 {
        act = act.fraud([Fraud::Accept, Fraud::Deny, Fraud::Challenge][below(3)]);
    }
    act
}

/// What a merchant holds by a transaction, if its last notification is true.
fn told_net(body: &Value) -> i64 {
    let rupiah = |text: &str| text.trim_end_matches(".00").parse::<i64>().unwrap();
    let original = body.pointer("/metadata/extra_info/gross_amount_info/original_amount");
    let amount = rupiah(original.and_then(Value::as_str).unwrap_or(text(body, "gross_amount")));
    if !["", "accept"].contains(&text(body, "fraud_status")) {
        return 0;
    }
    let back = |one: &Value| rupiah(text(one, "refund_amount"));
    let returned: i64 = body["refunds"].as_array().into_iter().flatten().map(back).sum();
    match text(body, "transaction_status") {
        "capture" => amount,
        "settlement" | "refund" | "partial_refund" | "chargeback" | "partial_chargeback" => amount - returned,
        _ => 0,
    }
}

async fn told_total(merchant: &Merchant, gateway: &Midtrans) -> i64 {
    let told = merchant.told(gateway).await;
    let last: HashMap<&str, i64> =
        told.iter().map(|body| (text(body, "transaction_id"), told_net(body))).collect();
    last.values().sum()
}

#[tokio::test]
async fn the_book_says_what_the_notifications_say() {
    for seed in 1..=4 {
        follow(seed).await;
    }
}

async fn follow(seed: u64) {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let orders: Vec<String> = (0..30).map(|number| format!("tu-{number}")).collect();
    for order in &orders {
        merchant.order(&gateway, order, 30_000).await;
    }
    let (mut state, mut done) = (seed, 0);
    for round in 0..30 {
        for order in &orders {
            done += usize::from(gateway.act(&act(&mut state, order)).is_ok());
        }
        if round % 10 == 9 {
            gateway.advance(1_800);
            let told = told_total(&merchant, &gateway).await;
            assert_eq!(told, gateway.total(), "seed {seed}, round {round}");
        }
    }
    assert!(done > 200, "only {done} acts were possible");
    assert!(gateway.total() > 0);
    assert_eq!(gateway.book().iter().map(|entry| entry.net).sum::<i64>(), gateway.total());
}

#[tokio::test]
async fn every_method_is_paid_and_says_its_kind() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    for method in ALL {
        merchant.order(&gateway, method.name(), 50_000).await;
        gateway.act(&Act::pay(method.name(), method).quiet()).unwrap();
        assert_eq!(Method::parse(method.name()), Some(method));
        assert_eq!(serde_json::to_value(method).unwrap(), method.name());
    }
    let told = merchant.told(&gateway).await;
    let kinds: HashMap<&str, &str> =
        told.iter().map(|body| (text(body, "order_id"), text(body, "payment_type"))).collect();
    assert_eq!(
        (kinds["other_qris"], kinds["alfamart"], kinds["bni_va"]),
        ("qris", "cstore", "bank_transfer")
    );
    assert_eq!(gateway.total(), 22 * 50_000);
}
