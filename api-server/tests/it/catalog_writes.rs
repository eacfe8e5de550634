//! Services and plans, as administrators change them: resources in the cluster, beside whatever else writes them.

use anyhow::Result;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::catalog::Shop;
use crate::world::Answer;

fn plan(name: &str) -> Value {
    json!({"name": name, "service": "ghost", "display_name": "Tiny", "features": ["Half a CPU"],
        "price": {"amount": 49000, "period": "MONTHLY", "tax_inclusive": true}, "cpu_millicores": 500,
        "memory_bytes": 536_870_912, "storage_bytes": 5_368_709_120_i64, "capacity": 10, "order": 300})
}

impl Shop {
    async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.api.send_as(&self.boss, Method::POST, path, body).await
    }

    /// Changes, or deletes where there is nothing to change, what was just read.
    async fn write(&self, method: Method, path: &str, body: &Value) -> Result<Answer> {
        let read = self.api.get_as(&self.boss, path).await?.expect(StatusCode::OK)?;
        let request = self.api.request(method, path).bearer_auth(&self.boss.access).json(body);
        self.api.send(request.header("if-match", read.header("etag"))).await
    }

    async fn patch(&self, path: &str, body: &Value) -> Result<Answer> {
        self.write(Method::PATCH, path, body).await
    }

    async fn delete(&self, path: &str) -> Result<Answer> {
        self.write(Method::DELETE, path, &json!({})).await
    }

    async fn log(&self, kind: &str) -> Result<Vec<Value>> {
        let path = format!("/admin/audit?entity_type={kind}&sort=at");
        let log = self.api.get_as(&self.boss, &path).await?.expect(StatusCode::OK)?.body;
        Ok(log["items"].as_array().cloned().unwrap_or_default())
    }
}

