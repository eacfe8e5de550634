//! One's apps as they run, over HTTP.

use anyhow::{Context as _, Result, ensure};
use crds::{labels, managers, names};
use e2e::wait::until;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::platform::{PATH, Platform};
use crate::world::BOUND;

#[tokio::test]
async fn what_was_bought_is_listed_and_shown_with_the_pods_that_are_there_at_the_moment() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let none = platform.api.get_as(&ayu, "/instances").await?.expect(StatusCode::OK)?;
    assert_eq!((&none.body["items"], &none.body["total"]), (&json!([]), &json!(0)));
    let bought = platform.buys(&ayu).await?;
    let new = platform.shows(&ayu, &bought, |now| !now["generation"].is_null()).await?;
    assert_eq!(
        json!([new["phase"], new["why"]["reason"], new["why"]["acts"], new["settled"]]),
        json!(["PENDING", "Ordered", "NOBODY", false])
    );
    let early = platform.verb(&ayu, &bought, "stop", &json!({})).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!(early.code(), "instance.not_ready");
    for early in [json!({"keep_for": "7d"}), json!({"parameters": {"title": "Hello"}})] {
        let refused = platform.api.send_as(&ayu, Method::PATCH, &bought.path(), &early).await?;
        assert_eq!(refused.expect(StatusCode::CONFLICT)?.code(), "instance.not_ready", "{early}");
    }
    platform.becomes_active(&ayu, &bought).await?;
    platform.says(&bought, "Running", "Running").await?;
    let runs = platform.shows(&ayu, &bought, |now| now["settled"] == true).await?;
    assert_eq!(
        json!([runs["name"], runs["service"], runs["plan"], runs["why"], runs["reasons"]]),
        json!(["My publication", "ghost", "free", null, []])
    );
    assert_eq!(
        json!([runs["urls"]["public"], runs["power_state"], runs["stale"]]),
        json!(["https://a.example.com", "RUNNING", false])
    );
    assert_eq!(
        json!([runs["components"], runs["holds"], runs["pods"]]),
        json!([[{"name": "app", "desired": 1, "ready": 1}], [], []])
    );
    assert_eq!(
        json!([
            runs["domains"][0]["records"][0]["type"],
            runs["resources"]["memory_bytes"],
            runs["keep_for"]
        ]),
        json!(["TXT", 1 << 30, "14d"])
    );
    assert_eq!(runs["subscription_id"], runs["id"]);
    // A roll-out makes a pod of another name, which the next read shows.
    platform.pod(&bought, "ghost-1").await;
    let pods = platform.api.get_as(&ayu, &bought.path()).await?.body["pods"].clone();
    assert_eq!(
        json!([pods[0]["name"], pods[0]["node"], pods[0]["restarts"], pods[0]["phase"]]),
        json!(["ghost-1", "node-1", 2, "RUNNING"])
    );
    assert_eq!(
        json!([pods[0]["containers"][0]["image"], pods[0]["containers"][0]["state"]]),
        json!(["ghost:6", "RUNNING"])
    );
    platform.kubernetes.delete("pods", &bought.namespace, "ghost-1").await;
    platform.pod(&bought, "ghost-2").await;
    let pods = platform.api.get_as(&ayu, &bought.path()).await?.body["pods"].clone();
    assert_eq!((pods.as_array().map(Vec::len), &pods[0]["name"]), (Some(1), &json!("ghost-2")));
    Ok(())
}

