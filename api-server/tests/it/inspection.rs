//! `api-server audit` on differences that were planted, and the sweep that mends what can be mended.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use api_server::cluster::watch;
use api_server::ledger::{self, Direction, House, Kind, Move, Posting, Purse};
use api_server::money::Rupiah;
use api_server::state::State;
use api_server::subscriptions::sweep;
use api_server::wallet::{self, New, Status};
use crds::names;
use e2e::kubeconfig::{self, Credential, Server};
use e2e::midtrans::{Method as Pays, Midtrans, Settings as Gateway};
use e2e::scratch;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::kubernetes::Kubernetes;
use crate::till::Till;
use crate::world::{BOUND, SERVER_KEY, User};

const PRICE: i64 = 50_000;
/// When what is active is paid until, and when it is suspended.
const PAID_UNTIL: &str = "2199-01-01T00:00:00Z";
const SUSPEND_AT: &str = "2199-01-04T00:00:00Z";

/// Customers, a till and a cluster, and nobody who mends anything by himself but the till.
struct Scene {
    till: Till,
    kubernetes: Kubernetes,
    db: PgPool,
    ayu: User,
    kubeconfig: PathBuf,
}

/// Something that was sold and runs.
struct Sold {
    id: Uuid,
    namespace: String,
    name: String,
}

fn rupiah(amount: i64) -> Rupiah {
    Rupiah::new(amount).unwrap()
}

impl Scene {
    async fn new() -> Result<Self> {
        let (till, kubernetes) = (Till::new().await?, Kubernetes::start().await?);
        let ayu = till.world.user("ayu").await?;
        let db = PgPool::connect(&till.world.database.url()).await?;
        let kubeconfig = scratch::folder("audit")?.join(format!("{}.yaml", Uuid::new_v4()));
        let server = Server { url: kubernetes.url.clone(), ca: None };
        kubeconfig::write_file(&kubeconfig, "audit", &server, &Credential::Token("none".to_owned()))?;
        let scene = Self { till, kubernetes, db, ayu, kubeconfig };
        scene.tops_up(500_000).await?;
        Ok(scene)
    }

    /// Somebody pays, and it is credited; the order.
    async fn tops_up(&self, amount: i64) -> Result<String> {
        let top_up = self.till.top_up(&self.ayu, amount).await?;
        self.till.pays(&top_up.id, Pays::Gopay)?;
        self.till.comes(&self.ayu, &top_up.id, "COMPLETED").await?;
        self.till.order(&top_up.id)
    }

    /// A transaction that is done.
    async fn books(&self, kind: Kind, direction: Direction, house: House, of: Option<Uuid>) -> Result<()> {
        let (mut tx, now) = (self.db.begin().await?, self.till.world.clock.now());
        let user = self.ayu.id.parse()?;
        let new = New { subscription_id: of, ..New::of(user, kind, direction, rupiah(PRICE), "Planted") };
        let locked = ledger::lock(&mut tx, user, now).await?;
        let (id, _) = wallet::open(&mut tx, &new, now).await?;
        let moves = [Move { purse: Purse::Cash, house, direction, amount: rupiah(PRICE) }];
        let posting = Posting { kind, key: &format!("test:{id}"), transaction_id: id, moves: &moves };
        ledger::post(&mut tx, &locked, &posting, now).await?;
        wallet::decide(&mut tx, id, Status::Completed, now).await?;
        Ok(tx.commit().await?)
    }

