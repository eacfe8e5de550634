//! What the API writes into the cluster, and what it shows of it, under its own identity.

use anyhow::{Context, Result, ensure};
use crds::instance::Phase;
use crds::{TenantQuota, names};
use e2e::people::{ADMINISTRATOR, PASSWORD};
use e2e::wait;
use http::StatusCode;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{BOUND, Customers, Tenant, World, block_on};

/// An administrator at a customer's quota.
struct Desk<'a> {
    customers: &'a Customers,
    administrator: String,
    path: String,
}

impl Desk<'_> {
    /// The quota and its version.
    async fn read(&self) -> Result<(String, Value)> {
        let (status, headers, body) =
            self.customers.api.exchange("GET", &self.path, Some(&self.administrator), &[], None).await?;
        ensure!(status == StatusCode::OK, "{status}: {body}");
        let tag = headers.get("etag").context("a quota has a version")?.to_str()?.to_owned();
        Ok((tag, body))
    }

    /// Sets it; the status and what is answered.
    async fn set(&self, tag: Option<&str>, body: &Value) -> Result<(StatusCode, Value)> {
        let headers: Vec<(&str, &str)> = tag.map(|tag| ("if-match", tag)).into_iter().collect();
        let (status, _, answer) = self
            .customers
            .api
            .exchange("PUT", &self.path, Some(&self.administrator), &headers, Some(body))
            .await?;
        Ok((status, answer))
    }
}

fn limits(instances: u32, memory_bytes: u64) -> Value {
    json!({
        "instances": instances, "cpu_millicores": 4000, "memory_bytes": memory_bytes,
        "storage_bytes": 50_u64 << 30, "per_plan": {"postgresql-small": 2},
    })
}

fn code(answer: &Value) -> &str {
    answer["code"].as_str().unwrap_or_default()
}

#[test]
fn an_administrator_sets_what_a_customer_may_have_and_the_operator_makes_it_so() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let _operator = world.operator("a").await?;
        let customers = world.customers("quota").await?;
        let email = customers.customer().await?;
        let token = customers.mailed_token(&email, 1).await?;
        customers.api.must("POST", "/api/v1/auth/email/verify", None, Some(&json!({"token": token}))).await?;
        let customer = customers.log_in(&email).await?;
        let me = customers.api.must("GET", "/api/v1/me", Some(&customer), None).await?;
        let id = me["id"].as_str().context("a user has an id")?.to_owned();
        let own = async || customers.api.must("GET", "/api/v1/me/quota", Some(&customer), None).await;

        // Nobody has set anything yet: the defaults, and nothing in the cluster.
        let defaults = own().await?;
        assert_eq!((&defaults["is_default"], &defaults["limits"]["instances"]), (&json!(true), &json!(5)));
        let tenants: Api<TenantQuota> = Api::all(world.admin());
        let name = names::tenant_of_user(&id);
        assert!(tenants.get_opt(&name).await?.is_none());

        let administrator = customers.log_in(ADMINISTRATOR).await?;
        let desk =
            Desk { customers: &customers, administrator, path: format!("/api/v1/admin/users/{id}/quota") };
        let wanted = json!({"limits": limits(3, 8 << 30), "reason": "A larger customer"});
        let (tag, _) = desk.read().await?;
        assert_eq!(tag, "\"0\"");
        assert_eq!(code(&desk.set(None, &wanted).await?.1), "request.precondition_required");
        let too_small = json!({"limits": limits(3, 16)});
        assert_eq!(code(&desk.set(Some(&tag), &too_small).await?.1), "request.invalid");
        let (status, set) = desk.set(Some(&tag), &wanted).await?;
        assert_eq!((status, &set["limits"]), (StatusCode::OK, &wanted["limits"]), "{set}");
        assert_eq!(own().await?["limits"], wanted["limits"], "the next read sees it");
        assert_eq!(code(&desk.set(Some(&tag), &wanted).await?.1), "request.precondition_failed");
        assert_eq!(tenants.get(&name).await?.spec.owner, id);

        // The operator makes it so, and counts.
        wait::until("the tenant to be ready", BOUND, async || {
            Ok((desk.read().await?.1["progress"]["ready"] == true).then_some(()))
        })
        .await?;
        let tenant = world.tenant_of(&name);
        let db = world.instance(&tenant, "db", json!({"planRef": "postgresql-small"})).await?;
        db.entitle().await?;
        db.settled_in(Phase::Running, BOUND).await?;
        wait::until("the use to be counted", BOUND, async || {
            Ok((own().await?["used"]["instances"] == 1).then_some(()))
        })
        .await?;
        assert!(own().await?["used"]["memory_bytes"].as_i64().is_some_and(|bytes| bytes > 0));

        two_at_once(&desk).await?;
        what_another_tool_manages(&desk, &tenants, &tenant).await?;

        each_change_has_its_line(&desk, &id).await?;
        nothing_secret_is_logged(&customers, &[PASSWORD, &token, &customer, &desk.administrator])?;
        db.delete().await?;
        db.gone(BOUND).await
    })
}

