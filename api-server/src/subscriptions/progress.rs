//! How far what was bought is on its way to run: from its row and from what the cluster says of its resource. Pure.

use super::{Status, Subscription};
use crate::instances::why;
use crds::{ServiceInstance, conditions};

/// A step on the way, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The money was taken.
    Paid,
    /// The cluster was told.
    Sent,
    /// It has its place in the quota.
    Admitted,
    /// Its volumes are there.
    Storage,
    /// All its parts are up.
    Components,
    /// It serves.
    Available,
    /// Its period has begun.
    Active,
}

/// All of them.
pub const ALL: [Step; 7] =
    [Step::Paid, Step::Sent, Step::Admitted, Step::Storage, Step::Components, Step::Available, Step::Active];

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is done.
    Done,
    /// It is being made.
    Current,
    /// It comes later; of what has ended never.
    Waiting,
}

/// How many parts are up, and how many there are.
pub fn components(resource: Option<&ServiceInstance>) -> (usize, usize) {
    let all = resource.and_then(|one| one.status.as_ref()).map(|status| status.components.as_slice());
    let all = all.unwrap_or_default();
    (all.iter().filter(|one| one.desired > 0 && one.ready >= one.desired).count(), all.len())
}

/// How each step stands. Once it was there all of them stay done, whatever becomes of it later.
pub fn steps(row: &Subscription, resource: Option<&ServiceInstance>) -> [(Step, Standing); 7] {
    let was_there = row.paid.is_some();
    let is_done = |step: Step| match step {
        _ if was_there => true,
        Step::Paid => true,
        Step::Sent => row.crossing.applied_version > 0,
        Step::Admitted => why::is(resource, conditions::ADMITTED),
        Step::Storage => why::is(resource, conditions::STORAGE_READY),
        Step::Components => matches!(components(resource), (up, all) if all > 0 && up == all),
        Step::Available => why::is(resource, conditions::AVAILABLE),
        Step::Active => row.status == Status::Active,
    };
    let is_over = row.end.is_some();
    let mut is_before = true;
    ALL.map(|step| {
        let standing = match (is_done(step), is_before && !is_over) {
            (true, _) => Standing::Done,
            (false, true) => Standing::Current,
            (false, false) => Standing::Waiting,
        };
        is_before &= standing == Standing::Done;
        (step, standing)
    })
}

/// Whether nothing is left to happen: it has ended, nothing of it runs, and its resource is gone.
pub fn is_over(row: &Subscription, resource: Option<&ServiceInstance>) -> bool {
    resource.is_none() && row.end.is_some_and(|end| end.fenced_at.is_some())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        money::Rupiah,
        subscriptions::{Crossing, End, EndedBy, Paid, Resources},
    };
    use crds::plan::Period;
    use jiff::Timestamp;
    use serde_json::json;
    use std::collections::BTreeMap;
    use uuid::Uuid;

    pub(crate) fn bought() -> Subscription {
        Subscription {
            id: Uuid::from_u128(1),
            user_id: Uuid::from_u128(2),
            name: "Ghost Small".into(),
            service: "ghost".into(),
            plan: "ghost-small".into(),
            parameters: BTreeMap::new(),
            period: Period::Monthly,
            price: Rupiah::ZERO,
            tax: Rupiah::ZERO,
            resources: Resources::default(),
            auto_renew: true,
            status: Status::PendingDeployment,
            created_at: Timestamp::UNIX_EPOCH,
            periods: 0,
            anchor_day: None,
            paid: None,
            end: None,
            was_told_slow: false,
            was_alerted: false,
            crossing: Crossing { desired_version: 1, ..Crossing::default() },
        }
    }

    fn resource(said: &[&str], ready: &[i32]) -> ServiceInstance {
        let conditions: Vec<_> = said
            .iter()
            .map(|type_| json!({"type": type_, "status": "True", "reason": "A", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}))
            .collect();
        let parts: Vec<_> = ready
            .iter()
            .enumerate()
            .map(|(at, ready)| json!({"name": format!("c{at}"), "desired": 1, "ready": ready}))
            .collect();
        serde_json::from_value(
            json!({"apiVersion": "nakhoda.dev/v1alpha1", "kind": "ServiceInstance", "metadata": {"name": "a"},
            "spec": {"planRef": "p"}, "status": {"conditions": conditions, "components": parts}}),
        )
        .unwrap()
    }

    fn current(row: &Subscription, resource: Option<&ServiceInstance>) -> Option<Step> {
        steps(row, resource)
            .into_iter()
            .find(|(_, standing)| *standing == Standing::Current)
            .map(|(step, _)| step)
    }

    #[test]
    fn one_step_after_the_other_is_the_present_one() {
        let told =
            Subscription { crossing: Crossing { applied_version: 1, ..bought().crossing }, ..bought() };
        let at = |said: &[&str], ready: &[i32]| current(&told, Some(&resource(said, ready)));
        assert_eq!(current(&bought(), None), Some(Step::Sent));
        assert_eq!(current(&told, None), Some(Step::Admitted));
        assert_eq!(at(&["Admitted"], &[]), Some(Step::Storage));
        assert_eq!(at(&["Admitted", "StorageReady"], &[1, 0]), Some(Step::Components));
        assert_eq!(components(Some(&resource(&[], &[1, 0]))), (1, 2));
        assert_eq!(at(&["Admitted", "StorageReady"], &[1, 1]), Some(Step::Available));
        assert_eq!(at(&["Admitted", "StorageReady", "Available"], &[1, 1]), Some(Step::Active));
    }

    #[test]
    fn what_was_there_once_stays_done_and_what_has_ended_has_no_present_step() {
        let paid = Some(Paid { start: Timestamp::UNIX_EPOCH, until: Timestamp::MAX });
        let active = Subscription { status: Status::Active, paid, ..bought() };
        let down = resource(&[], &[0]);
        assert!(steps(&active, Some(&down)).iter().all(|(_, standing)| *standing == Standing::Done));
        let end = End { at: Timestamp::UNIX_EPOCH, by: EndedBy::System, refund_id: None, fenced_at: None };
        let ended = Subscription { status: Status::Cancelled, end: Some(end), ..bought() };
        assert_eq!((current(&ended, None), is_over(&ended, None)), (None, false));
        let fenced = Some(End { fenced_at: Some(Timestamp::UNIX_EPOCH), ..end });
        let over = Subscription { end: fenced, ..ended };
        assert!(is_over(&over, None) && !is_over(&over, Some(&down)));
    }
}
