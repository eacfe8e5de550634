//! Top-ups, as their customers and others ask for them: amounts, keys, verbs, ends, and a gateway that does not always answer.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::midtrans::{Act, Fault, Method as Pays, On, Rule, Status, Verb};
use futures::future::{join_all, try_join_all};
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::payments_books::Story;
use crate::till::Till;
use crate::world::{Answer, Api, BOUND, User, World};

const NONE: [&str; 0] = [];

/// Asks one replica for a top-up.
async fn ask(api: &Api, user: &User, key: &str, body: &Value) -> Result<Answer> {
    api.post_once(user, "/wallet/top-ups", key, body).await
}

/// The one order of a top-up that is there.
fn only_order(till: &Till) -> Result<String> {
    let book = till.gateway.book();
    ensure!(book.len() == 1, "{book:?}");
    Ok(book[0].order_id.clone())
}

#[tokio::test]
async fn an_amount_is_whole_rupiah_within_the_bounds_and_nothing_else() -> Result<()> {
    let story = Story::new().await?;
    let (till, api) = (&story.till, &story.till.world.api);
    let asked = async |n: usize, amount: &str| {
        let request = api.request(Method::POST, "/wallet/top-ups").bearer_auth(&story.ayu.access);
        let request =
            request.header("idempotency-key", format!("k{n}")).header("content-type", "application/json");
        api.send(request.body(format!("{{\"amount\": {amount}}}"))).await
    };
    let bad = [
        "0",
        "1",
        "-1",
        "-10000",
        "9999",
        "10000001",
        "10000.5",
        "1e4",
        "10000.0",
        "9999.999999999999999999",
        "1e400",
        "-0",
        "\"10000\"",
        "\"\"",
        "null",
        "true",
        "[10000]",
        "{}",
        "NaN",
        "0x2710",
        "010000",
        "10_000",
        "10,000",
        "9223372036854775807",
        "9223372036854775808",
        "100000000000000000000000000000000",
    ];
    for (n, amount) in bad.into_iter().enumerate() {
        let answer = asked(n, amount).await?;
        let is_refused = [StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY].contains(&answer.status);
        assert!(is_refused, "{amount}: {} {}", answer.status, answer.body);
    }
    let few = asked(100, "9999").await?;
    assert_eq!((few.code(), &few.body["errors"][0]["field"]), ("request.invalid", &json!("amount")));
    assert_eq!(till.sql("select count(*) from transactions")?, "0");
    for (n, amount) in ["10000", "10000000"].into_iter().enumerate() {
        asked(200 + n, amount).await?.expect(StatusCode::CREATED)?;
    }
    let sum = till.sql("select sum(amount) from transactions")?;
    assert_eq!((sum.as_str(), till.gateway.book().len()), ("10010000", 2));
    Ok(())
}

#[tokio::test]
async fn a_method_has_bounds_of_its_own_and_must_be_offered() -> Result<()> {
    let story = Story::new().await?;
    let cases = [
        (json!({"amount": 2_500_000, "method": "CONVENIENCE_STORE"}), StatusCode::CREATED, ""),
        (
            json!({"amount": 2_500_001, "method": "CONVENIENCE_STORE"}),
            StatusCode::UNPROCESSABLE_ENTITY,
            "amount",
        ),
        (json!({"amount": 9_999, "method": "QRIS"}), StatusCode::UNPROCESSABLE_ENTITY, "amount"),
        (json!({"amount": 50_000, "method": "PAY_LATER"}), StatusCode::UNPROCESSABLE_ENTITY, "method"),
        (json!({"amount": 50_000, "method": "qris"}), StatusCode::UNPROCESSABLE_ENTITY, "method"),
        (json!({"amount": 50_000, "method": ""}), StatusCode::UNPROCESSABLE_ENTITY, "method"),
        (json!({"amount": 50_000, "method": null}), StatusCode::CREATED, ""),
        (json!({"amount": 10_000_000, "method": "BANK_TRANSFER"}), StatusCode::CREATED, ""),
    ];
    for (n, (body, status, field)) in cases.iter().enumerate() {
        let answer = story.till.ask(&story.ayu, &format!("k{n}"), body).await?;
        assert_eq!(answer.status, *status, "{body}: {}", answer.body);
        assert_eq!(answer.body["errors"][0]["field"].as_str().unwrap_or_default(), *field, "{body}");
    }
    for body in [
        json!({}),
        json!([50_000]),
        json!({"amount": 50_000, "method": 7}),
        json!({"amount": 50_000, "user_id": "x"}),
    ] {
        let answer = story.till.ask(&story.ayu, "shape", &body).await?;
        assert!(answer.status.is_client_error(), "{body}: {}", answer.status);
    }
    // The page offers what was chosen, and nothing else.
    let id = story.till.sql("select id from top_ups where method = 'CONVENIENCE_STORE'")?;
    let order = story.till.order(&id)?;
    assert!(story.till.gateway.act(&Act::pay(&order, Pays::BcaVa)).is_err());
    story.till.pays(&id, Pays::Alfamart)?;
    story.stands(&id, "COMPLETED", 2_500_000).await
}

