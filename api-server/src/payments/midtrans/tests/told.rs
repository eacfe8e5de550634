use super::*;
use serde_json::{Value, json};

fn told() -> Value {
    json!({
        "status_code": "200",
        "status_message": "Success, transaction is found",
        "transaction_id": "t-1",
        "order_id": "o-1",
        "merchant_id": "G1",
        "gross_amount": "10000.00",
        "currency": "IDR",
        "payment_type": "qris",
        "transaction_time": "2026-11-21 10:00:00",
        "settlement_time": "2026-11-21 10:01:00",
        "expiry_time": "2026-11-22 10:00:00",
        "transaction_status": "settlement",
        "fraud_status": "accept",
        "issuer": "gopay",
        "custom_field1": "c",
        "something_new": {"a": [1]},
    })
}

fn with(field: &str, value: Value) -> Result<Observed, ObservedError> {
    let mut body = told();
    body[field] = value;
    Observed::parse(body.to_string().as_bytes())
}

#[test]
fn all_that_is_told_is_read() {
    let seen = Observed::parse(told().to_string().as_bytes()).unwrap();
    let expected = Observed {
        order_id: "o-1".into(),
        transaction_id: "t-1".into(),
        status: Status::Settlement,
        fraud: Some(Fraud::Accept),
        gross: rupiah(10_000),
        original: None,
        currency: "IDR".into(),
        payment_type: "qris".into(),
        status_code: "200".into(),
        transaction_time: Some("2026-11-21T03:00:00Z".parse().unwrap()),
        settled_at: Some("2026-11-21T03:01:00Z".parse().unwrap()),
        expires_at: Some("2026-11-22T03:00:00Z".parse().unwrap()),
        refunds: Vec::new(),
        refund_amount: None,
        issuer: Some("gopay".into()),
        bank: None,
        store: None,
        custom_field1: Some("c".into()),
    };
    assert_eq!(seen, expected);
}

#[test]
fn six_fields_suffice() {
    let core =
        ["status_code", "transaction_id", "order_id", "gross_amount", "payment_type", "transaction_status"];
    let mut body = told();
    body.as_object_mut().unwrap().retain(|field, _| core.contains(&field.as_str()));
    let seen = Observed::parse(body.to_string().as_bytes()).unwrap();
    assert_eq!((seen.currency.as_str(), seen.fraud, seen.settled_at), ("IDR", None, None));
    for field in core {
        let mut less = body.clone();
        less.as_object_mut().unwrap().remove(field);
        assert!(Observed::parse(less.to_string().as_bytes()).is_err(), "{field}");
    }
}

#[test]
fn what_nothing_depends_on_is_left_out_where_it_cannot_be_read() {
    for field in
        ["transaction_time", "settlement_time", "expiry_time", "issuer", "bank", "store", "custom_field1"]
    {
        for value in [json!(1), json!({}), Value::Null] {
            assert!(with(field, value).is_ok(), "{field}");
        }
    }
    assert_eq!(with("settlement_time", json!("soon")).unwrap().settled_at, None);
    for metadata in [json!("text"), json!([]), json!({"extra_info": 1}), json!({"extra_info": {}})] {
        assert_eq!(with("metadata", metadata).unwrap().original, None);
    }
}

#[test]
fn money_must_be_readable() {
    for (field, value) in [
        ("gross_amount", json!("10000.50")),
        ("gross_amount", json!(null)),
        ("refund_amount", json!("much")),
        ("refunds", json!([{"refund_key": "a"}])),
        ("refunds", json!([{"refund_key": "a", "refund_amount": "1.5"}])),
        ("refunds", json!("none")),
        ("fraud_status", json!(1)),
        ("metadata", json!({"extra_info": {"gross_amount_info": {"original_amount": "x"}}})),
    ] {
        assert!(with(field, value).is_err(), "{field}");
    }
    let number = told().to_string().replace(r#""10000.00""#, "10000.00");
    assert_eq!(Observed::parse(number.as_bytes()).unwrap().gross, rupiah(10_000));
}

#[test]
fn a_fee_that_midtrans_added_is_told_apart() {
    let info = json!({"original_amount": "10000.00", "gross_amount": "10500.00", "customer_imposed_payment_fee": "500.00"});
    let mut body = told();
    body["gross_amount"] = "10500.00".into();
    body["metadata"] = json!({"ours": 1, "extra_info": {"gross_amount_info": info}});
    let seen = Observed::parse(body.to_string().as_bytes()).unwrap();
    assert_eq!((seen.gross, seen.original), (rupiah(10_500), Some(rupiah(10_000))));
}

#[test]
fn refunds_are_told_apart_by_what_names_them() {
    let mut body = told();
    body["transaction_status"] = "partial_chargeback".into();
    body["refund_amount"] = "600.00".into();
    body["refunds"] = json!([
        {"refund_chargeback_id": 7, "refund_key": "a", "refund_amount": "100.00", "reason": "r"},
        {"refund_key": "b", "refund_amount": "200.00", "bank_confirmed_at": "2026-11-21 10:00:00"},
        {"refund_amount": 300.00},
    ]);
    let text = body.to_string().replace("300.0", "300.00");
    let seen = Observed::parse(text.as_bytes()).unwrap();
    let told: Vec<_> =
        seen.refunds.iter().map(|it| (it.key.as_str(), it.amount.get(), it.is_chargeback)).collect();
    assert_eq!(told, [("id:7", 100, false), ("key:b", 200, false), ("no:2", 300, true)]);
    assert_eq!(seen.refund_amount, Some(rupiah(600)));
}

#[test]
fn statuses_are_read_in_either_case() {
    assert_eq!(with("transaction_status", json!("PENDING")).unwrap().status, Status::Pending);
    assert_eq!(Status::read("Partial_Refund"), Status::PartialRefund);
    let odd = Status::read("on_hold");
    assert_eq!((odd.as_str(), &odd), ("on_hold", &Status::Unknown("on_hold".into())));
    for name in
        ["pending", "authorize", "capture", "settlement", "deny", "cancel", "expire", "failure", "refund"]
    {
        assert_eq!(Status::read(name).as_str(), name);
    }
    assert_eq!(with("fraud_status", json!("maybe")).unwrap().fraud, Some(Fraud::Unknown("maybe".into())));
}
