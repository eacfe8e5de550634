//! Instances that have lived through much, beside others that were ordered so from the first: what stands in their namespaces
//! in the end is the same. Meanwhile the operator is killed again and again.

use anyhow::{Result, ensure};
use crds::instance::Phase;
use crds::{ServiceInstance, conditions};
use e2e::wait;
use futures::future::try_join_all;
use kube::Client;
use serde_json::{Value, json};

use crate::world::{
    BOUND, Instance, RunningOperator, Tenant, World, block_on, proves, sell_plan, sell_template,
};

const LIVES: u64 = 5;
const PROOF: u64 = 50;
/// How many steps a life has.
const STEPS: u64 = 7;
/// The template, and the beginning of its plans' names.
const APP: &str = "sequences";
/// What the plans have: CPU, memory, storage.
const PLANS: [(&str, &str, &str); 3] =
    [("20m", "64Mi", "1Gi"), ("30m", "96Mi", "2Gi"), ("40m", "128Mi", "3Gi")];
const LONG_AFTER: &str = "2099-01-03T17:00:00Z";
const LONG_AGO: &str = "2026-01-03T17:00:00Z";

/// Numbers that look random and are the same each time (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let at = self.below(all.len() as u64);
        all[usize::try_from(at).unwrap_or_default()]
    }
}

/// An instance, and what was ordered of it so far.
struct Life {
    numbers: Numbers,
    tenant: Tenant,
    instance: Instance,
    spec: Value,
    plan: usize,
}

fn plan(number: usize) -> String {
    format!("{APP}-{number}")
}

/// An app of one component, sold in sizes that fit many times on the simulated nodes.
async fn sell(admin: &Client) -> Result<()> {
    sell_template(admin, "postgresql", APP).await?;
    for (number, (cpu, memory, storage)) in PLANS.into_iter().enumerate() {
        let resources = json!({"cpu": cpu, "memory": memory, "storage": storage});
        sell_plan(admin, "postgresql", (APP, &plan(number)), Some(resources)).await?;
    }
    Ok(())
}

async fn tenant(world: &World, name: &str) -> Result<Tenant> {
    let limits = json!({"instances": 5, "cpu": "10", "memory": "10Gi", "storage": "1Ti"});
    world.tenant(name, limits).await
}

fn is_settled(instance: &ServiceInstance) -> bool {
    let Some(status) = &instance.status else { return false };
    let reconciling = conditions::find(&status.conditions, conditions::RECONCILING);
    status.observed_generation == instance.metadata.generation
        && reconciling.is_some_and(|condition| condition.status == "False")
}

impl Life {
    async fn begin(world: &World, number: u64) -> Result<Self> {
        let tenant = tenant(world, &format!("lived-{number:03}")).await?;
        let spec = json!({
            "planRef": plan(0), "powerState": "Running", "entitlement": {"suspendAt": LONG_AFTER},
            "parameters": {"timezone": "UTC"}, "retention": {"keepFor": "30d"},
        });
        let instance = tenant.instance("db", spec.clone()).await?;
        Ok(Self { numbers: Numbers(number), tenant, instance, spec, plan: 0 })
    }

    /// What happens next, as a patch of the spec.
    fn step(&mut self) -> Value {
        let numbers = &mut self.numbers;
        let who = numbers.one_of(&["billing", "admin", "abuse"]);
        match numbers.below(11) {
            0 => json!({"holds": {who: {"reason": "Something is open", "since": "2026-01-05T09:00:00Z"}}}),
            1 | 2 => json!({"holds": {who: null}}),
            3 => json!({"powerState": "Stopped"}),
            4 => json!({"powerState": "Running"}),
            5 => {
                json!({"parameters": {"timezone": numbers.one_of(&["UTC", "Asia/Jakarta", "Asia/Makassar"])}})
            }
            6 => json!({"parameters": {"maxConnections": (20 + numbers.below(100)).to_string()}}),
            7 => {
                self.plan = (self.plan + 1).min(PLANS.len() - 1);
                json!({"planRef": plan(self.plan)})
            }
            8 => json!({"restartedAt": format!("2026-02-03T{:02}:00:00Z", numbers.below(24))}),
            9 => json!({"entitlement": {"suspendAt": numbers.one_of(&[LONG_AGO, LONG_AFTER])}}),
            _ => json!({"retention": {"keepFor": numbers.one_of(&["7d", "30d", "60d"])}}),
        }
    }