#[tokio::test]
async fn what_was_made_by_hand_is_beside_it_and_all_of_it_is_its_owners_alone() -> Result<()> {
    let platform = Platform::new().await?;
    let (ayu, budi) = (platform.user("ayu").await?, platform.world.user("budi").await?);
    let bought = platform.runs(&ayu).await?;
    let by_hand = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
        "metadata": {"namespace": bought.namespace, "name": "by-hand"}, "spec": {"planRef": "other"}});
    let uid = platform.kubernetes.put(by_hand).await["metadata"]["uid"].clone();
    let path = format!("/instances/{}", uid.as_str().unwrap_or_default());
    let other = until("it to be seen", BOUND, async || {
        let answer = platform.api.get_as(&ayu, &path).await?;
        Ok((answer.status == StatusCode::OK).then_some(answer.body))
    })
    .await?;
    assert_eq!(
        json!([other["subscription_id"], other["name"], other["phase"], other["resources"]]),
        json!([null, "by-hand", "PENDING", null])
    );
    let ids = async |query: &str| -> Result<Value> {
        let list =
            platform.api.get_as(&ayu, &format!("/instances?{query}")).await?.expect(StatusCode::OK)?.body;
        Ok(list["items"].as_array().into_iter().flatten().map(|one| one["id"].clone()).collect())
    };
    for (query, wanted) in [
        ("sort=name", json!([uid, bought.id])),
        ("phase=RUNNING", json!([bought.id])),
        ("plan=other", json!([uid])),
        ("service=ghost", json!([bought.id])),
        ("q=my%20PUBLI", json!([bought.id])),
        ("q=nothing", json!([])),
    ] {
        assert_eq!(ids(query).await?, wanted, "{query}");
    }
    platform.api.get_as(&ayu, "/instances?colour=red").await?.expect(StatusCode::BAD_REQUEST)?;
    // Nobody else has any of it.
    assert_eq!(platform.api.get_as(&budi, "/instances").await?.body["items"], json!([]));
    for path in [bought.path(), path] {
        platform.api.get_as(&budi, &path).await?.expect(StatusCode::NOT_FOUND)?;
    }
    let kept = platform.api.get_as(&ayu, "/retained").await?.expect(StatusCode::OK)?.body;
    assert_eq!(
        json!([kept["items"][0]["data_id"], kept["items"][0]["state"]]),
        json!(["oldoldoldold", "PURGE_ORDERED"])
    );
    assert_eq!(platform.api.get_as(&budi, "/retained").await?.body, json!({"items": []}));
    Ok(())
}

#[tokio::test]
async fn what_somebody_deletes_in_the_cluster_says_so_and_not_that_it_is_about_to_be_made() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let bought = platform.runs(&ayu).await?;
    platform.kubernetes.delete("serviceinstances", &bought.namespace, &bought.name).await;
    let gone = platform.shows(&ayu, &bought, |now| now["generation"].is_null()).await?;
    assert_eq!(
        json!([gone["why"]["reason"], gone["why"]["acts"], gone["phase"]]),
        json!(["Vanished", "ADMINISTRATOR", "FAILED"])
    );
    let health = platform.api.get_as(&ayu, &format!("{}/health", bought.path())).await?.body;
    assert_eq!(json!([health["verdict"], health["reasons"]]), json!(["FAILED", [gone["why"]]]));
    let failed = platform.api.get_as(&ayu, "/instances?phase=FAILED").await?.body;
    assert_eq!(failed["items"][0]["id"], json!(bought.id));
    let refused = platform.verb(&ayu, &bought, "start", &json!({})).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!((refused.code(), &refused.body["detail"]), ("instance.not_ready", &gone["why"]["message"]));
    Ok(())
}

#[tokio::test]
async fn what_cant_be_made_says_what_is_in_the_way() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let order = json!({"plan": "free"});
    let bought = platform.api.post_once(&ayu, PATH, "buy", &order).await?.expect(StatusCode::CREATED)?.body;
    let (path, tenant) =
        (format!("/instances/{}", bought["id"].as_str().context("an id")?), names::tenant_of_user(&ayu.id));
    let is_said = async |reason: &str| {
        until("it to be said", BOUND, async || {
            let now = platform.api.get_as(&ayu, &path).await?.expect(StatusCode::OK)?.body;
            Ok((now["why"]["reason"] == reason).then_some(now))
        })
        .await
    };
    is_said("Ordered").await?;
    let mut made = until("the tenant to be asked for", BOUND, async || {
        Ok(platform.kubernetes.get("tenantquotas", &tenant).await)
    })
    .await?;
    let taken = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "NamespaceTaken",
        "message": "The namespace is taken.", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
    platform.kubernetes.set_status("tenantquotas", "", &tenant, taken).await;
    let waits = is_said("NamespaceTaken").await?;
    assert_eq!(
        waits["why"],
        json!({"reason": "NamespaceTaken", "message": "The namespace is taken.", "acts": "ADMINISTRATOR", "since": "2026-01-01T00:00:00Z"})
    );
    let health = platform.api.get_as(&ayu, &format!("{path}/health")).await?.body;
    assert_eq!(health["verdict"], "FAILED");
    let refused = platform.api.send_as(&ayu, Method::PATCH, &path, &json!({"keep_for": "7d"})).await?;
    assert_eq!(
        (refused.expect(StatusCode::CONFLICT)?.body["code"].clone(), waits["phase"].clone()),
        (json!("instance.not_ready"), json!("PENDING"))
    );
    made["spec"]["owner"] = json!("somebody-else");
    platform.kubernetes.put(made).await;
    is_said("TenantOfAnother").await?;
    Ok(())
}