#[tokio::test]
async fn a_key_stands_for_one_top_up_of_one_customer_for_a_day() -> Result<()> {
    let mut story = Story::new().await?;
    let body = json!({"amount": 50_000, "method": "QRIS"});
    let api = &story.till.world.api;
    let keyless = api.send_as(&story.ayu, Method::POST, "/wallet/top-ups", &body).await?;
    assert_eq!(
        (keyless.status, &keyless.body["errors"][0]["field"]),
        (StatusCode::BAD_REQUEST, &json!("Idempotency-Key"))
    );
    let long = story.till.ask(&story.ayu, &"k".repeat(300), &body).await?;
    assert_eq!(long.status, StatusCode::BAD_REQUEST);
    let first = story.till.ask(&story.ayu, "k", &body).await?.expect(StatusCode::CREATED)?;
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = story.till.ask(&story.ayu, "k", &body).await?.expect(StatusCode::CREATED)?;
    assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &first.body));
    assert_eq!(again.header("location"), first.header("location"));
    for other in [
        json!({"amount": 50_001, "method": "QRIS"}),
        json!({"amount": 50_000}),
        json!({"amount": 50_000, "method": "GOPAY"}),
    ] {
        let refused =
            story.till.ask(&story.ayu, "k", &other).await?.expect(StatusCode::UNPROCESSABLE_ENTITY)?;
        assert_eq!(refused.code(), "idempotency.key_reused");
    }
    let budi = story.till.world.user("budi").await?;
    let his = story.till.ask(&budi, "k", &body).await?.expect(StatusCode::CREATED)?;
    assert_ne!(his.body["id"], first.body["id"]);
    // A repeat is told how it stands then.
    let id = first.body["id"].as_str().unwrap_or_default().to_owned();
    story.till.pays(&id, Pays::OtherQris)?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    let paid = story.till.ask(&story.ayu, "k", &body).await?.expect(StatusCode::CREATED)?;
    assert_eq!((&paid.body["id"], &paid.body["status"]), (&json!(id), &json!("COMPLETED")));
    story.later(SignedDuration::from_hours(25)).await?;
    let anew = story.till.ask(&story.ayu, "k", &body).await?.expect(StatusCode::CREATED)?;
    assert_ne!(anew.body["id"], first.body["id"]);
    Ok(())
}

