//! The catalogue as everybody sees it, and its categories.

use anyhow::Result;
use futures::future::try_join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::kubernetes::Kubernetes;
use crate::world::{Answer, Api, BOUND, User, World};

/// A shop: what is sold in it stands in a cluster.
pub struct Shop {
    pub world: World,
    pub kubernetes: Kubernetes,
    pub api: Api,
    pub boss: User,
}

impl Shop {
    /// One with the catalogue that comes along, which the operator has found to be good.
    pub async fn new() -> Result<Self> {
        let (world, kubernetes) = (World::new().await?, Kubernetes::start().await?);
        let folder = e2e::repository::root().join("config/catalog");
        for app in ["ghost", "n8n", "postgresql", "wordpress"] {
            kubernetes.put_yaml(&std::fs::read_to_string(folder.join(format!("{app}.yaml")))?).await;
        }
        for plan in ["ghost-small", "ghost-medium", "ghost-large", "postgresql-small", "wordpress-small"] {
            let mut ready = kubernetes.get("serviceplans", plan).await.unwrap();
            ready["status"] = status(1, "True");
            kubernetes.put(ready).await;
        }
        let api = world.replica_on(kubernetes.cluster()?).await?;
        let boss = world.administrator("boss").await?;
        let shop = Self { world, kubernetes, api, boss };
        shop.shows("/catalog/services/ghost", |answer| answer.status == StatusCode::OK).await?;
        Ok(shop)
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.api.send(self.api.request(Method::GET, path)).await
    }

    /// Waits until something is shown so.
    pub async fn shows(&self, path: &str, is_so: impl Fn(&Answer) -> bool) -> Result<Answer> {
        e2e::wait::until("it to be shown", BOUND, async || {
            Ok(Some(self.get(path).await?).filter(|answer| is_so(answer)))
        })
        .await
    }

    /// Changes the spec of a plan that is there, as somebody with `kubectl` does.
    pub async fn edit(&self, plan: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.kubernetes.get("serviceplans", plan).await.unwrap();
        change(&mut object["spec"]);
        let generation = object["metadata"]["generation"].as_i64().unwrap_or_default();
        object["status"] = status(generation + 1, "True");
        self.kubernetes.put(object).await;
    }

    pub async fn instance(&self, namespace: &str, name: &str, plan: &str, phase: &str) {
        let object = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
            "metadata": {"namespace": namespace, "name": name}, "spec": {"planRef": plan, "entitlement": {}},
            "status": {"phase": phase, "plan": plan}});
        self.kubernetes.put(object).await;
    }
}

fn status(generation: i64, ready: &str) -> Value {
    json!({"instances": 0, "conditions": [{"type": "Ready", "status": ready, "reason": "Valid", "message": "",
        "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z"}]})
}