    /// A subscription that is paid and active, with its resource as it was told.
    async fn sold(&self, number: u128) -> Result<Sold> {
        let id = Uuid::from_u128(0x0192_a000_0000_7000_8000_0000_0000_0000 + number);
        self.books(Kind::Purchase, Direction::Debit, House::Revenue, Some(id)).await?;
        let tenant = names::tenant_of_user(&self.ayu.id);
        let namespace = names::tenant_namespace(&tenant);
        let name = names::instance_of_subscription("ghost", &id.to_string());
        let sold = Sold { id, namespace, name };
        let made = self.kubernetes.put(resource(&sold, "small")).await;
        let uid = made["metadata"]["uid"].as_str().context("a uid")?;
        self.till.sql(&format!(
            "insert into subscriptions (id, user_id, name, service, plan, period, price, tax, cpu_millicores, memory_bytes, storage_bytes, status,
                 created_at, periods, anchor_day, period_start, paid_until, uid, desired_version, applied_version, applied_generation)
             values ('{id}', '{}', 'Ghost', 'ghost', 'small', 'MONTHLY', {PRICE}, 0, 1, 1, 1, 'ACTIVE', now(), 1, 1, now(), '{PAID_UNTIL}', '{uid}', 2, 2, 1)",
            self.ayu.id
        ))?;
        Ok(sold)
    }

    /// What `api-server audit` says, and how it ends.
    async fn audit(&self, gateway: &Midtrans) -> Result<(i32, Value)> {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_api-server"));
        command
            .args(["audit", "--output", "json"])
            .env("DATABASE_URL", self.till.world.database.url())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("NAKHODA_MIDTRANS_CORE_URL", gateway.url())
            .env("NAKHODA_MIDTRANS_SERVER_KEY", SERVER_KEY);
        let done = command.output().await?;
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        let report = serde_json::from_str(&said).with_context(|| format!("{said}{told}"))?;
        Ok((done.status.code().context("it ended by itself")?, report))
    }

    /// The program with another command.
    async fn runs(&self, arguments: &[&str]) -> Result<()> {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_api-server"));
        let done = command
            .args(arguments)
            .env("DATABASE_URL", self.till.world.database.url())
            .env("NAKHODA_SECRET_KEY", crate::world::SECRET)
            .env("NAKHODA_MIDTRANS_CORE_URL", self.till.gateway.url())
            .env("NAKHODA_MIDTRANS_SERVER_KEY", SERVER_KEY)
            .output()
            .await?;
        ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(())
    }

    /// Does what is named as a mend, where that is a command of the program.
    async fn mends(&self, mend: &str) -> Result<()> {
        self.runs(&mend.split(' ').skip(1).collect::<Vec<_>>()).await
    }

    /// The tenant is ready.
    async fn has_a_tenant(&self) {
        let tenant = names::tenant_of_user(&self.ayu.id);
        let ready = json!([{"type": "Ready", "status": "True", "reason": "Ready", "message": "", "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        let status = json!({"namespace": names::tenant_namespace(&tenant), "conditions": ready});
        self.kubernetes
            .put(json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "TenantQuota", "metadata": {"name": tenant},
                "spec": {"owner": self.ayu.id}, "status": status}))
            .await;
    }

    /// Past all rules of the database, as a restore is.
    fn restores(&self, sql: &str) -> Result<()> {
        self.till
            .sql(&format!("begin; set local session_replication_role = replica; {sql}; commit"))
            .map(drop)
    }

    /// What is active was bought so long before the backup, and not there yet then.
    fn restores_as_bought(&self, sold: &Sold, minutes: u32) -> Result<()> {
        self.restores(&format!(
            "update subscriptions set status = 'PENDING_DEPLOYMENT', created_at = now() - interval '{minutes} minutes', periods = 0,
                 anchor_day = null, period_start = null, paid_until = null, uid = null, desired_version = 1, applied_version = 0,
                 applied_generation = null, look_at = now() where id = '{}'",
            sold.id
        ))
    }

    /// Waits until what was restored is active again, and nothing of it was given up meanwhile.
    async fn is_active_again(&self, sold: &Sold) -> Result<()> {
        let stands = format!(
            "select status, applied_version = desired_version from subscriptions where id = '{}'",
            sold.id
        );
        e2e::wait::until("it to be active again", BOUND, async || {
            // What failed is tried again after a pause, which is let pass here.
            self.till.world.clock.advance(jiff::SignedDuration::from_secs(1));
            let stands = self.till.sql(&stands)?;
            ensure!(!stands.starts_with("CANCELLED"), "it was given up");
            Ok((stands == "ACTIVE|t").then_some(()))
        })
        .await?;
        let there = self.kubernetes.get_in("serviceinstances", &sold.namespace, &sold.name).await;
        let spec = there.context("its resource is there")?["spec"].clone();
        assert!(spec["entitlement"]["paidUntil"].is_string() && spec["holds"].is_null(), "{spec}");
        Ok(())
    }

    fn versions(&self, sold: &Sold) -> Result<String> {
        self.till.sql(&format!(
            "select desired_version, applied_version from subscriptions where id = '{}'",
            sold.id
        ))
    }
}

