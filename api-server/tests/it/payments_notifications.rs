//! Notifications: good ones, ones that nobody should believe, and all that can happen to one on its way.

use anyhow::{Context as _, Result};
use api_server::payments::midtrans::notification::{LARGEST, signature};
use api_server::payments::settle::{self, Source};
use e2e::midtrans::{Act, Fault, Forgery, Method as Pays, On, Release, Rule, Verb};
use futures::future::try_join_all;
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::payments_books::{Story, signed};
use crate::till::Till;
use crate::world::{Api, BOUND, SERVER_KEY};

const NONE: [&str; 0] = [];

/// How many notifications were kept, by what became of them.
fn kept(till: &Till) -> Result<Vec<String>> {
    let rows =
        till.sql("select state || ' ' || count(*) from payment_notifications group by state order by state")?;
    Ok(rows.lines().map(ToOwned::to_owned).collect())
}

#[tokio::test]
async fn what_is_not_signed_by_the_gateway_is_refused_and_kept_for_whoever_looks_into_it() -> Result<()> {
    let story = Story::new().await?;
    let (till, id) = (&story.till, story.begins(50_000).await?);
    till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Drop)])?;
    till.act(&Act::new(Verb::Pick, till.order(&id)?))?;
    let order = till.order(&id)?;
    let good = signed(&order, "200", "50000.00", "settlement", "t");
    let text = good["signature_key"].as_str().unwrap_or_default();
    let wrong = [
        text.to_uppercase(),
        text[..127].to_owned(),
        format!("{text}0"),
        "0".repeat(128),
        signature(&order, "200", "50000.00", ""),
        signature(&order, "200", "50000", SERVER_KEY),
        signature(&order.to_uppercase(), "200", "50000.00", SERVER_KEY),
    ];
    for signature_key in &wrong {
        let mut body = good.clone();
        body["signature_key"] = json!(signature_key);
        let refused = till.notify(body.to_string()).await?.expect(StatusCode::FORBIDDEN)?;
        assert_eq!(refused.code(), "webhook.bad_signature");
    }
    for kind in [Forgery::Signature, Forgery::Key, Forgery::Amount] {
        till.gateway.forge(&order, kind).context("forged")?;
    }
    till.gateway.idle().await;
    let answers: Vec<_> = till.gateway.deliveries(0).iter().filter_map(|one| one.answer).collect();
    assert!(answers.len() >= 3 && answers.iter().all(|one| *one == 403), "{answers:?}");
    let kept = kept(till)?;
    assert!(kept.len() == 1 && kept[0].starts_with("FORGED "), "{kept:?}");
    story.stands(&id, "PENDING", 0).await
}

#[tokio::test]
async fn what_can_not_be_booked_however_often_it_is_tried_is_told_and_booked_once_it_can() -> Result<()> {
    let story = Story::new().await?;
    let (till, id) = (&story.till, story.begins(50_000).await?);
    let counted = async |from: &str| {
        let sql = format!("select count(*) from {from}");
        e2e::wait::until(from, BOUND, async || Ok((till.sql(&sql)? == "1").then_some(()))).await
    };
    till.sql("alter table gateway_payments add constraint planted check (status <> 'settlement')")?;
    till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Drop)])?;
    let transaction = till.pays(&id, Pays::BcaVa)?;
    // Two ways lead there. It is asked about:
    till.sql("update payment_attempts set next_check_at = created_at")?;
    counted("payment_attempts where failing_since is not null").await?;
    assert_eq!(till.findings()?, NONE);
    let long_ago = "failing_since = created_at - interval '1 day', next_check_at = created_at";
    till.sql(&format!("update payment_attempts set {long_ago}"))?;
    counted("payment_findings where kind = 'UNSETTLED' and top_up_id is not null").await?;
    // Hours until the next try.
    counted("payment_attempts where next_check_at > now() + interval '4 hours'").await?;
    assert_eq!(till.sql("delete from payment_findings returning subject")?, till.order(&id)?);
    // And it is told:
    let body = signed(&till.order(&id)?, "200", "50000.00", "settlement", &transaction);
    till.notify(body.to_string()).await?.expect(StatusCode::OK)?;
    counted("payment_notifications where last_error is not null").await?;
    assert_eq!(till.findings()?, NONE);
    till.sql("update payment_notifications set attempts = 9, next_attempt_at = received_at")?;
    counted("payment_findings where kind = 'UNSETTLED' and top_up_id is not null").await?;
    till.sql("alter table gateway_payments drop constraint planted")?;
    till.sql("update payment_notifications set next_attempt_at = received_at")?;
    story.stands(&id, "COMPLETED", 50_000).await
}

