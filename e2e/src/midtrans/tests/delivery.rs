//! How notifications come: again, in another order, twice, late, never, to another address.

use serde_json::json;

use super::merchant::{Merchant, is_signed, plain, settle, text};
use crate::midtrans::{Act, Delivery, Fault, Forgery, Method, On, Release, Rule, Settings, Verb};

fn tries(deliveries: &[Delivery], status: &str) -> Vec<(usize, Option<u16>)> {
    let same = deliveries.iter().filter(|delivery| delivery.transaction_status == status);
    same.map(|delivery| (delivery.attempt, delivery.answer)).collect()
}

fn fast(settings: Settings) -> Settings {
    Settings { retry_factor: 0.000_001, ..settings }
}

#[tokio::test]
async fn an_answer_decides_whether_a_notification_comes_again() {
    let (merchant, gateway) = Merchant::with(fast).await;
    let table: [(&[u16], usize); 7] = [
        (&[200], 1),
        (&[500, 500, 500], 2),
        (&[404, 404, 404, 404], 3),
        (&[503, 503, 503, 503, 503, 503], 5),
        (&[403, 403, 403, 403, 403, 403, 403], 6),
        (&[302, 302], 1),
        (&[503, 503, 200], 3),
    ];
    for (place, (answers, expected)) in table.into_iter().enumerate() {
        let id = format!("tu-{place}");
        merchant.order(&gateway, &id, 10_000).await;
        merchant.answers(&answers[..answers.len().min(expected)]);
        gateway.act(&Act::pay(&*id, Method::BcaVa).quiet()).unwrap();
        settle(&gateway).await;
        let tries: Vec<_> = gateway.deliveries(0).into_iter().filter(|one| one.order_id == id).collect();
        assert_eq!(tries.len(), expected, "{tries:?}");
    }
    merchant.told(&gateway).await;
}

#[tokio::test]
async fn an_address_nobody_listens_at_is_tried_six_times() {
    let (merchant, gateway) = Merchant::with(fast).await;
    merchant.order(&gateway, "tu-1", 10_000).await;
    gateway.set_notify(Some("http://127.0.0.1:1/".to_owned()));
    gateway.act(&Act::pay("tu-1", Method::BcaVa).quiet()).unwrap();
    settle(&gateway).await;
    let tries = tries(&gateway.deliveries(0), "settlement");
    assert_eq!(tries, (1..=6).map(|attempt| (attempt, None)).collect::<Vec<_>>());
}

#[tokio::test]
async fn headers_of_the_request_lead_notifications_elsewhere_or_there_too() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let (there, moved) = (format!("{}/there", merchant.url), format!("{}/moved", merchant.url));
    let headers: [(&str, &[(&str, &str)]); 4] = [
        ("instead", &[("X-Override-Notification", &there)]),
        ("also", &[("X-Append-Notification", &there)]),
        ("both", &[("X-Override-Notification", &there), ("X-Append-Notification", &there)]),
        ("moved", &[("X-Override-Notification", &moved)]),
    ];
    let expected: [&[&str]; 4] = [&["there"], &["own", "there"], &["there"], &["moved", "there"]];
    for ((id, headers), expected) in headers.into_iter().zip(expected) {
        let create = "/snap/v1/transactions";
        let body = plain(id, 10_000);
        assert_eq!(merchant.call(&gateway, "POST", create, headers, Some(&body)).await.unwrap().0, 201);
        merchant.inbox.paths.lock().unwrap().clear();
        gateway.act(&Act::pay(id, Method::BcaVa).quiet()).unwrap();
        settle(&gateway).await;
        let mut paths = merchant.inbox.paths.lock().unwrap().clone();
        paths.sort_unstable();
        assert_eq!(paths, expected, "{id}");
    }
}

