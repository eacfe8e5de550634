//! Mail: what was queued arrives, once if nothing goes wrong, and under the same Message-ID if it arrives twice.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use e2e::mail_catcher::Mood;
use e2e::wait;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::{BOUND, PASSWORD, World};

fn count(world: &World, status: &str) -> Result<u32> {
    let sql = format!("select count(*) from emails where status = '{status}'");
    Ok(world.database.server.sql(&world.database.name, &sql)?.trim().parse()?)
}

async fn forget_password(world: &World, email: &str) -> Result<()> {
    world.api.post("/auth/password/forgot", &json!({"email": email})).await?.expect(StatusCode::ACCEPTED)?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_refuses_for_now_is_tried_again_later() -> Result<()> {
    let world = World::new().await?;
    world.user("ayu").await?;
    world.mail.nth_to("ayu@example.com", 2, BOUND).await?;
    world.mail.set_mood(Mood::Refuses("451 try later".to_owned()));
    forget_password(&world, "ayu@example.com").await?;
    let failed = async || -> Result<Option<()>> {
        let text = world
            .database
            .server
            .sql(&world.database.name, "select last_error from emails where status = 'PENDING'")?;
        Ok(text.contains("try later").then_some(()))
    };
    wait::until("the failure to be noted", BOUND, failed).await?;
    world.mail.set_mood(Mood::Well);
    world.clock.advance(SignedDuration::from_secs(13));
    assert_eq!(world.mail.nth_to("ayu@example.com", 3, BOUND).await?.subject, "Set a new password");
    Ok(())
}

#[tokio::test]
async fn a_recipient_who_does_not_exist_is_given_up_in_the_open() -> Result<()> {
    let world = World::new().await?;
    world.user("ayu").await?;
    world.mail.nth_to("ayu@example.com", 2, BOUND).await?;
    world.mail.set_mood(Mood::Refuses("550 no such user".to_owned()));
    forget_password(&world, "ayu@example.com").await?;
    wait::until("it to be given up", BOUND, async || Ok((count(&world, "DEAD")? == 1).then_some(()))).await?;
    Ok(())
}

#[tokio::test]
async fn a_mail_whose_answer_was_lost_comes_again_under_its_old_id() -> Result<()> {
    let world = World::new().await?;
    world.user("ayu").await?;
    world.mail.nth_to("ayu@example.com", 2, BOUND).await?;
    world.mail.set_mood(Mood::LosesAnswer);
    forget_password(&world, "ayu@example.com").await?;
    let first = world.mail.nth_to("ayu@example.com", 3, BOUND).await?;
    world.mail.set_mood(Mood::Well);
    let again = wait::until("it to come again", BOUND, async || {
        world.clock.advance(SignedDuration::from_secs(2));
        Ok(world.mail.mails_to("ayu@example.com").into_iter().nth(3))
    })
    .await?;
    assert_eq!(
        (again.message_id, again.text),
        (first.message_id, first.text),
        "the same mail with the same link"
    );
    Ok(())
}

#[tokio::test]
async fn nothing_goes_to_an_address_that_nobody_has() -> Result<()> {
    let world = World::new().await?;
    forget_password(&world, "nobody@example.com").await?;
    wait::until("it to be decided", BOUND, async || Ok((count(&world, "DISCARDED")? == 1).then_some(())))
        .await?;
    assert_eq!(world.mail.mails(), []);
    let kept = world.database.server.sql(&world.database.name, "select row_to_json(emails) from emails")?;
    assert!(!kept.contains("nobody@example.com"), "a stranger's address is not kept: {kept}");
    Ok(())
}

#[tokio::test]
async fn a_link_that_waits_to_be_sent_is_worth_nothing_once_the_password_was_reset() -> Result<()> {
    let world = World::new().await?;
    let ayu = world.user("ayu").await?;
    forget_password(&world, "ayu@example.com").await?;
    let token = world.token_to("ayu@example.com", 3).await?;
    // Whoever has the session and the password asks for an address of theirs while mail does not go out.
    world.mail.set_mood(Mood::Refuses("451 try later".to_owned()));
    let change = json!({"email": "intruder@example.com", "password": PASSWORD});
    world.api.send_as(&ayu, Method::POST, "/me/email", &change).await?.expect(StatusCode::ACCEPTED)?;
    let refused = "select count(*) from emails where kind = 'CHANGE_EMAIL' and last_error is not null";
    wait::until("it to be refused", BOUND, async || {
        let count = world.database.server.sql(&world.database.name, refused)?;
        Ok((count.trim() == "1").then_some(()))
    })
    .await?;
    let reset = json!({"token": token, "password": "samudra biru luas 9"});
    world.api.post("/auth/password/reset", &reset).await?.expect(StatusCode::NO_CONTENT)?;
    world.mail.set_mood(Mood::Well);
    world.clock.advance(SignedDuration::from_mins(2));
    wait::until("the link to be discarded", BOUND, async || {
        Ok((count(&world, "DISCARDED")? == 1).then_some(()))
    })
    .await?;
    wait::until("the rest to be sent", BOUND, async || Ok((count(&world, "PENDING")? == 0).then_some(())))
        .await?;
    assert_eq!(world.mail.mails_to("intruder@example.com"), []);
    Ok(())
}

#[tokio::test]
async fn mails_that_are_queued_by_the_hundred_arrive_once_each_by_two_senders() -> Result<()> {
    let world = World::new().await?;
    let boss = world.administrator("boss").await?;
    let other = world.replica().await?;
    let create = |nth: usize| {
        let body = json!({"email": format!("user-{nth}@example.com"), "name": format!("User {nth}"), "language": "EN"});
        let (api, boss) = (if nth.is_multiple_of(2) { &world.api } else { &other }, &boss);
        async move { api.send_as(boss, Method::POST, "/admin/users", &body).await?.expect(StatusCode::CREATED) }
    };
    let made: Vec<_> = futures::stream::iter((0..100).map(create)).buffer_unordered(8).try_collect().await?;
    assert_eq!(made.len(), 100);
    wait::until("all to be sent", BOUND, async || Ok((count(&world, "PENDING")? == 0).then_some(()))).await?;
    let mut by_id: BTreeMap<String, u32> = BTreeMap::new();
    let mut recipients = BTreeSet::new();
    for mail in world.mail.mails() {
        *by_id.entry(mail.message_id).or_default() += 1;
        recipients.extend(mail.to);
    }
    assert_eq!(recipients.len(), 101);
    assert!(by_id.values().all(|count| *count == 1));
    Ok(())
}
