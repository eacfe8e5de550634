//! What administrators do to users: everything found, everything written down, nothing done twice, and somebody left to do it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::world::{Answer, BOUND, PASSWORD, User, World};

fn names(answer: &Answer) -> Vec<String> {
    let items = answer.body["items"].as_array().cloned().unwrap_or_default();
    items.iter().filter_map(|one| one["name"].as_str().map(str::to_owned)).collect()
}

/// A world with users of these names, made directly.
async fn world_with(users: &[&str]) -> Result<(World, User)> {
    let world = World::new().await?;
    let boss = world.administrator("boss").await?;
    for (nth, name) in users.iter().enumerate() {
        let sql = format!(
            "insert into users (id, email, name, language, role, created_at, updated_at)
             values (gen_random_uuid(), '{name}@example.org', '{name}', 'en', 'USER', timestamptz '2026-01-01' + interval '1 day' * {nth}, now())"
        );
        world.database.server.sql(&world.database.name, &sql)?;
    }
    Ok((world, boss))
}

#[tokio::test]
async fn users_are_searched_filtered_sorted_and_paged() -> Result<()> {
    let (world, boss) = world_with(&["ana", "budi", "citra", "dewi", "eka_1", "fajar"]).await?;
    let list = async |query: &str| {
        world.api.get_as(&boss, &format!("/admin/users?{query}")).await?.expect(StatusCode::OK)
    };
    assert_eq!(names(&list("sort=name").await?), ["ana", "boss", "budi", "citra", "dewi", "eka_1", "fajar"]);
    assert_eq!(names(&list("").await?)[..2], ["boss", "fajar"], "newest first");
    assert_eq!(names(&list("search=_1").await?), ["eka_1"], "an underscore is no wildcard");
    assert_eq!(names(&list("search=DEWI@").await?), ["dewi"]);
    assert_eq!(names(&list("role=ADMINISTRATOR").await?), ["boss"]);
    assert_eq!(names(&list("created_before=2026-01-03T00:00:00Z&sort=name").await?), ["ana", "budi"]);
    assert_eq!(names(&list("email_verified=true").await?), ["boss"]);

    for sort in ["name", "-email", "created_at"] {
        let (mut next, mut seen, mut pages) =
            (Some(format!("/api/v1/admin/users?sort={sort}&page[size]=3")), Vec::new(), 0);
        let mut final_page = None;
        while let Some(path) = next {
            let page = world.api.get_as(&boss, &path).await?.expect(StatusCode::OK)?;
            assert_eq!(page.body["total"], 7);
            seen.extend(names(&page));
            next = page.body["next"].as_str().map(str::to_owned);
            (final_page, pages) = (Some(page), pages + 1);
        }
        assert_eq!(
            (pages, seen.len(), seen.iter().collect::<BTreeSet<_>>().len()),
            (3, 7, 7),
            "{sort}: {seen:?}"
        );
        let back = final_page.context("there is a last page")?.body["prev"].as_str().map(str::to_owned);
        let before = world
            .api
            .get_as(&boss, &back.context("there is a page before")?)
            .await?
            .expect(StatusCode::OK)?;
        assert_eq!(names(&before), seen[3..6], "{sort}");
    }
    for wrong in [
        "color=red",
        "sort=size",
        "page[size]=1000",
        "page[after]=x",
        "role=GOD",
        "created_from=yesterday",
        "role=USER&role=USER",
    ] {
        let answer = world.api.get_as(&boss, &format!("/admin/users?{wrong}")).await?;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "request.malformed"), "{wrong}");
    }
    let stats = world.api.get_as(&boss, "/admin/users/stats").await?.expect(StatusCode::OK)?.body;
    assert_eq!(
        (&stats["total"], &stats["verified"], &stats["administrators"]),
        (&json!(7), &json!(1), &json!(1))
    );
    Ok(())
}

