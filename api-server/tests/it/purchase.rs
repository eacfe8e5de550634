//! What stands in the way of a purchase as the cluster has it: what others have made there, a plan that is being taken away, a cluster that is
//! not heard of. On a stand-in for the cluster.

use std::time::Duration;

use anyhow::Result;
use crds::names;
use e2e::wait::until;
use futures::future::try_join_all;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::subscriptions::Shop;
use crate::world::{Answer, BOUND, User};

/// How long nothing may be heard of the cluster, and some more.
const STALE: Duration = Duration::from_mins(2);

fn instance(namespace: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
        "metadata": {"namespace": namespace, "name": name}, "spec": spec})
}

impl Shop {
    /// Waits until a quote says that something stands in the way, or nothing.
    async fn quotes(&self, user: &User, plan: &str, code: Option<&str>) -> Result<Value> {
        until("the quote to say so", BOUND, async || {
            let quote = self.quote(user, &json!({"plan": plan})).await?.expect(StatusCode::OK)?.body;
            Ok((quote["obstacles"][0]["code"].as_str() == code).then_some(quote))
        })
        .await
    }

    async fn orders(&self, user: &User, plan: &str) -> Result<Answer> {
        self.buys(user, plan, &json!({"plan": plan})).await
    }

    async fn deletes(&self, plan: &str) -> Result<Answer> {
        let path = format!("/api/v1/admin/plans/{plan}");
        let read = self.api.get_as(&self.administrator, &path).await?.expect(StatusCode::OK)?;
        let request = self.api.request(Method::DELETE, &path).bearer_auth(&self.administrator.access);
        self.api.send(request.header("if-match", read.header("etag"))).await
    }
}

#[tokio::test]
async fn what_was_made_by_hand_and_what_is_kept_takes_of_the_quota_at_quote_and_purchase_alike() -> Result<()>
{
    let shop = Shop::new().await?;
    let ayu = shop.rich("ayu").await?;
    let tenant = names::tenant_of_user(&ayu.id);
    let namespace = names::tenant_namespace(&tenant);
    for nth in 0..5 {
        shop.kubernetes.put(instance(&namespace, &format!("hand-{nth}"), &json!({"planRef": "small"}))).await;
    }
    let quote = shop.quotes(&ayu, "small", Some("quota.exceeded")).await?;
    let refused = shop.orders(&ayu, "small").await?.expect(StatusCode::CONFLICT)?;
    assert_eq!(
        (refused.code(), &refused.body["detail"]),
        ("quota.exceeded", &quote["obstacles"][0]["detail"])
    );
    assert!(refused.body["detail"].as_str().is_some_and(|detail| detail.starts_with("5 of 5 instances")));
    shop.kubernetes.delete("serviceinstances", &namespace, "hand-0").await;
    shop.quotes(&ayu, "small", None).await?;
    let kept = json!([{"dataId": "dabcdefghijk", "template": "ghost", "plan": "small", "storage": "360Gi"}]);
    shop.kubernetes
        .put(
            json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": tenant},
            "spec": {"owner": ayu.id}, "status": {"retained": kept}}),
        )
        .await;
    shop.quotes(&ayu, "small", Some("quota.exceeded")).await?;
    assert_eq!(shop.orders(&ayu, "small").await?.code(), "quota.exceeded");
    assert_eq!(shop.wallet(&ayu).await?, (1_000_000, 0));
    shop.books_are_right().await
}

#[tokio::test]
async fn one_that_was_made_by_hand_takes_a_place_of_the_plan_only_where_it_may_run() -> Result<()> {
    let shop = Shop::new().await?;
    let ayu = shop.rich("ayu").await?;
    for nth in 0..20 {
        shop.kubernetes.put(instance("customer-x", &format!("idle-{nth}"), &json!({"planRef": "few"}))).await;
    }
    let entitled = json!({"planRef": "few", "entitlement": {}});
    for nth in 0..19 {
        shop.kubernetes.put(instance("customer-y", &format!("runs-{nth}"), &entitled)).await;
    }
    shop.quotes(&ayu, "few", None).await?;
    shop.kubernetes.put(instance("customer-y", "runs-19", &entitled)).await;
    shop.quotes(&ayu, "few", Some("plan.sold_out")).await?;
    assert_eq!(shop.orders(&ayu, "few").await?.code(), "plan.sold_out");
    shop.kubernetes.delete("serviceinstances", "customer-y", "runs-19").await;
    shop.quotes(&ayu, "few", None).await?;
    shop.orders(&ayu, "few").await?.expect(StatusCode::CREATED)?;
    let budi = shop.rich("budi").await?;
    assert_eq!(shop.orders(&budi, "few").await?.code(), "plan.sold_out");
    Ok(())
}

#[tokio::test]
async fn a_plan_that_is_limited_later_counts_what_was_sold_before() -> Result<()> {
    let shop = Shop::new().await?;
    let (ayu, budi) = (shop.rich("ayu").await?, shop.rich("budi").await?);
    shop.orders(&ayu, "small").await?.expect(StatusCode::CREATED)?;
    let mut plan = shop.kubernetes.get("serviceplans", "small").await.unwrap();
    plan["spec"]["capacity"] = json!(1);
    plan["status"]["conditions"][0]["observedGeneration"] = json!(2);
    shop.kubernetes.put(plan).await;
    shop.quotes(&budi, "small", Some("plan.sold_out")).await?;
    assert_eq!(shop.orders(&budi, "small").await?.code(), "plan.sold_out");
    Ok(())
}

