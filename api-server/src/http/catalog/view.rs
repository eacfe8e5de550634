//! How apps and plans look in answers to everybody.

use crate::catalog::{
    availability::Obstacle,
    shop::{ShownPlan, ShownService, name},
};
use crds::{plan, template};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How long one payment lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = PlanPeriod)]
pub enum Period {
    /// A calendar month.
    Monthly,
    /// A calendar year.
    Yearly,
}

impl From<plan::Period> for Period {
    fn from(period: plan::Period) -> Self {
        match period {
            plan::Period::Monthly => Self::Monthly,
            plan::Period::Yearly => Self::Yearly,
        }
    }
}

/// What a plan costs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanPrice)]
pub struct PriceView {
    /// Whole rupiah for one period.
    #[schema(example = 89_000)]
    amount: i64,
    /// Always `IDR`.
    #[schema(example = "IDR")]
    currency: &'static str,
    /// How long one payment lasts.
    period: Period,
    /// Whether tax is in the amount already.
    tax_inclusive: bool,
}

impl From<&plan::Price> for PriceView {
    fn from(price: &plan::Price) -> Self {
        let plan::Price { amount, period, tax_inclusive } = *price;
        Self { amount, currency: "IDR", period: period.into(), tax_inclusive }
    }
}

/// Why a plan can't be bought.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanObstacle)]
pub struct ObstacleView {
    /// In one word, constant.
    code: Obstacle,
    /// For people.
    #[schema(example = "This plan is sold out.")]
    message: &'static str,
}

impl From<Obstacle> for ObstacleView {
    fn from(code: Obstacle) -> Self {
        Self { code, message: code.message() }
    }
}

/// A plan: a size of an app at a price.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub struct PlanView {
    /// What it is named by.
    #[schema(example = "ghost-small")]
    name: String,
    /// The app, by its slug.
    #[schema(example = "ghost")]
    service: String,
    /// What customers call it.
    #[schema(example = "Small")]
    display_name: String,
    /// For whom it is.
    description: String,
    /// What it includes, a short line each.
    features: Vec<String>,
    /// What it costs.
    price: PriceView,
    /// CPU of an instance, in millicores.
    #[schema(example = 1000)]
    cpu_millicores: i64,
    /// Memory of an instance, in bytes.
    #[schema(example = 1_073_741_824_i64)]
    memory_bytes: i64,
    /// Storage of an instance, in bytes.
    #[schema(example = 10_737_418_240_i64)]
    storage_bytes: i64,
    /// How many are left; none: as many as fit.
    #[schema(required = true)]
    left: Option<i64>,
    /// Whether it can be bought.
    available: bool,
    /// Why it can't be bought, where it can't.
    #[schema(required = true)]
    obstacle: Option<ObstacleView>,
}

impl From<&ShownPlan> for PlanView {
    fn from(shown: &ShownPlan) -> Self {
        let ShownPlan { offer, availability } = shown;
        let spec = &offer.plan.spec;
        Self {
            name: offer.name().to_owned(),
            service: spec.template_ref.clone(),
            display_name: spec.display_name.clone(),
            description: spec.description.clone(),
            features: spec.features.clone(),
            price: (&spec.price).into(),
            cpu_millicores: spec.resources.cpu.millis(),
            memory_bytes: spec.resources.memory.units(),
            storage_bytes: spec.resources.storage.units(),
            left: availability.left,
            available: availability.obstacle.is_none(),
            obstacle: availability.obstacle.map(ObstacleView::from),
        }
    }
}

impl From<ShownPlan> for PlanView {
    fn from(shown: ShownPlan) -> Self {
        (&shown).into()
    }
}

/// An app.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Service)]
pub struct ServiceView {
    /// What it is named by.
    #[schema(example = "ghost")]
    slug: String,
    /// What customers call it.
    #[schema(example = "Ghost")]
    display_name: String,
    /// What it is for.
    description: String,
    /// Name of the picture that a frontend shows, or an https address of it.
    #[schema(required = true, example = "ghost")]
    icon: Option<String>,
    /// The category that it is listed in, by its slug.
    #[schema(example = "websites")]
    category: String,
    /// The version of the app.
    #[schema(example = "6.59.0")]
    version: String,
    /// What its licence asks of whoever sells it.
    #[schema(required = true)]
    licence_note: Option<String>,
    /// What its cheapest plan costs.
    #[schema(required = true)]
    price_from: Option<PriceView>,
    /// How many plans there are of it.
    #[schema(example = 3)]
    plans: i64,
    /// Whether any of them can be bought.
    available: bool,
}

