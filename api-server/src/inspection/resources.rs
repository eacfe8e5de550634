//! Subscriptions and resources side by side. What is compared is told; nothing here asks anybody but [`look`].

use super::{Difference, InspectionError, Kind, Looked, Meant, remedy::Remedy};
use crate::{
    clock,
    cluster::Cluster,
    instances::resource::{self, Resource, Resources},
    subscriptions::{
        FIRST_GRACE, ON_ITS_WAY, Status, Subscription, is_far_ahead,
        life::{self, Wanted},
        store,
        work::FENCE_LATE,
    },
};
use jiff::Timestamp;
use sqlx::PgPool;
use std::collections::HashMap;
use uuid::Uuid;

/// Subscriptions of a page.
const PAGE: i64 = 500;

/// Compares everything with what the cluster itself says now.
pub(super) async fn look(db: &PgPool, cluster: &Cluster, now: Timestamp) -> Result<Looked, InspectionError> {
    let all = resource::list(cluster).await?;
    Ok(compare(db, &all, now).await?)
}

/// Compares all subscriptions that may run with all resources, page by page.
///
/// # Errors
/// As the database's.
pub async fn compare(db: &PgPool, all: &Resources, now: Timestamp) -> Result<Looked, sqlx::Error> {
    let mut looked = Looked { count: count(all.len()), ..Looked::default() };
    let mut after = Uuid::nil();
    loop {
        let rows = store::in_place(db, after, PAGE).await?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        looked.count += count(rows.len());
        looked.differences.extend(rows.iter().filter_map(|row| of_subscription(row, all, now)));
    }
    let resources: Vec<&Resource> = all.all().collect();
    for some in resources.chunks(usize::try_from(PAGE).unwrap_or(1)) {
        let ids: Vec<Uuid> = some.iter().filter_map(|one| one.subscription).collect();
        let rows = store::with_ids(db, &ids).await?;
        looked.differences.extend(of_resources(some, &rows, now));
        looked.meant.extend(some.iter().filter_map(|one| meant(one, now)));
    }
    Ok(looked)
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// What differs between a subscription that may run and its resource.
pub fn of_subscription(row: &Subscription, all: &Resources, now: Timestamp) -> Option<Difference> {
    let namespace = crds::names::tenant_namespace(&row.tenant());
    let there = all.at(&namespace, &row.resource_name());
    let own = there.filter(|one| is_own(one, row));
    let side = Side { row, there, own, now };
    match row.end {
        None => side.of_living(&namespace),
        Some(end) if end.fenced_at.is_none() => side.of_ending(end.at, namespace),
        Some(_) => None,
    }
}

/// What differs about some resources; `rows` has the subscriptions that these name.
pub fn of_resources(some: &[&Resource], rows: &[Subscription], now: Timestamp) -> Vec<Difference> {
    let by_id: HashMap<Uuid, &Subscription> = rows.iter().map(|row| (row.id, row)).collect();
    let of = |one: &&Resource| of_resource(one, one.subscription.and_then(|id| by_id.get(&id).copied()), now);
    some.iter().filter_map(of).collect()
}

/// What was made by hand and runs, as somebody says who may entitle.
fn meant(one: &Resource, now: Timestamp) -> Option<Meant> {
    let because = one.entitled_because.clone().filter(|_| !one.is_bought && one.may_run(now))?;
    Some(Meant { subject: subject(one), because })
}

/// Whether it is the very resource that was made for a subscription. Until its uid is noted the label says so, at its place; it may have been
/// noted since, and the database be older.
fn is_own(one: &Resource, row: &Subscription) -> bool {
    if row.crossing.uid.is_some() || row.end.is_some() {
        return one.uid.is_some() && one.uid == row.crossing.uid;
    }
    let is_at_its_place =
        one.name == row.resource_name() && one.namespace == crds::names::tenant_namespace(&row.tenant());
    one.subscription == Some(row.id) && is_at_its_place
}

fn subject(one: &Resource) -> String {
    format!("serviceinstance {}/{}", one.namespace, one.name)
}

/// In newer words than the resource was told, where it was told newer ones than its subscription has come to. Ones that it can never come to
/// are taken off.
fn retell(row: &Subscription, own: Option<&Resource>) -> Remedy {
    match own.and_then(|own| Some((own, own.told?))) {
        Some((own, told)) if is_far_ahead(told, &row.crossing) => {
            Remedy::Unnote { namespace: own.namespace.clone(), name: own.name.clone() }
        }
        Some((_, told)) if told > row.crossing.desired_version => {
            Remedy::Retell { subscription: row.id, above: told }
        }
        _ => Remedy::Retell { subscription: row.id, above: 0 },
    }
}

fn orphan(one: &Resource, expected: &str, found: &str) -> Difference {
    let mend = Remedy::Delete { namespace: one.namespace.clone(), name: one.name.clone() };
    Difference {
        kind: Kind::Orphan,
        subject: subject(one),
        expected: expected.to_owned(),
        found: found.to_owned(),
        mend,
    }
}

fn of_resource(one: &Resource, row: Option<&Subscription>, now: Timestamp) -> Option<Difference> {
    let (namespace, name) = (one.namespace.clone(), one.name.clone());
    let runs = one.may_run(now);
    let unpaid = |expected: &str, found: String, mend: Remedy| {
        let (kind, expected) = (Kind::RunningNotPaid, expected.to_owned());
        Some(Difference { kind, subject: subject(one), expected, found, mend })
    };
    let until = one.suspend_at.map_or_else(|| "for ever".to_owned(), |at| format!("until {at}"));
    if !one.is_bought {
        let mend = Remedy::DisentitleOrMean { namespace, name };
        let found = format!("made by hand, and entitled {until}");
        return if runs && one.entitled_because.is_none() {
            unpaid("nobody has bought it", found, mend)
        } else {
            None
        };
    }
    let is_new = one.made_at.is_some_and(|made| clock::after(made, ON_ITS_WAY) > now);
    let Some(row) = row else {
        // Rows are read after the resources, and written before them: it is not one that is just being made. Whoever restored an old
        // database may find it there again: it is only stopped.
        let mend = Remedy::Disentitle { namespace, name };
        return if runs {
            unpaid("there is no such subscription", format!("entitled {until}"), mend)
        } else {
            Some(orphan(one, "a subscription of that id", "there is none"))
        };
    };
    let is_its_own = is_own(one, row);
    let fenced_at = row.end.and_then(|end| end.fenced_at);
    if is_its_own {
        let is_left = fenced_at.is_some_and(|at| clock::after(at, ON_ITS_WAY) <= now) && !one.is_going;
        let mend = retell(row, Some(one));
        return match (is_left, runs) {
            (true, true) => {
                unpaid("its subscription is over, and paid back", format!("entitled {until}"), mend)
            }
            (true, false) => Some(Difference {
                mend,
                ..orphan(one, "to be gone with its subscription", "it is still there")
            }),
            (false, _) => None,
        };
    }
    if runs {
        let mend = Remedy::Disentitle { namespace, name };
        return unpaid("another resource is the one that was bought", format!("entitled {until}"), mend);
    }
    // What may just be made is not noted yet.
    let is_stray = row.crossing.uid.is_some() || fenced_at.is_some();
    let found = "another resource is the one that was bought, or it is over";
    (is_stray && !is_new && !one.is_going).then(|| orphan(one, "no second resource of a subscription", found))
}

/// A subscription and what is there of it.
struct Side<'a> {
    row: &'a Subscription,
    /// What has its name.
    there: Option<&'a Resource>,
    /// The very resource that was made for it.
    own: Option<&'a Resource>,
    now: Timestamp,
}

