//! `GET /subscriptions/{id}`

use super::SubscriptionView;
use crate::{
    http::{
        App,
        auth::CurrentUser,
        catalog::view::PriceView,
        instances::view::SummaryView,
        path::Id,
        problem::{self, Code, Problem, Result},
        wallet::view::TransactionView,
    },
    instances::own,
    state,
    subscriptions::{Subscription, store},
    wallet::transactions::{self, Query},
};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// How many of its last transactions are shown beside it.
const LAST: i64 = 20;

/// What was sold, as the catalogue has it today.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionOffer)]
struct OfferView {
    /// What customers call the app.
    #[schema(example = "Ghost")]
    service_name: String,
    /// What customers call the plan.
    #[schema(example = "Small")]
    plan_name: String,
    /// What it includes, a short line each.
    features: Vec<String>,
    /// What it costs whoever buys it today; what was sold keeps its price until it is renewed.
    price: PriceView,
    /// Whether it is not sold any more.
    retired: bool,
}

impl OfferView {
    /// None where the catalogue can't be read, or has no such plan any more.
    fn of(state: &state::State, row: &Subscription) -> Option<Self> {
        let watches = state.cluster.watches();
        let (plans, templates) = (watches.plans.last_known().ok()?, watches.templates.last_known().ok()?);
        let spec = &plans.named(&row.plan)?.spec;
        let template = templates.named(&row.service);
        Some(Self {
            service_name: template
                .map_or_else(|| row.service.clone(), |template| template.spec.display_name.clone()),
            plan_name: spec.display_name.clone(),
            features: spec.features.clone(),
            price: (&spec.price).into(),
            retired: spec.retired || template.is_none_or(|template| template.spec.disabled),
        })
    }
}

/// A subscription with its app, what was sold, and what was paid for it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionDetail)]
pub(super) struct DetailView {
    #[serde(flatten)]
    subscription: SubscriptionView,
    /// What was sold, as the catalogue has it today; null where it has it no more, or can't be read.
    #[schema(required = true)]
    offer: Option<OfferView>,
    /// Its app; null where nothing of it is there, or nothing of the cluster is known.
    #[schema(required = true)]
    instance: Option<SummaryView>,
    /// Its last transactions, the newest first.
    transactions: Vec<TransactionView>,
}

/// One's subscription, with its app, what was sold, and its last transactions.
#[utoipa::path(
    get,
    path = "/subscriptions/{id}",
    tag = "subscriptions",
    security(("access_token" = [])),
    params(("id" = uuid::Uuid, Path, description = "The subscription.")),
    responses(
        (status = 200, body = DetailView),
        (status = 404, body = problem::Body, content_type = "application/problem+json", description = "One has no such subscription."),
    ),
)]
pub(super) async fn read(
    State(state): App,
    CurrentUser(principal): CurrentUser,
    Id(id): Id,
) -> Result<Json<DetailView>> {
    let row = store::find_own(&state.db, principal.user_id, id).await?;
    let row = row.ok_or_else(|| Problem::new(Code::NotFound))?;
    let query = Query {
        user_id: Some(principal.user_id),
        subscription_id: Some(id),
        descending: true,
        limit: LAST,
        ..Query::default()
    };
    let transactions = transactions::list(&state.db, &query).await?;
    let offer = OfferView::of(&state, &row);
    let instance = own::of(&state, &row).as_ref().map(SummaryView::from);
    Ok(Json(DetailView {
        subscription: super::view(&state, row).await?,
        offer,
        instance,
        transactions: transactions.into_iter().map(TransactionView::from).collect(),
    }))
}