impl From<&ShownService> for ServiceView {
    fn from(shown: &ShownService) -> Self {
        let spec = &shown.template.spec;
        Self {
            slug: name(shown.template.metadata.name.as_ref()).to_owned(),
            display_name: spec.display_name.clone(),
            description: spec.description.clone(),
            icon: spec.icon.clone(),
            category: spec.category.clone(),
            version: spec.version.clone(),
            licence_note: spec.licence_note.clone(),
            price_from: shown.cheapest().map(|plan| (&plan.offer.plan.spec.price).into()),
            plans: i64::try_from(shown.plans.len()).unwrap_or(i64::MAX),
            available: shown.can_be_bought(),
        }
    }
}

impl From<ShownService> for ServiceView {
    fn from(shown: ShownService) -> Self {
        (&shown).into()
    }
}

/// What the text of a setting must be.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = SettingType)]
pub enum SettingType {
    /// Any text without control characters.
    String,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// One of `values`.
    Enum,
}

/// Something that a customer may set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceParameter)]
pub struct ParameterView {
    /// What a subscription calls it.
    #[schema(example = "title")]
    name: String,
    /// What a form calls it.
    display_name: String,
    /// What it does.
    description: String,
    /// What its text must be.
    #[serde(rename = "type")]
    kind: SettingType,
    /// Its value where none is given.
    #[schema(required = true)]
    default: Option<String>,
    /// Whether it must be given.
    required: bool,
    /// Whether it is fixed once the app was made.
    immutable: bool,
    /// `STRING`: the fewest characters.
    #[schema(required = true)]
    min_length: Option<i32>,
    /// `STRING`: the most characters.
    #[schema(required = true)]
    max_length: Option<i32>,
    /// `STRING`: a regular expression that the whole text must match.
    #[schema(required = true)]
    pattern: Option<String>,
    /// `INTEGER`: the smallest.
    #[schema(required = true)]
    minimum: Option<i64>,
    /// `INTEGER`: the largest.
    #[schema(required = true)]
    maximum: Option<i64>,
    /// `ENUM`: what may be chosen.
    values: Vec<String>,
}

impl From<template::Parameter> for ParameterView {
    fn from(parameter: template::Parameter) -> Self {
        let template::Parameter {
            name,
            display_name,
            description,
            type_,
            default,
            required,
            immutable,
            min_length,
            max_length,
            pattern,
            minimum,
            maximum,
            values,
        } = parameter;
        let kind = match type_ {
            template::ParameterType::String => SettingType::String,
            template::ParameterType::Integer => SettingType::Integer,
            template::ParameterType::Boolean => SettingType::Boolean,
            template::ParameterType::Enum => SettingType::Enum,
        };
        Self {
            name,
            display_name,
            description,
            kind,
            default,
            required,
            immutable,
            min_length,
            max_length,
            pattern,
            minimum,
            maximum,
            values,
        }
    }
}

/// How an app is reached.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = ServiceProtocol)]
pub enum Protocol {
    /// By a browser, also under hosts of one's own.
    Http,
    /// By a protocol of its own.
    Tcp,
}

/// An app with what can be set of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ServiceDetail)]
pub struct ServiceDetailView {
    #[serde(flatten)]
    service: ServiceView,
    /// How it is reached.
    protocol: Protocol,
    /// What a customer may set.
    parameters: Vec<ParameterView>,
}

impl From<&ShownService> for ServiceDetailView {
    fn from(shown: &ShownService) -> Self {
        let spec = &shown.template.spec;
        Self {
            service: shown.into(),
            protocol: if spec.expose.http.is_some() { Protocol::Http } else { Protocol::Tcp },
            parameters: spec.parameters.iter().cloned().map(ParameterView::from).collect(),
        }
    }
}