fn resource(sold: &Sold, plan: &str) -> Value {
    json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
        "metadata": {"namespace": sold.namespace, "name": sold.name, "labels": {"nakhoda.dev/subscription": sold.id},
            "annotations": {"nakhoda.dev/billing-version": "2"}},
        "spec": {"planRef": plan, "entitlement": {"paidUntil": PAID_UNTIL, "suspendAt": SUSPEND_AT}}})
}

/// What differs: of what kind, and about what.
fn found(report: &Value) -> BTreeSet<(String, String)> {
    let all = report["differences"].as_array().cloned().unwrap_or_default();
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    all.iter().map(|one| (text(one, "kind"), text(one, "subject"))).collect()
}

fn mend_of(report: &Value, kind: &str) -> String {
    let all = report["differences"].as_array().cloned().unwrap_or_default();
    let one = all.iter().find(|one| one["kind"] == kind);
    one.and_then(|one| one["mend"].as_str()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn an_audit_finds_each_difference_that_was_planted_and_nothing_else() -> Result<()> {
    let scene = Scene::new().await?;
    let (gone, other, fine) = (scene.sold(1).await?, scene.sold(2).await?, scene.sold(3).await?);
    let by_hand = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
        "metadata": {"namespace": fine.namespace, "name": "by-hand"}, "spec": {"planRef": "small"}});
    scene.kubernetes.put(by_hand.clone()).await;
    let (code, clean) = scene.audit(&scene.till.gateway).await?;
    assert_eq!((code, found(&clean).len()), (0, 0), "{clean}");
    for (part, least) in [("books", 4), ("sales", 3), ("cluster", 7), ("gateway", 1)] {
        let line = clean["parts"].as_array().unwrap().iter().find(|line| line["part"] == part).unwrap();
        assert!(line["count"].as_u64() >= Some(least), "{line}");
    }

    // Paid and not running, running and not paid, another plan, of nobody.
    scene.kubernetes.delete("serviceinstances", &gone.namespace, &gone.name).await;
    let mut entitled = by_hand;
    entitled["spec"]["entitlement"] = json!({"suspendAt": SUSPEND_AT});
    scene.kubernetes.put(entitled).await;
    scene.kubernetes.put(resource(&other, "large")).await;
    let nobodys =
        Sold { id: Uuid::from_u128(99), namespace: fine.namespace.clone(), name: "lost".to_owned() };
    let mut orphan = resource(&nobodys, "small");
    orphan["spec"] = json!({"planRef": "small"});
    scene.kubernetes.put(orphan).await;
    // Credited and not at the gateway; there and not credited.
    scene.books(Kind::TopUp, Direction::Credit, House::Clearing, None).await?;
    scene.till.gateway.set_notify(None);
    let untold = scene.till.top_up(&scene.ayu, 70_000).await?;
    scene.till.pays(&untold.id, Pays::Gopay)?;
    let order = scene.till.order(&untold.id)?;

    let (code, report) = scene.audit(&scene.till.gateway).await?;
    let credited = scene
        .till
        .sql("select max(number) from transactions where type = 'TOP_UP' and status = 'COMPLETED'")?;
    let row = |kind: &str, subject: String| (kind.to_owned(), subject);
    let namespace = &fine.namespace;
    let planted = BTreeSet::from([
        row("PAID_NOT_RUNNING", format!("subscription {}", gone.id)),
        row("RUNNING_NOT_PAID", format!("serviceinstance {namespace}/by-hand")),
        row("WRONG_PLAN", format!("subscription {}", other.id)),
        row("ORPHAN", format!("serviceinstance {namespace}/lost")),
        row("CREDITED_NOT_PAID", format!("transaction TXMP-{credited}")),
        row("PAID_NOT_CREDITED", format!("order {order}")),
    ]);
    assert_eq!((code, found(&report)), (1, planted.clone()), "{report}");

    // What is named mends it.
    scene.mends(&mend_of(&report, "PAID_NOT_CREDITED")).await?;
    scene.till.comes(&scene.ayu, &untold.id, "COMPLETED").await?;
    assert_eq!(scene.versions(&other)?, "2|2");
    scene.mends(&mend_of(&report, "WRONG_PLAN")).await?;
    assert_eq!(scene.versions(&other)?, "3|2");
    let cancel = format!("api-server subscription cancel {} --refund prorated --reason \"…\"", gone.id);
    assert_eq!(mend_of(&report, "PAID_NOT_RUNNING"), cancel);
    scene.mends(&cancel).await?;
    assert_eq!(scene.versions(&gone)?, "3|2");
    let words = format!("kubectl -n {namespace} delete serviceinstance lost");
    assert_eq!(mend_of(&report, "ORPHAN"), words);

    // A gateway that knows none of it, and a cluster that is away, which hides nothing of the rest.
    let another = Midtrans::start(Gateway::new(SERVER_KEY)).await?;
    scene.kubernetes.set_away(true).await;
    let (code, report) = scene.audit(&another).await?;
    let kinds: Vec<String> = found(&report).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!((code, kinds), (2, vec!["CREDITED_NOT_PAID".to_owned(); 3]), "{report}");
    let cluster = &report["parts"][2];
    assert!(cluster["missed"][0].is_string(), "{cluster}");
    Ok(())
}

