//! Buying and cancelling, over HTTP, on a stand-in for the cluster where nothing ever comes up. What comes up is a story on a real one.

use anyhow::{Context as _, Result, ensure};
use e2e::wait::until;
use futures::future::try_join_all;
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::kubernetes::Kubernetes;
use crate::world::{Answer, Api, BOUND, PASSWORD, User, World};

pub const PATH: &str = "/api/v1/subscriptions";

/// A shop: an API on a cluster with a catalogue.
pub struct Shop {
    pub world: World,
    pub api: Api,
    pub kubernetes: Kubernetes,
    pub administrator: User,
}

fn template(name: &str) -> Value {
    let parameters = json!([{"name": "title", "type": "String", "default": "Mine", "maxLength": 10}]);
    json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceTemplate", "metadata": {"name": name}, "spec": {
        "displayName": "Ghost", "description": "A publication", "icon": "ghost", "category": "websites", "version": "1",
        "parameters": parameters, "components": [],
        "expose": {"http": {"component": "app", "port": "http"}}}})
}

fn plan(name: &str, template: &str, price: i64, more: &Value) -> Value {
    let mut plan = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServicePlan", "metadata": {"name": name}, "spec": {
        "templateRef": template, "displayName": "Small", "price": {"amount": price, "period": "Monthly", "taxInclusive": true},
        "resources": {"cpu": "1", "memory": "1Gi", "storage": "10Gi"}},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Valid", "message": "", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    for (name, value) in more.as_object().into_iter().flatten() {
        plan["spec"][name] = value.clone();
    }
    plan
}

impl Shop {
    pub async fn new() -> Result<Self> {
        let (world, kubernetes) = (World::new().await?, Kubernetes::start().await?);
        for app in ["ghost", "wordpress"] {
            kubernetes.put(template(app)).await;
        }
        kubernetes.put(plan("small", "ghost", 89_000, &json!({}))).await;
        kubernetes.put(plan("few", "ghost", 10_000, &json!({"capacity": 20}))).await;
        kubernetes.put(plan("old", "ghost", 89_000, &json!({"retired": true}))).await;
        kubernetes.put(plan("free", "wordpress", 0, &json!({}))).await;
        let huge = json!({"resources": {"cpu": "64", "memory": "1Gi", "storage": "10Gi"}});
        kubernetes.put(plan("huge", "wordpress", 1000, &huge)).await;
        let api = world.replica_on(kubernetes.cluster()?).await?;
        let administrator = world.administrator("boss").await?;
        let shop = Self { world, api, kubernetes, administrator };
        let ayu = shop.world.user("first").await?;
        until("the catalogue to be known", BOUND, async || {
            let asked = shop.quote(&ayu, &json!({"plan": "huge"})).await?;
            Ok((asked.status == StatusCode::OK).then_some(()))
        })
        .await?;
        Ok(shop)
    }

    pub async fn quote(&self, user: &User, body: &Value) -> Result<Answer> {
        self.api.send_as(user, Method::POST, "/api/v1/subscriptions/quote", body).await
    }

    async fn gives(&self, user: &User, kind: &str, amount: i64) -> Result<()> {
        let body = json!({"user_id": user.id, "kind": kind, "amount": amount, "reason": "Tests"});
        let path = "/api/v1/admin/billing/adjustments";
        let key = format!("{}-{kind}-{amount}", user.id);
        self.api
            .post_once(&self.administrator, path, &key, &body)
            .await?
            .expect(StatusCode::CREATED)
            .map(drop)
    }

    pub async fn rich(&self, name: &str) -> Result<User> {
        let user = self.world.user(name).await?;
        self.gives(&user, "CREDIT", 1_000_000).await?;
        Ok(user)
    }

    pub async fn buys(&self, user: &User, key: &str, body: &Value) -> Result<Answer> {
        self.api.post_once(user, PATH, key, body).await
    }

    pub async fn wallet(&self, user: &User) -> Result<(i64, i64)> {
        let wallet = self.api.get_as(user, "/api/v1/wallet").await?.expect(StatusCode::OK)?.body;
        let rupiah = |name: &str| wallet[name].as_i64().context("rupiah");
        Ok((rupiah("cash")?, rupiah("promotion")?))
    }

    pub async fn books_are_right(&self) -> Result<()> {
        let path = "/api/v1/admin/billing/ledger/verify";
        let report =
            self.api.send_as(&self.administrator, Method::POST, path, &json!({"mode": "FULL"})).await?;
        let report = report.expect(StatusCode::OK)?.body;
        ensure!(report["differences"] == json!([]), "{report}");
        Ok(())
    }
}