#[tokio::test]
async fn an_app_is_stopped_started_and_restarted_by_its_owner_and_the_next_read_sees_it() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let bought = platform.runs(&ayu).await?;
    let before = platform.shows(&ayu, &bought, |_| true).await?["generation"].as_i64();
    let stopped = platform.verb(&ayu, &bought, "stop", &json!({})).await?.expect(StatusCode::OK)?.body;
    assert_eq!(json!([stopped["power_state"], stopped["id"]]), json!(["STOPPED", bought.id]));
    assert_eq!(stopped["generation"].as_i64(), before.map(|before| before + 1));
    let now = platform.api.get_as(&ayu, &bought.path()).await?.body;
    assert_eq!(
        json!([now["power_state"], now["generation"], now["settled"]]),
        json!(["STOPPED", stopped["generation"], false])
    );
    // Once more is no change; what is stopped is not restarted.
    let again = platform.verb(&ayu, &bought, "stop", &json!({})).await?.expect(StatusCode::OK)?.body;
    assert_eq!(again["generation"], stopped["generation"]);
    let refused = platform.verb(&ayu, &bought, "restart", &json!({})).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!(refused.code(), "instance.stopped");
    platform.says(&bought, "Stopped", "Stopped").await?;
    let health = until("it to be stopped", BOUND, async || {
        let health = platform.api.get_as(&ayu, &format!("{}/health", bought.path())).await?.body;
        Ok((health["verdict"] == "STOPPED").then_some(health))
    })
    .await?;
    assert_eq!(json!([health["available"], health["reasons"][0]["reason"]]), json!([false, "Stopped"]));
    Ok(())
}

#[tokio::test]
async fn the_same_key_answers_the_same_and_what_was_said_before_stays() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let bought = platform.runs(&ayu).await?;
    platform.verb(&ayu, &bought, "stop", &json!({})).await?.expect(StatusCode::OK)?;
    let path = format!("{}/start", bought.path());
    let started = platform.api.post_once(&ayu, &path, "on", &json!({})).await?.expect(StatusCode::OK)?;
    platform.verb(&ayu, &bought, "stop", &json!({})).await?.expect(StatusCode::OK)?;
    let replayed = platform.api.post_once(&ayu, &path, "on", &json!({})).await?.expect(StatusCode::OK)?;
    assert_eq!((&replayed.body, replayed.header("idempotency-replayed")), (&started.body, "true"));
    assert_eq!(platform.spec(&bought).await?["powerState"], "Stopped");
    platform.verb(&ayu, &bought, "start", &json!({})).await?.expect(StatusCode::OK)?;
    let restarted = platform.verb(&ayu, &bought, "restart", &json!({})).await?.expect(StatusCode::OK)?.body;
    assert!(restarted["restarted_at"].is_string(), "{restarted}");
    // What was said before of it stays.
    let spec = platform.spec(&bought).await?;
    assert_eq!(
        json!([spec["displayName"], spec["planRef"], spec["powerState"]]),
        json!(["My publication", "free", "Running"])
    );
    assert!(spec["restartedAt"].is_string() && spec["entitlement"]["paidUntil"].is_string(), "{spec}");
    platform.verb(&ayu, &bought, "stop", &json!({"force": true})).await?.expect(StatusCode::BAD_REQUEST)?;
    Ok(())
}

