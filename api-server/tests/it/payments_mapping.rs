//! Each row of the gateway's table of states, and each rule of how they come to the wallet, through the real thing. After each step the
//! wallets, the gateway's own book and ours agree to the rupiah.

use anyhow::{Context as _, Result};
use api_server::ledger::PostError;
use api_server::payments::midtrans::Status as Told;
use api_server::payments::settle::{self, Answer, SettleError, Source};
use e2e::midtrans::{Act, Fault, Fraud, Method as Pays, On, Release, Rule, Verb};
use jiff::SignedDuration;
use serde_json::json;
use uuid::Uuid;

use crate::payments_books::{Story, seen};
use crate::world::SERVER_KEY;

const NONE: [&str; 0] = [];
const RECEIVED: &str = "TOP_UP_RECEIVED";
const REVERSED: &str = "TOP_UP_REVERSED";

#[tokio::test]
async fn row_pending_brings_nothing() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    story.happens(&id, Verb::Pick)?;
    story.stands(&id, "PENDING", 0).await?;
    let top_up = story.till.read(&story.ayu, &id).await?;
    assert_eq!(top_up.body["payment"]["gateway_status"], "pending");
    assert_eq!(story.mails()?, NONE);
    Ok(())
}

#[tokio::test]
async fn row_authorize_brings_nothing_until_it_is_captured() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    story.happens(&id, Verb::Authorize)?;
    story.stands(&id, "PENDING", 0).await?;
    story.happens(&id, Verb::Capture)?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    assert_eq!((story.mails()?, story.till.findings()?), (vec![RECEIVED.to_owned()], vec![]));
    Ok(())
}

#[tokio::test]
async fn row_capture_that_is_accepted_is_credited_and_its_settlement_is_not_once_more() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    story.till.act(&Act::pay(story.till.order(&id)?, Pays::CreditCard).captured())?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    story.happens(&id, Verb::Settle)?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    assert_eq!((story.mails()?, story.till.findings()?), (vec![RECEIVED.to_owned()], vec![]));
    assert_eq!(story.transactions()?, ["TOP_UP COMPLETED 50000"]);
    Ok(())
}

#[tokio::test]
async fn row_capture_that_is_challenged_waits_for_whoever_looks_at_it() -> Result<()> {
    let story = Story::new().await?;
    let (good, bad) = (story.begins(50_000).await?, story.begins(70_000).await?);
    for id in [&good, &bad] {
        story.happens(id, Verb::Challenge)?;
        story.stands(id, "PENDING", 0).await?;
    }
    story.happens(&good, Verb::Approve)?;
    story.happens(&bad, Verb::Deny)?;
    story.stands(&good, "COMPLETED", 50_000).await?;
    story.stands(&bad, "PENDING", 50_000).await?;
    assert_eq!((story.mails()?, story.till.findings()?), (vec![RECEIVED.to_owned()], vec![]));
    Ok(())
}

#[tokio::test]
async fn row_capture_that_is_thought_a_fraud_brings_nothing() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    story.till.act(&Act::pay(story.till.order(&id)?, Pays::CreditCard).fraud(Fraud::Deny))?;
    story.stands(&id, "PENDING", 0).await?;
    assert_eq!(story.mails()?, NONE);
    Ok(())
}

#[tokio::test]
async fn row_settlement_is_credited_once_by_every_method_and_told_once() -> Result<()> {
    let story = Story::new().await?;
    let methods = [Pays::BcaVa, Pays::PermataVa, Pays::Echannel, Pays::Gopay, Pays::OtherQris];
    let methods =
        methods.into_iter().chain([Pays::Shopeepay, Pays::Indomaret, Pays::Alfamart, Pays::CreditCard]);
    let mut cash = 0;
    for (at, method) in (0..).zip(methods) {
        let id = story.begins(10_000 + at).await?;
        story.till.pays(&id, method)?;
        cash += 10_000 + at;
        story.stands(&id, "COMPLETED", cash).await?;
        let paid = story.till.read(&story.ayu, &id).await?;
        assert_eq!(paid.body["paid_with"], method.payment_type());
    }
    assert_eq!((story.mails()?, story.till.findings()?), (vec![RECEIVED.to_owned(); 9], vec![]));
    Ok(())
}

#[tokio::test]
async fn row_deny_ends_the_transaction_and_not_the_order() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    story.till.act(&Act::new(Verb::Pick, story.till.order(&id)?).by(Pays::CreditCard))?;
    story.happens(&id, Verb::Deny)?;
    story.stands(&id, "PENDING", 0).await?;
    story.till.pays(&id, Pays::Gopay)?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    assert_eq!((story.mails()?, story.till.findings()?), (vec![RECEIVED.to_owned()], vec![]));
    Ok(())
}

