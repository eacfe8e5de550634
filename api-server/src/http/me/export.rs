//! `GET /me/export`

use crate::{
    clock,
    http::{
        App,
        auth::CurrentUser,
        problem::Result,
        subscriptions::SubscriptionView,
        view::{SessionView, UserView},
        wallet::view::TransactionView,
    },
    sessions, subscriptions,
    users::account,
    wallet::transactions,
};
use axum::{
    Json,
    extract::State,
    http::{HeaderName, header},
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// The most transactions, and the most subscriptions, of one download.
const MOST: usize = 10_000;

/// What is kept of somebody: who they are, where they are logged in, what they have paid and bought.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Export {
    /// When it was gathered.
    exported_at: Timestamp,
    /// The profile.
    profile: UserView,
    /// The sessions that stand.
    sessions: Vec<SessionView>,
    /// The transactions, the last first.
    transactions: Vec<TransactionView>,
    /// Whether these are all of them; of more than ten thousand they are the last.
    transactions_are_complete: bool,
    /// What was bought, with its name and the app's settings as they were ordered; the last first.
    subscriptions: Vec<SubscriptionView>,
    /// Whether these are all of them; of more than ten thousand they are the last.
    subscriptions_are_complete: bool,
}

/// Download what is kept of oneself.
#[utoipa::path(
    get,
    path = "/me/export",
    tag = "me",
    security(("access_token" = [])),
    responses(
        (status = 200, body = Export, headers(("Content-Disposition" = String, description = "A name for the file."))),
    ),
)]
pub(super) async fn export(
    State(state): App,
    CurrentUser(principal): CurrentUser,
) -> Result<([(HeaderName, &'static str); 1], Json<Export>)> {
    let now = state.clock.now();
    let profile = account::of(&state, &principal).await?.into();
    let all = sessions::list(&state.db, principal.user_id, now, clock::before(now, sessions::IDLE)).await?;
    let sessions = all.into_iter().map(|session| SessionView::new(session, principal.session_id)).collect();
    let (all, transactions_are_complete) = transactions::all_of(&state.db, principal.user_id, MOST).await?;
    let transactions = all.into_iter().map(TransactionView::from).collect();
    let (all, subscriptions_are_complete) = subscriptions::all_of(&state.db, principal.user_id, MOST).await?;
    let all = subscriptions::cancel::with_refunds(&state.db, all).await?;
    let subscriptions = all.into_iter().map(SubscriptionView::from).collect();
    let name = [(header::CONTENT_DISPOSITION, "attachment; filename=\"nakhoda_export.json\"")];
    let export = Export {
        exported_at: now,
        profile,
        sessions,
        transactions,
        transactions_are_complete,
        subscriptions,
        subscriptions_are_complete,
    };
    Ok((name, Json(export)))
}