fn fields(answer: &Answer) -> Vec<&str> {
    let errors = answer.body["errors"].as_array().into_iter().flatten();
    errors.map(|error| error["field"].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_plan_is_made_changed_retired_and_deleted() -> Result<()> {
    let shop = Shop::new().await?;
    let made = shop.post("/admin/plans", &plan("ghost-tiny")).await?.expect(StatusCode::CREATED)?;
    assert_eq!(made.header("location"), "/api/v1/admin/plans/ghost-tiny");
    let spec = shop.kubernetes.get("serviceplans", "ghost-tiny").await.unwrap()["spec"].clone();
    assert_eq!(spec["resources"], json!({"cpu": "500m", "memory": "512Mi", "storage": "5Gi"}));
    assert_eq!(spec["price"], json!({"amount": 49000, "period": "Monthly", "taxInclusive": true}));
    assert_eq!(shop.post("/admin/plans", &plan("ghost-tiny")).await?.code(), "catalog.name_taken");
    // What was written is seen by the next read, also by everybody.
    let path = "/admin/plans/ghost-tiny";
    let change = json!({"capacity": null, "display_name": "Smallest", "features": [], "reason": "It sells"});
    let changed = shop.patch(path, &change).await?.expect(StatusCode::OK)?;
    let shown = json!([changed.body["capacity"], changed.body["display_name"], changed.body["features"]]);
    assert_eq!(shown, json!([null, "Smallest", []]));
    let public = shop.get("/catalog/plans/ghost-tiny").await?.expect(StatusCode::OK)?;
    assert_eq!(json!([public.body["left"], public.body["display_name"]]), json!([null, "Smallest"]));
    let kept = shop.kubernetes.get("serviceplans", "ghost-tiny").await.unwrap()["spec"].clone();
    assert_eq!(json!([kept["capacity"], kept["order"], kept["price"]]), json!([null, 300, spec["price"]]));
    // The same once more is no change.
    shop.patch(path, &change).await?.expect(StatusCode::OK)?;
    shop.patch(path, &json!({"retired": true})).await?.expect(StatusCode::OK)?;
    assert_eq!(shop.get("/catalog/plans/ghost-tiny").await?.status, StatusCode::NOT_FOUND);
    shop.delete(path).await?.expect(StatusCode::NO_CONTENT)?;
    assert_eq!(shop.api.get_as(&shop.boss, path).await?.status, StatusCode::NOT_FOUND);
    let list = shop.api.get_as(&shop.boss, "/admin/plans?service=ghost").await?;
    assert_eq!(list.body["total"], 3);
    let log = shop.log("plan").await?;
    let lines: Vec<Value> = log
        .iter()
        .map(|line| json!([line["action"], line["before"]["displayName"], line["after"]["displayName"]]))
        .collect();
    let expected = [
        json!(["plan.create", null, "Tiny"]),
        json!(["plan.change", "Tiny", "Smallest"]),
        json!(["plan.change", "Smallest", "Smallest"]),
        json!(["plan.delete", "Smallest", null]),
    ];
    assert_eq!(lines, expected);
    assert_eq!((&log[1]["reason"], &log[1]["entity_id"]), (&json!("It sells"), &json!("ghost-tiny")));
    Ok(())
}

#[tokio::test]
async fn whoever_did_not_see_the_last_change_changes_nothing() -> Result<()> {
    let shop = Shop::new().await?;
    let path = "/admin/plans/ghost-small";
    let read = shop.api.get_as(&shop.boss, path).await?;
    shop.patch(path, &json!({"order": 1})).await?.expect(StatusCode::OK)?;
    for method in [Method::PATCH, Method::DELETE] {
        let request = || {
            shop.api.request(method.clone(), path).bearer_auth(&shop.boss.access).json(&json!({"order": 2}))
        };
        let stale = shop.api.send(request().header("if-match", read.header("etag"))).await?;
        assert_eq!(stale.code(), "request.precondition_failed");
        assert_eq!(shop.api.send(request()).await?.code(), "request.precondition_required");
    }
    assert_eq!(shop.kubernetes.get("serviceplans", "ghost-small").await.unwrap()["spec"]["order"], 1);
    assert_eq!(shop.log("plan").await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_field_of_another_tool_is_named_and_left_alone_unless_it_is_taken_over() -> Result<()> {
    let shop = Shop::new().await?;
    shop.kubernetes.give_away("ghost-small", "price").await;
    shop.kubernetes.give_away("ghost-small", "capacity").await;
    let path = "/admin/plans/ghost-small";
    let dearer = |take_over: bool| json!({"price": {"amount": 95000, "period": "MONTHLY", "tax_inclusive": true}, "take_over": take_over});
    let refused = shop.patch(path, &dearer(false)).await?;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "resource.managed_elsewhere"));
    assert!(
        refused.body["detail"].as_str().is_some_and(|detail| detail.contains(".spec.price")),
        "{refused:?}"
    );
    // Nor is taken away what another tool has set, though nobody would refuse to leave it out.
    let refused = shop.patch(path, &json!({"capacity": null})).await?;
    assert_eq!(refused.code(), "resource.managed_elsewhere");
    assert!(
        refused.body["detail"].as_str().is_some_and(|detail| detail.contains(".spec.capacity")),
        "{refused:?}"
    );
    assert_eq!(shop.log("plan").await?, Vec::<Value>::new());
    // What is ours alone is changed beside it.
    shop.patch(path, &json!({"order": 7})).await?.expect(StatusCode::OK)?;
    let taken = shop.patch(path, &dearer(true)).await?.expect(StatusCode::OK)?;
    assert_eq!(json!([taken.body["price"]["amount"], taken.body["order"]]), json!([95000, 7]));
    let log = shop.log("plan").await?;
    assert_eq!((log.len(), &log[1]["after"]["take_over"]), (2, &json!(true)));
    Ok(())
}

#[tokio::test]
async fn what_the_cluster_refuses_is_told_by_the_names_of_the_fields_here() -> Result<()> {
    let shop = Shop::new().await?;
    let refused = shop.post("/admin/plans", &plan("refused")).await?;
    assert_eq!((refused.code(), fields(&refused)), ("request.invalid", vec!["display_name"]));
    let mut wrong = plan("Wrong");
    wrong["service"] = json!("");
    wrong["cpu_millicores"] = json!(-1);
    assert_eq!(fields(&shop.post("/admin/plans", &wrong).await?), ["name", "service", "cpu_millicores"]);
    let mut lost = plan("lost");
    lost["service"] = json!("nothing");
    assert_eq!(fields(&shop.post("/admin/plans", &lost).await?), ["service"]);
    let mut huge = plan("huge");
    huge["capacity"] = json!(1_i64 << 40);
    assert_eq!(fields(&shop.post("/admin/plans", &huge).await?), ["capacity"]);
    let service = json!({"name": "app", "display_name": "App", "description": "One", "category": "websites",
        "version": "1", "definition": {"components": [{"name": 7}], "expose": {}}});
    let answer = shop.post("/admin/services", &service).await?;
    assert_eq!(fields(&answer), ["definition.components[0].name"]);
    let mut other = service.clone();
    other["definition"] = json!({"displayName": "Other"});
    assert_eq!(fields(&shop.post("/admin/services", &other).await?), ["definition.displayName"]);
    assert_eq!(shop.log("plan").await?.len() + shop.log("service").await?.len(), 0);
    assert!(shop.kubernetes.get("serviceplans", "lost").await.is_none());
    Ok(())
}

#[tokio::test]
async fn a_service_is_made_of_what_another_is_and_goes_only_when_nobody_uses_it() -> Result<()> {
    let shop = Shop::new().await?;
    let ghost = shop.api.get_as(&shop.boss, "/admin/services/ghost").await?.expect(StatusCode::OK)?.body;
    let mut service = json!({"name": "ghost-next", "display_name": "Ghost", "description": "The next one",
        "category": "websites", "version": "7.0.0", "definition": ghost["definition"], "icon": "ghost"});
    let made = shop.post("/admin/services", &service).await?.expect(StatusCode::CREATED)?;
    assert_eq!(made.body["definition"], ghost["definition"]);
    shop.get("/catalog/services/ghost-next").await?.expect(StatusCode::OK)?;
    // A definition is changed as a whole: what is left out of it goes.
    service["definition"].as_object_mut().unwrap().remove("parameters");
    let path = "/admin/services/ghost-next";
    let change = json!({"definition": service["definition"], "icon": null, "disabled": true});
    let done = shop.patch(path, &change).await?.expect(StatusCode::OK)?;
    let shown = json!([done.body["definition"].get("parameters"), done.body["icon"], done.body["disabled"]]);
    assert_eq!(shown, json!([null, null, true]));
    assert_eq!(shop.get("/catalog/services/ghost-next").await?.status, StatusCode::NOT_FOUND);
    shop.delete(path).await?.expect(StatusCode::NO_CONTENT)?;
    // In use: plans sell it, instances run, data is kept.
    let refused = shop.delete("/admin/services/ghost").await?;
    assert_eq!(refused.code(), "catalog.in_use");
    assert!(
        refused.body["detail"].as_str().is_some_and(|detail| detail.contains("ghost-medium")),
        "{refused:?}"
    );
    for name in ["ghost-small", "ghost-medium", "ghost-large"] {
        shop.delete(&format!("/admin/plans/{name}")).await?.expect(StatusCode::NO_CONTENT)?;
    }
    let retained =
        json!([{"dataId": "aaaaaaaaaaaa", "template": "ghost", "plan": "ghost-small", "storage": "1Gi"}]);
    let tenant = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": "u1"},
        "spec": {"owner": "1"}, "status": {"retained": retained}});
    shop.kubernetes.put(tenant).await;
    let kept = e2e::wait::until("the tenant to be seen", crate::world::BOUND, async || {
        let metrics = shop.get("/metrics").await?.body;
        let text = metrics.as_str().unwrap_or_default().to_owned();
        Ok(text.contains("nakhoda_api_watch_objects{kind=\"TenantQuota\"} 1").then_some(()))
    });
    kept.await?;
    let refused = shop.delete("/admin/services/ghost").await?;
    assert!(
        refused.body["detail"].as_str().is_some_and(|detail| detail.contains("kept data")),
        "{refused:?}"
    );
    shop.delete("/admin/services/wordpress")
        .await
        .map(|answer| assert_eq!(answer.code(), "catalog.in_use"))?;
    Ok(())
}

