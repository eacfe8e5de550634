//! What one has bought, and can buy: `/subscriptions`.

mod cancel;
mod change;
mod create;
mod events;
mod list;
mod metrics;
mod quote;
mod read;
mod transactions;

pub(super) use events::LAST_EVENT_ID;

use crate::{
    http::problem::{Code, Fields, Problem, Result},
    money::Rupiah,
    state::State,
    subscriptions::{EndedBy, Resources, Status, Subscription, cancel as ending, store::Refund},
    wallet::Number,
};
use crds::plan::Period;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The most characters of a name.
const LONGEST: usize = 80;
/// The most settings of an app.
const MOST: usize = 50;

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .routes(routes!(quote::quote))
        .routes(routes!(create::create, list::list))
        .routes(routes!(read::read, change::change))
        .routes(routes!(cancel::cancel))
        .routes(routes!(metrics::metrics))
        .routes(routes!(events::events))
        .routes(routes!(transactions::transactions))
}

/// How long one payment lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum BillingPeriod {
    /// A calendar month.
    Monthly,
    /// A calendar year.
    Yearly,
}

impl From<Period> for BillingPeriod {
    fn from(period: Period) -> Self {
        match period {
            Period::Monthly => Self::Monthly,
            Period::Yearly => Self::Yearly,
        }
    }
}

/// What one has bought.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
pub struct SubscriptionView {
    /// The id.
    id: Uuid,
    /// What one calls it.
    #[schema(example = "My publication")]
    name: String,
    /// The app.
    #[schema(example = "ghost")]
    service: String,
    /// The plan.
    #[schema(example = "ghost-small")]
    plan: String,
    /// The app's settings as they were ordered.
    parameters: BTreeMap<String, String>,
    /// How long one payment lasts.
    period: BillingPeriod,
    /// What one period costs, in rupiah.
    price: Rupiah,
    /// The tax in it, in rupiah.
    tax: Rupiah,
    /// The currency.
    #[schema(example = "IDR")]
    currency: &'static str,
    /// What it may take.
    resources: Resources,
    /// Whether it is to be renewed by itself.
    auto_renew: bool,
    /// How it stands.
    status: Status,
    /// The name of its resource in the cluster.
    #[schema(example = "ghost-abcdefgh")]
    resource: String,
    /// When it was bought.
    created_at: Timestamp,
    /// Since when the present period lasts; none before the app was there for the first time.
    #[schema(required = true)]
    period_start: Option<Timestamp>,
    /// Until when it is paid for.
    #[schema(required = true)]
    paid_until: Option<Timestamp>,
    /// When it ended.
    #[schema(required = true)]
    ended_at: Option<Timestamp>,
    /// Who ended it.
    #[schema(required = true)]
    ended_by: Option<EndedBy>,
    /// What comes back, once it has ended: as soon as nothing of it runs any more.
    #[schema(required = true)]
    refund: Option<RefundView>,
}

/// Money that comes back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionRefund)]
pub struct RefundView {
    /// The transaction.
    transaction_id: Uuid,
    /// Its number.
    number: Number,
    /// How much, in rupiah.
    amount: Rupiah,
    /// Whether it has come: it waits until nothing of the subscription runs any more.
    done: bool,
}

impl SubscriptionView {
    fn of(row: Subscription, refund: Option<Refund>) -> Self {
        let resource = row.resource_name();
        let Subscription {
            id,
            name,
            service,
            plan,
            parameters,
            period,
            price,
            tax,
            resources,
            auto_renew,
            status,
            created_at,
            paid,
            end,
            ..
        } = row;
        let refund = refund.map(|Refund { transaction_id, number, amount, is_done }| RefundView {
            transaction_id,
            number: Number(number),
            amount,
            done: is_done,
        });
        Self {
            id,
            name,
            service,
            plan,
            parameters,
            period: period.into(),
            price,
            tax,
            currency: "IDR",
            resources,
            auto_renew,
            status,
            resource,
            created_at,
            period_start: paid.map(|paid| paid.start),
            paid_until: paid.map(|paid| paid.until),
            ended_at: end.map(|end| end.at),
            ended_by: end.map(|end| end.by),
            refund,
        }
    }
}

impl From<(Subscription, Option<Refund>)> for SubscriptionView {
    fn from((row, refund): (Subscription, Option<Refund>)) -> Self {
        Self::of(row, refund)
    }
}

/// A subscription with what comes back of it.
async fn view(state: &State, row: Subscription) -> Result<SubscriptionView> {
    let refund = ending::refund_of(&state.db, &row).await?;
    Ok(SubscriptionView::of(row, refund))
}

/// What one calls a subscription: of a bearable length, on one line.
fn read_name(name: &str) -> Result<String> {
    let wrong = |message: String| Err(Problem::field(Code::Invalid, "name", message));
    let trimmed = name.trim();
    if name.chars().count() > LONGEST {
        return wrong(format!("has more than {LONGEST} characters"));
    }
    if trimmed.is_empty() {
        return wrong("is empty".to_owned());
    }
    if trimmed.chars().any(char::is_control) {
        return wrong("holds control characters".to_owned());
    }
    Ok(trimmed.to_owned())
}

/// Settings of an app, few enough; each is checked against its template later.
fn read_parameters(
    fields: &mut Fields,
    parameters: BTreeMap<String, String>,
) -> Result<Option<BTreeMap<String, String>>> {
    let count = parameters.len();
    let wrong =
        || Problem::field(Code::Invalid, "parameters", format!("has {count} entries; {MOST} are the most"));
    fields.take(if count > MOST { Err(wrong()) } else { Ok(parameters) })
}