#[tokio::test]
async fn what_is_found_by_asking_while_its_notification_may_be_on_its_way_is_no_missed_one() -> Result<()> {
    let story = Story::new().await?;
    let (till, state) = (&story.till, story.till.state()?);
    till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Drop)])?;
    for (amount, minutes, found) in [(50_000, 0, ""), (60_000, 6, "MISSED_NOTIFICATION")] {
        let id = story.begins(amount).await?;
        let order = till.order(&id)?;
        till.pays(&id, Pays::BcaVa)?;
        till.advance(SignedDuration::from_mins(minutes));
        let attempt = uuid::Uuid::try_parse(order.trim_start_matches("tu-"))?;
        settle::settle(&state, attempt, None, Source::Asked).await?;
        assert_eq!(till.findings()?.join(" "), found);
        till.comes(&story.ayu, &id, "COMPLETED").await?;
    }
    Ok(())
}

#[tokio::test]
async fn nobody_fills_the_database_with_what_is_forged() -> Result<()> {
    let till = Till::new().await?;
    let body = json!({"order_id": "x", "status_code": "200", "gross_amount": "1.00", "signature_key": "no"});
    let all = (0..400).map(|_| till.notify(body.to_string()));
    for answer in try_join_all(all).await? {
        answer.expect(StatusCode::FORBIDDEN)?;
    }
    // Twenty a minute, and some minutes may have ended in the middle of it.
    let forged = till.sql("select count(*) from payment_notifications")?.parse::<u32>()?;
    assert!((20..400).contains(&forged), "{forged}");
    Ok(())
}

#[tokio::test]
async fn a_good_signature_under_another_state_amount_or_transaction_credits_nothing() -> Result<()> {
    let story = Story::new().await?;
    let (till, id) = (&story.till, story.begins(50_000).await?);
    till.act(&Act::new(Verb::Pick, till.order(&id)?).by(Pays::BcaVa))?;
    till.quiet().await?;
    let order = till.order(&id)?;
    for kind in [Forgery::Status, Forgery::Transaction] {
        till.gateway.forge(&order, kind).context("forged")?;
    }
    for gross in ["50000.00", "10000000.00", "1.00", "0.00"] {
        for status in ["settlement", "capture", "refund", "deny"] {
            let body = signed(&order, "200", gross, status, "another");
            till.notify(body.to_string()).await?.expect(StatusCode::OK)?;
        }
    }
    story.stands(&id, "PENDING", 0).await?;
    // Somebody else's payment, told as if it were for this order, is still somebody else's.
    let budi = till.world.user("budi").await?;
    let other = till.top_up(&budi, 70_000).await?;
    let transaction = till.pays(&other.id, Pays::BcaVa)?;
    let body = signed(&order, "200", "50000.00", "settlement", &transaction);
    till.notify(body.to_string()).await?.expect(StatusCode::OK)?;
    till.comes(&budi, &other.id, "COMPLETED").await?;
    story.stands(&id, "PENDING", 0).await?;
    assert_eq!((till.cash(&budi)?, till.findings()?), (70_000, vec![]));
    // And what is paid is not taken back by a word.
    for status in ["deny", "refund", "chargeback", "cancel"] {
        let body = signed(&till.order(&other.id)?, "200", "70000.00", status, &transaction);
        till.notify(body.to_string()).await?.expect(StatusCode::OK)?;
    }
    till.agrees(0).await?;
    assert_eq!(till.cash(&budi)?, 70_000);
    Ok(())
}

#[tokio::test]
async fn while_the_key_is_changed_both_keys_are_believed() -> Result<()> {
    let till =
        Till::with(|settings| settings.midtrans.midtrans_previous_server_key = Some("old".into())).await?;
    let ayu = till.world.user("ayu").await?;
    for key in ["old", SERVER_KEY] {
        till.gateway.set_keys(SERVER_KEY.to_owned(), None);
        let id = till.top_up(&ayu, 50_000).await?.id;
        till.gateway.set_keys(key.to_owned(), Some(SERVER_KEY.to_owned()));
        till.pays(&id, Pays::BcaVa)?;
        till.comes(&ayu, &id, "COMPLETED").await?;
    }
    till.agrees(0).await?;
    assert_eq!(kept(&till)?, ["DONE 4"]);
    let mut body = signed("tu-1", "200", "1.00", "settlement", "t");
    body["signature_key"] = json!(signature("tu-1", "200", "1.00", "older"));
    till.notify(body.to_string()).await?.expect(StatusCode::FORBIDDEN)?;
    Ok(())
}

