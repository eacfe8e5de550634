//! The traps that others fell into with this gateway, each by its number in the list of facts, and how none of them costs anybody money.

use anyhow::{Context as _, Result};
use e2e::midtrans::{Act, Fault, Method as Pays, On, Rule, Status, Verb};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::payments_books::{Story, signed};
use crate::till::Till;
use crate::world::{BOUND, SERVER_KEY};

const NONE: [&str; 0] = [];

/// How the last transaction of a top-up's last order stands at the gateway.
fn there(till: &Till, order: &str) -> Option<Status> {
    till.gateway.entry(order)?.transactions.last().map(|last| last.status)
}

#[tokio::test]
async fn trap_01_a_fee_at_the_customers_cost_is_neither_refused_nor_credited() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    story.till.gateway.add_rules(vec![Rule::new(On::Pick, Fault::Fee { rupiah: 4_000 })])?;
    story.till.pays(&id, Pays::BcaVa)?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    story.happens(&id, Verb::Refund)?;
    story.stands(&id, "REVERSED", 0).await?;
    assert_eq!(story.till.findings()?, NONE);
    Ok(())
}

#[tokio::test]
async fn trap_02_dana_names_the_order_otherwise_and_is_found_all_the_same() -> Result<()> {
    let story = Story::new().await?;
    let paid = story.begins(50_000).await?;
    story.till.act(&Act::pay(story.till.order(&paid)?, Pays::Dana).forced())?;
    story.stands(&paid, "COMPLETED", 50_000).await?;
    // By its order it is not there, which is no reason to doubt it.
    story.does(&paid, "sync").await?;
    assert_eq!(story.till.findings()?, NONE);
    story.goes_back(&paid, Verb::Refund, 20_000)?;
    story.stands(&paid, "COMPLETED", 30_000).await?;
    // And called off it is, too.
    let open = story.begins(60_000).await?;
    story.till.act(&Act::new(Verb::Pick, story.till.order(&open)?).by(Pays::Dana).forced())?;
    story.till.quiet().await?;
    story.does(&open, "cancel").await?;
    assert_eq!(there(&story.till, &story.till.order(&open)?), Some(Status::Cancel));
    story.stands(&open, "CANCELLED", 30_000).await
}

#[tokio::test]
async fn trap_03_what_is_pending_there_after_its_deadline_is_over_here_and_called_off() -> Result<()> {
    let mut story = Story::new().await?;
    let id = story.begins(50_000).await?;
    story.till.act(&Act::new(Verb::Pick, story.till.order(&id)?).by(Pays::OtherQris))?;
    story.happens(&id, Verb::HoldExpiry)?;
    story.till.quiet().await?;
    story.later(SignedDuration::from_hours(24)).await?;
    story.till.comes(&story.ayu, &id, "EXPIRED").await?;
    let order = story.till.order(&id)?;
    e2e::wait::until("it to be called off", BOUND, async || {
        Ok((there(&story.till, &order) == Some(Status::Cancel)).then_some(()))
    })
    .await?;
    story.stands(&id, "EXPIRED", 0).await?;
    assert_eq!(story.mails()?, ["TOP_UP_FAILED"]);
    Ok(())
}

#[tokio::test]
async fn trap_04_an_order_of_which_nothing_is_known_yet_is_not_given_up() -> Result<()> {
    let mut story = Story::new().await?;
    let id = story.begins(50_000).await?;
    assert_eq!(story.does(&id, "sync").await?["status"], "PENDING");
    story.later(SignedDuration::from_mins(11)).await?;
    e2e::wait::until("it to be asked about", BOUND, async || {
        Ok((story.till.sql("select max(checks) from payment_attempts")? == "1").then_some(()))
    })
    .await?;
    story.stands(&id, "PENDING", 0).await?;
    story.till.pays(&id, Pays::Gopay)?;
    story.stands(&id, "COMPLETED", 50_000).await
}