#[tokio::test]
async fn what_runs_is_counted_by_phase_by_plan_and_by_tenant_and_keeps_its_plan() -> Result<()> {
    let shop = Shop::new().await?;
    shop.instance("customer-a", "one", "ghost-small", "Running").await;
    shop.instance("customer-a", "two", "ghost-large", "Stopped").await;
    shop.instance("customer-b", "three", "ghost-small", "Running").await;
    shop.shows("/catalog/plans/ghost-small", |answer| answer.body["left"] == 198).await?;
    let stats = async |path: &str| -> Result<Value> {
        Ok(shop.api.get_as(&shop.boss, path).await?.expect(StatusCode::OK)?.body)
    };
    let ghost = stats("/admin/services/ghost/stats").await?;
    let counts =
        json!([ghost["instances"], ghost["tenants"], ghost["by_plan"], ghost["by_phase"]["RUNNING"]]);
    assert_eq!(counts, json!([3, 2, {"ghost-small": 2, "ghost-large": 1}, 2]));
    assert_eq!(ghost["by_phase"].as_object().map(serde_json::Map::len), Some(11));
    let large = stats("/admin/plans/ghost-large/stats").await?;
    assert_eq!(json!([large["instances"], large["by_phase"]["STOPPED"]]), json!([1, 1]));
    let refused = shop.delete("/admin/plans/ghost-large").await?;
    assert_eq!(refused.code(), "catalog.in_use");
    shop.patch("/admin/plans/ghost-large", &json!({"retired": true})).await?.expect(StatusCode::OK)?;
    let missing = shop.api.get_as(&shop.boss, "/admin/plans/nothing/stats").await?;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    Ok(())
}

