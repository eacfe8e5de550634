//! Bugs that are planted, each of which the checker must name: it says that all is well of the same books before.

use anyhow::{Context, Result, ensure};
use e2e::money::bank::{self, Run};
use e2e::money::caller::Reply;
use e2e::money::checker::Wrong;
use e2e::money::history::{Line, Told, What};
use e2e::money::house::{House, Plan};
use e2e::postgres::Durability;
use e2e::scratch;
use e2e::story::Story;

use serde_json::Value;

use super::SEED;
use crate::block_on;

/// A few operations of a few clients, of which nothing is wrong.
async fn played(name: &str) -> Result<(House, Run)> {
    let dir = scratch::folder("planted")?.join(name);
    std::fs::create_dir_all(&dir)?;
    let plan = Plan { durability: Durability::Forgotten, customers: 3, tells_across: true };
    let house = House::start(&dir, plan).await?;
    let plan = bank::Plan { operations: 60, clients: 4, kills: 0, seed: SEED };
    let run = Run::play(&house, plan, Story::quiet()).await?;
    assert_eq!(run.check(&house).await?, []);
    Ok((house, run))
}

/// The last credit that was acknowledged.
fn last_credit(run: &Run) -> Result<&Line> {
    let is_done = |line: &&Line| line.what == What::Credit && matches!(line.told, Told::Done(_));
    run.lines.iter().rfind(is_done).context("some credit was acknowledged")
}

/// Asks for it again, with the same key.
async fn again(house: &House, line: &Line) -> Result<Reply> {
    let call = line.adjustment().context("it is an adjustment")?;
    Ok(house.caller.call(0, &house.administrator, &call).await)
}

/// Which transaction an adjustment made.
fn made(body: &Value) -> Told {
    Told::Done(body.pointer("/transaction/id").and_then(Value::as_str).unwrap_or_default().to_owned())
}

fn ends(house: House, name: &str) -> Result<()> {
    drop(house);
    Ok(std::fs::remove_dir_all(scratch::folder("planted")?.join(name))?)
}

#[test]
fn keys_that_are_not_unique_are_found_out() -> Result<()> {
    block_on(async {
        let (house, run) = played("keys").await?;
        let line = last_credit(&run)?;
        let Reply::Done(same) = again(&house, line).await? else { anyhow::bail!("a repeat is answered") };
        assert_eq!(made(&same), line.told);
        assert_eq!(run.check(&house).await?, []);
        // The unique key is gone, and all that was known by it: an adjustment has no other.
        let forgets = "create rule forgets as on insert to idempotency_keys do instead nothing";
        house.sql(&format!("truncate idempotency_keys; {forgets}")).await?;
        let twice = again(&house, line).await?;
        ensure!(matches!(twice, Reply::Done(_)), "{twice:?}");
        let wrong = run.check(&house).await?;
        ensure!(wrong.contains(&Wrong::Twice(line.key.clone(), 2)), "{wrong:?}");
        ends(house, "keys")
    })
}

#[test]
fn an_answer_before_the_commit_is_found_out() -> Result<()> {
    block_on(async {
        let (house, run) = played("commit").await?;
        // The last that was written to some account never was, as after a crash of whoever had answered too soon.
        let id = house
            .sql(
                "select f.entry_id from transfers f join accounts a on a.id = f.account_id and a.version = f.version
                 join entries e on e.id = f.entry_id where e.kind in ('ADJUSTMENT', 'PROMOTION') order by f.id desc limit 1",
            )
            .await?;
        let id = id.trim();
        house
            .sql(&format!(
                "set session_replication_role = replica;
                 update accounts a set version = a.version - 1,
                     balance = a.balance - case when f.credit >= 1000 then f.amount else -f.amount end
                 from transfers f where f.entry_id = '{id}' and f.account_id = a.id;
                 delete from transfers where entry_id = '{id}';
                 delete from entries where id = '{id}';
                 delete from transactions where id = '{id}'"
            ))
            .await?;
        house.verify().await.context("by themselves the books are right")?;
        let wrong = run.check(&house).await?;
        let is_lost = |one: &Wrong| matches!(one, Wrong::Lost(what) if what.contains(id));
        ensure!(wrong.iter().any(is_lost), "{wrong:?}");
        ensure!(wrong.iter().any(|one| matches!(one, Wrong::Wallet { .. })), "{wrong:?}");
        ends(house, "commit")
    })
}

#[test]
fn a_balance_written_from_what_was_read_before_is_found_out() -> Result<()> {
    block_on(async {
        let (house, mut run) = played("lost-update").await?;
        let line = Line { key: "one-more".into(), tries: 1, ..last_credit(&run)?.clone() };
        let of = format!("user_id = '{}' and kind = 'CASH'", line.user);
        let read = house.sql(&format!("select balance from accounts where {of}")).await?;
        // Meanwhile somebody else changes it, as is right.
        let Reply::Done(credited) = again(&house, &line).await? else { anyhow::bail!("it is credited") };
        run.lines.push(Line { told: made(&credited), ..line });
        assert_eq!(run.check(&house).await?, []);
        let stale: i64 = read.trim().parse()?;
        let written = format!("update accounts set balance = {stale} where {of}");
        house.sql(&format!("set session_replication_role = replica; {written}")).await?;
        let wrong = run.check(&house).await?;
        let is_named = |one: &Wrong| matches!(one, Wrong::Balance { found, .. } if *found == stale);
        ensure!(wrong.iter().any(is_named), "{wrong:?}");
        ensure!(house.verify().await.is_err(), "the API's own verification sees it, too");
        ends(house, "lost-update")
    })
}
