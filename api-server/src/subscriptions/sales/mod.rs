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
    state::State,
};
use crds::ServicePlan;
use sqlx::{PgConnection, PgExecutor};

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

/// Deletes a plan that was read, unless somebody has it. Not to be given up half-way: run it as a task of its own. Where nobody knows
/// whether it is gone, it is not sold until somebody deletes it once more.
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
    store::close(&mut *tx, plan, uid).await?;
    tx.commit().await?;
    let done = catalogue::delete(state, found, by).await;
    if done.is_err() {
        let now = Found::<ServicePlan>::find(&state.cluster, None, plan).await;
        if now.is_ok_and(|now| now.is_some_and(|now| now.known.metadata.uid.as_deref() == Some(uid))) {
            store::reopen(&state.db, plan, uid).await?;
        }
    }
    done
}
