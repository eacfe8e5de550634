//! Registering, proving an address, logging in: what is answered, and what is not told.

use std::collections::BTreeSet;

use anyhow::Result;
use api_server::serve::Settings;
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{BOUND, PASSWORD, World};

#[tokio::test]
async fn one_registers_proves_the_address_logs_in_and_sees_oneself() -> Result<()> {
    let world = World::new().await?;
    let body =
        json!({"email": " Ayu@Example.com", "password": PASSWORD, "name": "Ayu Lestari", "language": "EN"});
    let answer = world.api.post("/auth/register", &body).await?.expect(StatusCode::ACCEPTED)?;
    assert_eq!(answer.body, Value::Null);

    let login = json!({"email": "ayu@example.com", "password": PASSWORD});
    assert_eq!(world.api.post("/auth/login", &login).await?.code(), "auth.email_not_verified");

    let mail = world.mail.nth_to("ayu@example.com", 1, BOUND).await?;
    assert_eq!(
        (mail.subject.as_str(), mail.from.as_str()),
        ("Confirm your e-mail address", "no-reply@example.com")
    );
    assert!(mail.text.contains("https://app.example.com/verify-email?token="), "{}", mail.text);
    let token = json!({"token": world.token_to("ayu@example.com", 1).await?});
    let verified = world.api.post("/auth/email/verify", &token).await?.expect(StatusCode::OK)?;
    assert_eq!(verified.body, json!({"email": "ayu@example.com", "password_token": null}));
    assert_eq!(
        world.api.post("/auth/email/verify", &token).await?.code(),
        "auth.invalid_one_time_token",
        "it is good once"
    );
    assert_eq!(world.mail.nth_to("ayu@example.com", 2, BOUND).await?.subject, "Your account is ready");

    let ayu = world.log_in("AYU@example.COM", PASSWORD).await?;
    let me = world.api.get_as(&ayu, "/me").await?.expect(StatusCode::OK)?;
    assert_eq!(me.header("etag"), "\"2\"");
    assert_eq!(me.header("cache-control"), "no-store");
    assert_eq!(
        (
            &me.body["email"],
            &me.body["name"],
            &me.body["role"],
            &me.body["status"],
            &me.body["email_verified"]
        ),
        (&json!("ayu@example.com"), &json!("Ayu Lestari"), &json!("USER"), &json!("ACTIVE"), &json!(true)),
    );
    Ok(())
}

#[tokio::test]
async fn nothing_that_is_answered_tells_whether_an_address_is_known() -> Result<()> {
    let world = World::new().await?;
    world.user("known").await?;
    for (path, with_password) in
        [("/auth/register", true), ("/auth/password/forgot", false), ("/auth/email/resend", false)]
    {
        let mut answers = BTreeSet::new();
        for name in ["known", "unknown"] {
            let mut body = json!({"email": format!("{name}@example.com")});
            if with_password {
                body["password"] = json!("another good one 55");
                body["name"] = json!("Somebody");
            }
            let answer = world.api.post(path, &body).await?;
            answers.insert((answer.status.as_u16(), answer.body.to_string()));
        }
        assert_eq!(answers.len(), 1, "{path}: {answers:?}");
    }
    let wrong = async |email: &str| -> Result<Value> {
        let answer =
            world.api.post("/auth/login", &json!({"email": email, "password": "wrong wrong"})).await?;
        let mut body = answer.expect(StatusCode::UNAUTHORIZED)?.body;
        body["request_id"] = Value::Null;
        Ok(body)
    };
    let known = wrong("known@example.com").await?;
    assert_eq!(known["code"], "auth.invalid_credentials");
    assert_eq!(known, wrong("unknown2@example.com").await?);
    assert_eq!(known, wrong("no address").await?);

    world.mail.nth_to("known@example.com", 4, BOUND).await?;
    let mails: Vec<String> =
        world.mail.mails_to("known@example.com").into_iter().map(|mail| mail.subject).collect();
    assert!(mails.contains(&"You already have an account".to_owned()), "{mails:?}");
    world.log_in("known@example.com", PASSWORD).await?;
    Ok(())
}

