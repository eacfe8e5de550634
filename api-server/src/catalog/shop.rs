//! The shop window: apps and plans as they are kept of the cluster, joined, filtered and put in order.

use super::availability::{self, Availability};
use crate::{
    cluster::watch::Contents,
    http::{problem::Problem, query::Words},
    state::State,
};
use crds::{ServicePlan, ServiceTemplate, plan::Period};
use std::{collections::BTreeMap, sync::Arc};

/// A plan and its app, where that is there.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The plan.
    pub plan: Arc<ServicePlan>,
    /// Its app.
    pub template: Option<Arc<ServiceTemplate>>,
}

impl Offer {
    /// The plan's name.
    pub fn name(&self) -> &str {
        name(self.plan.metadata.name.as_ref())
    }

    /// What it costs for a month, rounded up.
    pub fn monthly(&self) -> i64 {
        match self.plan.spec.price.period {
            Period::Monthly => self.plan.spec.price.amount,
            Period::Yearly => self.plan.spec.price.amount.saturating_add(11) / 12,
        }
    }

    fn is_shown(&self) -> bool {
        !self.plan.spec.retired && self.template.as_ref().is_some_and(|template| !template.spec.disabled)
    }
}

/// The name of an object that came from the cluster, where each has one.
pub fn name(name: Option<&String>) -> &str {
    name.map(String::as_str).unwrap_or_default()
}

/// A plan that is shown.
#[derive(Clone, Debug)]
pub struct ShownPlan {
    /// The plan.
    pub offer: Offer,
    /// What is left of it.
    pub availability: Availability,
}

/// An app that is shown.
#[derive(Clone, Debug)]
pub struct ShownService {
    /// The app.
    pub template: Arc<ServiceTemplate>,
    /// Its plans that are shown, in their order.
    pub plans: Vec<ShownPlan>,
}

impl ShownService {
    /// The app's name.
    pub fn slug(&self) -> &str {
        name(self.template.metadata.name.as_ref())
    }

    /// The plan that costs least for a month.
    pub fn cheapest(&self) -> Option<&ShownPlan> {
        self.plans.iter().min_by_key(|plan| plan.offer.monthly())
    }

    /// Whether any plan can be bought.
    pub fn can_be_bought(&self) -> bool {
        self.plans.iter().any(|plan| plan.availability.obstacle.is_none())
    }
}

/// Everything that is shown, by the app's name. It may be older than what must be fresh: prices hardly change, and a shop window is not
/// emptied because the cluster is away for a moment. Nothing can be bought then.
///
/// # Errors
/// 503 until everything was read once.
pub async fn window(state: &State) -> Result<BTreeMap<String, ShownService>, Problem> {
    let watches = state.cluster.watches();
    let (templates, plans) = (watches.templates.last_known()?, watches.plans.last_known()?);
    let sold = availability::sold(state).await?;
    let is_stale = watches.templates.is_stale() || watches.plans.is_stale() || watches.instances.is_stale();
    let shown = templates.all().filter(|template| !template.spec.disabled);
    let mut window: BTreeMap<String, ShownService> = shown
        .map(|template| {
            let slug = name(template.metadata.name.as_ref()).to_owned();
            (slug, ShownService { template: Arc::clone(template), plans: Vec::new() })
        })
        .collect();
    for offer in offers(&templates, &plans).filter(Offer::is_shown) {
        let availability = Availability::of(&offer, &sold, is_stale);
        if let Some(service) = window.get_mut(&offer.plan.spec.template_ref) {
            service.plans.push(ShownPlan { offer, availability });
        }
    }
    for service in window.values_mut() {
        service.plans.sort_by_key(|plan| (plan.offer.plan.spec.order, plan.offer.name().to_owned()));
    }
    Ok(window)
}

/// All plans with their apps.
pub fn offers<'a>(
    templates: &'a Contents<ServiceTemplate>,
    plans: &'a Contents<ServicePlan>,
) -> impl Iterator<Item = Offer> + 'a {
    plans.all().map(|plan| Offer {
        plan: Arc::clone(plan),
        template: templates.named(&plan.spec.template_ref).cloned(),
    })
}

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Words, each of which is somewhere in the app's name, description or category.
    pub words: Words,
    /// In which category.
    pub category: Option<String>,
    /// With a plan that is so.
    pub plan: WantedPlan,
}

/// What is wanted of a plan; all of it of one and the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WantedPlan {
    /// The least that it costs for a month.
    pub price_min: Option<i64>,
    /// The most that it costs for a month.
    pub price_max: Option<i64>,
    /// The least CPU.
    pub cpu_millicores_min: Option<i64>,
    /// The least memory.
    pub memory_bytes_min: Option<i64>,
    /// The least storage.
    pub storage_bytes_min: Option<i64>,
    /// Whether it can be bought.
    pub available: Option<bool>,
}

impl Wanted {
    /// Whether an app is among what is looked for.
    pub fn has(&self, service: &ShownService) -> bool {
        let Self { words, category, plan } = self;
        let spec = &service.template.spec;
        let text = [spec.display_name.as_str(), &spec.description, &spec.category, service.slug()]
            .map(str::to_lowercase);
        words.all(|word| text.iter().any(|text| text.contains(word)))
            && category.as_ref().is_none_or(|category| *category == spec.category)
            && (*plan == WantedPlan::default() || service.plans.iter().any(|one| plan.has(one)))
    }
}

impl WantedPlan {
    /// Whether a plan is among what is looked for.
    pub fn has(&self, shown: &ShownPlan) -> bool {
        let Self { price_min, price_max, cpu_millicores_min, memory_bytes_min, storage_bytes_min, available } =
            *self;
        let (price, resources) = (shown.offer.monthly(), &shown.offer.plan.spec.resources);
        price_min.is_none_or(|least| price >= least)
            && price_max.is_none_or(|most| price <= most)
            && cpu_millicores_min.is_none_or(|least| resources.cpu.millis() >= least)
            && memory_bytes_min.is_none_or(|least| resources.memory.units() >= least)
            && storage_bytes_min.is_none_or(|least| resources.storage.units() >= least)
            && available.is_none_or(|available| shown.availability.obstacle.is_none() == available)
    }
}
