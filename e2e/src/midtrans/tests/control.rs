//! The control doors, from afar.

use serde_json::json;

use super::merchant::Merchant;
use crate::midtrans::{Act, Fault, Forgery, Method, On, Release, Rule, Verb};

#[tokio::test]
async fn everything_can_be_done_from_afar() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let control = gateway.control().unwrap();
    for id in ["a", "b", "c"] {
        merchant.order(&gateway, id, 50_000).await;
    }
    control.add_rules(vec![Rule::new(On::Notification, Fault::Hold)]).await.unwrap();
    let done = control.act(&Act::pay("a", Method::Gopay)).await.unwrap();
    assert_eq!(done.transaction_status.as_deref(), Some("settlement"));
    assert!(control.act(&Act::new(Verb::Settle, "none")).await.unwrap_err().to_string().contains("404"));
    let acts = ["b", "c", "none"].map(|id| Act::pay(id, Method::BcaVa));
    assert_eq!(control.pay_many(&acts).await.unwrap(), ["there is no such transaction"]);
    control.clear_rules().await.unwrap();
    assert_eq!(control.deliveries(0).await.unwrap().held, 6);
    assert_eq!(control.release(Release::Fifo).await.unwrap(), 6);
    control.forge("a", Forgery::Key).await.unwrap();
    control.pay_other().await.unwrap();
    control.idle().await.unwrap();
    assert_eq!(control.deliveries(2).await.unwrap().deliveries.len(), 6);
    assert_eq!((control.total().await.unwrap(), control.book().await.unwrap().len()), (150_000, 3));
    assert_eq!(control.entry("b").await.unwrap().net, 50_000);
    control.advance(60).await.unwrap();
    control.set_clock("2030-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
    control.set_keys("another", None).await.unwrap();
    control.set_notify(None).await.unwrap();
    assert_eq!(control.requests().await.unwrap()["snap.create"], 3);
    assert_eq!(merchant.create(&gateway, &super::merchant::plain("d", 1)).await.0, 401);
}

#[tokio::test]
async fn an_act_is_flat_json_and_what_it_does_not_know_is_refused() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    merchant.order(&gateway, "a", 50_000).await;
    let (status, answer) = merchant
        .post(&gateway, "/control/pay", &json!({"order_id": "a", "method": "bca_va", "fee": 100}))
        .await;
    assert_eq!((status, answer["transaction_status"].as_str()), (200, Some("settlement")), "{answer}");
    assert_eq!(merchant.post(&gateway, "/control/pay", &json!({"order_id": "a", "colour": 1})).await.0, 400);
    assert_eq!(merchant.post(&gateway, "/control/fly", &json!({"order_id": "a"})).await.0, 400);
    assert_eq!(merchant.post(&gateway, "/control/settle", &json!({"order_id": "a"})).await.0, 409);
    let rules = json!({"rules": [{"on": "create", "fault": "hold"}]});
    assert_eq!(merchant.post(&gateway, "/control/rules", &rules).await.0, 400);
}
