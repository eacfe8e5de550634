//! What was bought is taken back where the cluster says no: conflicts, and a tenant whose namespace goes while a subscription lives. On a
//! stand-in for the cluster; the tests play the operator.

use anyhow::{Context as _, Result};
use api_server::subscriptions;
use crds::{managers, names};
use e2e::wait::until;
use jiff::SignedDuration;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::subscriptions::{PATH, Shop};
use crate::world::{BOUND, User};

const PRICE: i64 = 89_000;

/// A subscription whose resource is made and entitled.
struct Bought<'a> {
    shop: &'a Shop,
    user: User,
    own: String,
    namespace: String,
    name: String,
}

impl<'a> Bought<'a> {
    async fn by(shop: &'a Shop, name: &str) -> Result<Self> {
        let user = shop.rich(name).await?;
        let tenant = names::tenant_of_user(&user.id);
        let namespace = names::tenant_namespace(&tenant);
        let ready = json!([{"type": "Ready", "status": "True", "reason": "Ready", "message": "", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        shop.kubernetes
            .put(json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": tenant},
                "spec": {"owner": user.id}, "status": {"namespace": namespace, "conditions": ready}}))
            .await;
        let bought = shop.buys(&user, "buy", &json!({"plan": "small"})).await?;
        let bought = bought.expect(StatusCode::CREATED)?.body;
        let text =
            |field: &str| bought[field].as_str().map(str::to_owned).context("a field of a subscription");
        let own = format!("{PATH}/{}", text("id")?);
        let bought = Self { shop, user, own, namespace, name: text("resource")? };
        bought.resource("it to be entitled", |it| it["spec"]["entitlement"].is_object()).await?;
        Ok(bought)
    }

    /// Waits until the resource is so; pauses after failures are let pass.
    async fn resource(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        until(what, BOUND, async || {
            self.shop.world.clock.advance(SignedDuration::from_secs(2));
            let found = self.shop.kubernetes.get_in("serviceinstances", &self.namespace, &self.name).await;
            Ok(found.filter(|found| is_so(found)))
        })
        .await
    }

    async fn cancels(&self) -> Result<()> {
        let path = format!("{}/cancel", self.own);
        self.shop.api.post_once(&self.user, &path, "end", &json!({})).await?.expect(StatusCode::OK)?;
        Ok(())
    }

    async fn is_refunded(&self) -> Result<bool> {
        let now = self.shop.api.get_as(&self.user, &self.own).await?.expect(StatusCode::OK)?.body;
        Ok(now["refund"]["done"] == true)
    }

    async fn gets_all_of_it_back(&self) -> Result<()> {
        until("the money to come back", BOUND, async || {
            self.shop.world.clock.advance(SignedDuration::from_secs(2));
            Ok(self.is_refunded().await?.then_some(()))
        })
        .await?;
        assert_eq!(self.shop.wallet(&self.user).await?, (1_000_000, 0));
        self.shop.books_are_right().await
    }

    /// Says as the operator that nothing of it runs.
    async fn is_suspended(&self) -> Result<()> {
        let mut held =
            self.resource("it to be held", |it| it["spec"]["holds"]["billing"].is_object()).await?;
        let generation = held["metadata"]["generation"].clone();
        held["status"] = json!({"observedGeneration": generation, "conditions": [{"type": "Suspended", "status": "True",
            "reason": "HeldByBilling", "message": "", "observedGeneration": generation, "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        self.shop.kubernetes.put(held).await;
        Ok(())
    }

    /// Waits until a kind was asked for so many more times.
    async fn asks(&self, method: Method, plural: &str, more: usize) -> Result<()> {
        let before = self.shop.kubernetes.asked(&method, plural).await;
        until("the cluster to be asked", BOUND, async || {
            self.shop.world.clock.advance(SignedDuration::from_secs(2));
            let asked = self.shop.kubernetes.asked(&method, plural).await;
            Ok((asked >= before + more).then_some(()))
        })
        .await
    }
}

/// How many there are of whom administrators are told.
async fn failing(shop: &Shop) -> Result<i64> {
    let state = shop.world.state_on(shop.kubernetes.cluster()?)?;
    Ok(subscriptions::standing(&state.db, shop.world.clock.now()).await?.failing)
}

#[tokio::test]
async fn a_hold_and_a_deletion_that_meet_conflicts_are_made_again_and_the_money_comes_back_once() -> Result<()>
{
    let shop = Shop::new().await?;
    let bought = Bought::by(&shop, "ayu").await?;
    shop.kubernetes.refuse(Method::PATCH, "serviceinstances", StatusCode::CONFLICT, 7).await;
    shop.kubernetes.refuse(Method::DELETE, "serviceinstances", StatusCode::CONFLICT, 3).await;
    bought.cancels().await?;
    until("administrators to be told", BOUND, async || {
        shop.world.clock.advance(SignedDuration::from_secs(2));
        Ok((failing(&shop).await? == 1).then_some(()))
    })
    .await?;
    // A conflict is not taken for a resource that is gone.
    assert!(!bought.is_refunded().await?);
    bought.is_suspended().await?;
    bought.gets_all_of_it_back().await?;
    until("it to be deleted", BOUND, async || {
        shop.world.clock.advance(SignedDuration::from_secs(2));
        let left = shop.kubernetes.get_in("serviceinstances", &bought.namespace, &bought.name).await;
        Ok(left.is_none().then_some(()))
    })
    .await?;
    until("nobody to be told any more", BOUND, async || Ok((failing(&shop).await? == 0).then_some(())))
        .await?;
    assert_eq!(shop.wallet(&bought.user).await?, (1_000_000, 0));
    Ok(())
}

#[tokio::test]
async fn a_pod_that_is_left_keeps_the_money_whatever_the_operator_says() -> Result<()> {
    let shop = Shop::new().await?;
    let bought = Bought::by(&shop, "ayu").await?;
    let uid = bought.resource("it to be there", |_| true).await?["metadata"]["uid"].clone();
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "status": {"phase": "Running"},
        "metadata": {"namespace": bought.namespace, "name": "pod", "labels": {"nakhoda.dev/instance": uid}}});
    shop.kubernetes.put(pod).await;
    bought.cancels().await?;
    bought.is_suspended().await?;
    bought.asks(Method::GET, "pods", 2).await?;
    assert!(!bought.is_refunded().await?);
    shop.kubernetes.delete("pods", &bought.namespace, "pod").await;
    bought.gets_all_of_it_back().await
}

#[tokio::test]
async fn of_an_offboarded_tenant_the_money_comes_back_once_the_namespace_is_gone_and_not_before() -> Result<()>
{
    let shop = Shop::new().await?;
    let bought = Bought::by(&shop, "ayu").await?;
    let namespace = |more: &Value| {
        let mut metadata = json!({"name": bought.namespace});
        metadata["deletionTimestamp"] = more.clone();
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    };
    shop.kubernetes.put(namespace(&json!("2026-01-01T00:00:00Z"))).await;
    shop.kubernetes.forbid(&bought.namespace).await;
    bought.cancels().await?;
    // The resource is there still, and can't be held.
    bought.asks(Method::GET, "namespaces", 2).await?;
    assert_eq!((bought.is_refunded().await?, failing(&shop).await?), (false, 0), "it is waited for");
    shop.kubernetes.delete("serviceinstances", &bought.namespace, &bought.name).await;
    // It is gone, and pods may be left that nobody may look at.
    bought.asks(Method::GET, "pods", 2).await?;
    assert!(!bought.is_refunded().await?);
    shop.kubernetes.delete("namespaces", "", &bought.namespace).await;
    bought.gets_all_of_it_back().await
}

#[tokio::test]
async fn what_is_bought_for_a_price_comes_back_at_that_price_where_somebody_deleted_the_resource()
-> Result<()> {
    let shop = Shop::new().await?;
    let bought = Bought::by(&shop, "ayu").await?;
    assert_eq!(shop.wallet(&bought.user).await?, (1_000_000 - PRICE, 0));
    shop.kubernetes.delete("serviceinstances", &bought.namespace, &bought.name).await;
    bought.cancels().await?;
    bought.gets_all_of_it_back().await
}

/// `api-server subscription cancel` with more words: how it ends, and what it says.
async fn cancel_of(bought: &Bought<'_>, words: &[&str]) -> Result<(bool, String)> {
    let id = bought.own.rsplit('/').next().unwrap_or_default();
    let done = tokio::process::Command::new(env!("CARGO_BIN_EXE_api-server"))
        .args(["subscription", "cancel", id])
        .args(words)
        .env("DATABASE_URL", bought.shop.world.database.url())
        .output()
        .await?;
    let said = [done.stdout, done.stderr].concat();
    Ok((done.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

impl Bought<'_> {
    /// The mail that tells that it is cancelled, which may go out after that about its money.
    async fn is_told(&self) -> Result<String> {
        for nth in 4..=5 {
            let mail = self.shop.world.mail.nth_to(&self.user.email, nth, BOUND).await?;
            if mail.subject.contains("is cancelled") {
                return Ok(mail.text);
            }
        }
        anyhow::bail!("there is no such mail")
    }
}

#[tokio::test]
async fn what_an_administrator_cancels_goes_the_way_of_the_owners_cancellation_with_its_line_in_the_log()
-> Result<()> {
    let shop = Shop::new().await?;
    let (all, nothing, own) = (
        Bought::by(&shop, "ayu").await?,
        Bought::by(&shop, "budi").await?,
        Bought::by(&shop, "citra").await?,
    );
    let why = ["--reason", "Its resource was deleted by hand"];
    for words in [&["--refund", "full"][..], &["--refund", "full", "--reason", " "], &why] {
        assert!(!cancel_of(&all, words).await?.0, "{words:?}");
    }
    for times in 0..2 {
        let (is_done, said) = cancel_of(&all, &[&["--refund", "full"], &why[..]].concat()).await?;
        assert_eq!((is_done, said.contains("nothing was changed")), (true, times == 1), "{said}");
    }
    let text = all.is_told().await?;
    assert!(text.contains("We have cancelled") && text.contains("If you did not expect it"), "{text}");
    assert!(!all.is_refunded().await?, "it may still run");
    all.is_suspended().await?;
    all.gets_all_of_it_back().await?;
    let ended = shop.api.get_as(&all.user, &all.own).await?.expect(StatusCode::OK)?.body;
    assert_eq!(json!([ended["status"], ended["ended_by"]]), json!(["CANCELLED", "ADMINISTRATOR"]));

    assert!(cancel_of(&nothing, &[&["--refund", "none"], &why[..]].concat()).await?.0);
    let ended = shop.api.get_as(&nothing.user, &nothing.own).await?.expect(StatusCode::OK)?.body;
    assert_eq!((&ended["status"], &ended["refund"]), (&json!("CANCELLED"), &Value::Null));
    // What its owner has ended is decided.
    own.cancels().await?;
    let (is_done, said) = cancel_of(&own, &[&["--refund", "none"], &why[..]].concat()).await?;
    assert!(!is_done && said.contains("what comes back of it was decided then"), "{said}");

    let boss = shop.world.log_in(&shop.administrator.email, crate::world::PASSWORD).await?;
    let log = shop.api.get_as(&boss, "/api/v1/admin/audit?entity_type=subscription&sort=at").await?;
    let log = log.expect(StatusCode::OK)?.body;
    let lines: Vec<Value> = log["items"]
        .as_array()
        .context("lines")?
        .iter()
        .map(|line| {
            json!([line["action"], line["before"]["status"], line["after"]["refund"], line["reason"]])
        })
        .collect();
    let line = |refund: i64| json!(["subscription.cancel", "PENDING_DEPLOYMENT", refund, why[1]]);
    assert_eq!(lines, [line(PRICE), line(0)]);
    Ok(())
}

#[tokio::test]
async fn whoever_cancels_is_told_for_how_long_the_data_is_kept_where_there_is_any() -> Result<()> {
    let shop = Shop::new().await?;
    let bought = Bought::by(&shop, "ayu").await?;
    let mut longer = bought.resource("it to be there", |_| true).await?;
    longer["spec"]["retention"] = json!({"keepFor": "30d"});
    shop.kubernetes.put(longer).await;
    let id = bought.own.rsplit('/').next().unwrap_or_default();
    until("that to be known", BOUND, async || {
        let shown = shop.api.get_as(&bought.user, &format!("/api/v1/instances/{id}")).await?.body;
        Ok((shown["keep_for"] == "30d").then_some(()))
    })
    .await?;
    bought.cancels().await?;
    let text = bought.is_told().await?;
    assert!(text.contains("Its data is kept for 30 days."), "{text}");
    // There is no tenant, so nothing is made.
    let user = shop.rich("budi").await?;
    let never = shop.buys(&user, "buy", &json!({"plan": "small"})).await?.expect(StatusCode::CREATED)?.body;
    let own = format!("{PATH}/{}", never["id"].as_str().unwrap_or_default());
    let never = Bought { shop: &shop, user, own, namespace: String::new(), name: String::new() };
    never.cancels().await?;
    let text = never.is_told().await?;
    assert!(!text.contains("Its data"), "{text}");
    Ok(())
}

/// Buys, as somebody whose tenant is ready only after something was done about the resource of that name; none is made before.
async fn buys_before<'a>(shop: &'a Shop, first: impl AsyncFnOnce(&str)) -> Result<Bought<'a>> {
    let user = shop.rich("ayu").await?;
    let order = json!({"plan": "small", "name": "My publication"});
    let bought = shop.buys(&user, "buy", &order).await?.expect(StatusCode::CREATED)?.body;
    let text = |field: &str| bought[field].as_str().map(str::to_owned).context("a field of a subscription");
    let tenant = names::tenant_of_user(&user.id);
    let namespace = names::tenant_namespace(&tenant);
    let bought =
        Bought { shop, own: format!("{PATH}/{}", text("id")?), namespace, name: text("resource")?, user };
    first(&bought.name).await;
    let ready = json!([{"type": "Ready", "status": "True", "reason": "Ready", "message": "", "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
    shop.kubernetes
        .put(json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": tenant},
            "spec": {"owner": bought.user.id}, "status": {"namespace": bought.namespace, "conditions": ready}}))
        .await;
    Ok(bought)
}

#[tokio::test]
async fn what_another_tool_took_over_from_its_owner_is_not_told_back() -> Result<()> {
    let shop = Shop::new().await?;
    let bought = Bought::by(&shop, "ayu").await?;
    // All that its owner has said is another tool's by now; and the sweep has it told again.
    let mut taken = bought.resource("it to be there", |_| true).await?;
    assert_eq!(taken["spec"]["retention"], json!({"keepFor": "14d"}));
    let suspend_at = taken["spec"]["entitlement"]["suspendAt"].clone();
    taken["spec"]["retention"] = json!({"keepFor": "30d"});
    taken["spec"]["displayName"] = json!("Theirs");
    taken["spec"]["entitlement"]["suspendAt"] = json!("2000-01-01T00:00:00Z");
    let written = taken["metadata"]["managedFields"].as_array_mut().context("managers")?;
    written.retain(|entry| entry["manager"] != managers::OWNER);
    shop.kubernetes.put(taken).await;
    for field in ["retention", "displayName"] {
        shop.kubernetes.give_away(&bought.name, field).await;
    }
    let retell = "update subscriptions set look_at = now(), desired_version = desired_version + 1";
    shop.world.database.server.sql(&shop.world.database.name, retell)?;
    let told = bought
        .resource("it to be told again", |it| it["spec"]["entitlement"]["suspendAt"] == suspend_at)
        .await?;
    let said = json!([told["spec"]["displayName"], told["spec"]["retention"]["keepFor"]]);
    assert_eq!(said, json!(["Theirs", "30d"]));
    Ok(())
}

#[tokio::test]
async fn what_is_told_again_before_it_was_noted_takes_nothing_from_another_tool() -> Result<()> {
    let shop = Shop::new().await?;
    let bought =
        buys_before(&shop, async |_| shop.kubernetes.fail(Some(managers::ENTITLEMENT)).await).await?;
    let said = |it: &Value| it["spec"]["displayName"] == "My publication";
    let mut half = bought.resource("its owner's part to be told", said).await?;
    half["spec"]["retention"] = json!({"keepFor": "30d"});
    shop.kubernetes.give_away(&bought.name, "retention").await;
    shop.kubernetes.put(half).await;
    shop.kubernetes.fail(None).await;
    let told = bought.resource("it to be entitled", |it| it["spec"]["entitlement"].is_object()).await?;
    assert_eq!(
        json!([told["spec"]["displayName"], told["spec"]["retention"]["keepFor"]]),
        json!(["My publication", "30d"])
    );
    Ok(())
}

#[tokio::test]
async fn what_another_tool_sets_before_it_is_told_keeps_nothing_else_from_being_told() -> Result<()> {
    let shop = Shop::new().await?;
    let bought =
        buys_before(&shop, async |name: &str| shop.kubernetes.give_away(name, "retention").await).await?;
    let told = bought.resource("it to be entitled", |it| it["spec"]["entitlement"].is_object()).await?;
    assert_eq!(
        json!([told["spec"]["displayName"], told["spec"]["retention"]]),
        json!(["My publication", null])
    );
    Ok(())
}