#[tokio::test]
async fn while_the_first_is_under_way_the_others_are_told_so() -> Result<()> {
    let story = Story::new().await?;
    let (till, body) = (&story.till, json!({"amount": 50_000}));
    let admin = PgPool::connect(&till.world.database.server.admin_url(&till.world.database.name)).await?;
    let mut holding = admin.begin().await?;
    sqlx::query("lock table top_ups in share mode").execute(&mut *holding).await?;
    let first = till.ask(&story.ayu, "k", &body);
    let second = async {
        let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        e2e::wait::until("the first to be under way", BOUND, async || {
            Ok((till.sql(waits)? != "0").then_some(()))
        })
        .await?;
        let second = till.ask(&story.ayu, "k", &body).await;
        holding.rollback().await?;
        second
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(second?.expect(StatusCode::CONFLICT)?.code(), "idempotency.in_flight");
    first?.expect(StatusCode::CREATED)?;
    only_order(till).map(drop)
}

#[tokio::test]
async fn fifty_requests_with_one_key_are_one_top_up_and_one_order() -> Result<()> {
    let story = Story::new().await?;
    let (till, replica) = (&story.till, story.till.replica().await?);
    let body = json!({"amount": 50_000});
    let all =
        (0..50).map(|n| ask(if n % 2 == 0 { &till.world.api } else { &replica }, &story.ayu, "k", &body));
    let answers = try_join_all(all).await?;
    let made: BTreeSet<_> = answers.iter().filter_map(|one| one.body["id"].as_str()).collect();
    assert_eq!(made.len(), 1, "{made:?}");
    for one in &answers {
        let is_good = one.status == StatusCode::CREATED
            || one.status == StatusCode::CONFLICT
                && ["idempotency.in_flight", "top_up.in_flight"].contains(&one.code());
        assert!(is_good, "{} {}", one.status, one.body);
    }
    only_order(till)?;
    assert_eq!(till.gateway.requests().get("snap.create"), Some(&1));
    assert_eq!(till.sql("select count(*) from top_ups")?, "1");
    Ok(())
}

#[tokio::test]
async fn no_more_than_twenty_are_pending_however_many_are_asked_for_at_once() -> Result<()> {
    let story = Story::new().await?;
    let (till, replica) = (&story.till, story.till.replica().await?);
    let body = json!({"amount": 50_000});
    let keys: Vec<_> = (0..30).map(|n| format!("k{n}")).collect();
    let all = keys
        .iter()
        .enumerate()
        .map(|(n, key)| ask(if n % 2 == 0 { &till.world.api } else { &replica }, &story.ayu, key, &body));
    let answers = try_join_all(all).await?;
    let made = answers.iter().filter(|one| one.status == StatusCode::CREATED).count();
    let refused = answers.iter().filter(|one| one.code() == "top_up.too_many_pending").count();
    assert_eq!((made, refused), (20, 10));
    assert_eq!(till.gateway.book().len(), 20);
    let id = answers.iter().find_map(|one| one.body["id"].as_str()).context("some were made")?;
    story.does(id, "cancel").await?;
    story.begins(50_000).await?;
    let one_more = till.ask(&story.ayu, "more", &body).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!(one_more.code(), "top_up.too_many_pending");
    Ok(())
}

#[tokio::test]
async fn whatever_the_gateway_answers_when_a_page_is_made_the_same_request_goes_on_with_it() -> Result<()> {
    let story = Story::new().await?;
    let (till, body) = (&story.till, json!({"amount": 50_000}));
    let faults = [Fault::Http500, Fault::Html502, Fault::TooMany, Fault::Nothing, Fault::ClosedAfterDone];
    for (n, fault) in faults.into_iter().enumerate() {
        till.gateway.add_rules(vec![Rule::new(On::Create, fault).times(1)])?;
        let key = format!("k{n}");
        let refused = till.ask(&story.ayu, &key, &body).await?.expect(StatusCode::SERVICE_UNAVAILABLE)?;
        assert!(
            refused.body["detail"].as_str().unwrap_or_default().contains("repeat the same request"),
            "{fault:?}"
        );
        let made = till.ask(&story.ayu, &key, &body).await?.expect(StatusCode::CREATED)?;
        assert_eq!(made.header("idempotency-replayed"), "true", "{fault:?}");
        till.pays(made.body["id"].as_str().unwrap_or_default(), Pays::BcaVa)?;
    }
    till.agrees(0).await?;
    assert_eq!((till.cash(&story.ayu)?, till.gateway.book().len()), (250_000, 5));
    assert_eq!((story.mails()?.len(), till.findings()?), (5, vec![]));
    Ok(())
}

#[tokio::test]
async fn a_replica_that_ends_in_the_middle_of_the_call_leaves_it_to_another_to_go_on() -> Result<()> {
    let mut story = Story::new().await?;
    let body = json!({"amount": 50_000});
    story.till.gateway.add_rules(vec![Rule::new(On::Create, Fault::Stall { ms: 600_000 }).times(1)])?;
    let replica = story.till.replica().await?;
    let called = async {
        let gateway = &story.till.gateway;
        e2e::wait::until("the call", BOUND, async || {
            Ok(gateway.requests().contains_key("snap.create").then_some(()))
        })
        .await
    };
    tokio::select! {
        answer = ask(&replica, &story.ayu, "k", &body) => panic!("answered: {answer:?}"),
        called = called => called?,
    }
    drop(replica);
    // Whoever was at it has had its time.
    story.later(SignedDuration::from_secs(30)).await?;
    let made = story.till.ask(&story.ayu, "k", &body).await?.expect(StatusCode::CREATED)?;
    let id = made.body["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(story.till.sql("select count(*) from payment_attempts")?, "1");
    only_order(&story.till)?;
    story.till.pays(&id, Pays::BcaVa)?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    assert_eq!(story.mails()?, ["TOP_UP_RECEIVED"]);
    Ok(())
}

#[tokio::test]
async fn somebody_elses_top_up_is_as_missing_as_none() -> Result<()> {
    let story = Story::new().await?;
    let (till, id) = (&story.till, story.begins(50_000).await?);
    let budi = till.world.user("budi").await?;
    let nothing = "0192a000-0000-7000-8000-000000000000";
    for verb in ["pay", "cancel", "sync"] {
        let theirs = till.verb(&budi, &id, verb, &json!({})).await?.expect(StatusCode::NOT_FOUND)?;
        let missing = till.verb(&budi, nothing, verb, &json!({})).await?.expect(StatusCode::NOT_FOUND)?;
        assert_eq!((theirs.code(), &theirs.body["detail"]), (missing.code(), &missing.body["detail"]));
    }
    till.world.api.get_as(&budi, &format!("/wallet/top-ups/{id}")).await?.expect(StatusCode::NOT_FOUND)?;
    let list = till.world.api.get_as(&budi, "/wallet/top-ups").await?.expect(StatusCode::OK)?;
    assert_eq!(list.body["items"], json!([]));
    // What he names in a body of his own is of no concern either.
    let body = json!({"amount": 50_000, "id": id});
    assert!(till.ask(&budi, "k", &body).await?.status.is_client_error());
    story.stands(&id, "PENDING", 0).await
}

#[tokio::test]
async fn pay_gives_the_same_page_another_for_another_method_and_none_for_what_is_decided() -> Result<()> {
    let story = Story::new().await?;
    let (till, id) = (&story.till, story.begins(3_000_000).await?);
    let page = till.read(&story.ayu, &id).await?.body["payment"].clone();
    assert_eq!(story.does(&id, "pay").await?["payment"], page);
    let first = till.order(&id)?;
    let shop = till.verb(&story.ayu, &id, "pay", &json!({"method": "CONVENIENCE_STORE"})).await?;
    assert_eq!((shop.status, till.order(&id)?), (StatusCode::UNPROCESSABLE_ENTITY, first.clone()));
    let other =
        till.verb(&story.ayu, &id, "pay", &json!({"method": "GOPAY"})).await?.expect(StatusCode::OK)?;
    assert_ne!(other.body["payment"]["token"], page["token"]);
    assert!(till.gateway.act(&Act::pay(&first, Pays::BcaVa)).is_err(), "the first page is closed");
    // Paid without a word, and then another method is asked for: it is known before anything is begun anew.
    till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Drop)])?;
    till.pays(&id, Pays::Gopay)?;
    let decided =
        till.verb(&story.ayu, &id, "pay", &json!({"method": "QRIS"})).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!(decided.code(), "top_up.decided");
    story.stands(&id, "COMPLETED", 3_000_000).await?;
    assert_eq!(till.gateway.book().len(), 2);
    let after = till.verb(&story.ayu, &id, "pay", &json!({})).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!(after.code(), "top_up.decided");
    Ok(())
}

