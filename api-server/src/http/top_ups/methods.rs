//! `GET /wallet/payment-methods`

use crate::{
    http::{App, auth::CurrentUser},
    money::Rupiah,
    payments::methods::Method,
};
use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

/// How one can pay.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PaymentMethods {
    /// Whether anything can be paid at all.
    available: bool,
    /// The currency of all amounts.
    #[schema(example = "IDR")]
    currency: &'static str,
    /// The least of any top-up, in rupiah.
    minimum: Rupiah,
    /// The most of any top-up, in rupiah.
    maximum: Rupiah,
    /// The methods, in the order in which to show them.
    items: Vec<PaymentMethod>,
}

/// A method of payment.
#[derive(Debug, Serialize, ToSchema)]
struct PaymentMethod {
    /// What a top-up names it by.
    #[schema(example = "BANK_TRANSFER")]
    code: String,
    /// Its name in English.
    #[schema(example = "Bank transfer (virtual account)")]
    name_en: String,
    /// Its name in Indonesian.
    #[schema(example = "Transfer bank (virtual account)")]
    name_id: String,
    /// The least that can be paid so, in rupiah.
    minimum: Rupiah,
    /// The most that can be paid so, in rupiah.
    maximum: Rupiah,
}

impl From<&Method> for PaymentMethod {
    fn from(method: &Method) -> Self {
        Self {
            code: method.code.clone(),
            name_en: method.names.en.clone(),
            name_id: method.names.id.clone(),
            minimum: method.minimum,
            maximum: method.maximum,
        }
    }
}

/// How one can pay, and how much.
#[utoipa::path(
    get,
    path = "/wallet/payment-methods",
    tag = "wallet",
    security(("access_token" = [])),
    responses((status = 200, body = PaymentMethods)),
)]
pub(super) async fn methods(State(state): App, _user: CurrentUser) -> Json<PaymentMethods> {
    let methods = &state.payments.methods;
    Json(PaymentMethods {
        available: state.payments.gateway.is_some(),
        currency: "IDR",
        minimum: methods.minimum(),
        maximum: methods.maximum(),
        items: methods.offered().map(PaymentMethod::from).collect(),
    })
}
