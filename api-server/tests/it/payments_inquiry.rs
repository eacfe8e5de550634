//! Looking into one payment.

use anyhow::Result;
use e2e::midtrans::{Fault, Method as Pays, On, Rule, Verb};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::payments_books::{Story, signed};
use crate::world::User;

async fn of(story: &Story, boss: &User, what: &str) -> Result<Value> {
    let path = format!("/admin/billing/payments?of={what}");
    Ok(story.till.world.api.get_as(boss, &path).await?.expect(StatusCode::OK)?.body)
}

#[tokio::test]
async fn a_payment_is_found_by_whatever_one_has_of_it_at_hand() -> Result<()> {
    let story = Story::new().await?;
    let boss = story.till.world.administrator("boss").await?;
    let id = story.paid(50_000, Pays::BcaVa).await?;
    story.paid(70_000, Pays::BcaVa).await?;
    story.happens(&id, Verb::SecondPayment)?;
    story.stands(&id, "COMPLETED", 170_000).await?;
    let order = story.till.order(&id)?;
    let all = of(&story, &boss, &order).await?;
    assert_eq!((&all["user_id"], &all["top_up"]["id"]), (&json!(story.ayu.id), &json!(id)));
    assert_eq!(all["top_up"]["payment"], Value::Null);
    let lengths = ["attempts", "payments", "findings"].map(|name| all[name].as_array().map_or(0, Vec::len));
    assert_eq!(lengths, [1, 2, 1]);
    assert_eq!(all["findings"][0]["kind"], "SECOND_PAYMENT");
    let told = all["notifications"].as_array().map_or(&[][..], Vec::as_slice);
    assert!(told.len() >= 2 && told.iter().all(|one| one["order_id"] == json!(order)), "{told:?}");
    for payment in all["payments"].as_array().into_iter().flatten() {
        assert_eq!((&payment["standing"], &payment["credited"]), (&json!("PAID"), &json!(50_000)));
        for name in ["gateway_id", "credited_by"] {
            let what = payment[name].as_str().unwrap_or_default();
            assert_eq!(of(&story, &boss, what).await?["top_up"]["id"], json!(id), "{name}");
        }
    }
    let transaction = &all["top_up"]["transaction_id"];
    for what in [&all["top_up"]["number"], transaction, &all["top_up"]["id"]] {
        assert_eq!(of(&story, &boss, what.as_str().unwrap_or_default()).await?["top_up"]["id"], json!(id));
    }
    Ok(())
}

#[tokio::test]
async fn of_an_order_that_is_not_here_there_is_what_was_told_and_found() -> Result<()> {
    let story = Story::new().await?;
    let boss = story.till.world.administrator("boss").await?;
    let id = story.begins(50_000).await?;
    story.till.gateway.add_rules(vec![Rule::new(On::Notification, Fault::Drop)])?;
    let lost = format!("tu-{}", uuid::Uuid::new_v4().simple());
    story.till.notify(signed(&lost, "200", "50000.00", "settlement", "elsewhere").to_string()).await?;
    story.till.quiet().await?;
    for what in [lost.as_str(), "elsewhere"] {
        let all = of(&story, &boss, what).await?;
        assert_eq!((&all["top_up"], &all["user_id"]), (&Value::Null, &Value::Null));
        assert_eq!(all["notifications"][0]["state"], "UNKNOWN_ORDER");
    }
    assert_eq!(of(&story, &boss, &lost).await?["findings"][0]["kind"], "LOST_ORDER");
    let api = &story.till.world.api;
    let cases = [("nothing", "not_found"), ("TXMP-999", "not_found"), ("", "request.invalid")];
    for (what, code) in cases {
        let answer = api.get_as(&boss, &format!("/admin/billing/payments?of={what}")).await?;
        assert_eq!(answer.code(), code, "{what}");
    }
    let own = api.get_as(&story.ayu, &format!("/admin/billing/payments?of={id}")).await?;
    assert_eq!(own.code(), "auth.forbidden");
    Ok(())
}