#[tokio::test]
async fn cancel_can_be_repeated_is_refused_once_it_is_paid_and_never_loses_what_is_paid_after_it()
-> Result<()> {
    let story = Story::new().await?;
    let till = &story.till;
    let (called_off, paid) = (story.begins(50_000).await?, story.begins(60_000).await?);
    story.happens(&called_off, Verb::Pick)?;
    till.quiet().await?;
    for _ in 0..2 {
        assert_eq!(story.does(&called_off, "cancel").await?["status"], "CANCELLED");
    }
    let order = till.order(&called_off)?;
    let there = till.gateway.entry(&order).context("it is there")?;
    assert_eq!(there.transactions[0].status, Status::Cancel);
    // It is paid, and nobody told us yet.
    till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Drop)])?;
    till.pays(&paid, Pays::BcaVa)?;
    let refused = till.verb(&story.ayu, &paid, "cancel", &json!({})).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!((refused.code(), till.cash(&story.ayu)?), ("top_up.decided", 60_000));
    till.gateway.clear_rules();
    // What was called off is paid all the same.
    till.act(&Act::new(Verb::LateSettle, &order).forced())?;
    story.stands(&called_off, "COMPLETED", 110_000).await?;
    assert_eq!(till.findings()?, ["LATE_SETTLEMENT"]);
    Ok(())
}

