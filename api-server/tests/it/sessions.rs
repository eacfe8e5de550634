//! Sessions: refresh tokens that are good once, access tokens that nobody can forge, and ends that are felt everywhere.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::wait;
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Api, User, World};

/// How soon an end must be felt on every replica.
const FELT: Duration = Duration::from_secs(1);

async fn until_refused(api: &Api, user: &User) -> Result<()> {
    wait::until("the session's end to be felt", FELT, async || {
        let answer = api.get_as(user, "/me").await?;
        Ok((answer.code() == "auth.invalid_token").then_some(()))
    })
    .await
}

fn refresh_token(body: &Value) -> String {
    body["refresh_token"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn of_a_hundred_uses_of_one_refresh_token_there_is_one_successor() -> Result<()> {
    let world = World::new().await?;
    let (ayu, other) = (world.user("ayu").await?, world.replica().await?);
    let uses = (0..100)
        .map(|nth| if nth % 2 == 0 { world.api.refresh(&ayu.refresh) } else { other.refresh(&ayu.refresh) });
    let answers = futures::future::try_join_all(uses).await?;
    let successors: BTreeSet<String> = answers
        .iter()
        .filter(|answer| answer.status == StatusCode::OK)
        .map(|answer| refresh_token(&answer.body))
        .collect();
    assert_eq!(successors.len(), 1, "{successors:?}");
    let tokens = world.database.server.sql(&world.database.name, "select count(*) from refresh_tokens")?;
    assert_eq!(tokens.trim(), "2", "the first and its successor");
    Ok(())
}

#[tokio::test]
async fn a_lost_answer_is_given_again_for_ten_seconds_and_then_the_session_ends_everywhere() -> Result<()> {
    let world = World::new().await?;
    let (ayu, other) = (world.user("ayu").await?, world.replica().await?);
    let first = world.api.refresh(&ayu.refresh).await?.expect(StatusCode::OK)?.body;
    world.clock.advance(SignedDuration::from_secs(9));
    let again = other.refresh(&ayu.refresh).await?.expect(StatusCode::OK)?.body;
    assert_eq!(refresh_token(&first), refresh_token(&again));

    world.clock.advance(SignedDuration::from_secs(2));
    other.get_as(&ayu, "/me").await?.expect(StatusCode::OK)?;
    assert_eq!(world.api.refresh(&ayu.refresh).await?.code(), "auth.invalid_refresh_token");
    assert_eq!(
        world.api.refresh(&refresh_token(&again)).await?.code(),
        "auth.invalid_refresh_token",
        "the whole family"
    );
    for api in [&world.api, &other] {
        until_refused(api, &ayu).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_token_whose_successor_was_used_is_a_stolen_one_at_once() -> Result<()> {
    let world = World::new().await?;
    let ayu = world.user("ayu").await?;
    let first = world.api.refresh(&ayu.refresh).await?.expect(StatusCode::OK)?.body;
    world.api.refresh(&refresh_token(&first)).await?.expect(StatusCode::OK)?;
    assert_eq!(world.api.refresh(&ayu.refresh).await?.code(), "auth.invalid_refresh_token");
    until_refused(&world.api, &ayu).await
}

#[tokio::test]
async fn a_session_ends_unused_after_a_week_and_in_any_case_after_a_month() -> Result<()> {
    let world = World::new().await?;
    let (idle, busy) = (world.user("idle").await?, world.user("busy").await?);
    let mut token = busy.refresh.clone();
    for _ in 0..5 {
        world.clock.advance(SignedDuration::from_hours(5 * 24));
        token = refresh_token(&world.api.refresh(&token).await?.expect(StatusCode::OK)?.body);
    }
    assert_eq!(world.api.refresh(&idle.refresh).await?.code(), "auth.invalid_refresh_token");
    world.clock.advance(SignedDuration::from_hours(5 * 24 + 1));
    assert_eq!(world.api.refresh(&token).await?.code(), "auth.invalid_refresh_token");
    Ok(())
}

#[tokio::test]
async fn an_access_token_is_good_for_a_quarter_of_an_hour_and_can_be_of_nobody_else() -> Result<()> {
    let world = World::new().await?;
    let ayu = world.user("ayu").await?;
    let with = async |token: String| -> Result<String> {
        let forged = User { access: token, ..ayu.clone() };
        Ok(world.api.get_as(&forged, "/me").await?.expect(StatusCode::UNAUTHORIZED)?.code().to_owned())
    };
    let parts: Vec<&str> = ayu.access.split('.').collect();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0])?)?;
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1])?)?;
    claims["role"] = json!("ADMINISTRATOR");
    let forged = [
        format!("{}.{}.", encode(&json!({"alg": "none", "typ": "JWT"})), parts[1]),
        format!("{}.{}.", encode(&json!({"alg": "none", "kid": header["kid"]})), parts[1]),
        format!("{}.{}.{}", encode(&json!({"alg": "HS256", "kid": header["kid"]})), parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], encode(&claims), parts[2]),
        format!("{}.{}.{}", encode(&json!({"alg": "EdDSA", "kid": "another"})), parts[1], parts[2]),
        format!("{}.{}.{}", parts[0], parts[1], &parts[2][..parts[2].len() - 4]),
        "a.b.c".to_owned(),
        ayu.refresh.clone(),
        "x".repeat(6000),
    ];
    for token in forged {
        assert_eq!(with(token.clone()).await?, "auth.invalid_token", "{token}");
    }
    let none = world.api.send(world.api.request(Method::GET, "/me")).await?;
    assert_eq!((none.code(), none.header("www-authenticate")), ("auth.required", "Bearer"));

    world.clock.advance(SignedDuration::from_mins(15));
    world.api.get_as(&ayu, "/me").await?.expect(StatusCode::OK)?;
    world.clock.advance(SignedDuration::from_secs(31));
    assert_eq!(with(ayu.access.clone()).await?, "auth.invalid_token", "after the clocks' allowance");
    Ok(())
}

