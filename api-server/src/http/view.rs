//! How domain types look in answers.

use crate::{
    sessions::{Issued, Session},
    users::{Language, Role, User},
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Somebody.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    /// The id.
    id: Uuid,
    /// The address, in lower case.
    #[schema(example = "ayu@example.com")]
    email: String,
    /// Whether the address was proven.
    email_verified: bool,
    /// What they are called.
    #[schema(example = "Ayu Lestari")]
    name: String,
    /// The language of mails.
    language: Language,
    /// What they may.
    role: Role,
    /// Whether they may log in.
    status: Status,
    /// When they registered.
    created_at: Timestamp,
    /// When this was changed last.
    updated_at: Timestamp,
    /// When they logged in last.
    #[schema(required = true)]
    last_login_at: Option<Timestamp>,
}

/// Whether somebody may log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// They may, once the address is proven.
    Active,
    /// They may not.
    Deactivated,
    /// Nothing personal is left.
    Deleted,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        let status = match (user.deleted_at, user.deactivated_at) {
            (Some(_), _) => Status::Deleted,
            (None, Some(_)) => Status::Deactivated,
            (None, None) => Status::Active,
        };
        Self {
            id: user.id,
            email: user.email,
            email_verified: user.email_verified_at.is_some(),
            name: user.name,
            language: user.language,
            role: user.role,
            status,
            created_at: user.created_at,
            updated_at: user.updated_at,
            last_login_at: user.last_login_at,
        }
    }
}

/// What somebody gets who logs in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tokens)]
pub struct TokensView {
    /// For the `Authorization` header.
    access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// How long the access token is good.
    #[schema(example = 900)]
    expires_in_seconds: i64,
    /// Good once, for the next pair. Keep it where no script can read it.
    refresh_token: String,
    /// Until when it must be used.
    refresh_expires_at: Timestamp,
}

impl From<Issued> for TokensView {
    fn from(issued: Issued) -> Self {
        Self {
            access_token: issued.access_token,
            token_type: "Bearer",
            expires_in_seconds: issued.expires_in.as_secs(),
            refresh_token: issued.refresh_token,
            refresh_expires_at: issued.refresh_expires_at,
        }
    }
}

/// A session that stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    /// The id.
    id: Uuid,
    /// Whether it is the one that asks.
    current: bool,
    /// When it began.
    created_at: Timestamp,
    /// When it was refreshed last.
    last_used_at: Timestamp,
    /// When it ends at the latest.
    expires_at: Timestamp,
    /// The browser or program, as it calls itself.
    #[schema(required = true)]
    user_agent: Option<String>,
    /// Where it was used last.
    #[schema(required = true)]
    address: Option<String>,
}

impl SessionView {
    /// A session, as the one of that id sees it.
    pub fn new(session: Session, current: Uuid) -> Self {
        Self {
            current: session.id == current,
            id: session.id,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            user_agent: session.user_agent,
            address: session.address,
        }
    }
}