#[tokio::test]
async fn row_cancel_before_it_is_paid_brings_nothing_and_another_attempt_may() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    for verb in [Verb::Cancel, Verb::Expire, Verb::Fail] {
        let before = story.till.order(&id)?;
        story.happens(&id, Verb::Pick)?;
        story.happens(&id, verb)?;
        story.stands(&id, "PENDING", 0).await?;
        let again = story.does(&id, "pay").await?;
        assert!(again["payment"]["redirect_url"].is_string(), "{verb:?}: {again}");
        assert_ne!(story.till.order(&id)?, before, "{verb:?}");
    }
    story.till.pays(&id, Pays::BniVa)?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    assert_eq!((story.mails()?, story.till.findings()?), (vec![RECEIVED.to_owned()], vec![]));
    Ok(())
}

#[tokio::test]
async fn row_expire_ends_it_at_its_time_and_a_later_settlement_is_credited_all_the_same() -> Result<()> {
    let mut story = Story::new().await?;
    let id = story.begins(50_000).await?;
    story.happens(&id, Verb::Pick)?;
    story.till.quiet().await?;
    story.later(SignedDuration::from_hours(24)).await?;
    story.till.comes(&story.ayu, &id, "EXPIRED").await?;
    story.stands(&id, "EXPIRED", 0).await?;
    story.happens(&id, Verb::LateSettle)?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    assert_eq!(story.mails()?, ["TOP_UP_FAILED", RECEIVED]);
    assert_eq!(story.till.findings()?, ["LATE_SETTLEMENT"]);
    Ok(())
}

#[tokio::test]
async fn row_failure_and_a_settlement_of_what_had_failed() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    story.happens(&id, Verb::Pick)?;
    story.happens(&id, Verb::Fail)?;
    story.stands(&id, "PENDING", 0).await?;
    story.till.act(&Act::new(Verb::LateSettle, story.till.order(&id)?).forced())?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    assert_eq!(story.till.findings()?, ["LATE_SETTLEMENT"]);
    Ok(())
}

#[tokio::test]
async fn row_settlement_may_be_denied_minutes_later_by_permata_mandiri_and_indomaret() -> Result<()> {
    for method in [Pays::PermataVa, Pays::Echannel, Pays::Indomaret] {
        let mut story = Story::new().await?;
        let id = story.paid(50_000, method).await?;
        story.spends(30_000).await?;
        story.happens(&id, Verb::Reverse)?;
        story.stands(&id, "REVERSED", -30_000).await?;
        // What is owed comes before anything that is bought.
        let frozen = story.till.spend(&story.ayu, 1).await?;
        assert!(matches!(frozen, Err(PostError::Frozen { owed }) if owed.get() == 30_000), "{frozen:?}");
        story.paid(30_000, Pays::BcaVa).await?;
        story.stands(&id, "REVERSED", 0).await?;
        story.paid(10_000, Pays::BcaVa).await?;
        story.spends(10_000).await?;
        story.stands(&id, "REVERSED", 0).await?;
        assert_eq!(story.mails()?, [RECEIVED, REVERSED, RECEIVED, RECEIVED], "{method}");
        assert_eq!(story.till.findings()?, ["REVERSED"], "{method}");
        assert_eq!(story.transactions()?[2], "REVERSAL COMPLETED 50000");
    }
    Ok(())
}

#[tokio::test]
async fn row_capture_that_is_voided_is_taken_back() -> Result<()> {
    let story = Story::new().await?;
    let id = story.begins(50_000).await?;
    story.till.act(&Act::pay(story.till.order(&id)?, Pays::CreditCard).captured())?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    story.happens(&id, Verb::Void)?;
    story.stands(&id, "REVERSED", 0).await?;
    assert_eq!(
        (story.mails()?, story.till.findings()?),
        (vec![RECEIVED.into(), REVERSED.into()], vec!["REVERSED".into()])
    );
    Ok(())
}

#[tokio::test]
async fn row_partial_refunds_then_the_whole_are_each_taken_back_once_though_each_is_told_twice() -> Result<()>
{
    let story = Story::new().await?;
    let id = story.paid(50_000, Pays::OtherQris).await?;
    story.goes_back(&id, Verb::Refund, 20_000)?;
    story.stands(&id, "COMPLETED", 30_000).await?;
    // The same amount again is another refund.
    story.goes_back(&id, Verb::Refund, 20_000)?;
    story.stands(&id, "COMPLETED", 10_000).await?;
    story.happens(&id, Verb::Refund)?;
    story.stands(&id, "REVERSED", 0).await?;
    assert_eq!(story.mails()?, [RECEIVED, REVERSED, REVERSED, REVERSED]);
    assert_eq!(
        story.transactions()?,
        [
            "TOP_UP REVERSED 50000",
            "REVERSAL COMPLETED 20000",
            "REVERSAL COMPLETED 20000",
            "REVERSAL COMPLETED 10000"
        ]
    );
    assert_eq!(story.till.findings()?, NONE);
    Ok(())
}

