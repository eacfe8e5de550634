//! Mail: what was queued arrives, once if nothing goes wrong, and under the same Message-ID if it arrives twice.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::Result;
use api_server::mail::deliveries::kept_from;
use api_server::mail::store;
use e2e::mail_catcher::Mood;
use e2e::wait;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::{BOUND, PASSWORD, SECRET, World};

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
    let kept = world.database.server.sql(&world.database.name, "select recipient from emails")?;
    assert!(!kept.contains("intruder@example.com"), "an address that nobody has proven is not kept: {kept}");
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

#[tokio::test]
async fn an_administrator_sees_what_became_of_a_mail_and_sends_it_once_more() -> Result<()> {
    let world = World::new().await?;
    let (boss, ayu) = (world.administrator("boss").await?, world.user("ayu").await?);
    world.mail.nth_to("ayu@example.com", 2, BOUND).await?;
    world.mail.set_mood(Mood::Refuses("550 no such user".to_owned()));
    forget_password(&world, "ayu@example.com").await?;
    forget_password(&world, "nobody@example.com").await?;
    wait::until("both to be decided", BOUND, async || {
        Ok((count(&world, "DEAD")? == 1 && count(&world, "DISCARDED")? == 1).then_some(()))
    })
    .await?;
    let list = async |query: &str| {
        let answer = world.api.get_as(&boss, &format!("/admin/emails?{query}")).await?;
        anyhow::Ok(answer.expect(StatusCode::OK)?.body["items"].clone())
    };
    let dead = list("status=DEAD&recipient=Ayu@Example.com&kind=RESET_PASSWORD").await?;
    assert_eq!((dead.as_array().map(Vec::len), &dead[0]["attempts"]), (Some(1), &json!(1)));
    assert!(dead[0]["last_error"].as_str().unwrap_or_default().contains("no such user"));
    let of_user = list(&format!("user_id={}&page[size]=1&sort=created_at", ayu.id)).await?;
    assert_eq!(of_user[0]["kind"], "VERIFY_EMAIL");
    assert_eq!(world.api.get_as(&boss, "/admin/emails?status=LOST").await?.code(), "request.malformed");

    world.mail.set_mood(Mood::Well);
    let resend = async |id: &serde_json::Value, key: &str| {
        let path = format!("/admin/emails/{}/resend", id.as_str().unwrap_or_default());
        let request = world.api.request(Method::POST, &path).bearer_auth(&boss.access);
        world
            .api
            .send(request.header("idempotency-key", key).json(&json!({"reason": "The mailbox is back"})))
            .await
    };
    let answer = resend(&dead[0]["id"], "once").await?.expect(StatusCode::OK)?;
    assert_eq!((&answer.body["status"], &answer.body["attempts"]), (&json!("PENDING"), &json!(0)));
    let came = world.mail.nth_to("ayu@example.com", 3, BOUND).await?;
    assert_eq!(Some(came.message_id.trim_matches(['<', '>'])), dead[0]["message_id"].as_str());
    let token = came.link_parameter("token").unwrap_or_default();
    let reset = json!({"token": token, "password": "samudra biru luas 9"});
    world.api.post("/auth/password/reset", &reset).await?.expect(StatusCode::NO_CONTENT)?;
    resend(&dead[0]["id"], "once").await?.expect(StatusCode::OK)?;
    assert_eq!(resend(&dead[0]["id"], "again").await?.code(), "email.not_needed", "its link was used");
    let sent = list(&format!("user_id={}&kind=VERIFY_EMAIL", ayu.id)).await?;
    assert_eq!(resend(&sent[0]["id"], "proven").await?.code(), "email.not_needed", "the address is proven");
    assert_eq!(
        list("status=SENT&kind=VERIFY_EMAIL").await?.as_array().map(Vec::len),
        Some(2),
        "nothing is lost"
    );

    let discarded = list("status=DISCARDED").await?;
    assert_eq!(resend(&discarded[0]["id"], "other").await?.code(), "email.forgotten");
    let lines =
        world.api.get_as(&boss, "/admin/audit?action=email.resend").await?.expect(StatusCode::OK)?.body;
    assert_eq!(
        lines["items"].as_array().map(Vec::len),
        Some(1),
        "a repeat with the same key is no second one"
    );
    assert_eq!(lines["items"][0]["reason"], "The mailbox is back");
    Ok(())
}

