//! One's own account: changes that an intruder would make first, and leaving.

use anyhow::Result;
use e2e::wait;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{BOUND, PASSWORD, World};

#[tokio::test]
async fn one_changes_name_and_language_and_nobody_overwrites_what_they_have_not_seen() -> Result<()> {
    let world = World::new().await?;
    let ayu = world.user("ayu").await?;
    let change = async |tag: &str, body: Value| {
        let request =
            world.api.request(Method::PATCH, "/me").bearer_auth(&ayu.access).header("if-match", tag);
        world.api.send(request.json(&body)).await
    };
    let seen = world.api.get_as(&ayu, "/me").await?.header("etag").to_owned();
    let changed = change(&seen, json!({"name": "Ayu L."})).await?.expect(StatusCode::OK)?;
    assert_eq!(changed.body["name"], "Ayu L.");
    assert_ne!(changed.header("etag"), seen);
    assert_eq!(change(&seen, json!({"language": "ID"})).await?.code(), "request.precondition_failed");
    change("*", json!({"language": "ID"})).await?.expect(StatusCode::OK)?;
    assert_eq!(change("*", json!({"role": "ADMINISTRATOR"})).await?.code(), "request.malformed");
    assert_eq!(change("*", json!({"name": "a\nb"})).await?.code(), "request.invalid");
    assert_eq!(world.api.get_as(&ayu, "/me").await?.body["name"], "Ayu L.");
    Ok(())
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions_and_is_told_by_mail() -> Result<()> {
    let world = World::new().await?;
    let (here, there) = (world.user("ayu").await?, world.log_in("ayu@example.com", PASSWORD).await?);
    let change = async |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        world.api.send_as(&here, Method::POST, "/me/password", &body).await
    };
    assert_eq!(change("wrong wrong", "samudra biru luas 9").await?.code(), "auth.wrong_password");
    assert_eq!(change(PASSWORD, "ayu@example.com").await?.code(), "request.invalid");
    change(PASSWORD, "samudra biru luas 9").await?.expect(StatusCode::NO_CONTENT)?;
    assert_eq!(world.mail.nth_to("ayu@example.com", 3, BOUND).await?.subject, "Your password was changed");
    world.api.get_as(&here, "/me").await?.expect(StatusCode::OK)?;
    assert_eq!(world.api.get_as(&there, "/me").await?.code(), "auth.invalid_token");
    for _ in 0..10 {
        change("wrong wrong", "samudra biru luas 9").await?;
    }
    assert_eq!(
        change(PASSWORD, "samudra biru luas 9").await?.code(),
        "request.rate_limited",
        "no place to guess"
    );
    Ok(())
}

#[tokio::test]
async fn an_address_changes_once_the_new_one_is_proven_and_the_old_one_is_told() -> Result<()> {
    let world = World::new().await?;
    let (ayu, _) = (world.user("ayu").await?, world.user("budi").await?);
    let change = async |email: &str, password: &str| {
        world
            .api
            .send_as(&ayu, Method::POST, "/me/email", &json!({"email": email, "password": password}))
            .await
    };
    assert_eq!(change("new@example.com", "wrong wrong").await?.code(), "auth.wrong_password");
    change("budi@example.com", PASSWORD).await?.expect(StatusCode::ACCEPTED)?;
    change("new@example.com", PASSWORD).await?.expect(StatusCode::ACCEPTED)?;
    let token = world.token_to("new@example.com", 1).await?;
    assert_eq!(
        world.mail.mails_to("budi@example.com").len(),
        2,
        "nothing of it goes to whoever has the address"
    );
    assert_eq!(world.api.get_as(&ayu, "/me").await?.body["email"], "ayu@example.com");

    let verified =
        world.api.post("/auth/email/verify", &json!({"token": token})).await?.expect(StatusCode::OK)?;
    assert_eq!(verified.body["email"], "new@example.com");
    let told = world.mail.nth_to("ayu@example.com", 3, BOUND).await?;
    assert!(told.text.contains("new@example.com"), "{}", told.text);
    assert_eq!(world.api.get_as(&ayu, "/me").await?.code(), "auth.invalid_token");
    world.log_in("new@example.com", PASSWORD).await?;
    Ok(())
}

#[tokio::test]
async fn one_takes_ones_data_along_and_leaves_nothing_personal() -> Result<()> {
    let world = World::new().await?;
    let ayu = world.user("ayu").await?;
    let export = world.api.get_as(&ayu, "/me/export").await?.expect(StatusCode::OK)?;
    assert_eq!(
        (&export.body["profile"]["email"], export.body["sessions"].as_array().map(Vec::len)),
        (&json!("ayu@example.com"), Some(1))
    );
    assert!(!export.body.to_string().contains("argon2"));

    let leave = async |password: &str| {
        world.api.send_as(&ayu, Method::DELETE, "/me", &json!({"password": password, "erase": true})).await
    };
    assert_eq!(leave("wrong wrong").await?.code(), "auth.wrong_password");
    leave(PASSWORD).await?.expect(StatusCode::NO_CONTENT)?;
    assert_eq!(world.mail.nth_to("ayu@example.com", 3, BOUND).await?.subject, "Your account was deleted");
    assert_eq!(world.api.get_as(&ayu, "/me").await?.code(), "auth.invalid_token");
    let (server, name) = (&world.database.server, &world.database.name);
    wait::until("the last mail to be forgotten", BOUND, async || {
        let left = server.sql(
            name,
            "select count(*) from emails where recipient like '%ayu%' or data::text like '%ayu%'",
        )?;
        Ok((left.trim() == "0").then_some(()))
    })
    .await?;
    let dump = server.sql(
        name,
        "select row_to_json(users) from users union all select row_to_json(sessions) from sessions",
    )?;
    assert!(!dump.contains("ayu") && !dump.contains("127.0.0.1"), "{dump}");
    // The address is free again.
    let again = world.user("ayu").await;
    assert!(again.is_err() || again.is_ok_and(|user| user.id != ayu.id));
    Ok(())
}