#[tokio::test]
async fn a_gateway_that_does_not_know_our_key_hides_nothing_that_was_found_without_it() -> Result<()> {
    let scene = Scene::new().await?;
    scene.books(Kind::TopUp, Direction::Credit, House::Clearing, None).await?;
    let number = scene.till.sql("select max(number) from transactions where type = 'TOP_UP'")?;
    let stranger = Midtrans::start(Gateway::new("another key")).await?;
    let (code, report) = scene.audit(&stranger).await?;
    let credited = BTreeSet::from([("CREDITED_NOT_PAID".to_owned(), format!("transaction TXMP-{number}"))]);
    assert_eq!((code, found(&report)), (2, credited), "{report}");
    assert_eq!(report["parts"][3]["missed"].as_array().map(Vec::len), Some(1), "{report}");
    Ok(())
}

#[tokio::test]
async fn what_somebody_means_to_run_without_billing_is_listed_and_is_no_difference() -> Result<()> {
    let scene = Scene::new().await?;
    let by_hand = json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance",
        "metadata": {"namespace": "customer-sample", "name": "orders-db"},
        "spec": {"planRef": "small", "entitlement": {"suspendAt": SUSPEND_AT}}});
    scene.kubernetes.put(by_hand.clone()).await;
    let (code, report) = scene.audit(&scene.till.gateway).await?;
    let mend = mend_of(&report, "RUNNING_NOT_PAID");
    let words = "kubectl -n customer-sample annotate serviceinstance orders-db nakhoda.dev/entitled-because=";
    assert!(code == 1 && mend.contains(words), "{mend}");
    let mut meant = by_hand;
    meant["metadata"]["annotations"] = json!({"nakhoda.dev/entitled-because": "It is a sample"});
    scene.kubernetes.put(meant).await;
    let (code, report) = scene.audit(&scene.till.gateway).await?;
    assert_eq!((code, found(&report).len()), (0, 0), "{report}");
    let listed =
        json!([{"subject": "serviceinstance customer-sample/orders-db", "because": "It is a sample"}]);
    assert_eq!(report["meant"], listed);
    Ok(())
}