impl Shop {
    /// Puts back what is kept of a request to how it was before its answer was: as if the process had ended in the middle.
    fn loses(&self, key: &str) -> Result<()> {
        let sql = format!(
            "update idempotency_keys set status = 0, headers = '{{}}', body = '', resumes = gen_random_uuid() where key = '{key}'"
        );
        self.world.database.server.sql(&self.world.database.name, &sql).map(drop)
    }
}

#[tokio::test]
async fn whoever_repeats_a_creation_whose_answer_was_lost_gets_what_was_made() -> Result<()> {
    let shop = Shop::new().await?;
    let ghost = shop.api.get_as(&shop.boss, "/admin/services/ghost").await?.expect(StatusCode::OK)?.body;
    let service = json!({"name": "journal", "display_name": "Journal", "description": "A journal", "category": "websites",
        "version": "1", "definition": ghost["definition"]});
    for (kind, path, body) in
        [("plan", "/admin/plans", plan("ghost-tiny")), ("service", "/admin/services", service)]
    {
        let post = async |key: &str| shop.api.post_once(&shop.boss, path, key, &body).await;
        let first = post(kind).await?.expect(StatusCode::CREATED)?;
        // As it is kept; then as it is found in the cluster, twice.
        for is_lost in [false, true, false] {
            if is_lost {
                shop.loses(kind)?;
            }
            let again = post(kind).await?.expect(StatusCode::CREATED)?;
            let told = [again.header("idempotency-replayed"), again.header("location")];
            assert_eq!(told, ["true", first.header("location")]);
            assert_eq!(again.body["name"], first.body["name"]);
        }
        assert_eq!(shop.log(kind).await?.len(), 1, "it was made once");
        let another = post(&format!("another {kind}")).await?;
        assert_eq!((another.status, another.code()), (StatusCode::CONFLICT, "catalog.name_taken"));
    }
    // What was not made is made; what somebody has changed since is not what was made.
    shop.loses("plan")?;
    shop.kubernetes.delete("serviceplans", "", "ghost-tiny").await;
    let post = async |body: &Value| shop.api.post_once(&shop.boss, "/admin/plans", "plan", body).await;
    post(&plan("ghost-tiny")).await?.expect(StatusCode::CREATED)?;
    assert!(shop.kubernetes.get("serviceplans", "ghost-tiny").await.is_some());
    shop.loses("plan")?;
    assert_eq!(post(&plan("ghost-small")).await?.code(), "idempotency.key_reused");
    shop.edit("ghost-tiny", |spec| spec["order"] = json!(7)).await;
    assert_eq!(post(&plan("ghost-tiny")).await?.code(), "catalog.name_taken");
    Ok(())
}

#[tokio::test]
async fn what_was_refused_leaves_the_key_free_and_what_nobody_knows_of_is_gone_on_with() -> Result<()> {
    let shop = Shop::new().await?;
    let post = async |body: &Value| shop.api.post_once(&shop.boss, "/admin/plans", "one", body).await;
    let mut wrong = plan("ghost-tiny");
    wrong["service"] = json!("nothing");
    assert_eq!(fields(&post(&wrong).await?.expect(StatusCode::UNPROCESSABLE_ENTITY)?), ["service"]);
    shop.kubernetes.set_away(true).await;
    post(&plan("ghost-tiny")).await?.expect(StatusCode::SERVICE_UNAVAILABLE)?;
    shop.kubernetes.set_away(false).await;
    assert_eq!(post(&wrong).await?.code(), "idempotency.key_reused");
    let made = post(&plan("ghost-tiny")).await?.expect(StatusCode::CREATED)?;
    assert_eq!(post(&plan("ghost-tiny")).await?.body, made.body);
    Ok(())
}