#[tokio::test]
async fn row_refunds_told_in_any_order_are_taken_back_once() -> Result<()> {
    let story = Story::new().await?;
    let id = story.paid(50_000, Pays::OtherQris).await?;
    story.till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Hold)])?;
    for _ in 0..5 {
        story.goes_back(&id, Verb::Refund, 10_000)?;
    }
    story.till.gateway.clear_rules();
    assert_eq!(story.till.gateway.release(Release::Shuffled(7)), 10);
    story.stands(&id, "REVERSED", 0).await?;
    assert_eq!(story.mails()?.len(), 6);
    Ok(())
}

#[tokio::test]
async fn row_partial_chargeback_then_the_whole() -> Result<()> {
    let mut story = Story::new().await?;
    let id = story.paid(50_000, Pays::CreditCard).await?;
    story.spends(45_000).await?;
    story.goes_back(&id, Verb::Chargeback, 20_000)?;
    story.stands(&id, "COMPLETED", -15_000).await?;
    assert!(matches!(story.till.spend(&story.ayu, 1).await?, Err(PostError::Frozen { .. })));
    story.happens(&id, Verb::Chargeback)?;
    story.stands(&id, "REVERSED", -45_000).await?;
    assert_eq!(story.mails()?, [RECEIVED, REVERSED, REVERSED]);
    assert_eq!(story.transactions()?[2..], ["CHARGEBACK COMPLETED 20000", "CHARGEBACK COMPLETED 30000"]);
    Ok(())
}

#[tokio::test]
async fn row_a_refund_and_then_a_chargeback_of_the_rest() -> Result<()> {
    let story = Story::new().await?;
    let id = story.paid(50_000, Pays::CreditCard).await?;
    story.goes_back(&id, Verb::Refund, 15_000)?;
    story.happens(&id, Verb::Chargeback)?;
    story.stands(&id, "REVERSED", 0).await?;
    let all = story.transactions()?;
    assert_eq!(all[1..], ["REVERSAL COMPLETED 15000", "CHARGEBACK COMPLETED 35000"]);
    Ok(())
}

#[tokio::test]
async fn rule_a_refund_that_the_bank_denies_moves_nothing() -> Result<()> {
    let story = Story::new().await?;
    let id = story.paid(50_000, Pays::Gopay).await?;
    let order = story.till.order(&id)?;
    story.till.gateway.add_rules(vec![Rule::new(On::Refund, Fault::Denied).times(1)])?;
    let url = format!("{}/v2/{order}/refund", story.till.gateway.url());
    let body = json!({"refund_key": "r1", "amount": 20_000, "reason": "asked"});
    let refund = async || {
        let request = reqwest::Client::new().post(&url).basic_auth(SERVER_KEY, Some("")).json(&body);
        anyhow::Ok(request.send().await?.json::<serde_json::Value>().await?)
    };
    let denied = refund().await?;
    assert_eq!(
        (&denied["status_code"], &denied["transaction_status"]),
        (&json!("202"), &json!("settlement"))
    );
    story.does(&id, "sync").await?;
    story.stands(&id, "COMPLETED", 50_000).await?;
    // The same key, tried again, is well.
    refund().await?;
    story.stands(&id, "COMPLETED", 30_000).await?;
    assert_eq!((story.mails()?, story.till.findings()?), (vec![RECEIVED.into(), REVERSED.into()], vec![]));
    Ok(())
}

#[tokio::test]
async fn rule_a_second_settlement_of_an_attempt_is_credited_and_found() -> Result<()> {
    let story = Story::new().await?;
    let id = story.paid(50_000, Pays::BcaVa).await?;
    story.happens(&id, Verb::SecondPayment)?;
    story.stands(&id, "COMPLETED", 100_000).await?;
    assert_eq!(story.till.findings()?, ["SECOND_PAYMENT"]);
    assert_eq!(story.transactions()?, ["TOP_UP COMPLETED 50000", "TOP_UP COMPLETED 50000"]);
    // Each goes back by itself.
    story.happens(&id, Verb::Refund)?;
    story.till.agrees(0).await?;
    assert_eq!(
        (story.till.cash(&story.ayu)?, story.mails()?),
        (50_000, vec![RECEIVED.into(), RECEIVED.into(), REVERSED.into()])
    );
    Ok(())
}

#[tokio::test]
async fn rule_what_comes_late_never_lowers_what_is_known() -> Result<()> {
    let story = Story::new().await?;
    for seed in 0..8 {
        let id = story.begins(10_000).await?;
        story.till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Hold)])?;
        story.till.pays(&id, Pays::PermataVa)?;
        if seed % 2 == 0 {
            story.happens(&id, Verb::Reverse)?;
        }
        story.till.gateway.clear_rules();
        story.till.gateway.release(Release::Shuffled(seed));
        story.till.agrees(0).await?;
    }
    assert_eq!(story.till.cash(&story.ayu)?, 40_000);
    Ok(())
}