/// A body with one field as it should not be.
fn with(body: &Value, name: &str, value: Value) -> String {
    let mut body = body.clone();
    body[name] = value;
    body.to_string()
}

#[tokio::test]
async fn what_is_no_notification_is_refused_and_no_reason_to_stumble() -> Result<()> {
    let story = Story::new().await?;
    let (till, id) = (&story.till, story.begins(50_000).await?);
    let order = till.order(&id)?;
    let good = signed(&order, "200", "50000.00", "settlement", "t");
    let without = |name: &str| {
        let mut body = good.clone();
        body.as_object_mut().map(|fields| fields.remove(name));
        body.to_string()
    };
    let needed = ["order_id", "status_code", "gross_amount", "signature_key"];
    let mut bad: Vec<Vec<u8>> = needed.iter().map(|name| without(name).into_bytes()).collect();
    for name in needed {
        for value in [
            json!(null),
            json!({}),
            json!([1]),
            json!(true),
            json!(""),
            json!("a\u{0}b"),
            json!("x".repeat(256)),
        ] {
            bad.push(with(&good, name, value).into_bytes());
        }
    }
    let others = [
        with(&good, "transaction_status", json!(7)),
        with(&good, "transaction_id", json!({"a": 1})),
        with(&good, "status_code", json!("20")),
        with(&good, "gross_amount", json!("5e4")),
        with(&good, "gross_amount", json!("50000.50")),
        with(&good, "gross_amount", json!("-50000.00")),
        good.to_string().replacen('{', "{\"order_id\": \"twice\", ", 1),
        String::new(),
        "order_id=1".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "{".to_owned(),
        "[".repeat(10_000),
    ];
    bad.extend(others.map(String::into_bytes));
    bad.push(vec![0xff, 0xfe, b'{', 0, b'}', 0]);
    bad.push(good.to_string().encode_utf16().flat_map(u16::to_le_bytes).collect());
    for body in bad {
        let text = String::from_utf8_lossy(&body).into_owned();
        let answer = till.notify(body).await?;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "request.malformed"), "{text}");
    }
    assert_eq!(kept(till)?, NONE);
    story.stands(&id, "PENDING", 0).await
}

#[tokio::test]
async fn what_is_odd_and_still_a_notification_is_taken() -> Result<()> {
    let story = Story::new().await?;
    let (till, id) = (&story.till, story.begins(50_000).await?);
    till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Drop)])?;
    let transaction = till.pays(&id, Pays::BcaVa)?;
    let good = signed(&till.order(&id)?, "200", "50000.00", "SETTLEMENT", &transaction);
    let null = ["transaction_id", "transaction_status", "payment_type", "custom_field1", "fraud_status"];
    let mut odd: Vec<String> = null.iter().map(|name| with(&good, name, Value::Null)).collect();
    odd.push(with(&good, "new_field", json!({"deep": [[[{"a": "1e400"}]]]})));
    // A number keeps the text that is signed.
    odd.push(good.to_string().replace("\"50000.00\"", "50000.00").replace("\"200\"", "200"));
    let room = LARGEST - with(&good, "padding", json!("")).len();
    odd.push(with(&good, "padding", json!("x".repeat(room))));
    assert_eq!(odd.last().map(String::len), Some(LARGEST));
    let taken = odd.len();
    for body in odd {
        let answer = till.notify(body.clone()).await?;
        assert_eq!(answer.status, StatusCode::OK, "{body}: {}", answer.body);
    }
    let large = till.notify(with(&good, "padding", json!("x".repeat(room + 1)))).await?;
    assert_eq!((large.status, large.code()), (StatusCode::PAYLOAD_TOO_LARGE, "request.too_large"));
    let api = &till.world.api;
    for kind in ["application/json; charset=iso-8859-1", "text/plain", "application/x-www-form-urlencoded"] {
        let request = api.request(Method::POST, "/webhooks/midtrans").header("content-type", kind);
        api.send(request.body(good.to_string())).await?.expect(StatusCode::OK)?;
    }
    story.stands(&id, "COMPLETED", 50_000).await?;
    assert_eq!((kept(till)?, story.mails()?.len()), (vec![format!("DONE {}", taken + 3)], 1));
    Ok(())
}