#[tokio::test]
async fn what_was_paid_twice_or_at_another_price_and_what_comes_back_beyond_it_or_never_is_found()
-> Result<()> {
    let scene = Scene::new().await?;
    let [twice, dear, never, too_much] =
        [scene.sold(1).await?, scene.sold(2).await?, scene.sold(3).await?, scene.sold(4).await?];
    scene.books(Kind::Purchase, Direction::Debit, House::Revenue, Some(twice.id)).await?;
    scene.till.sql(&format!("update subscriptions set price = price - 1000 where id = '{}'", dear.id))?;
    let end = "status = 'CANCELLED', ended_at = now() - interval '1 minute', ended_by = 'SYSTEM'";
    scene.restores(&format!(
        "update subscriptions set {end}, periods = 0, anchor_day = null, period_start = null, paid_until = null where id = '{}'",
        never.id
    ))?;
    let refund = "insert into transactions (id, user_id, type, direction, amount, status, created_at, subscription_id)
         select gen_random_uuid(), user_id, 'REFUND', 'CREDIT', price + 500, 'PENDING', now(), id from subscriptions";
    let refund = scene.till.sql(&format!("{refund} where id = '{}' returning id", too_much.id))?;
    let refund = refund.lines().next().unwrap_or_default();
    scene.till.sql(&format!(
        "update subscriptions set {end}, refund_id = '{refund}' where id = '{}'",
        too_much.id
    ))?;
    let (code, report) = scene.audit(&scene.till.gateway).await?;
    let number = |of: &Sold, kind: &str| {
        let sql = format!(
            "select 'transaction TXMP-' || max(number) from transactions where subscription_id = '{}' and type = '{kind}'",
            of.id
        );
        scene.till.sql(&sql)
    };
    let row = |kind: &str, subject: String| (kind.to_owned(), subject);
    let planted = BTreeSet::from([
        row("PURCHASE_TOO_MANY", number(&twice, "PURCHASE")?),
        row("PURCHASE_DIFFERS", number(&dear, "PURCHASE")?),
        row("REFUND_MISSING", format!("subscription {}", never.id)),
        row("REFUND_TOO_LARGE", number(&too_much, "REFUND")?),
    ]);
    assert_eq!((code, found(&report)), (1, planted), "{report}");
    let owed = [
        ("PURCHASE_TOO_MANY", "CREDIT", PRICE),
        ("PURCHASE_DIFFERS", "CREDIT", 1000),
        ("REFUND_MISSING", "CREDIT", PRICE),
        ("REFUND_TOO_LARGE", "DEBIT", 500),
    ];
    for (kind, gives, amount) in owed {
        let words = format!("\"kind\":\"{gives}\",\"amount\":{amount},");
        let mend = mend_of(&report, kind);
        assert!(mend.contains(&words), "{kind}: {mend}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_paid_again_after_it_was_taken_back_is_not_credited() -> Result<()> {
    let scene = Scene::new().await?;
    let taken_back = "update gateway_payments set standing = 'REVERSED', taken_back = credited";
    scene.restores(taken_back)?;
    let order = scene.till.sql("select order_id from payment_attempts")?;
    let (code, report) = scene.audit(&scene.till.gateway).await?;
    let uncredited = BTreeSet::from([("PAID_NOT_CREDITED".to_owned(), format!("order {order}"))]);
    assert_eq!((code, found(&report)), (1, uncredited), "{report}");
    assert!(mend_of(&report, "PAID_NOT_CREDITED").starts_with("GET /api/v1/admin/billing/payments?of="));
    // Once somebody has dealt with it, it stands as it is.
    scene.till.sql(
        "insert into payment_findings (id, kind, subject, detail, found_at, settled_at)
         select gen_random_uuid(), 'PAID_AFTER_REVERSAL', gateway_id, '{}', now(), now() from gateway_payments
         on conflict (kind, subject) do update set settled_at = now()",
    )?;
    let (code, report) = scene.audit(&scene.till.gateway).await?;
    assert_eq!((code, found(&report).len()), (0, 0), "{report}");
    Ok(())
}

#[tokio::test]
async fn of_what_was_paid_and_kept_back_nobody_is_told_to_credit_what_was_asked_for() -> Result<()> {
    let scene = Scene::new().await?;
    scene.till.gateway.set_notify(None);
    let top_up = scene.till.top_up(&scene.ayu, 70_000).await?;
    scene.till.pays(&top_up.id, Pays::Gopay)?;
    let order = scene.till.order(&top_up.id)?;
    scene.restores(&format!("update payment_attempts set amount = 7000000 where order_id = '{order}'"))?;
    let (code, report) = scene.audit(&scene.till.gateway).await?;
    let kept_back = BTreeSet::from([("PAID_NOT_CREDITED".to_owned(), format!("order {order}"))]);
    assert_eq!((code, found(&report)), (1, kept_back), "{report}");
    let mend = mend_of(&report, "PAID_NOT_CREDITED");
    let look = format!("GET /api/v1/admin/billing/payments?of={order};");
    assert!(mend.starts_with(&look) && !mend.contains("adjustments"), "{mend}");
    Ok(())
}

#[tokio::test]
async fn what_was_sold_and_what_was_paid_for_it_go_together() -> Result<()> {
    let scene = Scene::new().await?;
    let (unpaid, over) = (scene.sold(1).await?, scene.sold(2).await?);
    let nobodys = Uuid::from_u128(98);
    scene.books(Kind::Purchase, Direction::Debit, House::Revenue, Some(nobodys)).await?;
    scene.books(Kind::Refund, Direction::Credit, House::Refunds, Some(unpaid.id)).await?;
    let elsewhere = format!(
        "update transactions set subscription_id = null, type = 'UPGRADE' where subscription_id = '{}' and type = 'PURCHASE'",
        unpaid.id
    );
    scene.restores(&elsewhere)?;
    let refund = "insert into transactions (id, user_id, type, direction, amount, status, created_at) select gen_random_uuid(), user_id, 'REFUND', 'CREDIT', 1, 'PENDING', now() from subscriptions limit 1 returning id";
    let refund = scene.till.sql(refund)?.lines().next().unwrap_or_default().to_owned();
    let end = format!(
        "update subscriptions set status = 'CANCELLED', ended_at = now() - interval '1 day', ended_by = 'CUSTOMER', refund_id = '{refund}', fenced_at = now() - interval '1 day' where id = '{}'",
        over.id
    );
    scene.till.sql(&end)?;
    let (code, report) = scene.audit(&scene.till.gateway).await?;
    let kinds: Vec<String> = found(&report).into_iter().map(|(kind, _)| kind).collect();
    let all = [
        "PURCHASE_MISSING",
        "REFUND_MISSING",
        "REFUND_TOO_MANY",
        "RUNNING_NOT_PAID",
        "SUBSCRIPTION_MISSING",
        "SUBSCRIPTION_MISSING",
    ];
    assert_eq!((code, kinds), (1, all.map(str::to_owned).to_vec()), "{report}");
    // What an end has decided stays.
    for change in
        ["price = 1", "refund_id = null", "ended_at = now()", "fenced_at = now()", "status = 'EXPIRED'"]
    {
        let sql = format!("update subscriptions set {change} where id = '{}'", over.id);
        let refused = scene.till.sql(&sql).err().with_context(|| change.to_owned())?;
        assert!(format!("{refused:#}").contains("what that has decided stays"), "{refused:#}");
    }
    Ok(())
}

/// A process that follows the cluster, and looks after nothing.
async fn following(scene: &Scene, stop: &CancellationToken) -> Result<Arc<State>> {
    let state = scene.till.world.state_on(scene.kubernetes.cluster()?)?;
    tokio::spawn(watch::run(Arc::clone(&state), stop.clone()));
    e2e::wait::until("the cluster to be known", BOUND, async || {
        Ok(state.cluster.watches().instances.is_ready().then_some(()))
    })
    .await?;
    Ok(state)
}

#[tokio::test]
async fn a_sweep_has_the_cluster_told_again_where_that_is_safe() -> Result<()> {
    let scene = Scene::new().await?;
    let [fine, bare, newer, gone, another] = [
        scene.sold(1).await?,
        scene.sold(2).await?,
        scene.sold(3).await?,
        scene.sold(4).await?,
        scene.sold(5).await?,
    ];
    let mut without = resource(&bare, "small");
    without["spec"] = json!({"planRef": "small"});
    scene.kubernetes.put(without).await;
    let mut told = resource(&newer, "small");
    told["metadata"]["annotations"]["nakhoda.dev/billing-version"] = json!("9");
    scene.kubernetes.put(told).await;
    scene.kubernetes.delete("serviceinstances", &gone.namespace, &gone.name).await;
    scene.kubernetes.delete("serviceinstances", &another.namespace, &another.name).await;
    scene.kubernetes.put(resource(&another, "small")).await;
    let stop = CancellationToken::new();
    let state = following(&scene, &stop).await?;
    assert_eq!(sweep::sweep(&state).await?, 2);
    let versions: Vec<String> = [&fine, &bare, &newer, &gone, &another]
        .into_iter()
        .map(|one| scene.versions(one))
        .collect::<Result<_>>()?;
    assert_eq!(versions, ["2|2", "3|2", "10|2", "2|2", "2|2"]);
    // What is on its way is not told twice.
    assert_eq!(sweep::sweep(&state).await?, 0);
    let text = state.metrics.render(&state.db, &state.hasher, state.cluster.watches());
    for (kind, count) in [("PAID_NOT_RUNNING", 2), ("RUNNING_NOT_PAID", 1), ("WRONG_PLAN", 0), ("ORPHAN", 0)]
    {
        let line = format!("nakhoda_api_subscriptions_differing{{kind=\"{kind}\"}} {count}");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    stop.cancel();
    Ok(())
}

#[tokio::test]
async fn a_sweep_tells_again_what_is_never_told_and_counts_what_does_not_come() -> Result<()> {
    let scene = Scene::new().await?;
    let [overtaken, failing, late, under_way] =
        [scene.sold(1).await?, scene.sold(2).await?, scene.sold(3).await?, scene.sold(4).await?];
    for one in [&overtaken, &failing, &late, &under_way] {
        scene.restores(&format!(
            "update subscriptions set desired_version = 5, applied_version = 4, decided_at = now() where id = '{}'",
            one.id
        ))?;
        scene.kubernetes.put(resource(one, "large")).await;
    }
    let mut told = resource(&overtaken, "small");
    told["metadata"]["annotations"]["nakhoda.dev/billing-version"] = json!("7");
    scene.kubernetes.put(told).await;
    scene.till.sql(&format!("update subscriptions set failures = 1 where id = '{}'", failing.id))?;
    scene.till.sql(&format!(
        "update subscriptions set decided_at = now() - interval '3 minutes' where id = '{}'",
        late.id
    ))?;
    let stop = CancellationToken::new();
    let state = following(&scene, &stop).await?;
    assert_eq!(sweep::sweep(&state).await?, 1);
    let versions: Vec<String> = [&overtaken, &failing, &late, &under_way]
        .into_iter()
        .map(|one| scene.versions(one))
        .collect::<Result<_>>()?;
    assert_eq!(versions, ["8|4", "5|4", "5|4", "5|4"]);
    let text = state.metrics.render(&state.db, &state.hasher, state.cluster.watches());
    for (kind, count) in [("OVERTAKEN", 1), ("WRONG_PLAN", 2)] {
        let line = format!("nakhoda_api_subscriptions_differing{{kind=\"{kind}\"}} {count}");
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    stop.cancel();
    Ok(())
}

#[tokio::test]
async fn a_version_that_somebody_wrote_by_hand_is_taken_off_and_not_followed() -> Result<()> {
    let scene = Scene::new().await?;
    let sold = scene.sold(1).await?;
    let absurd = i64::MAX - 1;
    let mut told = resource(&sold, "small");
    told["metadata"]["annotations"]["nakhoda.dev/billing-version"] = json!(absurd.to_string());
    scene.kubernetes.put(told).await;
    let (code, report) = scene.audit(&scene.till.gateway).await?;
    let words = format!(
        "kubectl -n {} annotate serviceinstance {} nakhoda.dev/billing-version-",
        sold.namespace, sold.name
    );
    assert_eq!((code, mend_of(&report, "OVERTAKEN")), (1, words), "{report}");
    let id = sold.id.to_string();
    let refused = scene.runs(&["subscription", "retell", &id, "--above", &absurd.to_string()]).await;
    let refused = format!("{:#}", refused.err().context("it is refused")?);
    assert!(
        refused.contains("written it by hand") && refused.contains("nakhoda.dev/billing-version"),
        "{refused}"
    );
    assert_eq!(scene.versions(&sold)?, "2|2");
    scene.runs(&["subscription", "retell", &id, "--above", "7"]).await?;
    assert_eq!(scene.versions(&sold)?, "8|2");
    Ok(())
}

#[tokio::test]
async fn by_the_sweep_alone_what_an_old_database_has_forgotten_is_active_again() -> Result<()> {
    let scene = Scene::new().await?;
    scene.has_a_tenant().await;
    let both = [scene.sold(1).await?, scene.sold(2).await?];
    for (sold, minutes) in both.iter().zip([10, 600]) {
        let mut told = resource(sold, "small");
        told["metadata"]["annotations"]["nakhoda.dev/billing-version"] = json!("3");
        scene.kubernetes.put(told).await;
        scene.restores_as_bought(sold, minutes)?;
    }
    let _api = scene.till.world.replica_on(scene.kubernetes.cluster()?).await?;
    for sold in &both {
        scene.is_active_again(sold).await?;
    }
    assert_eq!(scene.till.sql("select count(*) from transactions where type = 'REFUND'")?, "0");
    Ok(())
}

#[tokio::test]
async fn what_was_active_and_is_new_again_in_an_old_database_is_taken_up_and_not_given_up() -> Result<()> {
    let scene = Scene::new().await?;
    scene.has_a_tenant().await;
    // Within its hour, and long after it.
    let both = [scene.sold(1).await?, scene.sold(2).await?];
    for (sold, minutes) in both.iter().zip([10, 600]) {
        let mut told = resource(sold, "small");
        told["metadata"]["annotations"]["nakhoda.dev/billing-version"] = json!("3");
        scene.kubernetes.put(told).await;
        scene.restores_as_bought(sold, minutes)?;
    }
    let (code, report) = scene.audit(&scene.till.gateway).await?;
    let overtaken = both.iter().map(|sold| ("OVERTAKEN".to_owned(), format!("subscription {}", sold.id)));
    assert_eq!((code, found(&report)), (1, overtaken.collect()), "{report}");
    for one in report["differences"].as_array().unwrap() {
        let mend = one["mend"].as_str().unwrap_or_default();
        assert!(mend.ends_with("--above 3"), "{mend}");
        scene.runs(&mend.split(' ').skip(1).collect::<Vec<_>>()).await?;
    }
    let _api = scene.till.world.replica_on(scene.kubernetes.cluster()?).await?;
    for sold in &both {
        scene.is_active_again(sold).await?;
    }
    assert_eq!(scene.till.sql("select count(*) from transactions where type = 'REFUND'")?, "0");
    Ok(())
}

#[tokio::test]
async fn who_looks_after_a_subscription_is_told_by_the_databases_clock_alone() -> Result<()> {
    let scene = Scene::new().await?;
    let sold = scene.sold(1).await?;
    scene.till.sql(&format!("update subscriptions set desired_version = 3, look_at = now() - interval '1 minute', held_by = gen_random_uuid(), held_until = now() + interval '1 hour' where id = '{}'", sold.id))?;
    let held = format!(
        "select held_until > now() + interval '50 minutes' from subscriptions where id = '{}'",
        sold.id
    );
    // However far ahead a replica's own clock is, what another holds is the other's.
    scene.till.world.clock.advance(jiff::SignedDuration::from_hours(2));
    let api = scene.till.world.replica_on(scene.kubernetes.cluster()?).await?;
    // It looks after another one meanwhile.
    let due = scene.sold(2).await?;
    scene.till.sql(&format!(
        "update subscriptions set desired_version = 3, look_at = now() where id = '{}'",
        due.id
    ))?;
    e2e::wait::until("it to be looked after", BOUND, async || {
        Ok((scene.versions(&due)? == "3|3").then_some(()))
    })
    .await?;
    assert_eq!((scene.till.sql(&held)?, scene.versions(&sold)?), ("t".to_owned(), "3|2".to_owned()));
    drop(api);
    Ok(())
}
