//! The creation of orders, and what Get Status says of them.

use serde_json::json;

use super::merchant::{KEY, Merchant, plain, text};
use crate::midtrans::{Act, Method, Verb};

#[tokio::test]
async fn an_order_is_created_paid_and_told() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let (status, answer) = merchant.create(&gateway, &plain("tu-1", 50_000)).await;
    assert_eq!(status, 201);
    assert!(text(&answer, "redirect_url").ends_with(text(&answer, "token")));
    gateway.act(&Act::pay("tu-1", Method::BcaVa)).unwrap();
    assert_eq!(merchant.heard(&gateway).await, ["pending 201", "settlement 200"]);
    let told = merchant.told(&gateway).await;
    let last = &told[1];
    assert_eq!(text(last, "gross_amount"), "50000.00");
    assert_eq!(text(last, "payment_type"), "bank_transfer");
    assert_eq!(last["va_numbers"][0]["bank"], "bca");
    assert_eq!(text(last, "status_message"), "midtrans payment notification");
    assert!(
        last.get("permata_va_number").is_none()
            && !last.as_object().unwrap().values().any(serde_json::Value::is_null)
    );
    let status = merchant.status(&gateway, "tu-1").await;
    assert_eq!((text(&status, "status_code"), text(&status, "transaction_status")), ("200", "settlement"));
    assert_eq!(gateway.total(), 50_000);
    assert_eq!(gateway.requests()["core.status"], 1);
}

#[tokio::test]
async fn another_key_is_refused_in_the_shape_of_each_interface() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let create = merchant.http.post(format!("{}/snap/v1/transactions", gateway.url()));
    let answer = create.basic_auth("other", Some("")).json(&plain("a", 1)).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.json::<serde_json::Value>().await.unwrap()["error_messages"].is_array());
    let status = merchant.http.get(format!("{}/v2/a/status", gateway.url()));
    let answer = status.basic_auth(KEY, Some("password")).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["status_code"], "401");
    gateway.set_keys("new".to_owned(), Some(KEY.to_owned()));
    merchant.order(&gateway, "a", 1).await;
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let with = |more: serde_json::Value| {
        let mut body = plain("tu-1", 28_000);
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let long = "x".repeat(51);
    let wrong = [
        (json!({}), "order_id is required"),
        (plain(&long, 1), "greater than 50"),
        (plain("a#b", 1), "symbol"),
        (plain("a", 0), "greater than or equal"),
        (json!({"transaction_details": {"order_id": "a", "gross_amount": 28000.0}}), "is not a number"),
        (json!({"transaction_details": {"order_id": "a", "gross_amount": "28000"}}), "is not a number"),
        (
            with(json!({"item_details": [{"name": "i", "price": 27_000, "quantity": 1}]})),
            "not equal to the sum",
        ),
        (with(json!({"item_details": [{"name": "i", "price": 28_000, "quantity": 0}]})), "quantity"),
        (with(json!({"enabled_payments": ["cash"]})), "enabled_payments"),
        (with(json!({"page_expiry": {"unit": "minute", "duration": 4}})), "page_expiry"),
        (with(json!({"expiry": {"unit": "week", "duration": 4}})), "expiry needs"),
        (with(json!({"custom_field1": "x".repeat(256)})), "custom_field1"),
        (with(json!({"metadata": "x".repeat(17_000)})), "16 KB"),
    ];
    for (body, says) in wrong {
        let (status, answer) = merchant.create(&gateway, &body).await;
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error_messages"].to_string().contains(says), "{answer}");
        assert!(answer.get("status_code").is_none());
    }
    let discount = json!([
        {"name": "i", "price": 15_000, "quantity": 2},
        {"name": "less", "price": -2_000, "quantity": 1},
    ]);
    assert_eq!(merchant.create(&gateway, &with(json!({"item_details": discount}))).await.0, 201);
}