#[tokio::test]
async fn a_notification_of_a_year_ago_changes_nothing() -> Result<()> {
    let mut story = Story::new().await?;
    let id = story.paid(50_000, Pays::PermataVa).await?;
    let (order, entry) = (story.till.order(&id)?, story.till.gateway.book());
    let transaction = entry[0].transactions[0].transaction_id.clone();
    story.happens(&id, Verb::Reverse)?;
    story.stands(&id, "REVERSED", 0).await?;
    story.later(SignedDuration::from_hours(365 * 24)).await?;
    let before = story.transactions()?;
    for (code, status) in [("201", "pending"), ("200", "settlement"), ("202", "deny"), ("200", "settlement")]
    {
        let body = signed(&order, code, "50000.00", status, &transaction);
        story.till.notify(body.to_string()).await?.expect(StatusCode::OK)?;
    }
    story.stands(&id, "REVERSED", 0).await?;
    assert_eq!((story.transactions()?, story.till.findings()?), (before, vec!["REVERSED".to_owned()]));
    Ok(())
}

#[tokio::test]
async fn what_is_about_no_order_of_ours_is_answered_well_and_comes_to_nothing() -> Result<()> {
    let till = Till::new().await?;
    let never = format!("tu-{}", uuid::Uuid::now_v7().simple());
    for order in [never.as_str(), "another-shop-1", "tu-", "../../etc/passwd", "tu-1' or '1'='1", "💸"] {
        let body = signed(order, "200", "50000.00", "settlement", "t");
        till.notify(body.to_string()).await?.expect(StatusCode::OK)?;
    }
    till.quiet().await?;
    assert_eq!(kept(&till)?, ["UNKNOWN_ORDER 6"]);
    // What is signed and looks like ours may be what a restore has lost.
    assert_eq!(
        till.sql("select kind || ' ' || subject from payment_findings")?,
        format!("LOST_ORDER {never}")
    );
    assert_eq!(till.sql("select count(*) from transactions")?, "0");
    Ok(())
}

async fn notified(api: &Api, body: &str) -> Result<StatusCode> {
    let request = api.request(Method::POST, "/webhooks/midtrans").body(body.to_owned());
    Ok(api.send(request).await?.status)
}

#[tokio::test]
async fn fifty_of_the_same_at_once_at_two_replicas_are_one_credit() -> Result<()> {
    let story = Story::new().await?;
    let (till, replica) = (&story.till, story.till.replica().await?);
    let id = story.begins(50_000).await?;
    till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Drop)])?;
    let transaction = till.pays(&id, Pays::BcaVa)?;
    let body = signed(&till.order(&id)?, "200", "50000.00", "settlement", &transaction).to_string();
    let all = (0..50).map(|n| notified(if n % 2 == 0 { &till.world.api } else { &replica }, &body));
    assert!(try_join_all(all).await?.iter().all(|status| *status == StatusCode::OK));
    story.stands(&id, "COMPLETED", 50_000).await?;
    assert_eq!((story.mails()?, kept(till)?), (vec!["TOP_UP_RECEIVED".into()], vec!["DONE 50".into()]));
    Ok(())
}

#[tokio::test]
async fn late_ones_and_doubles_in_any_order_are_as_good_as_each_once_in_order() -> Result<()> {
    let story = Story::new().await?;
    let (till, replica) = (&story.till, story.till.replica().await?);
    let ids = try_join_all((0..15).map(|n| story.begins(10_000 + n))).await?;
    till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Hold)])?;
    for (n, id) in ids.iter().enumerate() {
        let order = till.order(id)?;
        match n % 5 {
            0 => till.act(&Act::pay(order, Pays::BcaVa))?,
            1 => {
                till.act(&Act::pay(&order, Pays::Echannel))?;
                till.act(&Act::new(Verb::Reverse, &order))?;
            }
            2 => {
                till.act(&Act::pay(&order, Pays::CreditCard))?;
                till.act(&Act::new(Verb::Chargeback, &order).amount(4_000))?;
                till.act(&Act::new(Verb::Chargeback, &order))?;
            }
            3 => {
                till.act(&Act::new(Verb::Pick, &order).by(Pays::CreditCard))?;
                till.act(&Act::new(Verb::Deny, &order))?;
                till.act(&Act::pay(&order, Pays::Gopay))?;
            }
            _ => {
                till.act(&Act::pay(&order, Pays::OtherQris))?;
                till.act(&Act::new(Verb::Refund, &order).amount(3_000))?;
            }
        }
    }
    till.gateway.clear_rules();
    till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Duplicate { n: 2 })])?;
    till.gateway.set_notify(Some(Till::webhook(&replica)));
    till.gateway.release(Release::Shuffled(3));
    till.agrees(0).await?;
    assert_eq!(till.cash(&story.ayu)?, till.gateway.total());
    assert!(till.gateway.total() > 60_000);
    Ok(())
}