#[tokio::test]
async fn a_user_who_was_made_sets_a_password_by_mail_and_a_repeat_makes_no_second() -> Result<()> {
    let world = World::new().await?;
    let boss = world.administrator("boss").await?;
    let create = async |key: &str, body: &Value| world.api.post_once(&boss, "/admin/users", key, body).await;
    let body = json!({"email": "new@example.com", "name": "New", "language": "EN"});
    let tries = futures::future::try_join_all((0..20).map(|_| create("key-1", &body))).await?;
    let made: BTreeSet<String> = tries
        .iter()
        .filter(|answer| answer.status == StatusCode::CREATED)
        .map(|answer| answer.body["id"].to_string())
        .collect();
    assert_eq!(made.len(), 1);
    assert!(
        tries
            .iter()
            .all(|answer| answer.status == StatusCode::CREATED || answer.code() == "idempotency.in_flight")
    );
    let again = create("key-1", &body).await?.expect(StatusCode::CREATED)?;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert!(again.header("location").starts_with("/api/v1/admin/users/"));
    let other = json!({"email": "other@example.com", "name": "Other"});
    assert_eq!(create("key-1", &other).await?.code(), "idempotency.key_reused");
    assert_eq!(create("key-2", &body).await?.code(), "user.email_taken");

    let token = world.token_to("new@example.com", 1).await?;
    let reset = json!({"token": token, "password": PASSWORD});
    world.api.post("/auth/password/reset", &reset).await?.expect(StatusCode::NO_CONTENT)?;
    world.log_in("new@example.com", PASSWORD).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_changed_counts_at_once_and_stands_in_the_log_with_its_reason() -> Result<()> {
    let world = World::new().await?;
    let (boss, ayu) = (world.administrator("boss").await?, world.user("ayu").await?);
    let path = format!("/admin/users/{}", ayu.id);
    let verb = async |verb: &str, body: Value| {
        let method = if verb == "role" { Method::PUT } else { Method::POST };
        world.api.send_as(&boss, method, &format!("{path}/{verb}"), &body).await
    };
    assert_eq!(world.api.get_as(&ayu, "/admin/users").await?.code(), "auth.forbidden");
    verb("role", json!({"role": "ADMINISTRATOR", "reason": "Joins the team"}))
        .await?
        .expect(StatusCode::OK)?;
    world.api.get_as(&ayu, "/admin/users").await?.expect(StatusCode::OK)?;
    verb("role", json!({"role": "USER"})).await?.expect(StatusCode::OK)?;
    assert_eq!(world.api.get_as(&ayu, "/admin/users").await?.code(), "auth.forbidden");
    verb("deactivate", json!({"reason": "Asked for it"})).await?.expect(StatusCode::OK)?;
    assert_eq!(world.api.get_as(&ayu, "/me").await?.code(), "auth.invalid_token");
    verb("deactivate", json!({})).await?.expect(StatusCode::OK)?;
    verb("activate", json!({})).await?.expect(StatusCode::OK)?;
    assert_eq!(verb("activate", json!({"reason": "x".repeat(501)})).await?.code(), "request.invalid");

    let change = async |tag: Option<&str>, body: Value| {
        let mut request = world.api.request(Method::PATCH, &path).bearer_auth(&boss.access);
        if let Some(tag) = tag {
            request = request.header("if-match", tag);
        }
        world.api.send(request.json(&body)).await
    };
    let seen = world.api.get_as(&boss, &path).await?.header("etag").to_owned();
    assert_eq!(change(None, json!({"name": "A"})).await?.code(), "request.precondition_required");
    change(Some(&seen), json!({"email": "moved@example.com"})).await?.expect(StatusCode::OK)?;
    assert_eq!(change(Some(&seen), json!({"name": "A"})).await?.code(), "request.precondition_failed");
    assert_eq!(change(Some("*"), json!({"email": "boss@example.com"})).await?.code(), "user.email_taken");
    world.log_in("moved@example.com", PASSWORD).await?;

    let log = world
        .api
        .get_as(&boss, &format!("/admin/audit?entity_id={}&sort=at", ayu.id))
        .await?
        .expect(StatusCode::OK)?;
    let lines = log.body["items"].as_array().cloned().unwrap_or_default();
    let actions: Vec<&str> = lines.iter().filter_map(|line| line["action"].as_str()).collect();
    assert_eq!(
        actions,
        ["user.set_role", "user.set_role", "user.deactivate", "user.activate", "user.update"],
        "what changed nothing is no line"
    );
    assert_eq!(
        (&lines[0]["reason"], &lines[0]["before"]["role"], &lines[0]["after"]["role"]),
        (&json!("Joins the team"), &json!("USER"), &json!("ADMINISTRATOR"))
    );
    assert_eq!(lines[0]["actor_id"].as_str(), Some(boss.id.as_str()));
    let page = world.api.get_as(&boss, "/admin/audit?page[size]=2").await?.expect(StatusCode::OK)?.body;
    let next = page["next"].as_str().context("there is more")?.to_owned();
    let more = world.api.get_as(&boss, &next).await?.expect(StatusCode::OK)?.body;
    assert_ne!(page["items"][1]["id"], more["items"][0]["id"]);
    Ok(())
}

#[tokio::test]
async fn many_are_changed_at_once_each_by_itself() -> Result<()> {
    let world = World::new().await?;
    let (boss, ayu) = (world.administrator("boss").await?, world.user("ayu").await?);
    let bulk = async |body: Value| world.api.send_as(&boss, Method::POST, "/admin/users/bulk", &body).await;
    let nobody = "0192a000-0000-7000-8000-000000000000";
    let answer = bulk(json!({"action": "DEACTIVATE", "ids": [ayu.id, nobody, boss.id]}))
        .await?
        .expect(StatusCode::OK)?;
    let results = answer.body["results"].as_array().cloned().unwrap_or_default();
    let codes: Vec<&Value> = results.iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, [&Value::Null, &json!("not_found"), &json!("user.last_administrator")]);
    for wrong in [
        json!({"action": "DEACTIVATE", "ids": []}),
        json!({"action": "DEACTIVATE", "ids": [ayu.id, ayu.id]}),
        json!({"action": "ROLE", "ids": [ayu.id]}),
        json!({"action": "DELETE", "ids": [ayu.id], "role": "USER"}),
    ] {
        assert_eq!(bulk(wrong.clone()).await?.code(), "request.invalid", "{wrong}");
    }
    world.mail.nth_to("ayu@example.com", 3, BOUND).await?;
    bulk(json!({"action": "DELETE", "ids": [ayu.id]})).await?.expect(StatusCode::OK)?;
    let gone = world.api.get_as(&boss, &format!("/admin/users/{}", ayu.id)).await?.expect(StatusCode::OK)?;
    assert_eq!((&gone.body["status"], &gone.body["name"]), (&json!("DELETED"), &json!("Deleted user")));
    let again = world
        .api
        .send_as(&boss, Method::POST, &format!("/admin/users/{}/activate", ayu.id), &json!({}))
        .await?;
    assert_eq!(again.code(), "user.deleted");
    world.mail.nth_to("ayu@example.com", 4, BOUND).await?;
    let log =
        world.api.get_as(&boss, &format!("/admin/audit?entity_id={}&action=user.delete", ayu.id)).await?;
    assert!(!log.body.to_string().contains("ayu@example.com"), "nothing personal lives on in the log");
    Ok(())
}