fn column<'a>(answer: &'a Answer, field: &str) -> Vec<&'a str> {
    let items = answer.body["items"].as_array().into_iter().flatten();
    items.map(|item| item[field].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn anybody_sees_what_is_sold_and_nothing_else() -> Result<()> {
    let shop = Shop::new().await?;
    let services = shop.get("/catalog/services").await?.expect(StatusCode::OK)?;
    assert_eq!(column(&services, "slug"), ["ghost", "postgresql", "wordpress"]);
    let ghost = &services.body["items"][0];
    let shown =
        json!([ghost["icon"], ghost["category"], ghost["plans"], ghost["available"], ghost["price_from"]]);
    let price = json!({"amount": 89000, "currency": "IDR", "period": "MONTHLY", "tax_inclusive": true});
    assert_eq!(shown, json!(["ghost", "websites", 3, true, price]));
    assert!(ghost["licence_note"].as_str().is_some_and(|note| note.contains("MIT")));
    let detail = shop.get("/catalog/services/ghost").await?.expect(StatusCode::OK)?.body;
    let first = &detail["parameters"][0];
    assert_eq!(json!([detail["protocol"], first["name"], first["type"]]), json!(["HTTP", "title", "STRING"]));
    let plans = shop.get("/catalog/services/ghost/plans").await?.expect(StatusCode::OK)?;
    assert_eq!(column(&plans, "name"), ["ghost-small", "ghost-medium", "ghost-large"]);
    let small = shop.get("/catalog/plans/ghost-small").await?.expect(StatusCode::OK)?.body;
    assert_eq!(small, plans.body["items"][0]);
    let sizes =
        json!([small["cpu_millicores"], small["memory_bytes"], small["storage_bytes"], small["left"]]);
    assert_eq!(sizes, json!([1000, 1_i64 << 30, 10_i64 << 30, 200]));
    // Of what is not sold, nothing: an app that is off, its plans, a plan that is retired; nor of what is no name.
    shop.edit("ghost-large", |spec| spec["retired"] = json!(true)).await;
    let is_gone = |answer: &Answer| answer.status == StatusCode::NOT_FOUND;
    shop.shows("/catalog/plans/ghost-large", is_gone).await?;
    for path in ["services/n8n", "services/n8n/plans", "plans/n8n-small", "services/UPPER", "plans/nothing"] {
        assert!(is_gone(&shop.get(&format!("/catalog/{path}")).await?), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_left_and_why_a_plan_cant_be_bought_is_said() -> Result<()> {
    let shop = Shop::new().await?;
    shop.edit("ghost-small", |spec| spec["capacity"] = json!(2)).await;
    shop.edit("ghost-medium", |spec| {
        spec.as_object_mut().unwrap().remove("capacity");
    })
    .await;
    let has = |left: Value| move |answer: &Answer| answer.body["left"] == left;
    shop.shows("/catalog/plans/ghost-medium", has(Value::Null)).await?;
    shop.instance("customer-a", "one", "ghost-small", "Running").await;
    let one = shop.shows("/catalog/plans/ghost-small", has(json!(1))).await?;
    assert_eq!(json!([one.body["available"], one.body["obstacle"]]), json!([true, null]));
    shop.instance("customer-b", "two", "ghost-small", "Pending").await;
    let none = shop.shows("/catalog/plans/ghost-small", has(json!(0))).await?;
    assert_eq!(json!([none.body["available"], none.body["obstacle"]["code"]]), json!([false, "SOLD_OUT"]));
    // What is entitled to nothing takes nobody's place.
    let idle = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
        "metadata": {"namespace": "customer-c", "name": "idle"}, "spec": {"planRef": "ghost-medium"}});
    shop.kubernetes.put(idle).await;
    shop.edit("ghost-medium", |spec| spec["capacity"] = json!(1)).await;
    shop.shows("/catalog/plans/ghost-medium", has(json!(1))).await?;
    // One that was made by hand beyond what is sold leaves no less than nothing.
    shop.instance("customer-b", "three", "ghost-small", "Pending").await;
    shop.kubernetes.delete("serviceinstances", "customer-a", "one").await;
    shop.kubernetes.delete("serviceinstances", "customer-b", "two").await;
    shop.shows("/catalog/plans/ghost-small", has(json!(1))).await?;
    // What the operator has yet to look at, or has found wrong, is shown and not sold.
    let mut wrong = shop.kubernetes.get("serviceplans", "ghost-large").await.unwrap();
    wrong["status"] = status(1, "False");
    shop.kubernetes.put(wrong).await;
    let is_not_ready = |answer: &Answer| answer.body["obstacle"]["code"] == "NOT_READY";
    shop.shows("/catalog/plans/ghost-large", is_not_ready).await?;
    assert!(is_not_ready(&shop.get("/catalog/plans/postgresql-medium").await?));
    Ok(())
}

#[tokio::test]
async fn services_and_plans_are_looked_for_sorted_and_paged() -> Result<()> {
    let shop = Shop::new().await?;
    let services = async |query: &str| shop.get(&format!("/catalog/services?{query}")).await;
    for (query, found) in [
        ("category=websites", &["ghost", "wordpress"][..]),
        ("q=PostgreSQL", &["postgresql"]),
        ("q=websites+ghost", &["ghost"]),
        ("q=nothing+of+that", &[]),
        ("memory_bytes_min=4294967296&price_max=100000", &[]),
        ("sort=-display_name", &["wordpress", "postgresql", "ghost"]),
    ] {
        assert_eq!(column(&services(query).await?.expect(StatusCode::OK)?, "slug"), found, "{query}");
    }
    // The database's is a year's.
    let by_price = services("sort=price").await?;
    assert_eq!(column(&by_price, "slug"), ["postgresql", "wordpress", "ghost"]);
    assert_eq!(by_price.body["items"][0]["price_from"]["period"], "YEARLY");
    // What can be bought, and what is dear.
    let plans = async |query: &str| shop.get(&format!("/catalog/services/ghost/plans?{query}")).await;
    assert_eq!(
        column(&plans("price_min=100000&sort=-price").await?, "name"),
        ["ghost-large", "ghost-medium"]
    );
    assert_eq!(column(&plans("available=false").await?, "name"), [""; 0]);
    let first = plans("page[size]=2").await?;
    assert_eq!((column(&first, "name").len(), &first.body["total"]), (2, &json!(3)));
    let rest = shop.get(first.body["next"].as_str().unwrap_or_default()).await?.expect(StatusCode::OK)?;
    assert_eq!((column(&rest, "name"), &rest.body["next"]), (vec!["ghost-large"], &Value::Null));
    for wrong in ["color=red", "sort=color", "price_max=cheap", "available=maybe", "page[size]=0"] {
        let answer = services(wrong).await?;
        assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "request.malformed"), "{wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_public_is_kept_by_caches_for_a_moment_and_not_sent_twice() -> Result<()> {
    let shop = Shop::new().await?;
    let first = shop.get("/catalog/services/ghost/plans").await?.expect(StatusCode::OK)?;
    assert_eq!(first.header("cache-control"), "public, max-age=15");
    let tag = first.header("etag").to_owned();
    let again = async |tag: &str| {
        let request = shop.api.request(Method::GET, "/catalog/services/ghost/plans");
        shop.api.send(request.header("if-none-match", tag)).await
    };
    let known = again(&format!("\"other\", W/{tag}")).await?;
    assert_eq!(
        (known.status, &known.body, known.header("etag")),
        (StatusCode::NOT_MODIFIED, &Value::Null, &*tag)
    );
    shop.edit("ghost-small", |spec| spec["price"]["amount"] = json!(99000)).await;
    shop.shows("/catalog/plans/ghost-small", |answer| answer.body["price"]["amount"] == 99000).await?;
    assert_eq!(again(&tag).await?.status, StatusCode::OK);
    // A problem is nobody's to keep.
    assert_eq!(shop.get("/catalog/plans/nothing").await?.header("cache-control"), "no-store");
    Ok(())
}

#[tokio::test]
async fn while_the_cluster_is_away_the_shop_window_stays() -> Result<()> {
    let shop = Shop::new().await?;
    shop.kubernetes.set_away(true).await;
    shop.get("/catalog/services").await?.expect(StatusCode::OK)?;
    shop.get("/catalog/plans/ghost-small").await?.expect(StatusCode::OK)?;
    // One that never saw it has nothing to show.
    let blind = shop.world.replica_on(shop.kubernetes.cluster()?).await?;
    for path in ["services", "categories", "plans/ghost-small"] {
        let request = blind.request(Method::GET, &format!("/catalog/{path}"));
        let answer = blind.send(request).await?;
        assert_eq!((answer.code(), answer.header("retry-after")), ("unavailable", "2"), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn categories_are_made_renamed_moved_and_deleted_once_empty() -> Result<()> {
    let shop = Shop::new().await?;
    let names = async || -> Result<Vec<String>> {
        let answer = shop.get("/catalog/categories").await?.expect(StatusCode::OK)?;
        Ok(column(&answer, "name_id").into_iter().map(str::to_owned).collect())
    };
    // By their bare names, until somebody says more. That of an app that is off is not shown.
    assert_eq!(names().await?, ["databases", "websites"]);
    let websites = json!({"slug": "websites", "name_en": " Websites ", "name_id": "Situs web", "position": 20,
        "reason": "The shop opens"});
    let made = shop.api.post_once(&shop.boss, "/admin/categories", "one", &websites).await?;
    let made = made.expect(StatusCode::CREATED)?;
    assert_eq!(made.body["name_en"], "Websites");
    assert_eq!(made.header("location"), "/api/v1/admin/categories/websites");
    let again = shop.api.post_once(&shop.boss, "/admin/categories", "one", &websites).await?;
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::CREATED, "true"));
    let taken = shop.api.send_as(&shop.boss, Method::POST, "/admin/categories", &websites).await?;
    assert_eq!(taken.code(), "category.slug_taken");
    let empty = json!({"slug": "games", "name_en": "Games", "name_id": "Permainan", "position": 10});
    shop.api
        .send_as(&shop.boss, Method::POST, "/admin/categories", &empty)
        .await?
        .expect(StatusCode::CREATED)?;
    // What is described comes before what is not.
    assert_eq!(names().await?, ["Permainan", "Situs web", "databases"]);
    let change = json!({"name_id": "Laman", "position": 5, "description_en": "Pages"});
    let path = "/admin/categories/websites";
    let read = shop.api.get_as(&shop.boss, path).await?;
    let changed = shop.api.request(Method::PATCH, path).bearer_auth(&shop.boss.access).json(&change);
    let changed =
        shop.api.send(changed.header("if-match", read.header("etag"))).await?.expect(StatusCode::OK)?;
    assert_eq!(changed.body["description_en"], "Pages");
    let stale = shop.api.request(Method::PATCH, path).bearer_auth(&shop.boss.access).json(&change);
    let stale = shop.api.send(stale.header("if-match", read.header("etag"))).await?;
    assert_eq!(stale.code(), "request.precondition_failed");
    assert_eq!(names().await?, ["Laman", "Permainan", "databases"]);
    // Nobody changes or deletes what they have not read.
    for method in [Method::PATCH, Method::DELETE] {
        let blind = shop.api.send_as(&shop.boss, method, path, &json!({})).await?;
        let refused = (blind.status, blind.code());
        assert_eq!(refused, (StatusCode::PRECONDITION_REQUIRED, "request.precondition_required"));
    }
    let delete = async |slug: &str| {
        let path = format!("/admin/categories/{slug}");
        let read = shop.api.get_as(&shop.boss, &path).await?;
        let request = shop.api.request(Method::DELETE, &path).bearer_auth(&shop.boss.access);
        shop.api.send(request.header("if-match", read.header("etag"))).await
    };
    assert_eq!(delete("websites").await?.code(), "category.in_use");
    delete("games").await?.expect(StatusCode::NO_CONTENT)?;
    assert_eq!(delete("games").await?.status, StatusCode::NOT_FOUND);
    let log = shop.api.get_as(&shop.boss, "/admin/audit?entity_type=category&sort=at").await?;
    let actions = ["category.create", "category.create", "category.change", "category.delete"];
    assert_eq!(column(&log, "action"), actions);
    assert_eq!(log.body["items"][2]["before"]["name_id"], "Situs web");
    Ok(())
}

#[tokio::test]
async fn nobody_looks_for_more_words_than_the_document_says() -> Result<()> {
    let shop = Shop::new().await?;
    // Two bytes each.
    let words = |count: usize| "é".repeat(count);
    for path in ["/catalog/services", "/instances"] {
        let look = async |count| shop.api.get_as(&shop.boss, &format!("{path}?q={}", words(count))).await;
        look(200).await?.expect(StatusCode::OK)?;
        let refused = look(201).await?.expect(StatusCode::BAD_REQUEST)?;
        let detail = refused.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("200 characters at most"), "{detail}");
    }
    Ok(())
}

#[tokio::test]
async fn a_visitor_who_looks_too_often_waits_and_can_still_log_in() -> Result<()> {
    let world = World::new().await?;
    // What is shown there is not known, which is looked for after the visitor was counted.
    let api = world.replica_with(|settings| settings.http.rate_catalog_per_address = 3).await?;
    let visit = async |path: &str, from: &str| {
        let request = api.request(Method::GET, &format!("/catalog/{path}"));
        anyhow::Ok(api.send(request.header("x-forwarded-for", from)).await?.code().to_owned())
    };
    for path in ["categories", "services", "plans/ghost-small"] {
        assert_eq!(visit(path, "203.0.113.1").await?, "unavailable", "{path}");
    }
    for path in ["categories", "services", "services/ghost", "services/ghost/plans", "plans/ghost-small"] {
        assert_eq!(visit(path, "203.0.113.1").await?, "request.rate_limited", "{path}");
    }
    assert_eq!(visit("services", "203.0.113.2").await?, "unavailable");
    let login = api.request(Method::POST, "/auth/login").header("x-forwarded-for", "203.0.113.1");
    let login = login.json(&json!({"email": "nobody@example.com", "password": "wrong"}));
    assert_eq!(api.send(login).await?.code(), "auth.invalid_credentials");
    Ok(())
}

#[tokio::test]
async fn many_visitors_take_one_connection_between_them_and_leave_the_others_to_those_who_pay() -> Result<()>
{
    const VISITORS: usize = 40;
    let shop = Shop::new().await?;
    let (server, name) = (&shop.world.database.server, &shop.world.database.name);
    let db = sqlx::PgPool::connect(&server.admin_url(name)).await?;
    let mut slow = db.begin().await?;
    sqlx::query("lock table subscriptions in access exclusive mode").execute(&mut *slow).await?;
    let is_over = CancellationToken::new();
    // Until they wait, and once more: what was counted a moment ago is shown at once.
    let visits = try_join_all((0..VISITORS).map(async |_| {
        while !is_over.is_cancelled() {
            shop.get("/catalog/services").await?.expect(StatusCode::OK)?;
        }
        anyhow::Ok(())
    }));
    let others = async {
        let counts =
            "select count(*) from pg_stat_activity where datname = current_database() and state = 'active'
            and query like '%group by plan%' and query not like '%pg_stat%'";
        let count = async || sqlx::query_scalar::<_, i64>(counts).fetch_one(&db).await;
        e2e::wait::until("them to be counted for", BOUND, async || Ok((count().await? > 0).then_some(())))
            .await?;
        for _ in 0..20 {
            shop.api.get_as(&shop.boss, "/wallet").await?.expect(StatusCode::OK)?;
        }
        assert_eq!(count().await?, 1);
        slow.commit().await?;
        is_over.cancel();
        anyhow::Ok(())
    };
    let (visits, others) = tokio::join!(visits, others);
    others?;
    visits.map(drop)
}