#[tokio::test]
async fn trap_05_the_address_of_notifications_that_is_opened_otherwise_does_nothing() -> Result<()> {
    let story = Story::new().await?;
    let id = story.paid(50_000, Pays::BcaVa).await?;
    let api = &story.till.world.api;
    let opened = api.send(api.request(Method::GET, "/webhooks/midtrans")).await?;
    assert_eq!(opened.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(story.till.notify("").await?.status, StatusCode::BAD_REQUEST);
    story.till.quiet().await?;
    let kept = story.till.sql("select count(*) from payment_notifications where state <> 'DONE'")?;
    assert_eq!(kept, "0");
    story.stands(&id, "COMPLETED", 50_000).await
}

#[tokio::test]
async fn trap_06_the_dashboards_test_is_answered_well_and_comes_to_nothing() -> Result<()> {
    let story = Story::new().await?;
    let order = story.till.gateway.pay_other();
    story.till.quiet().await?;
    let last = story.till.gateway.deliveries(0).pop().context("it was sent")?;
    assert_eq!((last.order_id.as_str(), last.answer, last.attempt), (order.as_str(), Some(200), 1));
    assert_eq!(story.till.sql("select state from payment_notifications")?, "UNKNOWN_ORDER");
    assert_eq!((story.till.findings()?, story.transactions()?), (vec![], vec![]));
    Ok(())
}

#[tokio::test]
async fn trap_07_a_key_that_is_not_known_there_is_said_and_nothing_is_lost_by_it() -> Result<()> {
    let story = Story::new().await?;
    let (till, body) = (&story.till, json!({"amount": 50_000}));
    till.gateway.set_keys("SB-Mid-server-another".to_owned(), None);
    for _ in 0..2 {
        let refused = till.ask(&story.ayu, "k", &body).await?;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.body);
    }
    let found = till.findings()?;
    assert!(!found.is_empty() && found.iter().all(|kind| kind == "KEY_REFUSED"), "{found:?}");
    till.gateway.set_keys(SERVER_KEY.to_owned(), None);
    let made = till.ask(&story.ayu, "k", &body).await?.expect(StatusCode::CREATED)?;
    assert_eq!((&made.body["number"], made.header("idempotency-replayed")), (&json!("TXMP-101"), "true"));
    assert_eq!(till.sql("select count(*) from payment_attempts")?, "1");
    // Though somebody has settled it, it is said again when it is so on another day.
    till.gateway.set_keys("SB-Mid-server-another".to_owned(), None);
    till.advance(SignedDuration::from_hours(24));
    let ayu = till.anew(&story.ayu).await?;
    till.ask(&ayu, "k2", &body).await?.expect(StatusCode::SERVICE_UNAVAILABLE)?;
    assert!(till.findings()?.len() > found.len());
    Ok(())
}

#[tokio::test]
async fn trap_08_whoever_pays_both_the_first_and_the_second_account_has_both() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    let first = story.till.order(&id)?;
    story.happens(&id, Verb::Pick)?;
    story.till.quiet().await?;
    // The gateway can't be told that the first is over.
    story.till.gateway.add_rules(vec![Rule::new(On::Change, Fault::Http500)])?;
    let body = json!({"method": "QRIS"});
    let again = story.till.verb(&story.ayu, &id, "pay", &body).await?.expect(StatusCode::OK)?;
    assert_eq!(again.body["method"], "QRIS");
    let second = story.till.order(&id)?;
    assert_ne!(first, second);
    story.till.act(&Act::new(Verb::Settle, &first))?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    story.till.act(&Act::pay(&second, Pays::OtherQris))?;
    story.till.agrees(0).await?;
    assert_eq!(
        (story.till.cash(&story.ayu)?, story.till.findings()?),
        (100_000, vec!["SECOND_PAYMENT".to_owned()])
    );
    Ok(())
}

#[tokio::test]
async fn trap_08_the_first_account_is_called_off_when_another_method_is_chosen() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    let first = story.till.order(&id)?;
    // Two accounts were made on the first page.
    for method in [Pays::BcaVa, Pays::BniVa] {
        story.till.act(&Act::new(Verb::Pick, &first).by(method))?;
    }
    story.till.quiet().await?;
    let body = json!({"method": "QRIS"});
    story.till.verb(&story.ayu, &id, "pay", &body).await?.expect(StatusCode::OK)?;
    let entry = story.till.gateway.entry(&first).context("it is there")?;
    assert!(entry.transactions.iter().all(|one| one.status == Status::Cancel), "{entry:?}");
    assert!(story.till.gateway.act(&Act::pay(&first, Pays::Gopay)).is_err(), "its page is closed");
    story.till.pays(&id, Pays::OtherQris)?;
    story.stands(&id, "COMPLETED", 50_000).await
}

