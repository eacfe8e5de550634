//! An app as its owner sees it through the API: from bought to active as it happens, stopped, started, restarted, and what it uses.

use anyhow::{Context as _, Result, ensure};
use crds::labels;
use e2e::wait;
use http::StatusCode;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::subscriptions::{Buyer, path};
use crate::world::{BOUND, World, block_on};

const PLAN: &str = "postgresql-small";

/// The states that a stream of events has told, until something is so.
async fn told_until(
    buyer: &Buyer<'_>,
    bought: &Value,
    is_so: impl Fn(&Value) -> bool,
) -> Result<Vec<(String, Value)>> {
    let address = format!("{}/api/v1{}/events", buyer.customers.api.url(), path(bought));
    let request = reqwest::Client::new().get(address).bearer_auth(&buyer.access);
    let mut answer = request.send().await?.error_for_status()?;
    let (mut text, mut told) = (String::new(), Vec::new());
    loop {
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field =
                |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
            if let Some((id, data)) = field("id:").zip(field("data:")) {
                told.push((id.to_owned(), serde_json::from_str(data)?));
            }
            text = rest.to_owned();
            if told.last().is_some_and(|(_, state)| is_so(state)) {
                return Ok(told);
            }
        }
        let chunk = wait::within("more events", BOUND, answer.chunk()).await?;
        text.push_str(std::str::from_utf8(&chunk.context("the stream has ended")?)?);
    }
}

/// How many steps are done.
fn done(state: &Value) -> usize {
    state["steps"].as_array().into_iter().flatten().filter(|one| one["state"] == "DONE").count()
}

/// An app of a buyer's.
struct Shown<'a> {
    buyer: &'a Buyer<'a>,
    path: String,
}

impl Shown<'_> {
    async fn get(&self, what: &str) -> Result<Value> {
        self.buyer.get(&format!("{}{what}", self.path)).await
    }

    async fn becomes(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until(what, BOUND, async || {
            let now = self.get("").await?;
            Ok(is_so(&now).then_some(now))
        })
        .await
    }

    /// What a verb has caused; the next read sees it.
    async fn does(&self, verb: &str) -> Result<Value> {
        let path = format!("{}/{verb}", self.path);
        let (status, done) = self.buyer.post(&path, verb, Some(&json!({}))).await?;
        ensure!(status == StatusCode::OK, "{status}: {done}");
        let generation = done["generation"].as_i64();
        ensure!(self.get("").await?["generation"].as_i64() >= generation, "the next read sees it");
        Ok(done)
    }
}

fn pods(state: &Value) -> Vec<String> {
    let all = state["pods"].as_array().into_iter().flatten();
    all.filter_map(|pod| pod["name"].as_str()).map(str::to_owned).collect()
}

/// What `kubectl top pod` shows of an app: the sum of its containers.
async fn top(world: &World, buyer: &Buyer<'_>, uid: &str) -> Result<(i64, i64)> {
    let kind = ApiResource {
        group: "metrics.k8s.io".into(),
        version: "v1beta1".into(),
        api_version: "metrics.k8s.io/v1beta1".into(),
        kind: "PodMetrics".into(),
        plural: "pods".into(),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(world.admin(), &buyer.namespace(), &kind);
    let measured = api.list(&ListParams::default().labels(&format!("{}={uid}", labels::INSTANCE))).await?;
    let (mut cpu, mut memory) = (crds::Quantity::ZERO, crds::Quantity::ZERO);
    for pod in &measured.items {
        for container in pod.data["containers"].as_array().into_iter().flatten() {
            let used =
                |what: &str| container["usage"][what].as_str().unwrap_or("0").parse::<crds::Quantity>();
            (cpu, memory) = (cpu.plus(used("cpu")?), memory.plus(used("memory")?));
        }
    }
    Ok((cpu.millis(), memory.units()))
}

#[test]
fn an_app_is_seen_coming_up_stopped_started_and_restarted_by_its_owner() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let _operator = world.operator("a").await?;
        let customers = world.customers("owning").await?;
        let buyer = Buyer::with(&customers, 500_000).await?;
        let bought = buyer.buys(PLAN).await?;
        let told = told_until(&buyer, &bought, |state| state["status"] == "ACTIVE").await?;
        let steps: Vec<usize> = told.iter().map(|(_, state)| done(state)).collect();
        ensure!(steps.is_sorted() && steps.last() == Some(&7), "{steps:?}");
        let mut ids: Vec<&String> = told.iter().map(|(id, _)| id).collect();
        ids.dedup();
        ensure!(ids.len() == told.len(), "nothing is told twice in a row");

        let id = bought["id"].as_str().context("an id")?;
        let shown = Shown { buyer: &buyer, path: format!("/instances/{id}") };
        let runs =
            shown.becomes("it to run", |now| now["settled"] == true && now["phase"] == "RUNNING").await?;
        ensure!(runs["why"].is_null() && runs["urls"]["internal"].is_string(), "{runs}");
        let list = buyer.get("/instances?phase=RUNNING&q=postgresql").await?;
        assert_eq!((&list["items"][0]["id"], &list["total"]), (&bought["id"], &json!(1)));
        assert_eq!(shown.get("/health").await?["verdict"], "HEALTHY");
        credentials_are_those_of_the_secret(&world, &shown, &runs).await?;

        shown.does("stop").await?;
        let stopped = shown.becomes("it to be stopped", |now| now["phase"] == "STOPPED").await?;
        assert_eq!((&stopped["why"]["reason"], &stopped["pods"]), (&json!("Stopped"), &json!([])));
        let (status, refused) =
            buyer.post(&format!("{}/restart", shown.path), "no", Some(&json!({}))).await?;
        assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("instance.stopped")));
        shown.does("start").await?;
        let before =
            shown.becomes("it to run again", |now| now["phase"] == "RUNNING" && pods(now).len() == 1).await?;
        a_restart_makes_another_pod(&world, &shown, &pods(&before).remove(0)).await?;

        let detail = buyer.get(&path(&bought)).await?;
        assert_eq!(
            (&detail["instance"]["id"], &detail["transactions"][0]["type"]),
            (&bought["id"], &json!("PURCHASE"))
        );
        let paid = buyer.get(&format!("{}/transactions", path(&bought))).await?;
        assert_eq!(paid["items"][0]["id"], detail["transactions"][0]["id"]);
        let renamed = json!({"name": "The ledger"});
        customers
            .api
            .must("PATCH", &format!("/api/v1{}", path(&bought)), Some(&buyer.access), Some(&renamed))
            .await?;
        wait::until("the name to be told", BOUND, async || {
            let resource =
                buyer.instances(&world).get(bought["resource"].as_str().unwrap_or_default()).await?;
            Ok((resource.spec.display_name.as_deref() == Some("The ledger")).then_some(()))
        })
        .await?;
        Ok(())
    })
}