#[tokio::test]
async fn what_stands_in_the_way_is_said_by_quote_and_purchase_alike_and_moves_no_money() -> Result<()> {
    let shop = Shop::new().await?;
    let (ayu, poor) = (shop.rich("ayu").await?, shop.world.user("poor").await?);
    shop.gives(&poor, "CREDIT", 88_999).await?;
    let rows = [
        (&poor, json!({"plan": "small"}), "wallet.insufficient_balance"),
        (&ayu, json!({"plan": "old"}), "plan.retired"),
        (&ayu, json!({"plan": "huge"}), "quota.exceeded"),
    ];
    for (user, body, code) in rows {
        let quote = shop.quote(user, &body).await?.expect(StatusCode::OK)?.body;
        assert_eq!(
            (&quote["can_buy"], &quote["obstacles"][0]["code"]),
            (&json!(false), &json!(code)),
            "{quote}"
        );
        let refused = shop.buys(user, code, &body).await?.expect(StatusCode::CONFLICT)?;
        assert_eq!((refused.code(), &refused.body["detail"]), (code, &quote["obstacles"][0]["detail"]));
    }
    let wrong = [
        (json!({"plan": "nothing"}), StatusCode::UNPROCESSABLE_ENTITY),
        (
            json!({"plan": "small", "parameters": {"title": "far too long a title"}}),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (json!({"plan": "small", "parameters": {"colour": "red"}}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"plan": "small", "name": " "}), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"plan": "small", "expected_total": 88_000}), StatusCode::CONFLICT),
        (json!({"plan": "small", "status": "ACTIVE"}), StatusCode::BAD_REQUEST),
        (json!({"plan": "small", "price": 1}), StatusCode::BAD_REQUEST),
        (json!({}), StatusCode::BAD_REQUEST),
    ];
    for (at, (body, status)) in wrong.into_iter().enumerate() {
        shop.buys(&ayu, &format!("wrong-{at}"), &body).await?.expect(status)?;
    }
    shop.api
        .send_as(&ayu, Method::POST, PATH, &json!({"plan": "small"}))
        .await?
        .expect(StatusCode::BAD_REQUEST)?;
    assert_eq!((shop.wallet(&ayu).await?, shop.wallet(&poor).await?), ((1_000_000, 0), (88_999, 0)));
    let none = shop.api.get_as(&ayu, PATH).await?.expect(StatusCode::OK)?;
    assert_eq!(none.body["items"], json!([]));
    shop.books_are_right().await
}

#[tokio::test]
async fn a_purchase_is_paid_once_with_what_was_given_first_and_comes_back_where_it_came_from() -> Result<()> {
    let shop = Shop::new().await?;
    let ayu = shop.rich("ayu").await?;
    shop.gives(&ayu, "PROMOTION", 9_000).await?;
    let order = json!({"plan": "small", "name": "My publication", "expected_total": 89_000});
    let bought = shop.buys(&ayu, "one", &order).await?.expect(StatusCode::CREATED)?;
    assert_eq!(
        bought.header("location"),
        format!("{PATH}/{}", bought.body["id"].as_str().unwrap_or_default())
    );
    assert_eq!((&bought.body["tax"], &bought.body["status"]), (&json!(8_820), &json!("PENDING_DEPLOYMENT")));
    let again = shop.buys(&ayu, "one", &order).await?.expect(StatusCode::CREATED)?;
    assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &bought.body));
    shop.buys(&ayu, "one", &json!({"plan": "few"})).await?.expect(StatusCode::UNPROCESSABLE_ENTITY)?;
    let second = shop.buys(&ayu, "two", &order).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!(second.code(), "subscription.service_taken");
    assert_eq!(shop.wallet(&ayu).await?, (1_000_000 - 80_000, 0));

    let own = format!("{PATH}/{}", bought.body["id"].as_str().unwrap_or_default());
    let change = json!({"name": "Renamed", "auto_renew": false});
    let changed = shop.api.send_as(&ayu, Method::PATCH, &own, &change).await?.expect(StatusCode::OK)?.body;
    assert_eq!((&changed["name"], &changed["auto_renew"]), (&json!("Renamed"), &json!(false)));
    let become_active = json!({"status": "ACTIVE"});
    shop.api.send_as(&ayu, Method::PATCH, &own, &become_active).await?.expect(StatusCode::BAD_REQUEST)?;
    let list = shop.api.get_as(&ayu, &format!("{PATH}?service=ghost&status=PENDING_DEPLOYMENT")).await?;
    assert_eq!(list.expect(StatusCode::OK)?.body["items"][0]["id"], bought.body["id"]);

    let cancel = format!("{own}/cancel");
    shop.api.post_once(&ayu, &cancel, "away", &json!({})).await?.expect(StatusCode::OK)?;
    until("the money to come back", BOUND, async || {
        let now = shop.api.get_as(&ayu, &own).await?.body;
        Ok((now["refund"]["done"] == true).then_some(()))
    })
    .await?;
    assert_eq!(shop.wallet(&ayu).await?, (1_000_000, 9_000));
    let ended =
        shop.api.post_once(&ayu, &cancel, "once more", &json!({})).await?.expect(StatusCode::CONFLICT)?;
    assert_eq!(ended.code(), "subscription.ended");
    shop.api.send_as(&ayu, Method::PATCH, &own, &change).await?.expect(StatusCode::CONFLICT)?;
    // What has ended is in nobody's way.
    shop.buys(&ayu, "three", &order).await?.expect(StatusCode::CREATED)?;
    shop.books_are_right().await
}

