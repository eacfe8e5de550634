use super::*;
use crate::payments::midtrans::notification::{LARGEST, Malformed, parse, signature};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Signatures that were made elsewhere: order, code, amount, key, signature.
const VECTORS: [[&str; 5]; 3] = [
    [
        "1111",
        "200",
        "100000.00",
        "askvnoibnosifnboseofinbofinfgbiufglnbfg",
        "edc076b21793ebe3e17926350f5b8ae67d902fe657b3d0aa31b932d5c127e2375d308a2bc94f3265ac2d80a1f181a79b997ac178a236fcff35af263fc4d4c231",
    ],
    [
        "TOPUP-0001",
        "200",
        "10000.00",
        "SB-Mid-server-TESTKEY",
        "73f2ad6d6fdebec87ddd4f3f1aae3c1a040e79393f708d85c6453f6170b1ec6a33835eb7ba6edeea3bcce00d26092fe875ac1cf60d581861d95c6d232720d675",
    ],
    [
        "TOPUP-0001",
        "202",
        "10000.00",
        "SB-Mid-server-TESTKEY",
        "9b0e89cb61e572317712e1c0c65339f519de1785f7cc5d477338427f319d2fe35d5ff27fa11ebe5e916058968e97b12204eb42fa2b0a6ceb53302f39d40cfe5a",
    ],
];

fn keys(current: &str, previous: Option<&str>) -> Keys {
    Keys::new(SecretString::from(current), previous.map(SecretString::from))
}

/// A notification as Midtrans sends it.
fn good() -> Value {
    json!({
        "transaction_time": "2026-11-21 10:00:00",
        "transaction_status": "settlement",
        "transaction_id": "513f1f01-c9da-474c-9fc9-d5c64364b709",
        "status_message": "midtrans payment notification",
        "status_code": "200",
        "signature_key": VECTORS[1][4],
        "payment_type": "qris",
        "order_id": "TOPUP-0001",
        "merchant_id": "G1",
        "gross_amount": "10000.00",
        "fraud_status": "accept",
        "currency": "IDR",
        "custom_field1": "0198c6f0-0000-7000-8000-0000000000ab",
    })
}

fn with(field: &str, value: Value) -> Vec<u8> {
    let mut body = good();
    body[field] = value;
    body.to_string().into_bytes()
}

#[test]
fn signatures_are_those_that_midtrans_makes() {
    for [order, code, amount, key, expected] in VECTORS {
        assert_eq!(signature(order, code, amount, key), expected);
    }
}

#[test]
fn a_notification_is_read_and_verified() {
    let read = parse(good().to_string().as_bytes()).unwrap();
    assert_eq!((read.order_id.as_str(), read.status_code.as_str()), ("TOPUP-0001", "200"));
    assert_eq!(read.transaction_status, Some(Status::Settlement));
    assert_eq!(read.custom_field1.as_deref(), Some("0198c6f0-0000-7000-8000-0000000000ab"));
    assert!(keys("SB-Mid-server-TESTKEY", None).verify(&read));
}

#[test]
fn both_keys_are_believed_while_they_change() {
    let read = parse(good().to_string().as_bytes()).unwrap();
    assert!(keys("new", Some("SB-Mid-server-TESTKEY")).verify(&read));
    assert!(keys("SB-Mid-server-TESTKEY", Some("old")).verify(&read));
    assert!(!keys("new", Some("old")).verify(&read));
    assert!(!keys("new", None).verify(&read));
}

#[test]
fn what_was_changed_after_it_was_signed_is_not_believed() {
    let keys = keys("SB-Mid-server-TESTKEY", None);
    let changes = [
        ("order_id", "TOPUP-0002"),
        ("status_code", "201"),
        ("gross_amount", "10000"),
        ("gross_amount", "99999.00"),
        ("signature_key", VECTORS[0][4]),
        ("signature_key", "73f2"),
    ];
    for (field, value) in changes {
        let read = parse(&with(field, value.into())).unwrap();
        assert!(!keys.verify(&read), "{field}: {value}");
    }
    let upper = parse(&with("signature_key", VECTORS[1][4].to_uppercase().into())).unwrap();
    assert!(!keys.verify(&upper));
}

