//! Leaving for good, with money in the wallet or on its way there.

use anyhow::Result;
use e2e::midtrans::{Act, Fault, Method as Pays, On, Rule, Verb};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::payments_books::Story;
use crate::world::{Answer, PASSWORD, User};

/// Asks to be deleted.
async fn leaves(story: &Story) -> Result<Answer> {
    let body = json!({"password": PASSWORD, "erase": true});
    story.till.world.api.send_as(&story.ayu, Method::DELETE, "/me", &body).await
}

/// An administrator asks for her to be deleted: alone, and among many.
async fn is_deleted(story: &Story, boss: &User) -> Result<(Answer, Value)> {
    let (api, id) = (&story.till.world.api, &story.ayu.id);
    let alone = api.send_as(boss, Method::DELETE, &format!("/admin/users/{id}"), &json!({})).await?;
    let body = json!({"action": "DELETE", "ids": [id]});
    let many = api.send_as(boss, Method::POST, "/admin/users/bulk", &body).await?.expect(StatusCode::OK)?;
    Ok((alone, many.body["results"][0].clone()))
}

/// An administrator moves cash of her wallet.
async fn adjust(story: &Story, boss: &User, kind: &str, amount: i64) -> Result<Answer> {
    let body = json!({"user_id": story.ayu.id, "kind": kind, "amount": amount, "reason": "She leaves"});
    let key = uuid::Uuid::new_v4().to_string();
    story.till.world.api.post_once(boss, "/admin/billing/adjustments", &key, &body).await
}

/// Nobody deletes her, and each is told why.
async fn stays(story: &Story, boss: &User, why: &str) -> Result<()> {
    let own = leaves(story).await?.expect(StatusCode::CONFLICT)?;
    let (alone, among) = is_deleted(story, boss).await?;
    assert_eq!((own.code(), alone.code()), ("user.has_money", "user.has_money"));
    assert_eq!((&among["done"], &among["code"]), (&json!(false), &json!("user.has_money")));
    for detail in [&own.body["detail"], &alone.body["detail"], &among["detail"]] {
        assert!(detail.as_str().unwrap_or_default().contains(why), "{detail}");
    }
    Ok(())
}

#[tokio::test]
async fn whoever_has_money_owes_some_or_pays_just_now_is_not_deleted() -> Result<()> {
    let mut story = Story::new().await?;
    let boss = story.till.world.administrator("boss").await?;
    let begun = story.begins(50_000).await?;
    stays(&story, &boss, "pending (1)").await?;
    story.till.pays(&begun, Pays::PermataVa)?;
    story.till.comes(&story.ayu, &begun, "COMPLETED").await?;
    stays(&story, &boss, "Rp 50.000").await?;
    story.spends(50_000).await?;
    story.happens(&begun, Verb::Reverse)?;
    story.stands(&begun, "REVERSED", -50_000).await?;
    stays(&story, &boss, "owes Rp 50.000").await?;
    adjust(&story, &boss, "CREDIT", 50_000).await?.expect(StatusCode::CREATED)?;
    // What was given is forfeited.
    adjust(&story, &boss, "PROMOTION", 700).await?.expect(StatusCode::CREATED)?;
    leaves(&story).await?.expect(StatusCode::NO_CONTENT)?;
    assert_eq!(story.till.faults().await?, []);
    Ok(())
}

#[tokio::test]
async fn what_is_paid_after_one_has_left_is_credited_found_and_can_be_paid_out() -> Result<()> {
    let story = Story::new().await?;
    let boss = story.till.world.administrator("boss").await?;
    let id = story.begins(50_000).await?;
    story.happens(&id, Verb::Pick)?;
    story.till.quiet().await?;
    let order = story.till.order(&id)?;
    story.does(&id, "cancel").await?;
    leaves(&story).await?.expect(StatusCode::NO_CONTENT)?;
    story.till.act(&Act::new(Verb::LateSettle, &order).forced())?;
    story.till.agrees(0).await?;
    assert_eq!(story.till.cash(&story.ayu)?, 50_000);
    assert_eq!(story.till.findings()?, ["LATE_SETTLEMENT", "OWNER_DELETED"]);
    for kind in ["CREDIT", "PROMOTION"] {
        assert_eq!(adjust(&story, &boss, kind, 50_000).await?.code(), "user.deleted");
    }
    let more = adjust(&story, &boss, "DEBIT", 50_001).await?;
    assert_eq!(more.code(), "wallet.insufficient_balance");
    adjust(&story, &boss, "DEBIT", 50_000).await?.expect(StatusCode::CREATED)?;
    assert_eq!((story.till.cash(&story.ayu)?, story.till.faults().await?), (0, vec![]));
    Ok(())
}

#[tokio::test]
async fn a_payment_that_comes_at_the_moment_of_leaving_is_seen_by_one_or_the_other() -> Result<()> {
    for n in 0..6 {
        let story = Story::new().await?;
        let id = story.begins(50_000).await?;
        story.happens(&id, Verb::Pick)?;
        story.till.quiet().await?;
        let order = story.till.order(&id)?;
        story.does(&id, "cancel").await?;
        story.till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Delay { ms: 5 * n })])?;
        story.till.act(&Act::new(Verb::LateSettle, &order).forced())?;
        let left = leaves(&story).await?;
        story.till.agrees(0).await?;
        let is_found = story.till.findings()?.contains(&"OWNER_DELETED".to_owned());
        assert_eq!((left.status == StatusCode::NO_CONTENT, story.till.cash(&story.ayu)?), (is_found, 50_000));
    }
    Ok(())
}