#[tokio::test]
async fn what_another_tool_manages_is_named_and_what_is_held_or_over_says_what_to_do() -> Result<()> {
    let platform = Platform::new().await?;
    let (ayu, boss) = (platform.user("ayu").await?, platform.world.administrator("boss").await?);
    let bought = platform.runs(&ayu).await?;
    platform.kubernetes.give_away(&bought.name, "powerState").await;
    let refused = platform.verb(&ayu, &bought, "stop", &json!({})).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!(refused.code(), "resource.managed_elsewhere");
    assert!(
        refused.body["detail"].as_str().is_some_and(|detail| detail.contains("gitops")),
        "{}",
        refused.body
    );
    platform.verb(&ayu, &bought, "stop", &json!({"take_over": true})).await?.expect(StatusCode::OK)?;
    let lines = platform.api.get_as(&boss, &format!("/admin/audit?entity_id={}", bought.id)).await?.body;
    let line = &lines["items"][0];
    assert_eq!(
        json!([line["action"], line["entity_type"], line["after"]["powerState"]]),
        json!(["instance.stop", "instance", "Stopped"])
    );

    let mut held = platform
        .kubernetes
        .get_in("serviceinstances", &bought.namespace, &bought.name)
        .await
        .context("there")?;
    held["spec"]["holds"] = json!({"admin": {"reason": "Too loud", "since": "2026-01-01T00:00:00Z"}});
    platform.kubernetes.put(held).await;
    platform.says(&bought, "Suspended", "HeldByAdministrator").await?;
    let shown = platform.shows(&ayu, &bought, |now| now["phase"] == "SUSPENDED").await?;
    assert_eq!(
        json!([shown["holds"][0]["by"], shown["holds"][0]["reason"], shown["why"]["acts"]]),
        json!(["ADMINISTRATOR", "Too loud", "ADMINISTRATOR"])
    );
    let refused = platform
        .verb(&ayu, &bought, "start", &json!({"take_over": true}))
        .await?
        .expect(StatusCode::CONFLICT)?;
    assert_eq!((refused.code(), &refused.body["detail"]), ("instance.held", &json!("HeldByAdministrator.")));

    let cancel = format!("{PATH}/{}/cancel", bought.id);
    platform.api.post_once(&ayu, &cancel, "end", &json!({})).await?.expect(StatusCode::OK)?;
    let ended = platform.verb(&ayu, &bought, "stop", &json!({})).await?;
    let is_over = ended.code() == "subscription.ended" || ended.status == StatusCode::NOT_FOUND;
    ensure!(is_over, "{}: {}", ended.status, ended.body);
    Ok(())
}

#[tokio::test]
async fn settings_are_changed_within_what_the_app_allows_and_a_new_name_reaches_the_resource() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let bought = platform.runs(&ayu).await?;
    let change = async |body: &Value| platform.api.send_as(&ayu, Method::PATCH, &bought.path(), body).await;
    let window = json!({"days": ["SUNDAY"], "start": "02:30"});
    let body = json!({"parameters": {"title": "Hello"}, "maintenance_window": window, "keep_for": "7d"});
    let changed = change(&body).await?.expect(StatusCode::OK)?.body;
    assert_eq!(json!([changed["parameters"], changed["keep_for"]]), json!([{"title": "Hello"}, "7d"]));
    assert_eq!(
        changed["maintenance_window"],
        json!({"days": ["SUNDAY"], "start": "02:30", "duration_minutes": 120, "time_zone": "Asia/Jakarta"})
    );
    let cleared = change(&json!({"parameters": {"title": null}, "maintenance_window": null}))
        .await?
        .expect(StatusCode::OK)?
        .body;
    assert_eq!(
        json!([cleared["parameters"], cleared["maintenance_window"], cleared["keep_for"]]),
        json!([{}, null, "7d"])
    );
    for (body, field) in [
        (json!({"parameters": {"title": "far too long a title"}}), "parameters"),
        (json!({"parameters": {"colour": "red"}}), "parameters"),
        (json!({"parameters": {"locale": "id"}}), "parameters"),
        (json!({"keep_for": "91d"}), "keep_for"),
        (json!({"maintenance_window": {"start": "25:00"}}), "maintenance_window.start"),
        (
            json!({"maintenance_window": {"start": "02:00", "time_zone": "Mars"}}),
            "maintenance_window.time_zone",
        ),
        (json!({"access": {"external": true, "allowed_cidrs": ["everywhere"]}}), "access.allowed_cidrs[0]"),
    ] {
        let refused = change(&body).await?.expect(StatusCode::UNPROCESSABLE_ENTITY)?;
        assert_eq!(refused.body["errors"][0]["field"], field, "{}", refused.body);
    }
    change(&json!({"entitlement": {}})).await?.expect(StatusCode::BAD_REQUEST)?;

    let own = format!("{PATH}/{}", bought.id);
    platform
        .api
        .send_as(&ayu, Method::PATCH, &own, &json!({"name": "Renamed"}))
        .await?
        .expect(StatusCode::OK)?;
    until("the name to be told", BOUND, async || {
        Ok((platform.spec(&bought).await?["displayName"] == "Renamed").then_some(()))
    })
    .await?;
    let spec = platform.spec(&bought).await?;
    assert_eq!(json!([spec["retention"], spec["planRef"]]), json!([{"keepFor": "7d"}, "free"]));
    let detail = platform.api.get_as(&ayu, &own).await?.expect(StatusCode::OK)?.body;
    assert_eq!(
        json!([detail["name"], detail["instance"]["name"], detail["offer"]["plan_name"]]),
        json!(["Renamed", "Renamed", "Free"])
    );
    // What costs nothing has none.
    let list = platform.api.get_as(&ayu, &format!("{own}/transactions?type=PURCHASE")).await?;
    assert_eq!(
        (&list.expect(StatusCode::OK)?.body["items"], &detail["transactions"]),
        (&json!([]), &json!([]))
    );
    Ok(())
}