#[tokio::test]
async fn rule_what_is_not_known_another_currency_and_another_amount_are_found_and_never_credited()
-> Result<()> {
    let (story, status) = (Story::new().await?, |text: &str| Told::read(text));
    let (state, id) = (story.till.state()?, story.begins(50_000).await?);
    let order = story.till.order(&id)?;
    let attempt = Uuid::try_parse(order.trim_start_matches("tu-"))?;
    let mut cases = vec![
        (seen(&order, "unknown", status("on_hold"), 50_000)?, "UNKNOWN_STATUS"),
        (seen(&order, "currency", status("settlement"), 50_000)?, "OTHER_CURRENCY"),
        (seen(&order, "less", status("settlement"), 49_999)?, "AMOUNT_DIFFERS"),
        (seen(&order, "more", status("settlement"), 50_001)?, "AMOUNT_DIFFERS"),
        (seen(&order, "code", status("settlement"), 50_000)?, "OTHER_CODE"),
        (seen(&order, "fraud", status("capture"), 50_000)?, "NOT_ACCEPTED"),
    ];
    cases[1].0.currency = "USD".to_owned();
    cases[4].0.status_code = "202".to_owned();
    for (one, kind) in &cases {
        for _ in 0..2 {
            let answer = Answer { seen: one.clone(), asked_at: state.clock.now() };
            settle::book(&state, attempt, &answer, Source::Told).await?;
        }
        let found = story
            .till
            .sql(&format!("select kind from payment_findings where subject = '{}'", one.transaction_id))?;
        assert_eq!(&found, kind);
        assert_eq!(
            (story.till.cash(&story.ayu)?, story.till.read(&story.ayu, &id).await?.status.as_str()),
            (0, "PENDING")
        );
    }
    let all = story.till.sql("select count(*) from transactions where status <> 'PENDING'")?;
    assert_eq!((all.as_str(), story.till.faults().await?.len()), ("0", 0));
    // The real one still counts.
    story.till.pays(&id, Pays::BcaVa)?;
    story.stands(&id, "COMPLETED", 50_000).await.context("after what was odd")?;
    Ok(())
}

#[tokio::test]
async fn rule_an_answer_that_was_asked_for_before_another_takes_nothing_back_and_credits_nothing()
-> Result<()> {
    let story = Story::new().await?;
    let (state, id) = (story.till.state()?, story.begins(50_000).await?);
    let order = story.till.order(&id)?;
    let (attempt, begin) = (Uuid::try_parse(order.trim_start_matches("tu-"))?, state.clock.now());
    let told = async |transaction: &str, status: &str, second: i64| {
        let seen = seen(&order, transaction, Told::read(status), 50_000)?;
        let answer = Answer { seen, asked_at: begin + SignedDuration::from_secs(second) };
        let booked = settle::book(&state, attempt, &answer, Source::Told).await;
        let is_overtaken = matches!(booked, Err(SettleError::Overtaken));
        assert!(is_overtaken || booked.is_ok(), "{booked:?}");
        anyhow::Ok((is_overtaken, story.till.cash(&story.ayu)?))
    };
    // Paid and denied a minute later; that it was paid is learnt last.
    assert_eq!(told("a", "deny", 20).await?, (false, 0));
    assert_eq!(told("a", "settlement", 10).await?, (true, 0));
    assert_eq!(story.till.findings()?, NONE);
    // Asked once more, it is paid after all.
    assert_eq!(told("a", "settlement", 30).await?, (false, 50_000));
    assert_eq!(told("a", "deny", 20).await?, (true, 50_000));
    assert_eq!(told("a", "chargeback", 20).await?, (true, 50_000));
    // What would only be noted is not: it is known to be otherwise since.
    assert_eq!(told("a", "expire", 20).await?, (false, 50_000));
    assert_eq!(story.till.findings()?, ["LATE_SETTLEMENT"]);
    assert_eq!(story.till.sql("select status from gateway_payments")?, "settlement");
    // The same answer, asked for later, counts from then on.
    assert_eq!(told("a", "settlement", 60).await?, (false, 50_000));
    assert_eq!(told("a", "deny", 50).await?, (true, 50_000));
    // What can only have come later is booked whenever it was asked for.
    assert_eq!(told("a", "refund", 40).await?, (false, 0));
    assert_eq!(told("b", "pending", 60).await?, (false, 0));
    assert_eq!(told("b", "settlement", 50).await?, (false, 50_000));
    assert_eq!(story.till.faults().await?, []);
    Ok(())
}
