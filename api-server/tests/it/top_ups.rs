//! Topping up, from the intent to the balance.

use anyhow::Result;
use e2e::midtrans::Method as Pays;
use reqwest::StatusCode;
use serde_json::json;

use crate::till::Till;
use crate::world::BOUND;

#[tokio::test]
async fn what_is_paid_is_in_the_wallet_once_and_a_mail_says_so() -> Result<()> {
    let till = Till::new().await?;
    let ayu = till.world.user("ayu").await?;
    let top_up = till.top_up(&ayu, 500_000).await?;
    assert_eq!((top_up.status.as_str(), &top_up.body["number"]), ("PENDING", &json!("TXMP-101")));
    assert!(top_up.body["payment"]["redirect_url"].as_str().unwrap_or_default().starts_with("http"));
    till.pays(&top_up.id, Pays::BcaVa)?;
    let paid = till.comes(&ayu, &top_up.id, "COMPLETED").await?;
    assert_eq!((&paid.body["payment"], &paid.body["paid_with"]), (&json!(null), &json!("bank_transfer")));
    till.quiet().await?;
    assert_eq!((till.cash(&ayu)?, till.gateway.total()), (500_000, 500_000));
    let mail = till.world.mail.nth_to(&ayu.email, 3, BOUND).await?;
    assert!(mail.subject.contains("Rp 500.000"), "{}", mail.subject);
    let list =
        till.world.api.get_as(&ayu, "/wallet/top-ups?status=COMPLETED").await?.expect(StatusCode::OK)?;
    assert_eq!(list.body["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(till.findings()?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn what_is_paid_when_nobody_asks_any_more_is_asked_about_again_as_any_payment() -> Result<()> {
    let till = Till::new().await?;
    let ayu = till.world.user("ayu").await?;
    let top_up = till.top_up(&ayu, 50_000).await?;
    till.sql("update payment_attempts set next_check_at = null")?;
    till.pays(&top_up.id, Pays::BcaVa)?;
    till.comes(&ayu, &top_up.id, "COMPLETED").await?;
    assert_eq!(till.sql("select count(*) from payment_attempts where next_check_at is not null")?, "1");
    Ok(())
}
