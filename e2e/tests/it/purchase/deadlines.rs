//! The hour after which a purchase is given up, and the moment at which it serves, one just before the other, or the other way round: whoever comes
//! first, money never comes back while a pod runs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use crds::GROUP;
use e2e::midtrans::shuffle::next;
use e2e::proxy::{Action, Matcher, Rule};
use futures::future::{try_join, try_join_all};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use tokio::sync::watch;

use super::buyer::{Buyer, Phase};
use super::shop::Shop;
use super::{GIFT, SEED};
use crate::world::block_on;

/// How many purchases, and how many of them at once.
const PURCHASES: usize = 20;
const AT_ONCE: usize = 5;
/// The longest that a write is delayed, in milliseconds.
const DELAY: u64 = 2_000;
/// Purchases of those who are named here are born so old: no clock is moved, and everything else is as an hour later.
const BORN_OLD: &str = "
    create table ages (user_id uuid primary key, age interval not null);
    create function born_old() returns trigger language plpgsql security definer set search_path = public as $$ begin
        new.created_at := new.created_at - coalesce((select age from ages where user_id = new.user_id), '0');
        return new;
    end $$;
    create trigger born_old before insert on subscriptions for each row execute function born_old()";

#[test]
fn however_deadline_and_readiness_meet_money_never_comes_back_while_a_pod_runs() -> Result<()> {
    block_on(async {
        let shop = Shop::open("deadlines").await?;
        shop.sql(BORN_OLD)?;
        let (mut seed, mut usual) = (SEED, usual(&shop).await?);
        let (mut active, mut looks) = (0, 0);
        for first in (0..PURCHASES).step_by(AT_ONCE) {
            let mut buyers = Vec::new();
            for number in first..first + AT_ONCE {
                let buyer = Buyer::new(&shop, &format!("late-{number}")).await?;
                prepare(&shop, &buyer, &mut seed, usual)?;
                buyers.push(buyer);
            }
            looks += meet(&shop, &buyers).await?;
            shop.world.proxy().clear_rules();
            let mut well = 0;
            for buyer in &buyers {
                well += usize::from(ends_well(&shop, buyer).await?);
            }
            println!("{well} of {AT_ONCE} became ACTIVE, where that usually takes {usual:.1?}");
            active += well;
            // So that the next ones meet more closely.
            usual = match well {
                0 => usual * 3 / 2,
                AT_ONCE => usual * 2 / 3,
                _ => usual,
            };
        }
        println!(
            "{PURCHASES} purchases: {active} became ACTIVE, {} were given up; {looks} looks at books and pods",
            PURCHASES - active
        );
        shop.verify().await
    })
}

/// What comes when is chosen by the seed: the end of the hour between a third of the usual time and nearly twice of it, and what is delayed.
fn prepare(shop: &Shop, buyer: &Buyer<'_>, seed: &mut u64, usual: Duration) -> Result<()> {
    let (share, which, delay) = (next(seed) % 100, next(seed) % 3, next(seed) % DELAY);
    let left = usual * u32::try_from(35 + share * 150 / 100)? / 100;
    shop.sql(&format!(
        "insert into ages values ('{}', interval '60 minutes' - interval '{} milliseconds')",
        buyer.id,
        left.as_millis()
    ))?;
    disturb(shop, buyer, which, Duration::from_millis(delay));
    Ok(())
}

