//! People: how they register, prove their address, log in, and change what is theirs.

pub mod account;
pub mod administration;
mod argon;
pub mod backoff;
pub mod directory;
pub mod email;
pub mod login;
pub mod one_time;
pub mod password;
pub mod registration;
pub mod store;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// What somebody may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Role {
    /// Their own things.
    User,
    /// Everything under `/admin`.
    Administrator,
}

impl Role {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "USER",
            Self::Administrator => "ADMINISTRATOR",
        }
    }

    /// Reads what the database has. What it does not know may the least.
    pub fn of(text: &str) -> Self {
        if text == "ADMINISTRATOR" { Self::Administrator } else { Self::User }
    }
}

/// The language that somebody is written to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Language {
    /// Indonesian.
    #[default]
    Id,
    /// English.
    En,
}

impl Language {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::En => "en",
        }
    }

    /// Reads what the database has.
    pub fn of(text: &str) -> Self {
        if text == "en" { Self::En } else { Self::Id }
    }
}

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: Uuid,
    /// Their address.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// What they are written to in.
    pub language: Language,
    /// What they may.
    pub role: Role,
    /// When they showed that they read mail there.
    pub email_verified_at: Option<Timestamp>,
    /// Since when they may do nothing.
    pub deactivated_at: Option<Timestamp>,
    /// Since when nothing of them is left but their id.
    pub deleted_at: Option<Timestamp>,
    /// When they registered.
    pub created_at: Timestamp,
    /// When this was changed last.
    pub updated_at: Timestamp,
    /// When they logged in last.
    pub last_login_at: Option<Timestamp>,
    /// Counts changes.
    pub version: i64,
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing but space.
    #[error("is empty")]
    Empty,
    /// Too long.
    #[error("has more than 100 characters")]
    TooLong,
    /// An address of a page, which mails to others would carry.
    #[error("can't be an address of a page")]
    Link,
    /// A line break or the like.
    #[error("has characters that can't be shown in a line")]
    Control,
}

/// What somebody is called: one line, trimmed.
///
/// # Errors
/// [`NameError`].
pub fn parse_name(text: &str) -> Result<String, NameError> {
    let name = text.trim();
    // Directional overrides would let a name rewrite the line it stands in.
    let is_unfit = |c: char| {
        c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
    };
    if name.is_empty() {
        Err(NameError::Empty)
    } else if name.chars().any(is_unfit) {
        Err(NameError::Control)
    } else if name.contains("://") || name.to_lowercase().contains("www.") {
        Err(NameError::Link)
    } else if text.chars().count() > 100 {
        Err(NameError::TooLong)
    } else {
        Ok(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_what_can_be_shown() {
        assert_eq!(parse_name(" Ayu Lestari ").as_deref(), Ok("Ayu Lestari"));
        assert_eq!(parse_name("You won, see https://example.org"), Err(NameError::Link));
        assert_eq!(parse_name("  "), Err(NameError::Empty));
        assert_eq!(parse_name("a\r\nBcc: x"), Err(NameError::Control));
        assert_eq!(parse_name("a\u{202e}b"), Err(NameError::Control));
        assert_eq!(parse_name(&"é".repeat(101)), Err(NameError::TooLong));
        assert!(parse_name(&"é".repeat(100)).is_ok());
        let padded = format!("Ayu{}", " ".repeat(98));
        assert_eq!(
            parse_name(&padded),
            Err(NameError::TooLong),
            "as it came: the document knows of no trimming"
        );
    }
}
