//! The sale of a plan: many buy it at once, or one after the other where only so many are sold. Whoever takes a plan away waits for those who
//! are buying it, and sees what they bought; nobody buys it after that, whatever a replica still knows of it.

mod store;

use super::store as rows;
use crate::{
    catalog::shop::name,
    cluster::{
        apply::Found,
        catalogue::{self, By},
    },
    http::problem::{Code, Problem},
    random,
    state::State,
};
use crds::ServicePlan;
use sqlx::{PgConnection, PgExecutor};
use std::time::Duration;

/// Joins those who buy a plan, until this transaction's end: alone where only so many are sold.
///
/// # Errors
/// As the database's.
pub(super) async fn join(db: &mut PgConnection, plan: &str, is_limited: bool) -> Result<(), sqlx::Error> {
    store::lock(db, plan, is_limited).await
}

/// Whether the plan of that uid is being taken away, or was. Whoever has joined is told for sure.
///
/// # Errors
/// As the database's.
pub(super) async fn is_closed(db: impl PgExecutor<'_>, plan: &str, uid: &str) -> Result<bool, sqlx::Error> {
    store::is_closed(db, plan, uid).await
}

/// How long a call to the cluster may be under way there, and much more: what was asked for before that is decided.
const DECIDED: Duration = Duration::from_mins(5);

/// Deletes a plan that was read, unless somebody has it. Not to be given up half-way: run it as a task of its own. Where nobody knows
/// whether it is gone, it is not sold until somebody deletes it once more: what the cluster refuses then is sold again, unless another has
/// asked for it meanwhile.
///
/// # Errors
/// 409 where somebody has it; as [`catalogue::delete`].
pub async fn take_away(state: &State, found: &Found<ServicePlan>, by: &By) -> Result<(), Problem> {
    let plan = name(found.known.metadata.name.as_ref());
    let uid = found.known.metadata.uid.as_deref().unwrap_or_default();
    let mut tx = state.db.begin().await?;
    store::lock(&mut tx, plan, true).await?;
    let sold = rows::sold(&mut *tx, plan).await?;
    if sold > 0 {
        tx.rollback().await?;
        let detail = format!("It is in use: {sold} subscriptions have it. It can be retired.");
        return Err(Problem::with(Code::CatalogueInUse, detail));
    }
    let id = random::id(state.clock.now());
    store::close(&mut *tx, id, plan, uid).await?;
    tx.commit().await?;
    let done = catalogue::delete(state, found, by).await;
    if done.as_ref().is_err_and(|error| error.is_refused) {
        store::reopen(&state.db, id, plan, uid, DECIDED.as_secs_f64()).await?;
    }
    Ok(done?)
}