/// The next read shows the pod that came of it. A database's has the same name and another uid.
async fn a_restart_makes_another_pod(world: &World, shown: &Shown<'_>, name: &str) -> Result<()> {
    let live = Api::<Pod>::namespaced(world.admin(), &shown.buyer.namespace());
    let first = live.get(name).await?.uid();
    shown.does("restart").await?;
    wait::until("another pod to be there", BOUND, async || {
        let now = shown.get("").await?;
        let names = pods(&now);
        let [one] = &names[..] else { return Ok(None) };
        let is_another = live.get_opt(one).await?.is_some_and(|pod| pod.uid() != first);
        Ok((is_another && now["phase"] == "RUNNING" && now["settled"] == true).then_some(()))
    })
    .await
}

/// What is shown is what the Secret has, and the log has none of it.
async fn credentials_are_those_of_the_secret(world: &World, shown: &Shown<'_>, runs: &Value) -> Result<()> {
    let buyer = shown.buyer;
    let all = shown.get("/credentials").await?;
    let resource = buyer.instances(world).get(runs["resource"].as_str().unwrap_or_default()).await?;
    let named = resource.status.and_then(|status| status.credentials_secret_ref).context("credentials")?;
    let secret = Api::<Secret>::namespaced(world.admin(), &buyer.namespace()).get(&named.name).await?;
    let kept = secret.data.unwrap_or_default();
    let log = std::fs::read_to_string(buyer.customers.api.process().log())?;
    let items = all["items"].as_array().cloned().unwrap_or_default();
    ensure!(items.len() == kept.len() && items.len() > 3, "{} of {}", items.len(), kept.len());
    for item in items {
        let (name, value) =
            (item["name"].as_str().unwrap_or_default(), item["value"].as_str().unwrap_or_default());
        ensure!(kept.get(name).is_some_and(|bytes| bytes.0 == value.as_bytes()), "{name}");
        ensure!(item["sensitive"] != true || !log.contains(value), "the log has {name}");
    }
    Ok(())
}

#[test]
fn what_an_app_uses_is_what_kubectl_top_shows() -> Result<()> {
    block_on(async {
        let mut world = World::shared_stories().await?;
        let _operator = world.operator("a").await?;
        let customers = world.customers("measured").await?;
        let buyer = Buyer::with(&customers, 500_000).await?;
        let bought = buyer.buys(PLAN).await?;
        buyer.becomes(&bought, "it to be active", |now| now["status"] == "ACTIVE").await?;
        let metrics = format!("{}/metrics", path(&bought));
        let without = buyer.get(&metrics).await?;
        assert_eq!(
            json!([without["available"], without["reason"]]),
            json!([false, "NO_SOURCE"]),
            "{without}"
        );

        world.control_plane().start_metrics_server().await?;
        let resource = buyer.instances(&world).get(bought["resource"].as_str().unwrap_or_default()).await?;
        let uid = resource.uid().context("a uid")?;
        // Both are read again until no newer measurement lies between them.
        let (now, shown) = wait::until("it to be measured", BOUND * 3, async || {
            let now = buyer.get(&metrics).await?;
            let shown = top(&world, &buyer, &uid).await?;
            let used = (now["cpu"]["used_millicores"].as_i64(), now["memory"]["used_bytes"].as_i64());
            Ok((used == (Some(shown.0), Some(shown.1))).then_some((now, shown)))
        })
        .await?;
        ensure!(shown.0 > 0 && shown.1 > 0 && now["available"] == true, "{now}");
        let of_plan = now["memory"]["limit_bytes"].as_i64().context("a limit")?;
        assert_eq!(now["memory"]["percentage"].as_i64(), Some((shown.1 * 100 + of_plan / 2) / of_plan));
        assert_eq!(
            json!([now["status"], now["instance_id"], now["storage"]["used_bytes"]]),
            json!(["RUNNING", bought["id"], null])
        );
        world.control_plane().stop_metrics_server(true).await
    })
}