#[tokio::test]
async fn cancel_without_the_gateway_is_told_there_later() -> Result<()> {
    let mut story = Story::new().await?;
    let id = story.begins(50_000).await?;
    story.happens(&id, Verb::Pick)?;
    story.till.quiet().await?;
    let away = [On::Status, On::Change].map(|on| Rule::new(on, Fault::Http500));
    story.till.gateway.add_rules(away.to_vec())?;
    assert_eq!(story.does(&id, "cancel").await?["status"], "CANCELLED");
    story.till.gateway.clear_rules();
    let order = story.till.order(&id)?;
    story.later(SignedDuration::from_mins(2)).await?;
    e2e::wait::until("it to be called off there", BOUND, async || {
        let entry = story.till.gateway.entry(&order).context("it is there")?;
        Ok((entry.transactions[0].status == Status::Cancel).then_some(()))
    })
    .await?;
    story.stands(&id, "CANCELLED", 0).await
}

#[tokio::test]
async fn cancel_that_the_gateway_is_told_of_late_does_not_undo_what_was_paid_meanwhile() -> Result<()> {
    let mut story = Story::new().await?;
    let id = story.begins(50_000).await?;
    let mut away = [On::Status, On::Change].map(|on| Rule::new(on, Fault::Http500)).to_vec();
    away.push(Rule::new(On::Notification, Fault::Drop));
    story.till.gateway.add_rules(away)?;
    assert_eq!(story.does(&id, "cancel").await?["status"], "CANCELLED");
    // A card that is captured and not settled could be called off there.
    story.till.act(&Act::pay(story.till.order(&id)?, Pays::CreditCard).captured())?;
    story.till.gateway.clear_rules();
    story.later(SignedDuration::from_mins(2)).await?;
    e2e::wait::until("nothing to be left to do", BOUND, async || {
        let left = "select count(*) from payment_attempts where cancel_wanted or failing_since is not null";
        Ok((story.till.sql(left)? == "0").then_some(()))
    })
    .await?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    assert_eq!(story.till.findings()?, ["LATE_SETTLEMENT", "MISSED_NOTIFICATION"]);
    Ok(())
}

#[tokio::test]
async fn sync_finds_what_no_notification_told_and_is_not_asked_too_often() -> Result<()> {
    let story = Story::new().await?;
    let (till, id) = (&story.till, story.begins(50_000).await?);
    till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Drop)])?;
    till.pays(&id, Pays::OtherQris)?;
    let synced = story.does(&id, "sync").await?;
    assert_eq!((&synced["status"], &synced["paid_with"]), (&json!("COMPLETED"), &json!("qris")));
    story.stands(&id, "COMPLETED", 50_000).await?;
    let nothing = json!({});
    let all = (0..200).map(|_| till.verb(&story.ayu, &id, "sync", &nothing));
    let answers = try_join_all(all).await?;
    let limited: Vec<_> = answers.iter().filter(|one| one.status == StatusCode::TOO_MANY_REQUESTS).collect();
    assert!(limited.len() > 50, "{}", limited.len());
    assert!(limited.iter().all(|one| !one.header("retry-after").is_empty()));
    story.stands(&id, "COMPLETED", 50_000).await?;
    assert_eq!((story.mails()?.len(), till.findings()?), (1, vec![]));
    Ok(())
}