#[tokio::test]
async fn a_plan_is_bought_or_deleted_and_never_both() -> Result<()> {
    let shop = Shop::new().await?;
    let first = shop.rich("buyer").await?;
    // However they meet, many times.
    for nth in 0..12 {
        let name = format!("gone-{nth}");
        let mut plan = shop.kubernetes.get("serviceplans", "free").await.unwrap();
        plan["metadata"] = json!({"name": name});
        shop.kubernetes.put(plan).await;
        let (shop, first, name) = (&shop, &first, name.as_str());
        until("the plan to be known", BOUND, async || {
            let quote = shop.quote(first, &json!({"plan": name})).await?;
            Ok((quote.status == StatusCode::OK).then_some(()))
        })
        .await?;
        let buying = async || shop.orders(first, name).await;
        let deleting = async || shop.deletes(name).await;
        let both: [futures::future::BoxFuture<'_, Result<Answer>>; 2] =
            [Box::pin(buying()), Box::pin(deleting())];
        let answers = try_join_all(both).await?;
        let (bought, deleted) = (&answers[0], &answers[1]);
        match (bought.status, deleted.status) {
            (StatusCode::CREATED, StatusCode::CONFLICT) => {
                assert_eq!(deleted.code(), "catalog.in_use");
                let path = format!(
                    "{}/{}",
                    crate::subscriptions::PATH,
                    bought.body["id"].as_str().unwrap_or_default()
                );
                shop.api
                    .post_once(first, &format!("{path}/cancel"), "end", &json!({}))
                    .await?
                    .expect(StatusCode::OK)?;
                until("it to be over", BOUND, async || {
                    let database = &shop.world.database;
                    let left = database
                        .server
                        .sql(&database.name, "select count(*) from subscriptions where fenced_at is null")?;
                    Ok((left.trim() == "0").then_some(()))
                })
                .await?;
                shop.deletes(name).await?.expect(StatusCode::NO_CONTENT)?;
            }
            (StatusCode::UNPROCESSABLE_ENTITY, StatusCode::NO_CONTENT) => {}
            other => panic!("{other:?} {:?} {:?}", bought.body, deleted.body),
        }
        assert_eq!(shop.orders(first, name).await?.status, bought.status, "as it was answered before");
    }
    Ok(())
}

#[tokio::test]
async fn a_plan_that_is_being_taken_away_is_sold_to_nobody_until_that_is_refused() -> Result<()> {
    let shop = Shop::new().await?;
    let (ayu, database) = (shop.rich("ayu").await?, &shop.world.database);
    let sql = |sql: &str| database.server.sql(&database.name, sql);
    let closed = || sql("select count(*) from plan_closings");
    // What is told after a time-out may have been done: nobody buys it, whatever a replica knows of it.
    shop.kubernetes.refuse(Method::DELETE, "serviceplans", StatusCode::GATEWAY_TIMEOUT, 1).await;
    assert_eq!(shop.deletes("free").await?.status, StatusCode::SERVICE_UNAVAILABLE);
    for answer in [shop.quote(&ayu, &json!({"plan": "free"})).await?, shop.orders(&ayu, "free").await?] {
        assert_eq!(
            (answer.status, &answer.body["errors"][0]["field"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("plan"))
        );
    }
    // Another who is refused reopens nothing that the first one may still have done.
    shop.kubernetes.refuse(Method::DELETE, "serviceplans", StatusCode::FORBIDDEN, 2).await;
    assert_eq!(shop.deletes("free").await?.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(closed()?.trim(), "1");
    shop.quote(&ayu, &json!({"plan": "free"})).await?.expect(StatusCode::UNPROCESSABLE_ENTITY)?;
    // Long after that it is decided: it is there, and is sold again.
    sql("update plan_closings set at = now() - interval '10 minutes'")?;
    assert_eq!(shop.deletes("free").await?.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(closed()?.trim(), "0");
    shop.buys(&ayu, "again", &json!({"plan": "free"})).await?.expect(StatusCode::CREATED)?;
    Ok(())
}

#[tokio::test]
async fn while_nobody_knows_how_the_cluster_stands_nothing_is_sold_and_nothing_paid() -> Result<()> {
    let shop = Shop::new().await?;
    let ayu = shop.rich("ayu").await?;
    shop.kubernetes.set_away(true).await;
    let quote = until("what is known to be too old", STALE, async || {
        let quote = shop.quote(&ayu, &json!({"plan": "small"})).await?;
        Ok((quote.status != StatusCode::OK).then_some(quote))
    })
    .await?;
    assert_eq!((quote.status, quote.code()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    let refused = shop.orders(&ayu, "small").await?.expect(StatusCode::SERVICE_UNAVAILABLE)?;
    assert_eq!((refused.code(), shop.wallet(&ayu).await?), ("unavailable", (1_000_000, 0)));
    shop.kubernetes.set_away(false).await;
    until("the cluster to be heard of again", BOUND, async || {
        let quote = shop.quote(&ayu, &json!({"plan": "small"})).await?;
        Ok((quote.status == StatusCode::OK).then_some(()))
    })
    .await?;
    // The same key: what was refused was not kept.
    shop.orders(&ayu, "small").await?.expect(StatusCode::CREATED)?;
    shop.books_are_right().await
}
