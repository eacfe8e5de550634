//! A customer who buys and cancels, and asks again under the same key whenever no answer comes, as a good client does; and what must be so in the end.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use crds::{ServiceInstance, conditions, names};
use e2e::{wait, walk};
use http::StatusCode;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::shop::Shop;
use super::{GIFT, PLAN};
use crate::world::{BOUND, Place};

/// What happens to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// From the quote until it is ACTIVE, the cluster knows it, and the mails are sent.
    Buy,
    /// From the cancellation until the money is back, the resource is gone, and the mails are sent.
    Cancel,
}

impl Phase {
    pub(super) const ALL: [Self; 2] = [Self::Buy, Self::Cancel];
}

/// Somebody with an account and money.
pub(super) struct Buyer<'a> {
    shop: &'a Shop,
    pub(super) id: String,
    tenant: String,
    namespace: String,
    email: String,
    access: String,
}

impl<'a> Buyer<'a> {
    /// Somebody new, with that name. The address counts as proven, so that all mails are about what is bought.
    pub(super) async fn new(shop: &'a Shop, name: &str) -> Result<Self> {
        let email = format!("{name}@nakhoda.test");
        shop.sql(&format!(
            "insert into users (id, email, name, language, password_hash, email_verified_at, created_at, updated_at)
             select gen_random_uuid(), '{email}', 'A customer', language, password_hash, now(), now(), now() from users where role = 'ADMINISTRATOR'"
        ))?;
        let id = shop.sql(&format!("select id from users where email = '{email}'"))?;
        let access = walk::log_in(&shop.client, &email).await?;
        let tenant = names::tenant_of_user(&id);
        let buyer = Self { shop, namespace: names::tenant_namespace(&tenant), tenant, id, email, access };
        let gift = json!({"user_id": buyer.id, "kind": "CREDIT", "amount": GIFT, "reason": "For the story"});
        let administrator = shop.administrator().await?;
        let path = "/billing/adjustments";
        let (status, given) =
            buyer.asks_as(&administrator, "POST", &format!("/admin{path}"), &buyer.id, Some(&gift)).await?;
        ensure!(status == StatusCode::CREATED, "{status}: {given}");
        Ok(buyer)
    }

