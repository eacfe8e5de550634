//! What became of mails, for administrators.

mod list;
mod resend;

use crate::{
    mail::store::{Delivery, Status},
    state::State,
};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<Arc<State>> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(list::read))
        .routes(routes!(resend::resend))
}

/// A mail. What it says is not shown: its link may open an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Email)]
pub(super) struct EmailView {
    /// Its id.
    id: Uuid,
    /// Its `Message-ID`, the same at every try.
    message_id: String,
    /// To which user, where it is known.
    #[schema(required = true)]
    user_id: Option<Uuid>,
    /// To which address; `deleted` where it is not kept.
    #[schema(example = "ayu@example.com")]
    recipient: String,
    /// About what.
    #[schema(example = "VERIFY_EMAIL")]
    kind: String,
    /// In which language: `id` or `en`.
    language: String,
    /// What became of it.
    status: Status,
    /// How often it was tried.
    attempts: i32,
    /// When it was written.
    created_at: Timestamp,
    /// When it is tried next, where it is to be.
    #[schema(required = true)]
    next_attempt_at: Option<Timestamp>,
    /// When the mail server took it.
    #[schema(required = true)]
    sent_at: Option<Timestamp>,
    /// What went wrong last.
    #[schema(required = true)]
    last_error: Option<String>,
}

impl From<Delivery> for EmailView {
    fn from(mail: Delivery) -> Self {
        let Delivery {
            id,
            message_id,
            user_id,
            recipient,
            kind,
            language,
            status,
            attempts,
            created_at,
            next_attempt_at,
            sent_at,
            last_error,
        } = mail;
        Self {
            id,
            message_id,
            user_id,
            recipient,
            kind,
            language,
            status,
            attempts,
            created_at,
            next_attempt_at,
            sent_at,
            last_error,
        }
    }
}