#[tokio::test]
async fn trap_09_and_14_the_items_come_to_the_amount_which_is_an_integer() -> Result<()> {
    let story = Story::new().await?;
    for amount in [10_000, 10_001, 28_000, 9_999_999, 10_000_000] {
        let id = story.begins(amount).await?;
        let entry = story.till.gateway.entry(&story.till.order(&id)?).context("it is there")?;
        assert_eq!(entry.expected, amount);
    }
    Ok(())
}

#[tokio::test]
async fn trap_10_and_12_a_page_that_was_closed_is_found_again_however_often_it_is_asked_for() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    let first = story.till.read(&story.ayu, &id).await?.body["payment"]["token"].clone();
    story.till.act(&Act::new(Verb::Pick, story.till.order(&id)?).by(Pays::Gopay))?;
    story.till.quiet().await?;
    for _ in 0..3 {
        assert_eq!(story.does(&id, "pay").await?["payment"]["token"], first);
    }
    assert_eq!(story.till.gateway.requests().get("snap.create"), Some(&1));
    story.till.pays(&id, Pays::Gopay)?;
    let syncs = (0..5).map(|_| story.does(&id, "sync"));
    futures::future::try_join_all(syncs).await?;
    story.stands(&id, "COMPLETED", 50_000).await
}

#[tokio::test]
async fn trap_11_the_same_notification_many_times_at_once_is_credited_once() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    story.till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Drop)])?;
    let transaction = story.till.pays(&id, Pays::BcaVa)?;
    let order = story.till.order(&id)?;
    let body = signed(&order, "200", "50000.00", "settlement", &transaction).to_string();
    let all = (0..20).map(|_| story.till.notify(body.clone()));
    for answer in futures::future::try_join_all(all).await? {
        answer.expect(StatusCode::OK)?;
    }
    story.stands(&id, "COMPLETED", 50_000).await?;
    assert_eq!(story.mails()?, ["TOP_UP_RECEIVED"]);
    Ok(())
}

#[tokio::test]
async fn trap_13_what_comes_while_our_database_is_away_is_asked_for_again_and_not_lost() -> Result<()> {
    let mut story = Story::new().await?;
    let id = story.begins(50_000).await?;
    let (order, before) = (story.till.order(&id)?, story.till.gateway.deliveries(0).len());
    story.till.database_is_away(true)?;
    story.till.gateway.act(&Act::pay(&order, Pays::BcaVa).quiet())?;
    let refused = e2e::wait::until("it to be refused", BOUND, async || {
        Ok(story.till.gateway.deliveries(before).first().cloned())
    })
    .await;
    story.till.database_is_away(false)?;
    let answer = refused?.answer;
    assert_eq!(answer, Some(503), "503 has it sent four times more");
    // Its retries may be over: then asking finds it.
    story.till.gateway.idle().await;
    story.later(SignedDuration::from_mins(11)).await?;
    story.till.comes(&story.ayu, &id, "COMPLETED").await?;
    story.stands(&id, "COMPLETED", 50_000).await
}

#[tokio::test]
async fn trap_15_until_when_it_can_be_paid_is_known_here() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    let body = story.till.read(&story.ayu, &id).await?.body;
    let at = |name: &str| body[name].as_str().unwrap_or_default().parse::<Timestamp>();
    assert_eq!(at("expires_at")?.duration_since(at("created_at")?), SignedDuration::from_hours(24));
    Ok(())
}

#[tokio::test]
async fn trap_16_a_call_that_hangs_ends_and_the_same_request_goes_on_with_it() -> Result<()> {
    let story = Story::new().await?;
    let hangs = [Fault::Stall { ms: 120_000 }, Fault::Delay { ms: 120_000 }];
    story.till.gateway.add_rules(hangs.map(|fault| Rule::new(On::Create, fault).times(1)).to_vec())?;
    let body = json!({"amount": 50_000});
    let hung =
        futures::future::try_join_all(["a", "b"].map(|key| story.till.ask(&story.ayu, key, &body))).await?;
    assert!(hung.iter().all(|answer| answer.status == StatusCode::SERVICE_UNAVAILABLE), "{hung:?}");
    for key in ["a", "b"] {
        let made = story.till.ask(&story.ayu, key, &body).await?.expect(StatusCode::CREATED)?;
        let id = made.body["id"].as_str().unwrap_or_default();
        story.till.pays(id, Pays::BcaVa)?;
        story.till.comes(&story.ayu, id, "COMPLETED").await?;
    }
    assert_eq!(story.till.sql("select count(*) from payment_attempts")?, "2");
    story.till.agrees(0).await
}