#[tokio::test]
async fn a_setting_that_is_fixed_is_not_changed_by_being_taken_away_first() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let bought = platform.runs(&ayu).await?;
    platform.kubernetes.set_parameters(&bought.namespace, &bought.name, &[("slug", "a")]).await;
    for (slug, field) in [(json!(null), "parameters.slug"), (json!("b"), "parameters")] {
        let body = json!({"parameters": {"slug": slug}});
        let refused = platform.api.send_as(&ayu, Method::PATCH, &bought.path(), &body).await?;
        let refused = refused.expect(StatusCode::UNPROCESSABLE_ENTITY)?;
        assert_eq!(refused.body["errors"][0]["field"], field, "{}", refused.body);
    }
    assert_eq!(platform.spec(&bought).await?["parameters"], json!({"slug": "a"}));
    // What has no value has none to take away.
    let body = json!({"parameters": {"locale": null, "slug": "a"}});
    platform.api.send_as(&ayu, Method::PATCH, &bought.path(), &body).await?.expect(StatusCode::OK)?;
    Ok(())
}

#[tokio::test]
async fn a_setting_that_another_tool_manages_stays_its_own_when_others_are_changed() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let bought = platform.runs(&ayu).await?;
    let change = async |body: &Value| platform.api.send_as(&ayu, Method::PATCH, &bought.path(), body).await;
    let owners = async || {
        let said =
            platform.kubernetes.said("serviceinstances", &bought.namespace, &bought.name, managers::OWNER);
        said.await["f:parameters"].clone()
    };
    assert_eq!(owners().await, Value::Null);
    platform.kubernetes.set_parameters(&bought.namespace, &bought.name, &[("locale", "en")]).await;
    let changed = change(&json!({"parameters": {"title": "Hello"}})).await?.expect(StatusCode::OK)?.body;
    assert_eq!(changed["parameters"], json!({"title": "Hello", "locale": "en"}));
    assert_eq!(owners().await, json!({"f:title": {}}));
    // Named as it is beside one that changes it is left where it is, too.
    let body = json!({"parameters": {"title": "Bye", "locale": "en"}});
    change(&body).await?.expect(StatusCode::OK)?;
    assert_eq!(owners().await, json!({"f:title": {}}));
    platform
        .kubernetes
        .set_parameters(&bought.namespace, &bought.name, &[("locale", "en"), ("title", "Theirs")])
        .await;
    let refused = change(&json!({"parameters": {"title": "Mine"}})).await?.expect(StatusCode::CONFLICT)?;
    let detail = refused.body["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("spec.parameters.title") && detail.contains("gitops"), "{detail}");
    let refused = change(&json!({"parameters": {"title": null}})).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!(refused.code(), "resource.managed_elsewhere");
    Ok(())
}