#[tokio::test]
async fn keys_rotate_and_nobody_is_logged_out() -> Result<()> {
    let world = World::new().await?;
    let mut ayu = world.user("ayu").await?;
    let keys = async |api: &Api| -> Result<usize> {
        let set =
            api.send(api.request(Method::GET, "/.well-known/jwks.json")).await?.expect(StatusCode::OK)?;
        assert!(set.body["keys"][0].get("d").is_none(), "the public half alone");
        Ok(set.body["keys"].as_array().map_or(0, Vec::len))
    };
    let kid = |user: &User| user.access.split('.').next().map(str::to_owned);
    assert_eq!(keys(&world.api).await?, 1);
    let first = kid(&ayu);
    let mut seen = BTreeSet::from([first.clone()]);
    let mut two = false;
    // Sixty days in steps of six; a replica that starts then reads and, where it is time, makes keys.
    for _ in 0..11 {
        world.clock.advance(SignedDuration::from_hours(6 * 24));
        let fresh = world.replica().await?;
        two |= keys(&fresh).await? == 2;
        ayu.refresh = refresh_token(&fresh.refresh(&ayu.refresh).await?.body);
        if ayu.refresh.is_empty() {
            ayu = world.log_in("ayu@example.com", crate::world::PASSWORD).await?;
        }
        let access = fresh.refresh(&ayu.refresh).await?.expect(StatusCode::OK)?.body;
        ayu.access = access["access_token"].as_str().unwrap_or_default().to_owned();
        ayu.refresh = refresh_token(&access);
        // What the new replica signed is good on the old one as well, which has to look for the key.
        world.api.get_as(&ayu, "/me").await?.expect(StatusCode::OK)?;
        seen.insert(kid(&ayu));
    }
    assert!(two, "the next key is shown beside the one that signs");
    assert_eq!(seen.len(), 2);
    Ok(())
}

#[tokio::test]
async fn one_sees_ones_sessions_and_ends_them_on_every_replica() -> Result<()> {
    let world = World::new().await?;
    let (here, other) = (world.user("ayu").await?, world.replica().await?);
    let there = world.log_in("ayu@example.com", crate::world::PASSWORD).await?;
    let stranger = world.user("budi").await?;
    other.get_as(&there, "/me").await?.expect(StatusCode::OK)?;
    let list = world.api.get_as(&here, "/me/sessions").await?.expect(StatusCode::OK)?.body;
    let sessions = list["items"].as_array().cloned().unwrap_or_default();
    let current: Vec<bool> = sessions.iter().filter_map(|one| one["current"].as_bool()).collect();
    assert_eq!(current.iter().filter(|one| **one).count(), 1);
    assert_eq!(sessions.len(), 2);

    let id = sessions
        .iter()
        .find(|one| one["current"] == json!(false))
        .map(|one| one["id"].as_str().unwrap_or_default().to_owned());
    let path = format!("/me/sessions/{}", id.unwrap_or_default());
    let foreign = world.api.send_as(&stranger, Method::DELETE, &path, &json!({})).await?;
    let missing = world
        .api
        .send_as(&stranger, Method::DELETE, "/me/sessions/0192a000-0000-7000-8000-000000000000", &json!({}))
        .await?;
    let nonsense = world.api.send_as(&stranger, Method::DELETE, "/me/sessions/nonsense", &json!({})).await?;
    assert_eq!([foreign.code(), missing.code(), nonsense.code()], ["not_found"; 3]);
    world.api.send_as(&here, Method::DELETE, &path, &json!({})).await?.expect(StatusCode::NO_CONTENT)?;
    assert_eq!(
        world.api.send_as(&here, Method::DELETE, &path, &json!({})).await?.code(),
        "not_found",
        "it has ended"
    );

    world
        .api
        .send_as(&here, Method::POST, "/auth/logout-all", &json!({}))
        .await?
        .expect(StatusCode::NO_CONTENT)?;
    for api in [&world.api, &other] {
        until_refused(api, &here).await?;
        until_refused(api, &there).await?;
    }
    assert_eq!(world.api.refresh(&here.refresh).await?.code(), "auth.invalid_refresh_token");
    world.api.get_as(&stranger, "/me").await?.expect(StatusCode::OK)?;
    Ok(())
}

#[tokio::test]
async fn logging_out_ends_the_session_and_no_harm_is_done_by_what_is_no_token() -> Result<()> {
    let world = World::new().await?;
    let ayu = world.user("ayu").await?;
    let logout = async |token: &str| world.api.post("/auth/logout", &json!({"refresh_token": token})).await;
    logout("nonsense").await?.expect(StatusCode::NO_CONTENT)?;
    logout(&ayu.refresh).await?.expect(StatusCode::NO_CONTENT)?;
    logout(&ayu.refresh).await?.expect(StatusCode::NO_CONTENT)?;
    until_refused(&world.api, &ayu).await
}