#[tokio::test]
async fn what_was_done_to_users_once_is_answered_again_and_not_done_again() -> Result<()> {
    let world = World::new().await?;
    let (boss, ayu) = (world.administrator("boss").await?, world.user("ayu").await?);
    let (path, body) = (format!("/admin/users/{}", ayu.id), json!({"reason": "Asked for it"}));
    let twice = async |path: &str, body: &Value| -> Result<(Answer, Answer)> {
        let first = world.api.post_once(&boss, path, "key-1", body).await?.expect(StatusCode::OK)?;
        Ok((first, world.api.post_once(&boss, path, "key-1", body).await?.expect(StatusCode::OK)?))
    };
    let version = async || -> Result<String> {
        Ok(world.api.get_as(&boss, &path).await?.expect(StatusCode::OK)?.header("etag").to_owned())
    };
    let all = json!({"action": "ACTIVATE", "ids": [ayu.id]});
    let none = json!({"action": "DEACTIVATE", "ids": [ayu.id]});
    // The same key on each: it counts for one route.
    for (path, body) in [
        (format!("{path}/deactivate"), &body),
        (format!("{path}/activate"), &body),
        (format!("{path}/deactivate"), &body),
        ("/admin/users/bulk".to_owned(), &none),
    ] {
        let before = version().await?;
        let (first, second) = twice(&path, body).await?;
        let is_new = first.header("idempotency-replayed").is_empty();
        assert_eq!(is_new, version().await? != before, "{path}: {first:?}");
        assert_eq!((second.header("idempotency-replayed"), &second.body), ("true", &first.body), "{path}");
        assert_eq!(second.header("etag"), first.header("etag"), "{path}");
    }
    let other = world.api.post_once(&boss, "/admin/users/bulk", "key-1", &all).await?;
    assert_eq!(other.code(), "idempotency.key_reused");
    Ok(())
}