#[tokio::test]
async fn a_deactivated_account_is_closed_and_the_last_administrator_stays() -> Result<()> {
    let world = World::new().await?;
    let ayu = world.user("ayu").await?;
    world
        .api
        .send_as(&ayu, Method::DELETE, "/me", &json!({"password": PASSWORD}))
        .await?
        .expect(StatusCode::NO_CONTENT)?;
    let login =
        world.api.post("/auth/login", &json!({"email": "ayu@example.com", "password": PASSWORD})).await?;
    assert_eq!(login.code(), "auth.deactivated");

    let boss = world.administrator("boss").await?;
    let leave = json!({"password": PASSWORD, "erase": true});
    assert_eq!(
        world.api.send_as(&boss, Method::DELETE, "/me", &leave).await?.code(),
        "user.last_administrator"
    );
    world.administrator("deputy").await?;
    world.api.send_as(&boss, Method::DELETE, "/me", &leave).await?.expect(StatusCode::NO_CONTENT)?;
    Ok(())
}

/// Resets a user's password, in the eyes of the database, while a request that has compared the old one waits for the row.
async fn reset_meanwhile<T>(world: &World, request: impl Future<Output = Result<T>>) -> Result<T> {
    let pool = sqlx::PgPool::connect(&world.database.server.admin_url(&world.database.name)).await?;
    let mut owner = pool.begin().await?;
    sqlx::query("select id from users for update").execute(&mut *owner).await?;
    let reset = async {
        wait::until("the request to wait for the row", BOUND, async || {
            let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
            let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&pool).await?;
            Ok((waiting == 1).then_some(()))
        })
        .await?;
        sqlx::query("update users set password_hash = '$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'")
            .execute(&mut *owner)
            .await?;
        owner.commit().await?;
        anyhow::Ok(())
    };
    let (answer, done) = tokio::join!(request, reset);
    done?;
    answer
}

#[tokio::test]
async fn a_password_or_address_that_is_changed_twice_with_one_key_is_changed_once() -> Result<()> {
    let world = World::new().await?;
    let ayu = world.user("ayu").await?;
    let body = json!({"current_password": PASSWORD, "new_password": "samudra biru luas 9"});
    let change = || world.api.post_once(&ayu, "/me/password", "key-1", &body);
    let answers = futures::future::try_join_all((0..6).map(|_| change())).await?;
    for answer in &answers {
        let is_done = answer.status == StatusCode::NO_CONTENT;
        assert!(is_done || answer.code() == "idempotency.in_flight", "{answer:?}");
    }
    let again = change().await?.expect(StatusCode::NO_CONTENT)?;
    assert_eq!((again.header("idempotency-replayed"), again.header("content-type")), ("true", ""));
    assert_eq!(again.body, Value::Null);
    let other = json!({"current_password": PASSWORD, "new_password": "another good one 55"});
    let other = world.api.post_once(&ayu, "/me/password", "key-1", &other).await?;
    assert_eq!(other.code(), "idempotency.key_reused");
    world.log_in("ayu@example.com", "samudra biru luas 9").await?;

    let body = json!({"email": "ayu@example.org", "password": "samudra biru luas 9"});
    for replayed in ["", "true"] {
        let answer = world.api.post_once(&ayu, "/me/email", "key-1", &body).await?;
        assert_eq!(answer.expect(StatusCode::ACCEPTED)?.header("idempotency-replayed"), replayed);
    }
    let (server, name) = (&world.database.server, &world.database.name);
    let mails = "select count(*) from emails where kind in ('PASSWORD_CHANGED', 'CHANGE_EMAIL')";
    assert_eq!(server.sql(name, mails)?.trim(), "2", "one of each");
    // What is kept of a body that holds a password is no plain hash of it.
    let kept = format!(
        "select count(*), count(*) filter (where fingerprint = sha256(convert_to('{body}', 'UTF8'))) from idempotency_keys"
    );
    assert_eq!(server.sql(name, &kept)?.trim(), "2|0");
    Ok(())
}

#[tokio::test]
async fn what_an_old_password_allowed_a_moment_ago_it_allows_no_more_once_it_was_reset() -> Result<()> {
    let world = World::new().await?;
    world.user("ayu").await?;
    let login = json!({"email": "ayu@example.com", "password": PASSWORD});
    let answer = reset_meanwhile(&world, world.api.post("/auth/login", &login)).await?;
    assert_eq!(answer.code(), "auth.invalid_credentials");
    let sessions = world.database.server.sql(&world.database.name, "select count(*) from sessions")?;
    assert_eq!(sessions.trim(), "1", "the login has left no session");

    let budi = World::new().await?;
    let user = budi.user("budi").await?;
    let body = json!({"current_password": PASSWORD, "new_password": "the intruders own 31"});
    let answer = reset_meanwhile(&budi, budi.api.send_as(&user, Method::POST, "/me/password", &body)).await?;
    assert_eq!(answer.code(), "auth.wrong_password");
    let login = json!({"email": "budi@example.com", "password": "the intruders own 31"});
    assert_eq!(budi.api.post("/auth/login", &login).await?.code(), "auth.invalid_credentials");
    Ok(())
}
