//! What `api-server audit` says of a cluster, a database and a gateway that agree, and of six differences between them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use crds::{ServiceInstance, labels, names};
use e2e::midtrans::{Act, Method};
use e2e::story::Story;
use e2e::{scratch, wait};
use http::StatusCode;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::world::{BOUND, Customers, World, block_on};

/// What `audit` says, and how it ends.
async fn audit(customers: &Customers) -> Result<(Option<i32>, Value)> {
    let (code, said) = customers.command(&["audit", "--output", "json"]).await?;
    let report = serde_json::from_str(&said).with_context(|| said.clone())?;
    Ok((code, report))
}

fn found(report: &Value) -> BTreeSet<(String, String)> {
    let all = report["differences"].as_array().cloned().unwrap_or_default();
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    all.iter().map(|one| (text(one, "kind"), text(one, "subject"))).collect()
}

async fn post(customers: &Customers, access: &str, path: &str, body: &Value) -> Result<Value> {
    let (name, path) = (path.replace('/', ""), format!("/api/v1{path}"));
    let key = [("idempotency-key", name.as_str())];
    let (status, _, answer) = customers.api.exchange("POST", &path, Some(access), &key, Some(body)).await?;
    ensure!(status == StatusCode::CREATED, "{status}: {answer}");
    Ok(answer)
}

/// One more subscription, which is active.
async fn buys_another(customers: &Customers, access: &str) -> Result<String> {
    let bought = post(customers, access, "/subscriptions", &json!({"plan": "postgresql-small"})).await?;
    let id = bought["id"].as_str().context("it has an id")?.to_owned();
    wait::until("the second one to be active", BOUND, async || {
        let path = format!("/api/v1/subscriptions/{id}");
        let now = customers.api.must("GET", &path, Some(access), None).await?;
        Ok((now["status"] == "ACTIVE").then_some(()))
    })
    .await?;
    Ok(id)
}

/// Credits something past the program: it is in the books, and in no book of the gateway; the transaction's number.
fn credits(customers: &Customers, user: &str) -> Result<String> {
    let id = "0192a000-0000-7000-8000-000000000077";
    customers.sql(&format!(
        "begin;
         insert into transactions (id, user_id, type, direction, amount, status, created_at, decided_at)
         values ('{id}', '{user}', 'TOP_UP', 'CREDIT', 70000, 'COMPLETED', now(), now());
         insert into entries (id, kind, key, at) values ('{id}', 'TOP_UP', 'planted', now());
         insert into transfers (entry_id, debit, credit, amount)
         select '{id}', 1, id, 70000 from accounts where user_id = '{user}' and kind = 'CASH';
         commit"
    ))?;
    customers.sql(&format!("select number from transactions where id = '{id}'"))
}

#[test]
fn an_audit_names_each_of_six_planted_differences() -> Result<()> {
    block_on(async {
        let world = World::start("audit").await?;
        let _operator = world.operator("a").await?;
        let customers = world.customers("audited").await?;
        let mails = scratch::folder("audited")?;
        let walk = customers.doors(&mails, "")?;
        let ayu = walk.come_in(Story::quiet()).await?;
        walk.buy(Story::quiet(), &ayu).await?;
        let id = buys_another(&customers, &ayu.access).await?;
        let top_up = post(&customers, &ayu.access, "/wallet/top-ups", &json!({"amount": 50_000})).await?;
        let user = customers.api.must("GET", "/api/v1/me", Some(&ayu.access), None).await?;
        let user = user["id"].as_str().context("a user has an id")?.to_owned();
        let namespace = names::tenant_namespace(&names::tenant_of_user(&user));
        let instances: Api<ServiceInstance> = Api::namespaced(world.admin(), &namespace);
        let by_hand = world.tenant_of(&names::tenant_of_user(&user));
        let entitled = by_hand.instance("by-hand", json!({"planRef": "postgresql-small"})).await?;
        by_hand.instance("lost", json!({"planRef": "postgresql-small"})).await?;
        wait::until("all to be told", BOUND, async || {
            let left = customers
                .sql("select count(*) from subscriptions where applied_version < desired_version")?;
            Ok((left == "0").then_some(()))
        })
        .await?;
        let (code, clean) = audit(&customers).await?;
        assert_eq!((code, found(&clean).len()), (Some(0), 0), "{clean}");

        // From now on nobody mends anything.
        customers.api.process().stop();
        customers.api.process().died().await;
        let ghost = customers.sql("select id from subscriptions where service = 'ghost'")?;
        let name = names::instance_of_subscription("ghost", &ghost);
        instances.delete(&name, &DeleteParams::default()).await?;
        wait::until("it to be gone", BOUND, async || {
            Ok(instances.get_opt(&name).await?.is_none().then_some(()))
        })
        .await?;
        entitled.entitle().await?;
        customers.sql(&format!("update subscriptions set plan = 'postgresql-medium' where id = '{id}'"))?;
        let label =
            json!({"metadata": {"labels": {labels::SUBSCRIPTION: "0192a000-0000-7000-8000-000000000099"}}});
        let lost = instances.patch("lost", &PatchParams::default(), &Patch::Merge(&label)).await?;
        let token = top_up.pointer("/payment/token").and_then(Value::as_str).context("it has a page")?;
        let order = customers.gateway.order_of(token).context("the gateway knows the page")?;
        let paid = customers.gateway.act(&Act::pay(order.clone(), Method::BcaVa));
        paid.map_err(|why| anyhow::anyhow!("{why:?}"))?;
        let number = credits(&customers, &user)?;
        let (code, report) = audit(&customers).await?;
        assert_eq!(code, Some(1), "{report}");
        let row = |kind: &str, subject: String| (kind.to_owned(), subject);
        let planted = BTreeSet::from([
            row("PAID_NOT_RUNNING", format!("subscription {ghost}")),
            row("RUNNING_NOT_PAID", format!("serviceinstance {namespace}/by-hand")),
            row("WRONG_PLAN", format!("subscription {id}")),
            row("ORPHAN", format!("serviceinstance {namespace}/{}", lost.name_any())),
            row("CREDITED_NOT_PAID", format!("transaction TXMP-{number}")),
            row("PAID_NOT_CREDITED", format!("order {order}")),
        ]);
        assert_eq!(found(&report), planted, "{report}");
        Ok(std::fs::remove_dir_all(&mails)?)
    })
}