#[tokio::test]
async fn two_who_change_the_same_many_users_do_not_wait_for_each_other_for_ever() -> Result<()> {
    let names: Vec<String> = (0..40).map(|nth| format!("user{nth}")).collect();
    let (world, boss) = world_with(&names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let found =
        world.database.server.sql(&world.database.name, "select id from users where email like 'user%'")?;
    let forth: Vec<&str> = found.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let back: Vec<&str> = forth.iter().rev().copied().collect();
    let bulk = |ids: &[&str]| json!({"action": "DEACTIVATE", "ids": ids});
    let (forth, back) = (bulk(&forth), bulk(&back));
    let both = (0..8).map(|nth| {
        world.api.send_as(&boss, Method::POST, "/admin/users/bulk", if nth % 2 == 0 { &forth } else { &back })
    });
    for answer in futures::future::try_join_all(both).await? {
        let results = answer.expect(StatusCode::OK)?.body["results"].as_array().cloned().unwrap_or_default();
        assert_eq!(results.len(), 40);
        assert!(results.iter().all(|one| one["done"] == json!(true)), "{results:?}");
    }
    Ok(())
}

#[tokio::test]
async fn two_administrators_cannot_remove_each_other_at_the_same_moment() -> Result<()> {
    let world = World::new().await?;
    let (one, other) = (world.administrator("one").await?, world.administrator("other").await?);
    for _ in 0..5 {
        let remove = |by: &User, whom: &User| {
            let (by, path) = (by.clone(), format!("/admin/users/{}/role", whom.id));
            let api = &world.api;
            async move { api.send_as(&by, Method::PUT, &path, &json!({"role": "USER"})).await }
        };
        let (first, second) = tokio::join!(remove(&one, &other), remove(&other, &one));
        let done = [first?, second?].iter().filter(|answer| answer.status == StatusCode::OK).count();
        assert!(done <= 1, "nobody would be left");
        world.database.server.sql(&world.database.name, "update users set role = 'ADMINISTRATOR'")?;
    }
    Ok(())
}

#[tokio::test]
async fn nobody_becomes_an_administrator_by_registering_first_with_an_address() -> Result<()> {
    let world = World::new().await?;
    let boss = world.administrator("boss").await?;
    let body = json!({"email": "chief@example.com", "password": "the intruders own 31", "name": "Chief", "language": "EN"});
    world.api.post("/auth/register", &body).await?.expect(StatusCode::ACCEPTED)?;
    world.mail.nth_to("chief@example.com", 1, BOUND).await?;
    let list = world.api.get_as(&boss, "/admin/users?search=chief").await?.expect(StatusCode::OK)?.body;
    let path = format!("/admin/users/{}/role", list["items"][0]["id"].as_str().unwrap_or_default());
    let answer = world.api.send_as(&boss, Method::PUT, &path, &json!({"role": "ADMINISTRATOR"})).await?;
    assert_eq!(answer.code(), "user.email_not_verified");

    // The command line vouches for the address, and takes the stranger's password off it.
    let made = tokio::process::Command::new(env!("CARGO_BIN_EXE_api-server"))
        .args(["admin", "create", "--email", "Chief@Example.com", "--name", "Chief"])
        .env("DATABASE_URL", world.database.url())
        .env("NAKHODA_SECRET_KEY", crate::world::SECRET)
        .output()
        .await?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(String::from_utf8_lossy(&made.stdout).contains("chief@example.com is an administrator"));
    let login = json!({"email": "chief@example.com", "password": "the intruders own 31"});
    assert_eq!(world.api.post("/auth/login", &login).await?.code(), "auth.invalid_credentials");
    let reset = json!({"token": world.token_to("chief@example.com", 2).await?, "password": PASSWORD});
    world.api.post("/auth/password/reset", &reset).await?.expect(StatusCode::NO_CONTENT)?;
    let chief = world.log_in("chief@example.com", PASSWORD).await?;
    world.api.get_as(&chief, "/admin/users").await?.expect(StatusCode::OK)?;
    Ok(())
}