#[tokio::test]
async fn the_payment_of_one_top_up_is_begun_ten_times_and_no_more() -> Result<()> {
    let story = Story::new().await?;
    let (till, id) = (&story.till, story.begins(50_000).await?);
    let methods = ["GOPAY", "QRIS"].map(|method| json!({"method": method}));
    for method in methods.iter().cycle().take(9) {
        till.verb(&story.ayu, &id, "pay", method).await?.expect(StatusCode::OK)?;
    }
    let last = till.order(&id)?;
    let refused = till.verb(&story.ayu, &id, "pay", &methods[1]).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!((refused.code(), till.order(&id)?), ("top_up.too_many_attempts", last));
    // The last of them is as good as any.
    till.verb(&story.ayu, &id, "pay", &methods[0]).await?.expect(StatusCode::OK)?;
    till.pays(&id, Pays::Gopay)?;
    story.stands(&id, "COMPLETED", 50_000).await
}

#[tokio::test]
async fn what_calls_the_gateway_has_a_rate_for_each_customer() -> Result<()> {
    let till = Till::with(|settings| settings.http.rate_top_ups_per_user = 3).await?;
    let (ayu, budi) = (till.world.user("ayu").await?, till.world.user("budi").await?);
    let id = till.top_up(&ayu, 50_000).await?.id;
    let nothing = json!({});
    let verbs = [("pay", 20), ("cancel", 20)].map(|(verb, times)| {
        let (till, ayu, id, nothing) = (&till, &ayu, &id, &nothing);
        join_all((0..times).map(move |_| till.verb(ayu, id, verb, nothing)))
    });
    let mut limited = 0;
    for answer in join_all(verbs).await.into_iter().flatten() {
        let answer = answer?;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            limited += 1;
            assert!(!answer.header("retry-after").is_empty());
        }
    }
    // Three a minute: some minutes may have gone by.
    assert!(limited >= 20, "{limited}");
    till.top_up(&budi, 50_000).await?;
    Ok(())
}

#[tokio::test]
async fn a_page_that_nobody_used_is_over_after_a_day_without_a_mail() -> Result<()> {
    let mut story = Story::new().await?;
    let id = story.begins(50_000).await?;
    story.later(SignedDuration::from_hours(24)).await?;
    let refused = story.till.verb(&story.ayu, &id, "pay", &json!({})).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!(refused.code(), "top_up.decided");
    story.till.comes(&story.ayu, &id, "EXPIRED").await?;
    story.stands(&id, "EXPIRED", 0).await?;
    assert_eq!((story.mails()?, story.till.findings()?), (vec![], vec![]));
    Ok(())
}

#[tokio::test]
async fn without_the_gateways_word_nothing_expires_for_an_hour_and_what_was_paid_is_credited_later()
-> Result<()> {
    let mut story = Story::new().await?;
    let (unpaid, paid) = (story.begins(50_000).await?, story.begins(60_000).await?);
    let rules = vec![Rule::new(On::Status, Fault::Html502), Rule::new(On::Notification, Fault::Drop)];
    story.till.gateway.add_rules(rules)?;
    story.till.pays(&paid, Pays::BcaVa)?;
    story.later(SignedDuration::from_hours(24)).await?;
    let asked = "select count(*) from payment_attempts where failing_since is not null";
    e2e::wait::until("the gateway to be asked in vain", BOUND, async || {
        Ok((story.till.sql(asked)? == "2").then_some(()))
    })
    .await?;
    for id in [&unpaid, &paid] {
        assert_eq!(story.till.read(&story.ayu, id).await?.status, "PENDING");
    }
    story.later(SignedDuration::from_mins(61)).await?;
    for id in [&unpaid, &paid] {
        story.till.comes(&story.ayu, id, "EXPIRED").await?;
    }
    story.till.gateway.clear_rules();
    story.later(SignedDuration::from_mins(11)).await?;
    story.till.comes(&story.ayu, &paid, "COMPLETED").await?;
    story.stands(&unpaid, "EXPIRED", 60_000).await?;
    assert_eq!(story.till.findings()?, ["LATE_SETTLEMENT", "MISSED_NOTIFICATION"]);
    Ok(())
}

