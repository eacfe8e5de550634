//! Mail. What is to go out is written as a row in the transaction of its cause; a sender takes it from there, tries again with growing
//! pauses, and gives up in the open. Every try carries the same Message-ID.

pub mod compose;
pub mod deliveries;
pub mod prepare;
pub mod sender;
pub mod store;

use crate::{
    random,
    users::{
        self, Language, User,
        email::Email,
        one_time::{Link, Purpose},
    },
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
pub use store::forget;
use utoipa::ToSchema;
use uuid::Uuid;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// What a mail is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, ToSchema)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        #[schema(as = EmailKind)]
        pub enum Kind { $($(#[$doc])* $name,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As the database has it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Reads what the database has.
            pub fn of(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// A link that proves the address one registered with.
    VerifyEmail = "VERIFY_EMAIL";
    /// The address is proven; what one can do now.
    Welcome = "WELCOME";
    /// Somebody registered with an address that has an account.
    AlreadyRegistered = "ALREADY_REGISTERED";
    /// A link to set a new password.
    ResetPassword = "RESET_PASSWORD";
    /// The password was changed.
    PasswordChanged = "PASSWORD_CHANGED";
    /// A link that proves the new address.
    ChangeEmail = "CHANGE_EMAIL";
    /// The address was changed; told at the old one.
    EmailChanged = "EMAIL_CHANGED";
    /// The account was deactivated.
    AccountDeactivated = "ACCOUNT_DEACTIVATED";
    /// The account was activated again.
    AccountActivated = "ACCOUNT_ACTIVATED";
    /// The account was deleted.
    AccountDeleted = "ACCOUNT_DELETED";
    /// An administrator made an account; a link to set its password.
    Invitation = "INVITATION";
    /// A top-up was paid.
    TopUpReceived = "TOP_UP_RECEIVED";
    /// A top-up that was begun was not paid in time.
    TopUpFailed = "TOP_UP_FAILED";
    /// The payment of a top-up was taken back.
    TopUpReversed = "TOP_UP_REVERSED";
    /// Something was bought.
    SubscriptionCreated = "SUBSCRIPTION_CREATED";
    /// What was bought is there.
    ServiceReady = "SERVICE_READY";
    /// What was bought takes long.
    ProvisioningSlow = "PROVISIONING_SLOW";
    /// What was bought is given up.
    ProvisioningFailed = "PROVISIONING_FAILED";
    /// A subscription was cancelled.
    SubscriptionCancelled = "SUBSCRIPTION_CANCELLED";
    /// Money came back into the wallet.
    RefundReceived = "REFUND_RECEIVED";
}

impl Kind {
    /// The link that a mail carries, where it carries one.
    pub fn link(self) -> Option<Link> {
        let (purpose, page, lifetime) = match self {
            Self::VerifyEmail => (Purpose::VerifyEmail, "verify-email", SignedDuration::from_hours(48)),
            Self::ChangeEmail => (Purpose::ChangeEmail, "verify-email", SignedDuration::from_hours(48)),
            Self::ResetPassword => (Purpose::ResetPassword, "reset-password", SignedDuration::from_hours(1)),
            Self::Invitation => (Purpose::ResetPassword, "reset-password", SignedDuration::from_hours(72)),
            Self::Welcome
            | Self::AlreadyRegistered
            | Self::PasswordChanged
            | Self::EmailChanged
            | Self::AccountDeactivated
            | Self::AccountActivated
            | Self::AccountDeleted
            | Self::TopUpReceived
            | Self::TopUpFailed
            | Self::TopUpReversed
            | Self::SubscriptionCreated
            | Self::ServiceReady
            | Self::ProvisioningSlow
            | Self::ProvisioningFailed
            | Self::SubscriptionCancelled
            | Self::RefundReceived => return None,
        };
        Some(Link { purpose, page, lifetime })
    }
}

/// A mail to be written.
#[derive(Clone, Debug)]
pub struct New {
    /// About what.
    pub kind: Kind,
    /// To which address.
    pub recipient: String,
    /// To which user, where it is known.
    pub user_id: Option<Uuid>,
    /// In which language.
    pub language: Language,
    /// What the text needs beside that.
    pub data: Value,
}

impl New {
    /// One to a user.
    pub fn to(user: &User, kind: Kind) -> Self {
        Self {
            kind,
            recipient: user.email.clone(),
            user_id: Some(user.id),
            language: user.language,
            data: json!({"name": user.name}),
        }
    }

    /// One to whoever has an address; looked at when it is sent.
    pub fn to_address(email: &Email, language: Language, kind: Kind) -> Self {
        Self { kind, recipient: email.as_str().to_owned(), user_id: None, language, data: json!({}) }
    }
}

/// Writes a mail that goes out once the transaction has ended well.
///
/// # Errors
/// As the database's.
pub async fn queue(db: &mut PgConnection, new: &New, now: Timestamp) -> Result<Uuid, sqlx::Error> {
    let id = random::id(now);
    store::insert(db, id, new, now).await?;
    // The mail's id is the token's: a try after a crash carries the same link, and whatever spends a user's tokens spends this one too,
    // sent or not.
    if let (Some(link), Some(user)) = (new.kind.link(), new.user_id) {
        users::store::insert_one_time(db, id, user, &link, &new.recipient, now).await?;
    }
    Ok(id)
}