#[tokio::test]
async fn what_one_logs_in_with_is_shown_to_its_owner_with_a_line_in_the_audit_log() -> Result<()> {
    let platform = Platform::new().await?;
    let (ayu, boss) = (platform.user("ayu").await?, platform.world.administrator("boss").await?);
    let bought = platform.buys(&ayu).await?;
    let path = format!("{}/credentials", bought.path());
    let early = until("the app to be seen", BOUND, async || {
        let early = platform.api.get_as(&ayu, &path).await?;
        Ok((early.status != StatusCode::NOT_FOUND).then_some(early))
    })
    .await?;
    assert_eq!(early.code(), "instance.not_ready");
    // "admin" and "s3cret-of-ayu".
    platform
        .kubernetes
        .put(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": bought.namespace, "name": "credentials-1"},
            "data": {"user": "YWRtaW4=", "password": "czNjcmV0LW9mLWF5dQ==", "internal": "eA=="}}))
        .await;
    platform.becomes_active(&ayu, &bought).await?;
    let shown = platform.api.get_as(&ayu, &path).await?.expect(StatusCode::OK)?;
    let wanted = json!([{"name": "user", "display_name": "user", "value": "admin", "sensitive": false},
        {"name": "password", "display_name": "Password", "value": "s3cret-of-ayu", "sensitive": true}]);
    assert_eq!((&shown.body["items"], shown.header("cache-control")), (&wanted, "no-store"));
    platform.api.get_as(&boss, &path).await?.expect(StatusCode::NOT_FOUND)?;
    let log = platform.api.get_as(&boss, &format!("/admin/audit?entity_id={}", bought.id)).await?.body;
    let line = &log["items"][0];
    assert_eq!(
        json!([line["action"], line["after"], line["before"]]),
        json!(["instance.show_credentials", {"secret": "credentials-1"}, null])
    );
    assert!(!log.to_string().contains("s3cret"), "{log}");
    Ok(())
}

#[tokio::test]
async fn what_an_app_uses_is_told_of_its_plan_and_where_nobody_knows_that_is_said() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let bought = platform.runs(&ayu).await?;
    let path = format!("/subscriptions/{}/metrics", bought.id);
    let early = platform.api.get_as(&ayu, &path).await?.expect(StatusCode::OK)?.body;
    assert_eq!(
        json!([early["available"], early["reason"], early["cpu"]["used_millicores"]]),
        json!([false, "NOT_MEASURED", null])
    );
    for (name, cpu) in [("ghost-1", "40500000n"), ("ghost-2", "10m")] {
        platform
            .kubernetes
            .put(json!({"apiVersion": "metrics.k8s.io/v1beta1", "kind": "PodMetrics", "timestamp": "2026-01-01T00:00:10Z", "window": "10s",
                "metadata": {"namespace": bought.namespace, "name": name, "labels": {labels::INSTANCE: bought.uid}},
                "containers": [{"name": "app", "usage": {"cpu": cpu, "memory": "64Mi"}}]}))
            .await;
    }
    let now = until("it to be measured", BOUND, async || {
        let now = platform.api.get_as(&ayu, &path).await?.expect(StatusCode::OK)?.body;
        Ok((now["available"] == true).then_some(now))
    })
    .await?;
    let wanted = json!({"instance_id": bought.id, "status": "RUNNING", "available": true, "reason": null,
        "cpu": {"used_millicores": 51, "limit_millicores": 1000, "percentage": 5},
        "memory": {"used_bytes": 128 << 20, "limit_bytes": 1 << 30, "percentage": 13},
        "storage": {"used_bytes": null, "limit_bytes": 10_i64 << 30},
        "urls": {"public": "https://a.example.com", "admin": "https://a.example.com/ghost", "internal": null, "external": null},
        "timestamp": "2026-01-01T00:00:10Z"});
    assert_eq!(now, wanted);
    // A replica without a cluster says so, and no more.
    let away = platform.world.api.get_as(&ayu, &path).await?.expect(StatusCode::OK)?.body;
    assert_eq!(
        json!([away["available"], away["reason"], away["status"]]),
        json!([false, "CLUSTER_AWAY", null])
    );
    let refused = platform.world.api.get_as(&ayu, "/instances").await?;
    assert_eq!(refused.code(), "unavailable");
    Ok(())
}
