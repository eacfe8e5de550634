//! Who is looked up next where more is due than can be at the same time: a pure choice, fair between tenants.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// How many hosts may be looked up at the same time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    /// All in all.
    pub(super) all: usize,
    /// For one tenant.
    pub(super) share: usize,
}

/// A host that could be looked up now.
pub(super) struct Candidate<'a> {
    /// The host.
    pub(super) host: &'a String,
    /// Since when it is due; none: it was never looked up.
    pub(super) since: Option<Instant>,
    /// The tenants that ask for it.
    pub(super) tenants: BTreeSet<&'a String>,
}

/// How much is under way for each tenant.
type Load = BTreeMap<String, usize>;

impl Slots {
    /// Which candidates get a slot, and for which tenant, beside what is under way.
    pub(super) fn give(
        self,
        mut candidates: Vec<Candidate<'_>>,
        under_way: &BTreeMap<String, String>,
    ) -> Vec<(String, String)> {
        let mut load = Load::new();
        for tenant in under_way.values() {
            *load.entry(tenant.clone()).or_default() += 1;
        }
        let mut given = Vec::new();
        while under_way.len() + given.len() < self.all
            && let Some((index, tenant)) = self.next_of(&candidates, &load)
        {
            *load.entry(tenant.clone()).or_default() += 1;
            given.push((candidates.swap_remove(index).host.clone(), tenant));
        }
        given
    }

    /// The next one, and for which tenant: that of the tenant with the least under way, then the one that is due longest. None where
    /// each of their tenants has its share.
    fn next_of(self, candidates: &[Candidate<'_>], load: &Load) -> Option<(usize, String)> {
        let all = candidates.iter().enumerate().filter_map(|(index, one)| {
            let (used, tenant) = one.payer(load)?;
            (used < self.share).then_some(((used, one.since, one.host), index, tenant))
        });
        all.min_by(|a, b| a.0.cmp(&b.0)).map(|(_, index, tenant)| (index, tenant.clone()))
    }
}

impl<'a> Candidate<'a> {
    /// The tenant of those who ask whose share is used least, and how much of it.
    fn payer(&self, load: &Load) -> Option<(usize, &'a String)> {
        let used = |tenant: &String| load.get(tenant).copied().unwrap_or_default();
        self.tenants.iter().map(|tenant| (used(tenant), *tenant)).min()
    }
}
