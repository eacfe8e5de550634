//! What a customer buys: from the wallet to a running app, and back again when it is cancelled.

use anyhow::{Context as _, Result, ensure};
use crds::{ServiceInstance, TenantQuota, conditions, managers, names};
use e2e::people::ADMINISTRATOR;
use e2e::wait;
use http::StatusCode;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::world::{BOUND, Customers, World, block_on};

/// What PostgreSQL in its smallest plan costs a month, in rupiah.
const PLAN: &str = "postgresql-small";

/// Somebody with an account and money.
pub struct Buyer<'a> {
    pub customers: &'a Customers,
    pub id: String,
    pub access: String,
    pub email: String,
}

impl<'a> Buyer<'a> {
    /// Registers somebody, and puts money into the wallet.
    pub async fn with(customers: &'a Customers, amount: i64) -> Result<Self> {
        let email = customers.customer().await?;
        let token = customers.mailed_token(&email, 1).await?;
        customers.api.must("POST", "/api/v1/auth/email/verify", None, Some(&json!({"token": token}))).await?;
        let access = customers.log_in(&email).await?;
        let me = customers.api.must("GET", "/api/v1/me", Some(&access), None).await?;
        let id = me["id"].as_str().context("a user has an id")?.to_owned();
        let administrator = customers.log_in(ADMINISTRATOR).await?;
        let gift = json!({"user_id": id, "kind": "CREDIT", "amount": amount, "reason": "For the story"});
        let key = [("idempotency-key", id.as_str())];
        let path = "/api/v1/admin/billing/adjustments";
        let (status, _, body) =
            customers.api.exchange("POST", path, Some(&administrator), &key, Some(&gift)).await?;
        ensure!(status == StatusCode::CREATED, "{status}: {body}");
        Ok(Self { customers, id, access, email })
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.customers.api.must("GET", &format!("/api/v1{path}"), Some(&self.access), None).await
    }

    pub async fn post(&self, path: &str, key: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let (path, key) = (format!("/api/v1{path}"), [("idempotency-key", key)]);
        let (status, _, body) =
            self.customers.api.exchange("POST", &path, Some(&self.access), &key, body).await?;
        Ok((status, body))
    }

    pub async fn buys(&self, plan: &str) -> Result<Value> {
        let (status, bought) = self.post("/subscriptions", "buy", Some(&json!({"plan": plan}))).await?;
        ensure!(status == StatusCode::CREATED, "{status}: {bought}");
        Ok(bought)
    }

    /// Waits until a plan can be bought: the operator must have looked at it.
    pub async fn may_buy(&self, plan: &str) -> Result<Value> {
        wait::until("the plan to be sold", BOUND, async || {
            let (path, asked) = ("/api/v1/subscriptions/quote", json!({"plan": plan}));
            let quote = self.customers.api.must("POST", path, Some(&self.access), Some(&asked)).await?;
            Ok((quote["can_buy"] == true).then_some(quote))
        })
        .await
    }

    pub async fn cancels(&self, subscription: &Value) -> Result<Value> {
        let path = format!("{}/cancel", path(subscription));
        let (status, cancelled) = self.post(&path, "cancel", None).await?;
        ensure!(status == StatusCode::OK, "{status}: {cancelled}");
        Ok(cancelled)
    }

    pub async fn becomes(
        &self,
        subscription: &Value,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        wait::until(what, BOUND, async || {
            let now = self.get(&path(subscription)).await?;
            Ok(is_so(&now).then_some(now))
        })
        .await
    }

    pub async fn cash(&self) -> Result<i64> {
        self.get("/wallet").await?["cash"].as_i64().context("a wallet has cash")
    }

    /// The kinds and states of all transactions, the oldest first.
    async fn transactions(&self) -> Result<Vec<String>> {
        let all = self.get("/wallet/transactions?sort=created_at").await?;
        let items = all["items"].as_array().cloned().unwrap_or_default();
        let word = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
        Ok(items.iter().map(|one| format!("{} {}", word(one, "type"), word(one, "status"))).collect())
    }

    pub fn instances(&self, world: &World) -> Api<ServiceInstance> {
        Api::namespaced(world.admin(), &self.namespace())
    }

    pub fn namespace(&self) -> String {
        names::tenant_namespace(&names::tenant_of_user(&self.id))
    }
}

pub fn path(subscription: &Value) -> String {
    format!("/subscriptions/{}", subscription["id"].as_str().unwrap_or_default())
}

fn time(value: &Value) -> Result<Timestamp> {
    Ok(value.as_str().context("a time is text")?.parse()?)
}

/// Who has written what is in force of a resource.
fn wrote(instance: &ServiceInstance, manager: &str) -> bool {
    instance.managed_fields().iter().any(|one| one.manager.as_deref() == Some(manager))
}