#[tokio::test]
async fn buying_has_a_rate_for_each_customer() -> Result<()> {
    let world = World::with(|settings| settings.http.rate_purchases_per_user = 3).await?;
    let (ayu, budi) = (world.user("ayu").await?, world.user("budi").await?);
    let asks =
        async |user: &User, key: &str| world.api.post_once(user, PATH, key, &json!({"plan": "small"})).await;
    for nth in 0..3 {
        let answer = asks(&ayu, &format!("key-{nth}")).await?;
        assert_ne!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{:?}", answer.body);
    }
    let refused = asks(&ayu, "key-3").await?.expect(StatusCode::TOO_MANY_REQUESTS)?;
    let wait: i64 = refused.header("retry-after").parse()?;
    assert!((1..=20 * 60).contains(&wait), "{wait}");
    assert_ne!(asks(&budi, "key-0").await?.status, StatusCode::TOO_MANY_REQUESTS);
    world.clock.advance(SignedDuration::from_secs(wait));
    let ayu = world.log_in(&ayu.email, PASSWORD).await?;
    assert_ne!(asks(&ayu, "key-3").await?.status, StatusCode::TOO_MANY_REQUESTS);
    Ok(())
}

#[tokio::test]
async fn what_costs_nothing_is_had_with_an_empty_wallet_and_nothing_comes_back_of_it() -> Result<()> {
    let shop = Shop::new().await?;
    let ayu = shop.world.user("ayu").await?;
    let bought = shop.buys(&ayu, "free", &json!({"plan": "free"})).await?.expect(StatusCode::CREATED)?.body;
    let cancel = format!("{PATH}/{}/cancel", bought["id"].as_str().unwrap_or_default());
    let ended = shop.api.post_once(&ayu, &cancel, "end", &json!({})).await?.expect(StatusCode::OK)?.body;
    assert_eq!((&ended["status"], &ended["refund"]), (&json!("CANCELLED"), &Value::Null));
    shop.books_are_right().await
}

#[tokio::test]
async fn two_hundred_who_buy_the_last_twenty_at_once_leave_twenty_sold_and_nobody_else_poorer() -> Result<()>
{
    const BUYERS: usize = 200;
    let shop = Shop::new().await?;
    let first = shop.rich("buyer").await?;
    let others = shop.world.copies_of(&first, BUYERS - 1).await?;
    for other in &others {
        shop.gives(other, "CREDIT", 1_000_000).await?;
    }
    let all: Vec<&User> = std::iter::once(&first).chain(&others).collect();
    let order = json!({"plan": "few"});
    let answers = try_join_all(all.iter().map(|user| shop.buys(user, "few", &order))).await?;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(StatusCode::CREATED), count(StatusCode::CONFLICT)), (20, BUYERS - 20));
    for (user, answer) in all.iter().zip(&answers) {
        let is_sold = answer.status == StatusCode::CREATED;
        assert!(is_sold || answer.code() == "plan.sold_out", "{:?}", answer.body);
        let left = if is_sold { 990_000 } else { 1_000_000 };
        assert_eq!(shop.wallet(user).await?, (left, 0));
    }
    shop.books_are_right().await
}