#[tokio::test]
async fn once_a_day_all_is_compared_by_one_replica_and_all_know_when() -> Result<()> {
    let mut story = Story::new().await?;
    let (paid, replica) = (story.paid(50_000, Pays::BcaVa).await?, story.till.replica().await?);
    let (state, before) = (story.till.state()?, story.till.world.clock.now());
    let compared = async |from: i64| {
        e2e::wait::until("all to be compared", BOUND, async || {
            let standing = api_server::payments::standing(&state.db, story.till.world.clock.now()).await?;
            Ok((standing.compared_at >= from).then_some(standing))
        })
        .await
    };
    // The one of the beginning, of which nobody was to be told yet.
    compared(1).await?;
    story.till.gateway.add_rules(vec![Rule::new(On::Status, Fault::Http500)])?;
    story.till.advance(SignedDuration::from_hours(25));
    let standing = compared(before.as_second() + 24 * 60 * 60).await?;
    assert_eq!(standing.unanswered, 1);
    assert_eq!(story.till.sql("select count(*) from payment_comparisons where asked > 0")?, "1");
    story.till.gateway.clear_rules();
    drop(replica);
    story.later(SignedDuration::ZERO).await?;
    story.stands(&paid, "COMPLETED", 50_000).await
}

#[tokio::test]
async fn without_a_gateway_nobody_tops_up_and_all_else_works() -> Result<()> {
    let world = World::new().await?;
    let ayu = world.user("ayu").await?;
    let body = json!({"amount": 50_000});
    let off = ask(&world.api, &ayu, "k", &body).await?.expect(StatusCode::SERVICE_UNAVAILABLE)?;
    assert_eq!(off.body["detail"], "No payment gateway is set up here.");
    let webhook = world.api.post("/webhooks/midtrans", &json!({})).await?;
    assert_eq!(webhook.status, StatusCode::SERVICE_UNAVAILABLE);
    let methods = world.api.get_as(&ayu, "/wallet/payment-methods").await?.expect(StatusCode::OK)?;
    assert_eq!(methods.body["available"], false);
    let list = world.api.get_as(&ayu, "/wallet/top-ups").await?.expect(StatusCode::OK)?;
    assert_eq!(list.body["items"], json!([]));
    world.api.get_as(&ayu, "/me").await?.expect(StatusCode::OK)?;
    let nothing = "/wallet/top-ups/0192a000-0000-7000-8000-000000000000/pay";
    world.api.send_as(&ayu, Method::POST, nothing, &json!({})).await?.expect(StatusCode::NOT_FOUND)?;
    Ok(())
}

#[tokio::test]
async fn the_list_has_filters_and_pages() -> Result<()> {
    let story = Story::new().await?;
    let api = &story.till.world.api;
    let mut ids = Vec::new();
    for n in 0..7 {
        let id = story.begins(10_000 + n).await?;
        match n {
            0 | 1 => drop(story.till.pays(&id, Pays::BcaVa)?),
            2 => drop(story.does(&id, "cancel").await?),
            _ => {}
        }
        ids.insert(0, id);
    }
    story.till.quiet().await?;
    let read = async |query: &str| {
        let answer =
            api.get_as(&story.ayu, &format!("/wallet/top-ups?{query}")).await?.expect(StatusCode::OK)?;
        anyhow::Ok(answer.body)
    };
    let listed = |body: &Value| -> Vec<String> {
        let items = body["items"].as_array().into_iter().flatten();
        items.filter_map(|one| one["id"].as_str().map(ToOwned::to_owned)).collect()
    };
    for (status, many) in
        [("COMPLETED", 2), ("CANCELLED", 1), ("PENDING", 4), ("EXPIRED", 0), ("REVERSED", 0)]
    {
        assert_eq!(listed(&read(&format!("status={status}")).await?).len(), many, "{status}");
    }
    assert_eq!(listed(&read("").await?), ids);
    let (mut walked, mut next) = (Vec::new(), read("page[size]=3").await?);
    loop {
        walked.extend(listed(&next));
        let Some(address) = next["next"].as_str() else { break };
        next = api.get_as(&story.ayu, address).await?.expect(StatusCode::OK)?.body;
    }
    assert_eq!(walked, ids);
    for bad in ["status=PAID", "status=pending", "colour=red", "page[size]=0", "page[size]=-1"] {
        let answer = api.get_as(&story.ayu, &format!("/wallet/top-ups?{bad}")).await?;
        assert!(answer.status.is_client_error(), "{bad}: {}", answer.status);
    }
    Ok(())
}

