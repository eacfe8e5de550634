//! What the payment gateway calls.

use super::{
    App,
    problem::{self, Code, Problem, Result},
    request::ClientAddress,
};
use crate::{
    payments::{
        inbox::{self, Refused},
        midtrans::notification::LARGEST,
    },
    state::State,
};
use axum::{body::Bytes, extract::State as Extract, http::StatusCode};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new().routes(routes!(midtrans))
}

/// What matters of a notification; all else in it is kept unread. [`crate::payments::midtrans::notification::parse`] reads it.
#[derive(ToSchema)]
#[schema(as = MidtransNotification)]
#[expect(dead_code, reason = "it only says in the document what Midtrans sends")]
struct Notification {
    /// The order.
    #[schema(
        min_length = 1,
        max_length = 255,
        pattern = r"^[\x20-\x7e]*$",
        example = "tu-0198c6f00000700080000000000000ab"
    )]
    order_id: String,
    /// The code of the call that it tells of, not of how the payment stands.
    #[schema(pattern = "^[0-9]{3}$", example = "200")]
    status_code: String,
    /// The amount, any fee included.
    #[schema(pattern = r"^(0|[1-9][0-9]{0,11})\.00$", example = "500000.00")]
    gross_amount: String,
    /// SHA-512 of order, code, amount and server key, in hexadecimal.
    #[schema(min_length = 1, max_length = 255, pattern = "^[0-9a-f]*$")]
    signature_key: String,
}

/// A notification of Midtrans. It is kept as it came, and answered; what it tells is asked of Midtrans itself afterwards. What is not ours is
/// answered with 200 as well, or it would come again and again. The codes decide whether it is sent again: 503 while it can't be kept.
#[utoipa::path(
    post,
    path = "/webhooks/midtrans",
    tag = "webhooks",
    request_body = Notification,
    responses(
        (status = 200, description = "It is kept."),
        (status = 403, body = problem::Body, content_type = "application/problem+json", description = "It is not signed with our key. Of all refusals this one is sent again most often, which helps where the key is set wrong."),
    ),
)]
async fn midtrans(Extract(state): App, address: ClientAddress, body: Bytes) -> Result<StatusCode> {
    if body.len() > LARGEST {
        return Err(Problem::new(Code::TooLarge));
    }
    match inbox::receive(&state, &body, address.0).await {
        Ok(()) => Ok(StatusCode::OK),
        Err(Refused::Off) => Err(Problem::unavailable("No payment gateway is set up here.")),
        Err(Refused::Malformed(error)) => {
            Err(Problem::with(Code::Malformed, format!("The notification {error}.")))
        }
        Err(Refused::Forged) => Err(Problem::new(Code::BadSignature)),
        Err(Refused::Database(error)) => {
            // Whatever it is: only this code makes Midtrans try four times more.
            tracing::warn!(%error, "a notification can't be kept");
            Err(Problem::unavailable("The notification can't be kept right now."))
        }
    }
}
