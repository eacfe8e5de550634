//! The catalogue on a real control plane: an administrator's plan goes through the cluster's own rules and the operator into the shop window,
//! beside what a `GitOps` tool manages of it.

use anyhow::{Context, Result};
use crds::ServicePlan;
use crds::instance::Phase;
use e2e::people::ADMINISTRATOR;
use e2e::wait;
use http::StatusCode;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{BOUND, Customers, World, block_on};

const PLAN: &str = "story-tiny";
const PATH: &str = "/api/v1/admin/plans/story-tiny";

fn plan(cpu_millicores: i64) -> Value {
    json!({"name": PLAN, "service": "postgresql", "display_name": "Tiny", "capacity": 3,
        "price": {"amount": 19000, "period": "MONTHLY", "tax_inclusive": true},
        "cpu_millicores": cpu_millicores, "memory_bytes": 268_435_456, "storage_bytes": 1_073_741_824})
}

/// An administrator at the catalogue.
struct Desk<'a> {
    customers: &'a Customers,
    administrator: String,
}

impl Desk<'_> {
    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let mut headers: Vec<(&str, &str)> = Vec::new();
        let tag;
        if method != "GET" && method != "POST" {
            let (_, read, _) =
                self.customers.api.exchange("GET", path, Some(&self.administrator), &[], None).await?;
            tag = read.get("etag").context("what is changed has a version")?.to_str()?.to_owned();
            headers.push(("if-match", &tag));
        }
        let (status, _, answer) =
            self.customers.api.exchange(method, path, Some(&self.administrator), &headers, body).await?;
        Ok((status, answer))
    }

    /// What everybody sees of the plan.
    async fn shown(&self) -> Result<(StatusCode, Value)> {
        let path = format!("/api/v1/catalog/plans/{PLAN}");
        let (status, _, answer) = self.customers.api.exchange("GET", &path, None, &[], None).await?;
        Ok((status, answer))
    }

    async fn shows(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until(what, BOUND, async || Ok(Some(self.shown().await?.1).filter(|shown| is_so(shown)))).await
    }
}

fn code(answer: &Value) -> &str {
    answer["code"].as_str().unwrap_or_default()
}

#[test]
fn an_administrators_plan_comes_into_the_shop_window_and_is_retired_while_it_is_used() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let _operator = world.operator("a").await?;
        let customers = world.customers("catalog").await?;
        let administrator = customers.log_in(ADMINISTRATOR).await?;
        let desk = Desk { customers: &customers, administrator };

        // The resource's own rules speak, by the names of the fields here.
        let refused = wait::until("the catalogue to be read", BOUND, async || {
            let (status, answer) = desk.call("POST", "/api/v1/admin/plans", Some(&plan(1))).await?;
            Ok((status != StatusCode::SERVICE_UNAVAILABLE).then_some(answer))
        })
        .await?;
        assert_eq!(code(&refused), "request.invalid", "{refused}");
        assert_eq!(refused["errors"][0]["field"], "cpu_millicores", "{refused}");
        let (status, made) = desk.call("POST", "/api/v1/admin/plans", Some(&plan(100))).await?;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        let shown = desk.shows("the plan to be found good", |shown| shown["available"] == true).await?;
        assert_eq!((&shown["left"], &shown["price"]["amount"]), (&json!(3), &json!(19000)));

        beside_another_tool(&desk, &Api::all(world.admin())).await?;

        // An instance of it takes a place and keeps it.
        let tenant = world.tenant("catalog", json!({"instances": 1})).await?;
        let db = world.instance(&tenant, "db", json!({"planRef": PLAN})).await?;
        db.entitle().await?;
        db.settled_in(Phase::Running, BOUND).await?;
        desk.shows("a place to be taken", |shown| shown["left"] == 2).await?;
        let (_, usage) = desk.call("GET", &format!("{PATH}/stats"), None).await?;
        assert_eq!((&usage["instances"], &usage["tenants"]), (&json!(1), &json!(1)), "{usage}");
        assert_eq!(code(&desk.call("DELETE", PATH, None).await?.1), "catalog.in_use");
        let (status, retired) = desk.call("PATCH", PATH, Some(&json!({"retired": true}))).await?;
        assert_eq!((status, &retired["retired"]), (StatusCode::OK, &json!(true)), "{retired}");
        assert_eq!(desk.shown().await?.0, StatusCode::NOT_FOUND);
        db.delete().await?;
        db.gone(BOUND).await?;
        wait::until("the plan to be free", BOUND, async || {
            Ok((desk.call("DELETE", PATH, None).await?.0 == StatusCode::NO_CONTENT).then_some(()))
        })
        .await
    })
}

/// A `GitOps` tool prices the plan: it is named, left alone, and what is ours is changed beside it, until it is taken over.
async fn beside_another_tool(desk: &Desk<'_>, plans: &Api<ServicePlan>) -> Result<()> {
    let theirs = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServicePlan", "metadata": {"name": PLAN},
        "spec": {"price": {"amount": 21000}, "description": "From the repository"}});
    plans.patch(PLAN, &PatchParams::apply("gitops").force(), &Patch::Apply(&theirs)).await?;
    let price = |amount: i64, take_over: bool| {
        json!({"price": {"amount": amount, "period": "MONTHLY", "tax_inclusive": true}, "take_over": take_over,
            "reason": "A sale"})
    };
    let (status, refused) = desk.call("PATCH", PATH, Some(&price(17000, false))).await?;
    assert_eq!((status, code(&refused)), (StatusCode::CONFLICT, "resource.managed_elsewhere"));
    let detail = refused["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(".spec.price.amount") && detail.contains("gitops"), "{detail}");
    // What we said before stays said, beside what they say.
    let (status, changed) = desk.call("PATCH", PATH, Some(&json!({"capacity": 3, "order": 9}))).await?;
    assert_eq!(status, StatusCode::OK, "{changed}");
    let seen = json!([
        changed["order"],
        changed["display_name"],
        changed["description"],
        changed["price"]["amount"]
    ]);
    assert_eq!(seen, json!([9, "Tiny", "From the repository", 21000]));
    let (status, taken) = desk.call("PATCH", PATH, Some(&price(17000, true))).await?;
    assert_eq!((status, &taken["price"]["amount"]), (StatusCode::OK, &json!(17000)), "{taken}");
    assert_eq!(taken["description"], "From the repository");
    desk.shows("the new price", |shown| shown["price"]["amount"] == 17000).await?;
    Ok(())
}