    /// Where in the cluster this plays.
    pub(super) fn place(&self) -> Place<'_> {
        Place { namespace: &self.namespace, name: &self.tenant }
    }

    async fn asks(
        &self,
        method: &str,
        path: &str,
        key: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value)> {
        self.asks_as(&self.access, method, path, key, body).await
    }

    /// Asks until there is an answer that tells what happened.
    async fn asks_as(
        &self,
        access: &str,
        method: &str,
        path: &str,
        key: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value)> {
        let (path, key) = (format!("/api/v1{path}"), [("idempotency-key", key)]);
        let headers = if method == "POST" { &key[..] } else { &[] };
        wait::until(&format!("an answer to {method} {path}"), BOUND * 2, async || {
            let said = self.shop.client.exchange(method, &path, Some(access), headers, body).await;
            let Ok((status, _, answer)) = said else { return Ok(None) };
            let code = answer["code"].as_str().unwrap_or_default();
            let is_unknown = status.is_server_error()
                || status == StatusCode::TOO_MANY_REQUESTS
                || code.ends_with(".in_flight");
            Ok((!is_unknown).then_some((status, answer)))
        })
        .await
    }

    /// Does what a phase begins with.
    pub(super) async fn begins(&self, phase: Phase) -> Result<()> {
        match phase {
            Phase::Buy => {
                let plan = json!({"plan": PLAN});
                let (status, quote) = self.asks("POST", "/subscriptions/quote", "quote", Some(&plan)).await?;
                ensure!(status == StatusCode::OK && quote["can_buy"] == true, "{status}: {quote}");
                let order = json!({"plan": PLAN, "expected_total": quote["total"]});
                let (status, bought) = self.asks("POST", "/subscriptions", "buy", Some(&order)).await?;
                ensure!(status == StatusCode::CREATED, "{status}: {bought}");
            }
            Phase::Cancel => {
                let (_, all) = self.asks("GET", "/subscriptions", "", None).await?;
                let id =
                    all.pointer("/items/0/id").and_then(Value::as_str).context("something was bought")?;
                let path = format!("/subscriptions/{id}/cancel");
                let (status, cancelled) = self.asks("POST", &path, "cancel", None).await?;
                ensure!(status == StatusCode::OK, "{status}: {cancelled}");
            }
        }
        Ok(())
    }

    /// Waits until a phase has come to its end.
    pub(super) async fn ends(&self, phase: Phase) -> Result<()> {
        let (is_there, mails) = match phase {
            Phase::Buy => ("s.status = 'ACTIVE'", 2),
            Phase::Cancel => ("s.fenced_at is not null", 4),
        };
        let settled = format!(
            "select {is_there} and s.applied_version = s.desired_version and s.held_until is null
                 and (select count(*) from emails where user_id = s.user_id and status = 'SENT') = {mails}
             from subscriptions s where s.user_id = '{}'",
            self.id
        );
        self.shop.until(&format!("{phase:?} of {} to come to its end", self.email), &settled).await
    }

    /// One debit, one instance, one refund, one mail of each kind; after a purchase no refund yet.
    pub(super) async fn is_right(&self, phase: Phase) -> Result<()> {
        self.has_books(phase)?;
        self.has_mails(phase)?;
        match phase {
            Phase::Buy => self.has_one_instance().await,
            Phase::Cancel => {
                let pods = self.pods().await?;
                ensure!(pods == 0, "{pods} pods are left");
                let mut left = self.instances().await?;
                left.retain(|one| one.metadata.deletion_timestamp.is_none());
                ensure!(left.is_empty(), "{} instances are left", left.len());
                Ok(())
            }
        }
    }

    /// One instance, the one that was noted, which serves: what it was told last is looked at a moment later.
    async fn has_one_instance(&self) -> Result<()> {
        let uid = self.shop.sql(&format!("select uid from subscriptions where user_id = '{}'", self.id))?;
        wait::until("what is ACTIVE to be Available", BOUND, async || {
            let instances = self.instances().await?;
            let [one] = &instances[..] else { anyhow::bail!("{} instances", instances.len()) };
            ensure!(one.uid().as_ref() == Some(&uid), "another resource than the one that was noted");
            Ok(one.is(conditions::AVAILABLE).then_some(()))
        })
        .await
    }

    fn has_books(&self, phase: Phase) -> Result<()> {
        let id = &self.id;
        let found = self.shop.sql(&format!(
            "select string_agg(t.type || ' ' || t.status || ' ' || (e.id is not null)::text, ', ' order by t.created_at, t.id)
             from transactions t left join entries e on e.id = t.id where t.user_id = '{id}'"
        ))?;
        let expected = match phase {
            Phase::Buy => "ADJUSTMENT COMPLETED true, PURCHASE COMPLETED true",
            Phase::Cancel => "ADJUSTMENT COMPLETED true, PURCHASE COMPLETED true, REFUND COMPLETED true",
        };
        ensure!(found == expected, "the books say: {found}");
        let is_right = self.shop.sql(&format!(
            "select (select count(*) = 1 from subscriptions where user_id = '{id}')
                and (select sum(balance) from accounts where user_id = '{id}')
                    = (select sum(case direction when 'CREDIT' then amount else -amount end) from transactions where user_id = '{id}')"
        ))?;
        ensure!(is_right == "t", "the balance, or the number of subscriptions, is another");
        Ok(())
    }

    fn has_mails(&self, phase: Phase) -> Result<()> {
        let written = self.shop.sql(&format!(
            "select string_agg(kind || ' ' || status, ', ' order by kind) from emails where user_id = '{}'",
            self.id
        ))?;
        let expected = match phase {
            Phase::Buy => "SERVICE_READY SENT, SUBSCRIPTION_CREATED SENT",
            Phase::Cancel => {
                "REFUND_RECEIVED SENT, SERVICE_READY SENT, SUBSCRIPTION_CANCELLED SENT, SUBSCRIPTION_CREATED SENT"
            }
        };
        ensure!(written == expected, "mails: {written}");
        let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for mail in self.shop.mail.mails_to(&self.email) {
            ids.entry(mail.subject).or_default().insert(mail.message_id);
        }
        let kinds = expected.split(", ").count();
        let is_once = ids.len() == kinds && ids.values().all(|ids| ids.len() == 1);
        ensure!(is_once, "mails that came: {ids:?}");
        Ok(())
    }

    /// Its instances, as the cluster has them now.
    pub(super) async fn instances(&self) -> Result<Vec<ServiceInstance>> {
        let api: Api<ServiceInstance> = Api::namespaced(self.shop.world.admin(), &self.namespace);
        Ok(api.list(&ListParams::default()).await?.items)
    }

    /// How many pods it has that may run.
    pub(super) async fn pods(&self) -> Result<usize> {
        let api: Api<Pod> = Api::namespaced(self.shop.world.admin(), &self.namespace);
        let all = api.list(&ListParams::default()).await?;
        let may_run = |pod: &&Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            !matches!(phase, Some("Succeeded" | "Failed"))
        };
        Ok(all.iter().filter(may_run).count())
    }
}