/// Three were made. Of two at once the one that was refused may have got as far as its line.
async fn each_change_has_its_line(desk: &Desk<'_>, id: &str) -> Result<()> {
    let lines = async |action: &str| -> Result<Vec<Value>> {
        let path = format!("/api/v1/admin/audit?entity_id={id}&action={action}");
        let page = desk.customers.api.must("GET", &path, Some(&desk.administrator), None).await?;
        Ok(page["items"].as_array().cloned().unwrap_or_default())
    };
    let (set, failed) = (lines("user.set_quota").await?, lines("user.set_quota_failed").await?);
    assert_eq!(set.len(), 3 + failed.len(), "{set:?}");
    let first = set.last().context("there are lines")?;
    assert_eq!((&first["reason"], &first["after"]["instances"]), (&json!("A larger customer"), &json!(3)));
    Ok(())
}

/// The log is a JSON object a line, and has nothing that opens anything.
fn nothing_secret_is_logged(customers: &Customers, secrets: &[&str]) -> Result<()> {
    let log = std::fs::read_to_string(customers.api.process().log())?;
    let requests = log.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    assert!(requests.len() > 10, "requests and mails are told:\n{log}");
    assert!(requests.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()));
    for secret in secrets {
        assert!(!log.contains(secret), "the log has a secret");
    }
    Ok(())
}

/// Of two who change the same version one is told that it is another by now.
async fn two_at_once(desk: &Desk<'_>) -> Result<()> {
    let (tag, _) = desk.read().await?;
    let (one, other) = (json!({"limits": limits(4, 8 << 30)}), json!({"limits": limits(6, 8 << 30)}));
    let (one, other) = tokio::try_join!(desk.set(Some(&tag), &one), desk.set(Some(&tag), &other))?;
    let mut statuses = [one.0.as_u16(), other.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412], "{one:?} {other:?}");
    Ok(())
}

/// What another tool applies is not taken from it unasked, and nothing else that it says is lost.
async fn what_another_tool_manages(
    desk: &Desk<'_>,
    tenants: &Api<TenantQuota>,
    tenant: &Tenant,
) -> Result<()> {
    let found = tenants.get(tenant.name()).await?;
    let theirs = json!({
        "apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": tenant.name()},
        "spec": {"owner": found.spec.owner, "limits": {"instances": 9}, "network": {"internet": false}},
    });
    tenants.patch(tenant.name(), &PatchParams::apply("gitops").force(), &Patch::Apply(theirs)).await?;
    let (tag, seen) = desk.read().await?;
    assert_eq!(seen["limits"]["instances"], 9);
    let wanted = json!({"limits": limits(2, 8 << 30)});
    let (status, refused) = desk.set(Some(&tag), &wanted).await?;
    assert_eq!((status, code(&refused)), (StatusCode::CONFLICT, "resource.managed_elsewhere"));
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("gitops")), "{refused}");
    let taken = json!({"limits": limits(2, 8 << 30), "take_over": true});
    let (status, set) = desk.set(Some(&tag), &taken).await?;
    assert_eq!((status, &set["limits"]["instances"]), (StatusCode::OK, &json!(2)));
    assert!(!tenants.get(tenant.name()).await?.spec.network.internet, "what else they say stays");

    // A plan that they name can't be taken out here; it is said, and nothing is changed.
    let theirs = json!({
        "apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": tenant.name()},
        "spec": {"owner": found.spec.owner, "limits": {"perPlan": {"ghost-small": 1}}},
    });
    tenants.patch(tenant.name(), &PatchParams::apply("gitops"), &Patch::Apply(theirs)).await?;
    let (tag, _) = desk.read().await?;
    let (status, refused) = desk.set(Some(&tag), &taken).await?;
    assert_eq!((status, code(&refused)), (StatusCode::CONFLICT, "resource.managed_elsewhere"));
    // What they no longer say is gone: it has not become ours.
    assert!(tenants.get(tenant.name()).await?.spec.network.internet);
    Ok(())
}