#[test]
fn what_is_bought_runs_and_what_is_cancelled_stops_before_its_money_comes_back() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let _operator = world.operator("a").await?;
        let customers = world.customers("buying").await?;
        let buyer = Buyer::with(&customers, 500_000).await?;

        let quote = buyer.may_buy(PLAN).await?;
        let total = quote["total"].as_i64().context("a quote has a total")?;
        let bought = buyer.buys(PLAN).await?;
        assert_eq!(
            (&bought["status"], bought["price"].as_i64()),
            (&json!("PENDING_DEPLOYMENT"), Some(total))
        );
        assert_eq!(buyer.cash().await?, 500_000 - total, "it is paid at once");

        let active = buyer.becomes(&bought, "it to be active", |now| now["status"] == "ACTIVE").await?;
        let name = bought["resource"].as_str().context("it has a resource")?;
        let instance = wait::until("the resource to say until when it is paid for", BOUND, async || {
            let instance = buyer.instances(&world).get(name).await?;
            let paid = instance.spec.entitlement.as_ref().and_then(|one| one.paid_until.as_ref()).is_some();
            Ok((paid && instance.is(conditions::AVAILABLE)).then_some(instance))
        })
        .await?;
        for manager in [managers::ORDER, managers::OWNER, managers::ENTITLEMENT] {
            assert!(wrote(&instance, manager), "{manager}");
        }
        let paid_until = time(&active["paid_until"])?;
        let says = instance.spec.entitlement.and_then(|one| one.paid_until).context("it is paid for")?;
        assert_eq!(says.0.as_second(), paid_until.as_second());
        let days = (paid_until.as_second() - time(&active["period_start"])?.as_second()) / 86_400;
        assert!((28..=31).contains(&days), "{active}");
        let tenants: Api<TenantQuota> = Api::all(world.admin());
        assert_eq!(tenants.get(&names::tenant_of_user(&buyer.id)).await?.spec.owner, buyer.id);

        let cancelled = buyer.cancels(&active).await?;
        assert_eq!((&cancelled["status"], &cancelled["ended_by"]), (&json!("CANCELLED"), &json!("CUSTOMER")));
        let refund = cancelled["refund"]["amount"].as_i64().context("something comes back")?;
        assert!(refund > total * 99 / 100 && refund <= total, "{refund} of {total}");
        let (status, again) = buyer.post(&format!("{}/cancel", path(&bought)), "again", None).await?;
        assert_eq!((status, &again["code"]), (StatusCode::CONFLICT, &json!("subscription.ended")));
        buyer.becomes(&bought, "the money to come back", |now| now["refund"]["done"] == true).await?;
        // Not a pod is left by then.
        let pods = Api::<Pod>::namespaced(world.admin(), &buyer.namespace());
        assert_eq!(pods.list(&ListParams::default()).await?.items.len(), 0);
        assert_eq!(buyer.cash().await?, 500_000 - total + refund);
        wait::until("the resource to be gone", BOUND, async || {
            Ok(buyer.instances(&world).get_opt(name).await?.is_none().then_some(()))
        })
        .await?;
        let told = ["ADJUSTMENT COMPLETED", "PURCHASE COMPLETED", "REFUND COMPLETED"];
        assert_eq!(buyer.transactions().await?, told);
        let mut subjects = Vec::new();
        for nth in 1..=6 {
            subjects.push(customers.mail.nth_to(&buyer.email, nth, BOUND).await?.subject);
        }
        for words in ["is being set up", "Small is ready", "is cancelled", "has come back"] {
            assert_eq!(subjects.iter().filter(|subject| subject.contains(words)).count(), 1, "{subjects:?}");
        }
        Ok(())
    })
}

#[test]
fn with_the_operator_away_a_purchase_waits_and_is_cancelled_without_a_trace() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        let customers = world.customers("waiting").await?;
        let buyer = Buyer::with(&customers, 500_000).await?;
        buyer.may_buy(PLAN).await?;
        operator.stop();
        let bought = buyer.buys(PLAN).await?;
        let tenants: Api<TenantQuota> = Api::all(world.admin());
        let tenant = names::tenant_of_user(&buyer.id);
        wait::until("the tenant to be asked for", BOUND, async || {
            Ok(tenants.get_opt(&tenant).await?.map(drop))
        })
        .await?;
        let waiting = buyer.get(&path(&bought)).await?;
        assert_eq!(waiting["status"], "PENDING_DEPLOYMENT");
        buyer.cancels(&bought).await?;
        let ended = buyer.becomes(&bought, "all to come back", |now| now["refund"]["done"] == true).await?;
        assert_eq!((&ended["refund"]["amount"], buyer.cash().await?), (&bought["price"], 500_000));

        // Whoever comes late makes nothing of it any more.
        operator.restart().await?;
        wait::until("the tenant to be made", BOUND, async || {
            let made = tenants.get(&tenant).await?;
            Ok(made.status.and_then(|status| status.namespace))
        })
        .await?;
        let again = buyer.post("/subscriptions", "another", Some(&json!({"plan": PLAN}))).await?;
        assert_eq!(again.0, StatusCode::CREATED, "{}", again.1);
        buyer.becomes(&again.1, "it to be active", |now| now["status"] == "ACTIVE").await?;
        let all = buyer.instances(&world).list(&ListParams::default()).await?;
        let running: Vec<_> = all.iter().map(kube::ResourceExt::name_any).collect();
        assert_eq!(running, [again.1["resource"].as_str().unwrap_or_default()]);
        let (status, ended) = buyer.post(&format!("{}/cancel", path(&again.1)), "end", None).await?;
        ensure!(status == StatusCode::OK, "{ended}");
        buyer.becomes(&again.1, "it to be over", |now| now["refund"]["done"] == true).await.map(drop)
    })
}