#[tokio::test]
async fn what_comes_while_the_database_is_away_is_answered_so_that_it_comes_again() -> Result<()> {
    let story = Story::new().await?;
    let (till, id) = (&story.till, story.begins(50_000).await?);
    till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Drop)])?;
    let transaction = till.pays(&id, Pays::BcaVa)?;
    let body = signed(&till.order(&id)?, "200", "50000.00", "settlement", &transaction).to_string();
    till.database_is_away(true)?;
    let away = till.notify(body.clone()).await;
    till.database_is_away(false)?;
    assert_eq!(away?.expect(StatusCode::SERVICE_UNAVAILABLE)?.code(), "unavailable");
    till.notify(body).await?.expect(StatusCode::OK)?;
    // A connection that is cut late may take it along: then it is anybody's after two minutes, for which nobody waits here.
    e2e::wait::until("it to be looked at", BOUND, async || {
        let soon = "least(next_attempt_at, now() + interval '1 second')";
        till.sql(&format!("update payment_notifications set next_attempt_at = {soon}"))?;
        let waiting = till.sql("select count(*) from payment_notifications where state = 'RECEIVED'")?;
        Ok((waiting == "0").then_some(()))
    })
    .await?;
    story.stands(&id, "COMPLETED", 50_000).await
}

/// Waits until somebody waits for a lock in this database, and ends that connection in the middle of it.
async fn kills_who_waits(till: &Till) -> Result<()> {
    let name = &till.world.database.name;
    let sql = format!(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = '{name}' and wait_event_type = 'Lock'"
    );
    e2e::wait::until("somebody to wait for the lock", BOUND, async || {
        Ok((till.sql(&sql)? != "0").then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_of_settling_loses_nothing_and_credits_nothing_twice()
-> Result<()> {
    let story = Story::new().await?;
    let till = &story.till;
    story.paid(10_000, Pays::BcaVa).await?;
    let (server, name) = (&till.world.database.server, &till.world.database.name);
    let admin = PgPool::connect(&server.admin_url(name)).await?;
    let held_up = [
        "select from transactions where status = 'PENDING' for update",
        "select from accounts where user_id is not null for update",
        "lock table gateway_payments in share mode",
        "lock table entries in share mode",
        "lock table transfers in share mode",
        "lock table emails in share mode",
    ];
    let mut cash = 10_000;
    for held in held_up {
        let id = story.begins(20_000).await?;
        let mut holding = admin.begin().await?;
        sqlx::query(held).execute(&mut *holding).await?;
        till.pays(&id, Pays::BcaVa)?;
        kills_who_waits(till).await?;
        holding.rollback().await?;
        cash += 20_000;
        till.comes(&story.ayu, &id, "COMPLETED").await.context(held)?;
        story.stands(&id, "COMPLETED", cash).await.context(held)?;
    }
    assert_eq!((story.mails()?.len(), till.findings()?), (7, vec![]));
    Ok(())
}

#[tokio::test]
async fn whatever_the_gateway_answers_to_our_question_it_is_asked_again_until_it_says() -> Result<()> {
    let story = Story::new().await?;
    let till = &story.till;
    let faults = [Fault::Http500, Fault::Html502, Fault::TooMany, Fault::Nothing, Fault::ClosedAfterDone];
    let hangs = [Fault::Delay { ms: 120_000 }, Fault::Stall { ms: 120_000 }];
    // Each of these takes as long as we wait for an answer.
    let faults = faults.map(|fault| (fault, 2)).into_iter().chain(hangs.map(|fault| (fault, 1)));
    let mut ids = Vec::new();
    for (fault, times) in faults {
        let id = story.begins(20_000).await?;
        let order = till.order(&id)?;
        till.gateway.add_rules(vec![Rule::new(On::Status, fault).order(&order).times(times)])?;
        till.gateway.act(&Act::pay(&order, Pays::BcaVa).quiet())?;
        ids.push(id);
    }
    for id in &ids {
        till.comes(&story.ayu, id, "COMPLETED").await?;
    }
    till.agrees(0).await?;
    assert_eq!((till.cash(&story.ayu)?, till.faults_left()), (7 * 20_000, 0));
    assert_eq!((story.mails()?.len(), till.findings()?), (7, vec![]));
    Ok(())
}