    /// Everything that happens, in haste or with rests, to an end in which it runs.
    async fn live(&mut self) -> Result<()> {
        for _ in 0..STEPS {
            let step = self.step();
            self.order(step).await?;
            if self.numbers.below(3) == 0 {
                self.instance.wait_for("settled", BOUND * 2, is_settled).await?;
            }
        }
        // A volume grows only while it is in use: in the end it runs, so that everything shows.
        let end = json!({"holds": null, "powerState": "Running", "entitlement": {"suspendAt": LONG_AFTER}});
        self.order(end).await?;
        self.instance.settled_in(Phase::Running, BOUND * 2).await?;
        Ok(())
    }

    async fn order(&mut self, patch: Value) -> Result<()> {
        merge(&mut self.spec, &patch);
        self.instance.patch_spec(patch).await?;
        Ok(())
    }

    /// Orders another one so from the first, and compares.
    async fn is_as_fresh(&self, world: &World) -> Result<()> {
        let name = self.tenant.name().replace("lived", "fresh");
        let other = tenant(world, &name).await?;
        other.instance("db", self.spec.clone()).await?.settled_in(Phase::Running, BOUND * 2).await?;
        let what = format!("{} to be as {name}", self.tenant.name());
        let alike = wait::until(&what, BOUND, async || {
            Ok((self.tenant.children().await? == other.children().await?).then_some(()))
        });
        if let Err(error) = alike.await {
            let (lived, fresh) = (self.tenant.children().await?, other.children().await?);
            let differs = lived.lines().zip(fresh.lines()).find(|(lived, fresh)| lived != fresh);
            return Err(error.context(format!("{}: the first line that differs: {differs:?}", self.spec)));
        }
        Ok(())
    }
}

/// A JSON merge patch.
fn merge(whole: &mut Value, patch: &Value) {
    let (Some(map), Some(patch)) = (whole.as_object_mut(), patch.as_object()) else {
        whole.clone_from(patch);
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            let there = map
                .entry(key.clone())
                .or_insert_with(|| if value.is_object() { json!({}) } else { Value::Null });
            merge(there, value);
        }
    }
}

/// Kills the operator again and again, each time once it has done some reconciles; how often, in `kills`.
async fn kill(operator: &RunningOperator, kills: &mut u64) -> Result<()> {
    let mut numbers = Numbers(0);
    loop {
        operator.wait_reconciles("instance", 1 + numbers.below(40), BOUND * 10).await?;
        operator.kill();
        *kills += 1;
        operator.restart().await?;
    }
}

#[test]
fn whatever_was_ordered_in_between_and_killed_the_end_is_as_if_it_had_been_ordered_at_first() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        sell(&world.admin()).await?;
        let count = if proves() { PROOF } else { LIVES };
        let mut lives = try_join_all((1..=count).map(|number| Life::begin(&world, number))).await?;
        let mut kills = 0;
        tokio::select! {
            ended = try_join_all(lives.iter_mut().map(Life::live)) => drop(ended?),
            killed = kill(&operator, &mut kills) => killed?,
        }
        // It may have been killed just now.
        operator.restart().await?;
        try_join_all(lives.iter().map(|life| life.is_as_fresh(&world))).await?;
        let grown = lives.iter().filter(|life| life.plan > 0).count();
        println!(
            "{count} lives of {STEPS} steps, the operator killed {kills} times meanwhile: all as fresh ones; \
             {grown} with grown volumes (the growth is simulated: KWOK says it is done)"
        );
        ensure!(kills > 0, "the operator was never killed");
        Ok(())
    })
}