/// Repeats a request for as long as it is told to.
async fn repeated(api: &Api, user: &User, key: &str, body: &Value) -> Result<Answer> {
    e2e::wait::until("a top-up", BOUND, async || {
        let answer = ask(api, user, key, body).await?;
        let shall_repeat = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::CONFLICT].contains(&answer.status);
        if shall_repeat { Ok(None) } else { answer.expect(StatusCode::CREATED).map(Some) }
    })
    .await
}

/// Many keys, each used by many at once on two replicas, and by one more after each crash: one effect each (PROOF L5). The full form
/// with `NAKHODA_PROVE=1`.
#[tokio::test]
async fn each_key_has_one_effect_however_many_use_it_at_once() -> Result<()> {
    let is_full = std::env::var_os("NAKHODA_PROVE").is_some();
    let (keys, at_once) = if is_full { (1_000, 50) } else { (50, 20) };
    let till = Till::new().await?;
    let replica = till.replica().await?;
    let mut users = Vec::new();
    for n in 0..10 {
        users.push(till.world.user(&format!("user{n}")).await?);
    }
    let mut made = BTreeSet::new();
    for key in 0..keys {
        let user = &users[usize::try_from(key % 10)?];
        let (name, body) = (format!("k{key}"), json!({"amount": 10_000 + key}));
        if key % 5 == 0 {
            // It is done at the gateway, and the answer is lost.
            till.gateway.add_rules(vec![Rule::new(On::Create, Fault::ClosedAfterDone).times(1)])?;
        }
        let api = |n: u64| if n.is_multiple_of(2) { &till.world.api } else { &replica };
        let answers = join_all((0..at_once).map(|n| ask(api(n), user, &name, &body))).await;
        let mut ids: BTreeSet<String> = BTreeSet::new();
        for answer in answers {
            let answer = answer?;
            let fine = [StatusCode::CREATED, StatusCode::CONFLICT, StatusCode::SERVICE_UNAVAILABLE];
            ensure!(fine.contains(&answer.status), "{} {}", answer.status, answer.body);
            ids.extend(answer.body["id"].as_str().map(ToOwned::to_owned));
        }
        let last = repeated(api(key), user, &name, &body).await?;
        ids.extend(last.body["id"].as_str().map(ToOwned::to_owned));
        ensure!(ids.len() == 1, "{name}: {ids:?}");
        let other = ask(api(key), user, &name, &json!({"amount": 9_999_999})).await?;
        ensure!(other.code() == "idempotency.key_reused", "{}", other.body);
        // Paid at once, for nobody may have more than a few pending; and no access lasts for all of it.
        for id in &ids {
            till.pays(id, Pays::BcaVa)?;
        }
        made.extend(ids);
        if key % 100 == 99 {
            till.quiet().await?;
            for user in &mut users {
                *user = till.anew(user).await?;
            }
        }
    }
    let count = usize::try_from(keys)?;
    assert_eq!((made.len(), till.gateway.book().len()), (count, count));
    assert_eq!(till.sql("select count(*) from top_ups")?, keys.to_string());
    till.agrees(0).await?;
    assert_eq!(till.findings()?, NONE);
    Ok(())
}
