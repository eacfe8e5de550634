//! API, worker, operator and PostgreSQL killed before and after every write between quote and ACTIVE, and between cancellation and refund.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use futures::future::join;

use super::buyer::{Buyer, Phase};
use super::points::{self, Case, Trace};
use super::shop::Shop;
use crate::world::{block_on, proves};

/// How many points are tried where not all are.
const FEW: usize = 16;
/// How many undisturbed purchases there are: the first of all writes what no other does, and the others are compared.
const CALM: usize = 3;

#[test]
fn whatever_is_killed_at_any_write_there_is_one_debit_one_instance_one_refund_and_one_mail() -> Result<()> {
    block_on(async {
        let shop = Shop::open("crashes").await?;
        let all = reference(&shop).await?;
        let chosen = points::sample(&all, if proves() { all.len() } else { FEW });
        let (begun, mut counts, mut missed) = (Instant::now(), BTreeMap::<String, usize>::new(), Vec::new());
        for (number, case) in chosen.iter().enumerate() {
            let at = || format!("point {number}, {case}");
            let since = Instant::now();
            let is_killed = plays(&shop, case, number).await.with_context(at)?;
            println!("{:5.1} s  {}", since.elapsed().as_secs_f64(), at());
            if is_killed {
                *counts.entry(case.group()).or_default() += 1;
            } else {
                missed.push(case.to_string());
            }
        }
        shop.verify().await?;
        let (killed, took) = (counts.values().sum::<usize>(), begun.elapsed().as_secs());
        println!("{} crash points, {} tried: {killed} kills in {took} s", all.len(), chosen.len());
        for (group, count) in &counts {
            println!("  {count:3}  {group}");
        }
        println!("  {:3}  did not come: {missed:#?}", missed.len());
        // How often something is asked is chance, and so is whether a write comes that hangs on it.
        ensure!(missed.len() * 3 <= chosen.len(), "too many did not come");
        Ok(())
    })
}

/// All crash points, from what undisturbed purchases write.
async fn reference(shop: &Shop) -> Result<Vec<Case>> {
    let mut traces: BTreeMap<Phase, Trace> = BTreeMap::new();
    for number in 0..CALM {
        let buyer = Buyer::new(shop, &format!("calm-{number}")).await?;
        for phase in Phase::ALL {
            let trace = Trace::of(shop, &buyer, phase).await?;
            buyer.is_right(phase).await.context("undisturbed")?;
            let trace = match traces.remove(&phase) {
                Some(before) if number > 1 => before.common(&trace),
                _ => trace,
            };
            traces.insert(phase, trace);
        }
    }
    let mut all = Vec::new();
    for (phase, trace) in &traces {
        println!("{phase:?} writes to the cluster {} times:", trace.cluster.len());
        for write in &trace.cluster {
            println!("  {}: {write}", write.actor());
        }
        println!("and changes the database {} times:", trace.database.len());
        for write in &trace.database {
            println!("  {write}");
        }
        all.extend(trace.cases(*phase));
    }
    Ok(all)
}

/// Somebody new buys and cancels, and something is killed in between; whether it was.
async fn plays(shop: &Shop, case: &Case, number: usize) -> Result<bool> {
    let buyer = Buyer::new(shop, &format!("buyer-{number}")).await?;
    let mut killed = false;
    for phase in Phase::ALL {
        shop.database.forget();
        if phase == case.phase {
            let (begun, struck) = join(buyer.begins(phase), case.strikes(shop, &buyer)).await;
            killed = struck.context("what was killed does not come back")?;
            begun?;
        } else {
            buyer.begins(phase).await?;
        }
        buyer.ends(phase).await?;
        buyer.is_right(phase).await?;
    }
    Ok(killed)
}
