//! What the payment gateway calls.

use super::{
    App,
    problem::{Code, Problem, Result},
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
use utoipa_axum::{router::OpenApiRouter, routes};

/// The routes.
pub fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new().routes(routes!(midtrans))
}

/// A notification of Midtrans. It is kept as it came, and answered; what it tells is asked of Midtrans itself afterwards. What is not ours is
/// answered with 200 as well, or it would come again and again. The codes decide whether it is sent again: 503 while it can't be kept.
#[utoipa::path(
    post,
    path = "/webhooks/midtrans",
    tag = "webhooks",
    request_body(content = Object, content_type = "application/json", description = "As Midtrans sends it, up to 16 KB. Fields that are not known are kept unread."),
    responses(
        (status = 200, description = "It is kept."),
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