/// All of them buy, and all come to an end, while somebody looks; how often.
async fn meet(shop: &Shop, buyers: &[Buyer<'_>]) -> Result<usize> {
    let (over, watched) = watch::channel(false);
    let all = async {
        try_join_all(buyers.iter().map(|buyer| buyer.begins(Phase::Buy))).await?;
        try_join_all(buyers.iter().map(|buyer| settles(shop, buyer))).await?;
        over.send_replace(true);
        anyhow::Ok(())
    };
    Ok(try_join(all, watches(shop, watched)).await?.1)
}

/// How long it takes until a purchase is ACTIVE, where so many are made at once.
async fn usual(shop: &Shop) -> Result<Duration> {
    let mut buyers = Vec::new();
    for number in 0..AT_ONCE {
        buyers.push(Buyer::new(shop, &format!("usual-{number}")).await?);
    }
    let begun = Instant::now();
    let took = try_join_all(buyers.iter().map(async |buyer| {
        buyer.begins(Phase::Buy).await?;
        let is_active = format!("select status = 'ACTIVE' from subscriptions where user_id = '{}'", buyer.id);
        shop.until("it to be active", &is_active).await?;
        anyhow::Ok(begun.elapsed())
    }));
    let mut took = took.await?;
    took.sort();
    for phase in [Phase::Buy, Phase::Cancel] {
        if phase == Phase::Cancel {
            try_join_all(buyers.iter().map(|buyer| buyer.begins(phase))).await?;
        }
        try_join_all(buyers.iter().map(|buyer| buyer.ends(phase))).await?;
    }
    Ok(took[AT_ONCE / 2])
}

/// What the operator sees, or what the worker says, comes later.
fn disturb(shop: &Shop, buyer: &Buyer<'_>, which: u64, delay: Duration) {
    let namespace = buyer.place().namespace;
    let whose = match which {
        0 => return,
        1 => Matcher::writes().actor(shop.operator.name()).resource(GROUP, "serviceinstances"),
        _ => Matcher::writes().actor(shop.worker.name()),
    };
    shop.world.proxy().add_rule(Rule::new(whose.namespace(namespace), Action::Delay(delay)).every());
}

async fn settles(shop: &Shop, buyer: &Buyer<'_>) -> Result<()> {
    let is_settled = format!(
        "select (status = 'ACTIVE' or fenced_at is not null) and applied_version = desired_version
         from subscriptions where user_id = '{}'",
        buyer.id
    );
    shop.until("a purchase to be active or over", &is_settled).await
}

/// Looks at the books first and at the pods then, until told to stop; how often. What has its money back has no pod, and gets none.
async fn watches(shop: &Shop, over: watch::Receiver<bool>) -> Result<usize> {
    let pods: Api<Pod> = Api::all(shop.world.admin());
    let mut looks = 0;
    while !*over.borrow() {
        let back = shop.sql(
            "select user_id from transactions where type = 'REFUND' and status = 'COMPLETED'
             union select user_id from subscriptions where fenced_at is not null",
        )?;
        let back: BTreeSet<String> = back.lines().map(namespace).collect();
        for pod in pods.list(&ListParams::default()).await? {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            let place = pod.metadata.namespace.unwrap_or_default();
            let may_run = !matches!(phase, Some("Succeeded" | "Failed"));
            ensure!(!(may_run && back.contains(&place)), "the money is back, and a pod runs in {place}");
        }
        looks += 1;
    }
    Ok(looks)
}

fn namespace(user: &str) -> String {
    crds::names::tenant_namespace(&crds::names::tenant_of_user(user))
}

/// It runs and is paid, or all money is back and nothing runs; whether it runs. In the end nothing does.
async fn ends_well(shop: &Shop, buyer: &Buyer<'_>) -> Result<bool> {
    let id = &buyer.id;
    let found = shop.sql(&format!(
        "select s.status, coalesce(s.ended_by, ''), (select sum(balance) from accounts where user_id = s.user_id) - {GIFT} + s.price,
                (select count(*) from transactions where user_id = s.user_id and type = 'PURCHASE' and status = 'COMPLETED'),
                (select count(*) from transactions where user_id = s.user_id and type = 'REFUND'), s.price
         from subscriptions s where s.user_id = '{id}'"
    ))?;
    let fields: Vec<&str> = found.split('|').collect();
    let pods = buyer.pods().await?;
    match fields[..] {
        ["ACTIVE", "", "0", "1", "0", _] => {
            ensure!(pods > 0, "it is ACTIVE, and nothing runs");
            buyer.begins(Phase::Cancel).await?;
            let is_over = format!("select fenced_at is not null from subscriptions where user_id = '{id}'");
            shop.until("what was ACTIVE to be over", &is_over).await?;
            Ok(true)
        }
        ["CANCELLED", "SYSTEM", back, "1", "1", price] if back == price => {
            ensure!(pods == 0, "its money is back, and {pods} pods run");
            Ok(false)
        }
        _ => anyhow::bail!("{id}: {found}"),
    }
}