#[tokio::test]
async fn what_is_held_comes_in_the_order_asked_for() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    gateway.add_rules(vec![Rule::new(On::Notification, Fault::Hold)]).unwrap();
    let ids: Vec<String> = (0..20).map(|number| format!("tu-{number}")).collect();
    for id in &ids {
        merchant.order(&gateway, id, 10_000).await;
        gateway.act(&Act::pay(id, Method::BcaVa)).unwrap();
    }
    assert!(merchant.told(&gateway).await.is_empty());
    gateway.clear_rules();
    assert_eq!(gateway.held(), 40);
    assert_eq!(gateway.release(Release::Shuffled(3)), 40);
    let heard = merchant.told(&gateway).await;
    let late = |id: &String| {
        let mine = heard.iter().filter(|body| text(body, "order_id") == id);
        mine.map(|body| text(body, "transaction_status")).eq(["settlement", "pending"])
    };
    assert_eq!(heard.len(), 40);
    assert!(ids.iter().any(late), "some order's settlement comes before its pending");
}

#[tokio::test]
async fn a_notification_is_doubled_dropped_overtaken_or_delayed_by_a_rule() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let rule = |id: &str, fault| Rule::new(On::Notification, fault).order(id).times(1);
    let rules = vec![
        rule("double", Fault::Duplicate { n: 2 }),
        rule("drop", Fault::Drop),
        rule("reorder", Fault::Reorder),
        rule("delay", Fault::Delay { ms: 1 }),
    ];
    gateway.add_rules(rules).unwrap();
    let expected: [(&str, &[&str]); 3] = [
        ("double", &["pending", "pending", "pending", "settlement"]),
        ("drop", &["settlement"]),
        ("reorder", &["settlement", "pending"]),
    ];
    for id in ["double", "drop", "reorder", "delay"] {
        merchant.order(&gateway, id, 10_000).await;
        gateway.act(&Act::pay(id, Method::BcaVa)).unwrap();
    }
    let told = merchant.told(&gateway).await;
    let of = |id: &str| -> Vec<&str> {
        let mine = told.iter().filter(|body| text(body, "order_id") == id);
        mine.map(|body| text(body, "transaction_status")).collect()
    };
    for (id, states) in expected {
        assert_eq!(of(id), states, "{id}");
    }
    assert_eq!(of("delay").len(), 2);
}

#[tokio::test]
async fn a_forged_notification_is_wrong_as_it_was_asked_to_be() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    merchant.order(&gateway, "tu-1", 10_000).await;
    assert!(gateway.forge("tu-1", Forgery::Status).is_err(), "nothing was signed yet");
    for kind in [Forgery::Signature, Forgery::Amount, Forgery::Key] {
        gateway.forge("tu-1", kind).unwrap();
    }
    settle(&gateway).await;
    let bodies = std::mem::take(&mut *merchant.inbox.bodies.lock().unwrap());
    assert!(bodies.len() == 3 && !bodies.iter().any(is_signed), "{bodies:?}");
    gateway.act(&Act::new(Verb::Pick, "tu-1")).unwrap();
    gateway.forge("tu-1", Forgery::Status).unwrap();
    let told = merchant.told(&gateway).await;
    let (genuine, forged) = (&told[0], &told[1]);
    assert_eq!((text(forged, "transaction_status"), text(forged, "status_code")), ("settlement", "201"));
    assert_eq!(genuine["transaction_id"], forged["transaction_id"]);
    gateway.act(&Act::new(Verb::Settle, "tu-1")).unwrap();
    gateway.forge("tu-1", Forgery::Transaction).unwrap();
    let told = merchant.told(&gateway).await;
    assert_ne!(told[2]["transaction_id"], told[3]["transaction_id"]);
    assert_eq!(text(&told[3], "status_code"), "200");
    let unknown = text(&told[3], "transaction_id");
    assert_eq!(text(&merchant.status(&gateway, unknown).await, "status_code"), "404");
    assert_eq!(gateway.total(), 10_000);
    assert_eq!(gateway.deliveries(0).iter().filter(|delivery| delivery.forged).count(), 5);
}

#[tokio::test]
async fn the_test_button_tells_of_an_order_that_nobody_made() {
    let (merchant, gateway) = Merchant::with_gateway().await;
    let made_up = gateway.pay_other();
    let told = merchant.told(&gateway).await;
    assert_eq!(told[0]["order_id"], json!(made_up));
    assert!(made_up.starts_with("payment_notif_test_"));
    assert_eq!(text(&merchant.status(&gateway, &made_up).await, "status_code"), "404");
    assert_eq!(gateway.total(), 0);
}