#[tokio::test]
async fn the_same_is_written_for_an_address_that_is_known_and_one_that_is_not() -> Result<()> {
    let world = World::new().await?;
    world.user("verified").await?;
    let register = async |name: &str| {
        let email = format!("{name}@example.com");
        let body = json!({"email": email, "password": "another good one 55", "name": "Somebody"});
        world.api.post("/auth/register", &body).await?.expect(StatusCode::ACCEPTED)
    };
    register("waiting").await?;
    let (server, name) = (&world.database.server, &world.database.name);
    // Every statement that writes, with its transaction, also where it finds nothing to write.
    server.sql(
        name,
        "create table written (nth serial, at xid8 default pg_current_xact_id(), what text);
         create function note() returns trigger language plpgsql security definer set search_path = public as
           $$ begin insert into written (what) values (tg_op || ' ' || tg_table_name); return null; end $$;
         create trigger note after insert or update or delete on users for each statement execute function note();
         create trigger note after insert or update or delete on emails for each statement execute function note();
         create trigger note after insert or update or delete on one_time_tokens for each statement execute function note();",
    )?;
    for name in ["verified", "waiting", "unknown"] {
        register(name).await?;
    }
    let written = server.sql(
        name,
        "select string_agg(what, ', ' order by nth) from written group by at having bool_or(what = 'INSERT users') order by at",
    )?;
    let lines: Vec<&str> = written.lines().collect();
    let wanted = "INSERT users, UPDATE users, UPDATE one_time_tokens, INSERT emails, INSERT one_time_tokens";
    assert_eq!(lines, [wanted; 3]);
    Ok(())
}

#[tokio::test]
async fn whoever_proves_an_address_that_two_registered_with_finds_no_foreign_password_on_it() -> Result<()> {
    let world = World::new().await?;
    let register = async |password: &str| {
        let body = json!({"email": "ayu@example.com", "password": password, "name": "Ayu", "language": "EN"});
        world.api.post("/auth/register", &body).await?.expect(StatusCode::ACCEPTED)
    };
    register("the intruders own 31").await?;
    let first = world.token_to("ayu@example.com", 1).await?;
    register(PASSWORD).await?;
    let second = world.token_to("ayu@example.com", 2).await?;

    let stale = world.api.post("/auth/email/verify", &json!({"token": first})).await?;
    assert_eq!(stale.code(), "auth.invalid_one_time_token");
    let verified =
        world.api.post("/auth/email/verify", &json!({"token": second})).await?.expect(StatusCode::OK)?;
    for password in ["the intruders own 31", PASSWORD] {
        let answer =
            world.api.post("/auth/login", &json!({"email": "ayu@example.com", "password": password})).await?;
        assert_eq!(answer.code(), "auth.invalid_credentials");
    }
    let reset = json!({"token": verified.body["password_token"], "password": PASSWORD});
    world.api.post("/auth/password/reset", &reset).await?.expect(StatusCode::NO_CONTENT)?;
    world.log_in("ayu@example.com", PASSWORD).await?;
    Ok(())
}

