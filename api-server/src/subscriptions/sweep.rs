//! Sweeping: all subscriptions beside all resources, every so often and whenever all resources were read anew. Whatever happened to a resource
//! behind our back is found here. Where it is the very one that was made, the cluster is told again what it is to say; what is gone, or
//! another, is for people to decide: its data may be wanted, and nobody's money moves by itself.

use super::{Subscription, store};
use crate::{
    inspection::{Difference, remedy::Remedy, resources},
    instances::resource::{self, Resource, Resources},
    state::State,
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two sweeps.
const EVERY: Duration = Duration::from_mins(5);

/// Sweeps until told to stop.
pub(super) async fn run(state: &State, stop: &CancellationToken) {
    let mut view = state.cluster.watches().instances.changed();
    let mut lists = 0;
    loop {
        tokio::select! {
            listed = view.wait_for(|view| view.lists > lists) => {
                lists = listed.map_or(lists, |view| view.lists);
            }
            () = tokio::time::sleep(EVERY) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = sweep(state).await {
            tracing::warn!(%error, "subscriptions can't be compared with the cluster; it is tried again");
        }
    }
}

/// Compares once; how many the cluster is told again of. Nothing while what is known of the cluster is old.
///
/// # Errors
/// As the database's.
pub async fn sweep(state: &State) -> Result<usize, sqlx::Error> {
    let Some(all) = resource::known(&state.cluster) else { return Ok(0) };
    let now = state.clock.now();
    let found = resources::compare(&state.db, &all, now).await?.differences;
    let (mut again, mut standing) = (0, Vec::new());
    for one in found {
        tracing::warn!(
            kind = one.kind.as_str(),
            subject = one.subject,
            expected = one.expected,
            found = one.found,
            "a subscription and the cluster differ"
        );
        // One that can't be mended keeps no other from it.
        match mend(state, &all, &one).await {
            Ok(Mended::OnItsWay) => continue,
            Ok(Mended::Again) => again += 1,
            Ok(Mended::ByPeople | Mended::Late) => {}
            Err(error) => {
                tracing::warn!(%error, subject = one.subject, "the cluster can't be told again; it is tried again");
            }
        }
        standing.push(one);
    }
    state.metrics.subscriptions.swept(&standing, now);
    if again > 0 {
        state.subscriptions_are_due.notify_one();
    }
    Ok(again)
}

/// What is done about a difference.
enum Mended {
    /// The cluster is told again.
    Again,
    /// Something is on its way to the cluster: it is no difference yet.
    OnItsWay,
    /// What is on its way should have come by now, and is tried again and again.
    Late,
    /// It is for people to decide.
    ByPeople,
}

/// Has the cluster told again, unless something is on its way to it. Where the resource was told newer words than its row has, whatever is on its
/// way never comes: it is told again at once.
async fn mend(state: &State, all: &Resources, found: &Difference) -> Result<Mended, sqlx::Error> {
    let Remedy::Retell { subscription, above } = found.mend else { return Ok(Mended::ByPeople) };
    let Some(row) = store::find(&state.db, subscription).await? else { return Ok(Mended::OnItsWay) };
    let there = all.at(&crds::names::tenant_namespace(&row.tenant()), &row.resource_name());
    let (seen, now) = (row.crossing.desired_version, state.clock.now());
    if above <= seen && !is_settled(&row, there) {
        return Ok(if row.crossing.is_late(now) { Mended::Late } else { Mended::OnItsWay });
    }
    let is_told = store::retell(&state.db, row.id, Some(seen), above, now).await?;
    if is_told {
        state.metrics.subscriptions.moved("retold");
    }
    Ok(if is_told { Mended::Again } else { Mended::OnItsWay })
}

/// Whether all that was decided was told, and what is known of the resource is as new as that.
fn is_settled(row: &Subscription, there: Option<&Resource>) -> bool {
    let crossing = row.crossing;
    let is_new = |one: &Resource| crossing.applied_generation.is_none_or(|told| one.generation >= told);
    crossing.applied_version >= crossing.desired_version && there.is_none_or(is_new)
}