#[tokio::test]
async fn what_became_of_mails_is_kept_for_ninety_days() -> Result<()> {
    let world = World::new().await?;
    world.user("ayu").await?;
    wait::until("both to be sent", BOUND, async || Ok((count(&world, "SENT")? == 2).then_some(()))).await?;
    let pool = sqlx::PgPool::connect(&world.database.url()).await?;
    let after = |days: i64| kept_from(world.clock.now() + SignedDuration::from_hours(24 * days));
    assert_eq!(store::forget_old(&pool, after(89)).await?, 0);
    assert_eq!(store::forget_old(&pool, after(91)).await?, 2);
    Ok(())
}

/// A process that sends, to be killed as a crash would.
struct Sender(Child);

impl Sender {
    fn start(world: &World) -> Result<Self> {
        let child = Command::new(env!("CARGO_BIN_EXE_api-server"))
            .args(["serve", "--cluster", "none", "--listen", "127.0.0.1:0"])
            .env("DATABASE_URL", world.database.url())
            .env("NAKHODA_SECRET_KEY", SECRET)
            .env("NAKHODA_SMTP_URL", world.mail.url())
            .env("RUST_LOG", "off")
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // SIGKILL.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn no_mail_is_lost_and_none_comes_twice_but_under_its_id_however_often_the_sender_is_killed()
-> Result<()> {
    let proves = std::env::var_os("NAKHODA_PROVE").is_some_and(|value| value == "1");
    let (all, between) = if proves { (1000, 60) } else { (120, 20) };
    let world = World::with(|settings| settings.mail.smtp_url = None).await?;
    let sql = |sql: &str| world.database.server.sql(&world.database.name, sql);
    let id = uuid::Uuid::new_v4();
    sql(&format!(
        "insert into users (id, email, name, language, role, email_verified_at, created_at, updated_at)
         values ('{id}', 'ayu@example.com', 'Ayu', 'id', 'USER', now(), now(), now());
         insert into emails (id, message_id, user_id, recipient, kind, language, data, created_at, next_attempt_at)
         select gen_random_uuid(), nth || '@nakhoda', '{id}', 'ayu@example.com', 'WELCOME', 'id', '{{\"name\": \"Ayu\"}}', now(), now()
         from generate_series(1, {all}) nth"
    ))?;
    // Slow enough that every kill meets mails under way.
    world.mail.set_mood(Mood::Slow(Duration::from_millis(if proves { 200 } else { 40 })));
    let (mut kills, mut came) = (0, 0);
    while came + between < all {
        let sender = Sender::start(&world)?;
        world.mail.nth_to("ayu@example.com", came + between, BOUND).await?;
        drop(sender);
        kills += 1;
        came = world.mail.mails_to("ayu@example.com").len();
    }
    if !proves {
        // The minute is over in which those that were under way are left alone.
        sql("update emails set next_attempt_at = now() where status = 'PENDING'")?;
    }
    let _sender = Sender::start(&world)?;
    let bound = Duration::from_mins(3);
    wait::until("all to be sent", bound, async || {
        Ok((count(&world, "SENT")? == u32::try_from(all)?).then_some(()))
    })
    .await?;
    let mails = world.mail.mails_to("ayu@example.com");
    let ids: BTreeSet<&str> = mails.iter().map(|mail| mail.message_id.as_str()).collect();
    assert_eq!(ids.len(), all, "each has come");
    let repeats = mails.len() - all;
    println!(
        "{all} mails, the sender killed {kills} times: none lost, {repeats} came twice under the same Message-ID"
    );
    assert!(repeats <= kills * 4, "{repeats} repeats of {kills} kills: more than were under way");
    Ok(())
}