#[tokio::test]
async fn registering_again_with_the_same_password_only_sends_the_mail_again() -> Result<()> {
    let world = World::new().await?;
    let body = json!({"email": "ayu@example.com", "password": PASSWORD, "name": "Ayu", "language": "EN"});
    // Each is awaited: a mail that has not gone out when the next is written is not sent any more.
    let mut token = String::new();
    for nth in 1..=2 {
        world.api.post("/auth/register", &body).await?.expect(StatusCode::ACCEPTED)?;
        token = world.token_to("ayu@example.com", nth).await?;
    }
    let verified =
        world.api.post("/auth/email/verify", &json!({"token": token})).await?.expect(StatusCode::OK)?;
    assert_eq!(verified.body["password_token"], Value::Null);
    world.log_in("ayu@example.com", PASSWORD).await?;
    Ok(())
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_registration_is_said_at_once() -> Result<()> {
    let world = World::new().await?;
    let body = json!({"email": "nobody", "password": "short", "name": " "});
    let answer = world.api.post("/auth/register", &body).await?.expect(StatusCode::UNPROCESSABLE_ENTITY)?;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let fields: Vec<&str> = answer.body["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["field"].as_str())
        .collect();
    assert_eq!(fields, ["password", "email", "name"]);
    for (body, status) in [
        (json!({"email": "a@example.com", "password": PASSWORD, "name": "A", "role": "ADMINISTRATOR"}), 400),
        (json!({"email": "a@example.com", "password": PASSWORD}), 400),
        (json!({"email": 7, "password": PASSWORD, "name": "A"}), 400),
        (json!([]), 400),
        (json!({"email": "a@example.com", "password": "password123", "name": "A"}), 422),
        (json!({"email": "a@example.com", "password": "x".repeat(201), "name": "A"}), 422),
        (json!({"email": "a@example.com", "password": PASSWORD, "name": "A", "language": "XX"}), 400),
    ] {
        let answer = world.api.post("/auth/register", &body).await?;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.body);
    }
    let huge = world
        .api
        .request(Method::POST, "/auth/register")
        .header("content-type", "application/json")
        .body("x".repeat(10 << 20));
    assert_eq!(world.api.send(huge).await?.code(), "request.too_large");
    let form =
        world.api.request(Method::POST, "/auth/register").header("content-type", "text/plain").body("{}");
    assert_eq!(world.api.send(form).await?.code(), "request.media_type");
    Ok(())
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_by_mail_once_and_in_time() -> Result<()> {
    let world = World::new().await?;
    let ayu = world.user("ayu").await?;
    let forget = async || world.api.post("/auth/password/forgot", &json!({"email": "ayu@example.com"})).await;
    let reset = async |token: &str, password: &str| {
        world.api.post("/auth/password/reset", &json!({"token": token, "password": password})).await
    };
    forget().await?.expect(StatusCode::ACCEPTED)?;
    let token = world.token_to("ayu@example.com", 3).await?;
    world.clock.advance(SignedDuration::from_mins(61));
    assert_eq!(
        reset(&token, "samudra biru luas 9").await?.code(),
        "auth.invalid_one_time_token",
        "it is over"
    );

    forget().await?.expect(StatusCode::ACCEPTED)?;
    let token = world.token_to("ayu@example.com", 4).await?;
    assert_eq!(
        reset(&token, "password123").await?.code(),
        "request.invalid",
        "the token is not spent by that"
    );
    reset(&token, "samudra biru luas 9").await?.expect(StatusCode::NO_CONTENT)?;
    assert_eq!(reset(&token, "samudra biru luas 10").await?.code(), "auth.invalid_one_time_token");
    assert_eq!(world.mail.nth_to("ayu@example.com", 5, BOUND).await?.subject, "Your password was changed");
    assert_eq!(
        world.api.refresh(&ayu.refresh).await?.code(),
        "auth.invalid_refresh_token",
        "others are logged out"
    );
    let old =
        world.api.post("/auth/login", &json!({"email": "ayu@example.com", "password": PASSWORD})).await?;
    assert_eq!(old.code(), "auth.invalid_credentials");
    world.log_in("ayu@example.com", "samudra biru luas 9").await?;
    Ok(())
}

#[tokio::test]
async fn guessing_gets_slower_where_it_comes_from_and_locks_nobody_else_out() -> Result<()> {
    let world = World::new().await?;
    world.user("ayu").await?;
    let log_in = async |from: &str, password: &str| {
        let request = world.api.request(Method::POST, "/auth/login").header("x-forwarded-for", from);
        world.api.send(request.json(&json!({"email": "ayu@example.com", "password": password}))).await
    };
    log_in("198.51.100.1", PASSWORD).await?.expect(StatusCode::OK)?;
    for _ in 0..5 {
        assert_eq!(log_in("203.0.113.9", "wrong wrong").await?.code(), "auth.invalid_credentials");
    }
    let waits = log_in("203.0.113.9", "wrong wrong").await?;
    assert_eq!((waits.code(), waits.header("retry-after")), ("request.rate_limited", "1"));
    world.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(log_in("203.0.113.9", "wrong wrong").await?.code(), "auth.invalid_credentials");
    assert_eq!(
        log_in("203.0.113.9", PASSWORD).await?.header("retry-after"),
        "2",
        "the right one waits as well"
    );

    // From everywhere at once: the account is closed to strangers for a while, not to its owner's network.
    for last in 0..60 {
        log_in(&format!("192.0.2.{last}"), "wrong wrong").await?;
    }
    assert_eq!(log_in("192.0.2.200", PASSWORD).await?.code(), "request.rate_limited");
    log_in("198.51.100.1", PASSWORD).await?.expect(StatusCode::OK)?;
    Ok(())
}

#[tokio::test]
async fn many_guesses_at_the_same_moment_are_counted_like_many_one_after_the_other() -> Result<()> {
    let world = World::new().await?;
    world.user("ayu").await?;
    let body = json!({"email": "ayu@example.com", "password": "wrong wrong"});
    let tries = (0..40).map(|_| world.api.post("/auth/login", &body));
    let answers = futures::future::try_join_all(tries).await?;
    let looked_at = answers.iter().filter(|answer| answer.code() == "auth.invalid_credentials").count();
    assert!(looked_at <= 6, "{looked_at} guesses were looked at");
    Ok(())
}

#[tokio::test]
async fn a_limit_holds_across_replicas_and_says_when_to_come_again() -> Result<()> {
    let world = World::with(|settings| settings.http.rate_per_address = 6).await?;
    let settings_alike = World { ..world };
    let mut refused = 0;
    for _ in 0..10 {
        let answer = settings_alike.api.refresh("nkr_nothing").await?;
        if answer.code() == "request.rate_limited" {
            assert!(answer.header("retry-after").parse::<u32>()? >= 1);
            assert_eq!((answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")), ("6", "0"));
            refused += 1;
        }
    }
    assert_eq!(refused, 4);
    settings_alike.clock.advance(SignedDuration::from_mins(1));
    assert_eq!(settings_alike.api.refresh("nkr_nothing").await?.code(), "auth.invalid_refresh_token");
    Ok(())
}

#[tokio::test]
async fn replicas_let_no_more_through_together_than_the_limit() -> Result<()> {
    let world = World::with(|settings| settings.http.rate_per_address = 80).await?;
    let other = world.replica_with(|settings| settings.http.rate_per_address = 80).await?;
    let begun = world.clock.now();
    let requests = (0..300).map(|nth| if nth % 2 == 0 { &world.api } else { &other });
    let answers = futures::future::try_join_all(requests.map(|api| api.refresh("nkr_nothing"))).await?;
    let refused = answers.iter().filter(|answer| answer.code() == "request.rate_limited").count();
    let through = answers.len() - refused;
    // What comes back while it is counted: 4 in 3 seconds. Of what a replica took, some may be left over in the end.
    let back = usize::try_from(world.clock.now().duration_since(begun).as_secs())? * 4 / 3 + 2;
    assert!((20..=80 + back).contains(&through), "{through} of 80, and {back} that came back meanwhile");
    assert!(answers.iter().all(|answer| answer.header("ratelimit-limit") == "80"));
    Ok(())
}

#[tokio::test]
async fn whoever_has_nothing_left_is_turned_away_without_the_database() -> Result<()> {
    let world = World::with(|settings| settings.http.rate_per_address = 1).await?;
    assert_eq!(world.api.refresh("nkr_nothing").await?.code(), "auth.invalid_refresh_token");
    let pool = sqlx::PgPool::connect(&world.database.server.admin_url(&world.database.name)).await?;
    let mut owner = pool.begin().await?;
    sqlx::query("lock table rate_limits in access exclusive mode").execute(&mut *owner).await?;
    for _ in 0..3 {
        let answer = world.api.refresh("nkr_nothing").await?;
        assert_eq!((answer.code(), answer.header("ratelimit-remaining")), ("request.rate_limited", "0"));
        assert!((1..=60).contains(&answer.header("retry-after").parse::<u32>()?));
    }
    owner.rollback().await?;
    world.clock.advance(SignedDuration::from_mins(1));
    assert_eq!(world.api.refresh("nkr_nothing").await?.code(), "auth.invalid_refresh_token");
    Ok(())
}

#[tokio::test]
async fn whoever_is_turned_away_because_too_many_log_in_has_not_guessed_wrong() -> Result<()> {
    let slow = |settings: &mut Settings| {
        settings.passwords.argon2_memory_kib = 8 * 1024;
        settings.passwords.argon2_at_once = 1;
    };
    let world = World::with(slow).await?;
    world.user("ayu").await?;
    let body = json!({"email": "ayu@example.com", "password": PASSWORD});
    let from = |nth: usize| {
        let request = world.api.request(Method::POST, "/auth/login").json(&body);
        world.api.send(request.header("x-forwarded-for", format!("10.0.{nth}.1")))
    };
    let answers = futures::future::try_join_all((0..90).map(from)).await?;
    let turned_away = answers.iter().filter(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).count();
    println!("{turned_away} of 90 were turned away; the queue has room for 26");
    from(99).await?.expect(StatusCode::OK)?;
    Ok(())
}