impl Side<'_> {
    fn difference(&self, kind: Kind, expected: String, found: String, mend: Remedy) -> Difference {
        let subject = format!("subscription {}", self.row.id);
        Difference { kind, subject, expected, found, mend }
    }

    fn retell(&self) -> Remedy {
        retell(self.row, self.own)
    }

    fn of_ending(&self, ended_at: Timestamp, namespace: String) -> Option<Difference> {
        let is_over = |by| clock::after(ended_at, by) <= self.now;
        let expected = || format!("nothing runs of it since {ended_at}");
        match self.own {
            Some(own) if own.may_run(self.now) && is_over(ON_ITS_WAY) => {
                let found = "its resource is entitled, and not held".to_owned();
                Some(self.difference(Kind::RunningNotPaid, expected(), found, self.retell()))
            }
            own if is_over(FENCE_LATE) => {
                let mend = Remedy::LookForPods { namespace, uid: own.and_then(|own| own.uid) };
                let found = "something may still run, and the money waits".to_owned();
                Some(self.difference(Kind::RefundWaits, expected(), found, mend))
            }
            _ => None,
        }
    }

    fn of_living(&self, namespace: &str) -> Option<Difference> {
        self.newer_words().or_else(|| self.overdue()).or_else(|| match self.own {
            None => self.missing(namespace),
            Some(_) if self.is_on_its_way() => None,
            Some(own) => {
                self.other_plan(own).or_else(|| self.too_long(own)).or_else(|| self.kept_from_running(own))
            }
        })
    }

    fn overdue(&self) -> Option<Difference> {
        let row = self.row;
        let is_over = clock::after(row.created_at, FIRST_GRACE) <= self.now;
        if row.status != Status::PendingDeployment || !is_over {
            return None;
        }
        let expected = format!("there, or given up; it was bought at {}", row.created_at);
        let found = "it still waits: nobody looks after subscriptions".to_owned();
        Some(self.difference(Kind::PaidNotRunning, expected, found, self.retell()))
    }

    /// Until when it runs by what is paid; none: it is not there for the first time, or not paid any more.
    fn paid_until(&self) -> Option<Timestamp> {
        let paid = self.row.paid.filter(|_| self.row.status == Status::Active)?;
        (paid.until > self.now).then_some(paid.until)
    }

    fn missing(&self, namespace: &str) -> Option<Difference> {
        let (until, name) = (self.paid_until()?, self.row.resource_name());
        let found = match self.there {
            Some(_) => "another resource has its name; the one that was made is gone",
            None => "its resource is gone; its data may be kept (status.retained of the TenantQuota)",
        };
        let mend = Remedy::Cancel { subscription: self.row.id };
        let expected = format!("its resource {namespace}/{name} runs until {until}");
        Some(self.difference(Kind::PaidNotRunning, expected, found.to_owned(), mend))
    }

    /// The cluster has not been told yet what was decided a moment ago.
    fn is_on_its_way(&self) -> bool {
        let crossing = self.row.crossing;
        crossing.applied_version < crossing.desired_version && !crossing.is_late(self.now)
    }

    fn newer_words(&self) -> Option<Difference> {
        let desired = self.row.crossing.desired_version;
        let told = self.own?.told.filter(|told| *told > desired)?;
        let (expected, found) =
            (format!("told version {desired} at most"), format!("it was told version {told}"));
        Some(self.difference(Kind::Overtaken, expected, found, self.retell()))
    }

    fn other_plan(&self, own: &Resource) -> Option<Difference> {
        let plan = &own.plan;
        if *plan == self.row.plan || self.row.crossing.applied_version == 0 {
            return None;
        }
        let (expected, found) = (format!("plan `{}`", self.row.plan), format!("its resource says `{plan}`"));
        Some(self.difference(Kind::WrongPlan, expected, found, self.retell()))
    }

    fn too_long(&self, own: &Resource) -> Option<Difference> {
        let Wanted::Run { paid_until, suspend_at } = life::wanted(self.row) else { return None };
        if !own.is_entitled {
            return None;
        }
        // A resource keeps whole seconds.
        let is_beyond = |says: Timestamp, wanted: Timestamp| says.as_second() > wanted.as_second();
        let (expected, found) = match (own.suspend_at, own.paid_until, paid_until) {
            (None, ..) => (suspend_at, "it may run for ever".to_owned()),
            (Some(says), ..) if is_beyond(says, suspend_at) => {
                (suspend_at, format!("it may run until {says}"))
            }
            (_, Some(says), Some(until)) if is_beyond(says, until) => {
                (until, format!("it says until {says}"))
            }
            _ => return None,
        };
        Some(self.difference(Kind::RunningNotPaid, format!("until {expected}"), found, self.retell()))
    }

    fn kept_from_running(&self, own: &Resource) -> Option<Difference> {
        let until = self.paid_until()?;
        let (found, mend) = if own.is_going {
            ("its resource is being deleted", Remedy::Cancel { subscription: self.row.id })
        } else if own.is_held_by_billing {
            let (namespace, name) = (own.namespace.clone(), own.name.clone());
            ("billing holds its resource", Remedy::Release { namespace, name })
        } else if !own.is_entitled {
            ("its resource has no entitlement", self.retell())
        } else if own.suspend_at.is_some_and(|at| at.as_second() < until.as_second()) {
            ("its resource is suspended before its time", self.retell())
        } else {
            return None;
        };
        let expected = format!("it runs until {until}");
        Some(self.difference(Kind::PaidNotRunning, expected, found.to_owned(), mend))
    }
}

#[cfg(test)]
mod tests;