#[test]
fn numbers_are_signed_as_they_are_written() {
    let body = good().to_string().replace(r#""10000.00""#, "10000.00").replace(r#""200""#, "200");
    let read = parse(body.as_bytes()).unwrap();
    assert_eq!((read.gross_amount.as_str(), read.status_code.as_str()), ("10000.00", "200"));
    assert!(keys("SB-Mid-server-TESTKEY", None).verify(&read));
}

#[test]
fn what_is_missing_is_told_or_done_without() {
    for field in ["order_id", "status_code", "gross_amount", "signature_key"] {
        let mut body = good();
        body.as_object_mut().unwrap().remove(field);
        assert!(matches!(parse(body.to_string().as_bytes()), Err(Malformed::Shape { .. })), "{field}");
        assert!(matches!(parse(&with(field, Value::Null)), Err(Malformed::Shape { .. })), "{field}");
    }
    for field in ["transaction_id", "transaction_status", "payment_type", "custom_field1", "fraud_status"] {
        assert!(parse(&with(field, Value::Null)).is_ok(), "{field}");
    }
}

#[test]
fn values_of_another_kind_are_told() {
    for (field, value) in [
        ("order_id", json!("")),
        ("order_id", json!("a\u{0}b")),
        ("order_id", json!("x".repeat(256))),
        ("status_code", json!("20")),
        ("status_code", json!("2000")),
        ("status_code", json!("２00")),
        ("gross_amount", json!("10000.50")),
        ("gross_amount", json!("1e4")),
        ("gross_amount", json!(-1)),
        ("transaction_id", json!("\u{0}")),
        ("signature_key", json!("")),
    ] {
        assert_eq!(parse(&with(field, value)), Err(Malformed::Value { field }), "{field}");
    }
    for (field, value) in [
        ("order_id", json!(["a"])),
        ("order_id", json!({})),
        ("order_id", json!(true)),
        ("signature_key", json!(1)),
        ("transaction_status", json!(["settlement"])),
    ] {
        assert!(matches!(parse(&with(field, value)), Err(Malformed::Shape { .. })), "{field}");
    }
}

#[test]
fn what_is_no_json_in_utf_8_is_told() {
    let broken: [&[u8]; 6] =
        [b"", b"order_id=1", b"{", b"{\"order_id\":\"\xff\"}", b"\xef\xbb\xbf{}", b"{}{}"];
    for body in broken {
        let told = parse(body).unwrap_err();
        assert!(matches!(told, Malformed::NotJson { .. } | Malformed::Shape { .. }), "{told}");
    }
    for body in ["[]", "null", "1", "\"text\""] {
        assert!(matches!(parse(body.as_bytes()), Err(Malformed::Shape { .. })), "{body}");
    }
}

#[test]
fn too_much_or_too_deep_is_told() {
    assert_eq!(parse(&vec![b' '; LARGEST + 1]), Err(Malformed::TooLarge));
    let deep = format!("{}{}", "[".repeat(8000), "]".repeat(8000));
    assert!(parse(deep.as_bytes()).is_err());
    // What nobody reads may be as deep as it likes.
    let ignored = good().to_string().replacen('{', &format!(r#"{{"metadata":{},"#, &deep[4000..12_000]), 1);
    assert!(parse(ignored.as_bytes()).is_ok());
}

#[test]
fn a_field_that_is_there_twice_is_told_if_it_matters() {
    let twice = |field: &str| good().to_string().replacen('{', &format!(r#"{{"{field}":"x","#), 1);
    assert!(matches!(parse(twice("order_id").as_bytes()), Err(Malformed::Shape { .. })));
    assert!(parse(twice("merchant_id").as_bytes()).is_ok());
}

#[test]
fn what_is_wrong_is_told_without_the_body() {
    let told = parse(&with("signature_key", json!({"secret": "value"}))).unwrap_err().to_string();
    assert!(!told.contains("secret") && !told.contains("value"), "{told}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = parse(&body);
    }

    #[test]
    fn no_change_to_a_good_one_makes_it_panic_or_be_believed(
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut body = good().to_string().into_bytes();
        let at = at.index(body.len());
        body[at] = byte;
        let keys = keys("SB-Mid-server-TESTKEY", None);
        if let Ok(read) = parse(&body) && keys.verify(&read) {
            // What is signed is unharmed.
            prop_assert_eq!((read.order_id.as_str(), read.status_code.as_str()), ("TOPUP-0001", "200"));
            prop_assert_eq!(read.gross_amount.as_str(), "10000.00");
        }
        body.truncate(cut.index(body.len()));
        prop_assert!(parse(&body).is_err());
    }
}