#[tokio::test]
async fn what_does_not_come_up_is_told_and_given_up_after_an_hour_with_all_of_its_money() -> Result<()> {
    let shop = Shop::new().await?;
    let ayu = shop.rich("ayu").await?;
    let bought = shop.buys(&ayu, "buy", &json!({"plan": "small"})).await?.expect(StatusCode::CREATED)?.body;
    let own = format!("{PATH}/{}", bought["id"].as_str().unwrap_or_default());
    let hears = async |nth: usize, words: &str| {
        let mail = shop.world.mail.nth_to(&ayu.email, nth, BOUND).await?;
        ensure!(mail.subject.contains(words), "{}", mail.subject);
        Ok(())
    };
    // After those of registering.
    hears(3, "is being set up").await?;
    shop.world.clock.advance(SignedDuration::from_mins(5));
    hears(4, "takes a little longer").await?;
    shop.world.clock.advance(SignedDuration::from_mins(54));
    let ayu = shop.world.log_in(&ayu.email, PASSWORD).await?;
    let waits = shop.api.get_as(&ayu, &own).await?.body;
    assert_eq!(waits["status"], "PENDING_DEPLOYMENT");
    shop.world.clock.advance(SignedDuration::from_mins(1));
    // Whichever goes out first.
    let mut last = Vec::new();
    for nth in [5, 6] {
        last.push(shop.world.mail.nth_to(&ayu.email, nth, BOUND).await?.subject);
    }
    for words in ["could not be set up", "has come back"] {
        assert!(last.iter().any(|subject| subject.contains(words)), "{last:?}");
    }
    let over = shop.api.get_as(&ayu, &own).await?.body;
    assert_eq!((&over["status"], &over["ended_by"]), (&json!("CANCELLED"), &json!("SYSTEM")));
    assert_eq!((&over["refund"]["amount"], shop.wallet(&ayu).await?), (&json!(89_000), (1_000_000, 0)));
    let administrator = shop.world.log_in(&shop.administrator.email, PASSWORD).await?;
    Shop { administrator, ..shop }.books_are_right().await
}

#[tokio::test]
async fn while_the_cluster_is_away_what_was_bought_waits_and_what_is_cancelled_keeps_its_money_until_it_is_back()
-> Result<()> {
    let shop = Shop::new().await?;
    let ayu = shop.rich("ayu").await?;
    shop.kubernetes.set_away(true).await;
    let bought = shop.buys(&ayu, "buy", &json!({"plan": "small"})).await?.expect(StatusCode::CREATED)?.body;
    let own = format!("{PATH}/{}", bought["id"].as_str().unwrap_or_default());
    shop.api.post_once(&ayu, &format!("{own}/cancel"), "end", &json!({})).await?.expect(StatusCode::OK)?;
    let ended = shop.api.get_as(&ayu, &own).await?.body;
    assert_eq!((&ended["status"], &ended["refund"]["done"]), (&json!("CANCELLED"), &json!(false)));
    assert_eq!(shop.wallet(&ayu).await?, (1_000_000 - 89_000, 0));
    shop.kubernetes.set_away(false).await;
    until("the money to come back", BOUND, async || {
        // What failed is tried again after a pause, which is let pass here.
        shop.world.clock.advance(SignedDuration::from_secs(1));
        let now = shop.api.get_as(&ayu, &own).await?.body;
        Ok((now["refund"]["done"] == true).then_some(()))
    })
    .await?;
    assert_eq!(shop.wallet(&ayu).await?, (1_000_000, 0));
    shop.books_are_right().await
}

#[tokio::test]
async fn nobody_is_deleted_for_whom_something_may_run() -> Result<()> {
    let shop = Shop::new().await?;
    let ayu = shop.world.user("ayu").await?;
    let bought = shop.buys(&ayu, "free", &json!({"plan": "free"})).await?.expect(StatusCode::CREATED)?.body;
    let leaving = json!({"password": PASSWORD, "erase": true});
    let refused = shop.api.send_as(&ayu, Method::DELETE, "/api/v1/me", &leaving).await?;
    assert_eq!(refused.expect(StatusCode::CONFLICT)?.code(), "user.has_subscriptions");
    let cancel = format!("{PATH}/{}/cancel", bought["id"].as_str().unwrap_or_default());
    shop.api.post_once(&ayu, &cancel, "end", &json!({})).await?.expect(StatusCode::OK)?;
    until("nothing of it to run", BOUND, async || {
        let database = &shop.world.database;
        let left = database
            .server
            .sql(&database.name, "select count(*) from subscriptions where fenced_at is null")?;
        Ok((left.trim() == "0").then_some(()))
    })
    .await?;
    shop.api.send_as(&ayu, Method::DELETE, "/api/v1/me", &leaving).await?.expect(StatusCode::NO_CONTENT)?;
    Ok(())
}