#[tokio::test]
async fn an_order_nobody_began_to_pay_gets_a_new_page_and_loses_the_old_one() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let first = merchant.order(&gateway, "tu-1", 50_000).await;
    assert_eq!(text(&merchant.status(&gateway, "tu-1").await, "status_code"), "404");
    let second = merchant.order(&gateway, "tu-1", 60_000).await;
    assert_eq!(merchant.get(&gateway, &format!("/snap/v4/redirection/{first}")).await.0, 404);
    assert_eq!(merchant.get(&gateway, &format!("/snap/v4/redirection/{second}")).await.0, 200);
    gateway.act(&Act::new(Verb::Pick, "tu-1").by(Method::Gopay)).unwrap();
    let (status, answer) = merchant.create(&gateway, &plain("tu-1", 60_000)).await;
    assert_eq!(
        (status, answer["error_messages"][0].as_str().unwrap().contains("sudah digunakan")),
        (400, true)
    );
    assert_eq!(text(&merchant.status(&gateway, "tu-1").await, "transaction_status"), "pending");
    gateway.act(&Act::new(Verb::Expire, "tu-1")).unwrap();
    merchant.order(&gateway, "tu-1", 60_000).await;
    gateway.act(&Act::pay("tu-1", Method::Gopay)).unwrap();
    assert_eq!(gateway.entry("tu-1").unwrap().transactions.len(), 2);
    assert_eq!(merchant.create(&gateway, &plain("tu-1", 60_000)).await.0, 400);
}

#[tokio::test]
async fn a_page_is_closed_once_and_only_before_a_method_is_picked() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let cancel = async |token: &str| {
        merchant.post(&gateway, &format!("/snap/v1/transactions/{token}/cancel"), &json!({})).await
    };
    let token = merchant.order(&gateway, "a", 50_000).await;
    let (status, answer) = cancel(&token).await;
    assert!(status == 200 && answer["canceled_at"].is_string(), "{answer}");
    assert_eq!(cancel(&token).await.1["error_messages"][0], "token already canceled");
    assert!(gateway.act(&Act::pay("a", Method::BcaVa)).is_err());
    assert_eq!(cancel("none").await.1["error_messages"][0], "token not found");
    let token = merchant.order(&gateway, "b", 50_000).await;
    gateway.act(&Act::new(Verb::Pick, "b")).unwrap();
    assert_eq!(cancel(&token).await.1["error_messages"][0], "Transaction is on progress");
}

#[tokio::test]
async fn the_page_is_paid_by_forms_and_leads_to_the_merchant() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let mut body = plain("tu-1", 1_250_000);
    body["enabled_payments"] = json!(["bca_va", "other_qris"]);
    body["callbacks"] = json!({"finish": "https://shop.nakhoda.test/done"});
    let token = merchant.create(&gateway, &body).await.1["token"].as_str().unwrap().to_owned();
    let path = format!("/snap/v4/redirection/{token}");
    let page = merchant.get(&gateway, &path).await.1.as_str().unwrap().to_owned();
    assert!(
        page.contains("1.250.000") && page.contains("stand-in") && page.contains("/pick/bca_va"),
        "{page}"
    );
    assert!(!page.contains("/pick/gopay") && !page.contains("<script"));
    assert_eq!(merchant.post(&gateway, &format!("{path}/pick/bca_va"), &json!({})).await.0, 303);
    let page = merchant.get(&gateway, &path).await.1.as_str().unwrap().to_owned();
    assert!(page.contains("pending"), "{page}");
    let transaction = gateway.entry("tu-1").unwrap().transactions[0].transaction_id.clone();
    let pay = merchant.http.post(format!("{}{path}/pay?transaction={transaction}", gateway.url()));
    let answer = pay.send().await.unwrap();
    let expected =
        "https://shop.nakhoda.test/done?order_id=tu-1&status_code=200&transaction_status=settlement";
    assert_eq!((answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()), (303, expected));
    let page = merchant.get(&gateway, &path).await.1.as_str().unwrap().to_owned();
    assert!(page.contains("settlement") && !page.contains("/pick/"), "{page}");
}
