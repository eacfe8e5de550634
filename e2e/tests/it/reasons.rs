//! Every cause that an instance can name, made to happen on the real control plane, seen in the REASON column, and taken
//! back. The table that this prints stands in docs/reasons.md.

mod cluster;
mod nodes;
mod orders;
mod pods;
mod row;
mod storage;
mod templates;

use anyhow::{Context as _, Result, bail, ensure};
use crds::reasons;
use e2e::repository;
use futures::future::{FutureExt as _, LocalBoxFuture, join_all};
use row::Row;
use serde_json::{Value, json};

use crate::broken::catalogue;
use crate::world::{Instance, Tenant, World, block_on};

/// How many causes there are at least.
const CAUSES: usize = 40;
/// The part of the document that this test fills.
const PART: &str = "seen";

/// What the cases of one tenant play on.
#[derive(Clone, Copy)]
struct Stage<'a> {
    world: &'a World,
    tenant: &'a Tenant,
}

type Case<'a> = LocalBoxFuture<'a, Result<Vec<Row>>>;

fn limits() -> Value {
    json!({"instances": 100, "cpu": "1000", "memory": "1Ti", "storage": "10Ti"})
}

/// The spec of an order by a plan that is paid for long after any test.
fn spec(plan: &str) -> Value {
    let until = json!({"paidUntil": "2098-12-31T17:00:00Z", "suspendAt": "2099-01-03T17:00:00Z"});
    json!({"planRef": plan, "entitlement": until})
}

impl Stage<'_> {
    /// Orders an instance.
    async fn order(&self, name: &str, plan: &str) -> Result<Instance> {
        self.tenant.instance(name, spec(plan)).await
    }

    /// Orders an instance and waits until it serves.
    async fn running(&self, name: &str, plan: &str) -> Result<Instance> {
        let one = self.order(name, plan).await?;
        row::serves(&one).await?;
        Ok(one)
    }
}

async fn catalogue(world: &World) -> Result<()> {
    catalogue::app(world, "plain", |_| {}).await?;
    catalogue::app(world, "told", |_| {}).await?;
    catalogue::app(world, "told-pair", |spec| {
        let mut web = spec["components"][0].clone();
        web["name"] = json!("web");
        web["stateful"] = json!(false);
        web["dependsOn"] = json!(["db"]);
        web["volumes"] = json!([]);
        web["initContainers"] = json!([]);
        web["resources"] = json!({"cpuPercent": 50, "memoryPercent": 50});
        spec["components"][0]["resources"] = web["resources"].clone();
        spec["components"].as_array_mut().into_iter().for_each(|all| all.push(web.clone()));
    })
    .await
}

/// The document is what was seen; with `NAKHODA_WRITE_DOCS` it is made so.
fn compare(table: &str) -> Result<()> {
    let path = repository::root().join("docs/reasons.md");
    let document = std::fs::read_to_string(&path)?;
    let fresh = reasons::with_part(&document, PART, table).context("docs/reasons.md has lost its marks")?;
    if fresh == document {
        return Ok(());
    }
    ensure!(
        std::env::var_os("NAKHODA_WRITE_DOCS").is_some(),
        "docs/reasons.md shows another table: run this with NAKHODA_WRITE_DOCS=1 and read the difference"
    );
    Ok(std::fs::write(path, fresh)?)
}

async fn play(world: &World) -> Result<Vec<Row>> {
    catalogue(world).await?;
    let tenant = world.tenant("reasons", limits()).await?;
    let stage = Stage { world, tenant: &tenant };
    let mut cases: Vec<Case<'_>> = Vec::new();
    cases.extend(orders::cases(stage));
    cases.extend(templates::cases(stage));
    cases.extend(storage::cases(stage));
    cases.extend(pods::cases(stage));
    cases.extend(cluster::cases(world));
    let mut rows = Vec::new();
    let mut wrong = Vec::new();
    let mut played = join_all(cases).await;
    // Alone, since it closes every node.
    played.push(nodes::case(stage).boxed_local().await);
    for case in played {
        match case {
            Ok(seen) => rows.extend(seen),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    if !wrong.is_empty() {
        bail!("not as they should be:\n{}", wrong.join("\n"));
    }
    Ok(rows)
}

#[test]
fn every_cause_is_seen_in_the_reason_column_and_taken_back() -> Result<()> {
    block_on(async {
        let world = World::start("reasons").await?;
        let _operator = world.operator("a").await?;
        let rows = play(&world).await?;
        let table = row::table(&rows);
        println!("{table}\n\n{} causes made to happen and seen", rows.len());
        assert!(rows.len() >= CAUSES);
        compare(&table)
    })
}