#[tokio::test]
async fn whoever_means_to_cancel_later_is_refused_and_keeps_what_was_bought() -> Result<()> {
    let shop = Shop::new().await?;
    let ayu = shop.rich("ayu").await?;
    let bought = shop.buys(&ayu, "buy", &json!({"plan": "small"})).await?.expect(StatusCode::CREATED)?.body;
    let own = format!("{PATH}/{}", bought["id"].as_str().unwrap_or_default());
    let cancel = format!("{own}/cancel");
    for (key, body, words) in [
        ("later", json!({"when": "PERIOD_END"}), "when can be NOW alone"),
        ("misspelt", json!({"at": "PERIOD_END"}), "unknown field `at`"),
        ("no word", json!({"when": 7}), "when invalid type"),
        ("no object", json!(["PERIOD_END"]), "expected an object"),
    ] {
        let refused = shop.api.post_once(&ayu, &cancel, key, &body).await?.expect(StatusCode::BAD_REQUEST)?;
        let detail = refused.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(words), "{detail}");
    }
    let post = |key: &str| {
        let request = shop.api.request(Method::POST, &cancel).bearer_auth(&ayu.access);
        request.header("idempotency-key", key)
    };
    let form = post("form").body("when=PERIOD_END");
    shop.api.send(form).await?.expect(StatusCode::UNSUPPORTED_MEDIA_TYPE)?;
    assert_eq!(shop.api.get_as(&ayu, &own).await?.body["status"], "PENDING_DEPLOYMENT");
    // What it means is in its body: under the same key it is not another.
    let ended = shop.api.send(post("end")).await?.expect(StatusCode::OK)?;
    assert_eq!(ended.body["status"], "CANCELLED");
    let again = shop.api.send(post("end").header("content-type", "application/json")).await?;
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::OK, "true"));
    let other = shop.api.post_once(&ayu, &cancel, "end", &json!({"when": "NOW"})).await?;
    assert_eq!(other.code(), "idempotency.key_reused");
    Ok(())
}

#[tokio::test]
async fn a_word_says_that_it_ends_now() -> Result<()> {
    let shop = Shop::new().await?;
    let ayu = shop.rich("ayu").await?;
    let bought = shop.buys(&ayu, "buy", &json!({"plan": "small"})).await?.expect(StatusCode::CREATED)?.body;
    let cancel = format!("{PATH}/{}/cancel", bought["id"].as_str().unwrap_or_default());
    let ended = shop.api.post_once(&ayu, &cancel, "end", &json!({"when": "NOW"})).await?;
    assert_eq!(ended.expect(StatusCode::OK)?.body["status"], "CANCELLED");
    Ok(())
}

#[tokio::test]
async fn a_download_of_ones_data_has_what_was_bought_with_the_words_that_one_wrote() -> Result<()> {
    let shop = Shop::new().await?;
    let ayu = shop.rich("ayu").await?;
    let order = json!({"plan": "small", "name": "Ayu's own", "parameters": {"title": "Ayu writes"}});
    let bought = shop.buys(&ayu, "buy", &order).await?.expect(StatusCode::CREATED)?.body;
    let cancel = format!("{PATH}/{}/cancel", bought["id"].as_str().unwrap_or_default());
    shop.api.post_once(&ayu, &cancel, "end", &json!({})).await?.expect(StatusCode::OK)?;
    shop.buys(&ayu, "more", &json!({"plan": "free"})).await?.expect(StatusCode::CREATED)?;
    shop.buys(&shop.rich("budi").await?, "buy", &order).await?.expect(StatusCode::CREATED)?;
    let export = shop.api.get_as(&ayu, "/api/v1/me/export").await?.expect(StatusCode::OK)?.body;
    let all = export["subscriptions"].as_array().context("subscriptions")?;
    assert_eq!((all.len(), &export["subscriptions_are_complete"]), (2, &json!(true)));
    assert_eq!(
        json!([all[0]["plan"], all[1]["name"], all[1]["parameters"], all[1]["refund"]["amount"]]),
        json!(["free", "Ayu's own", {"title": "Ayu writes"}, 89_000])
    );
    Ok(())
}
