//! What comes back from a call, and what it means: HTTP's status and the body's `status_code` are two things, and both are looked at.

use super::{CallError, Unclear, amount::Written};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// An answer of either API.
#[derive(Debug)]
pub(super) struct Answer {
    /// HTTP's status.
    pub http: u16,
    /// The body.
    pub body: Vec<u8>,
}

/// What the Core API says of itself, and Snap of its errors.
#[derive(Deserialize)]
struct Head<'a> {
    status_code: Option<Written>,
    #[serde(borrow)]
    status_message: Option<&'a RawValue>,
    #[serde(borrow)]
    validation_messages: Option<&'a RawValue>,
    #[serde(borrow)]
    error_messages: Option<&'a RawValue>,
}

/// An answer that is clear, with all that it says of itself.
#[derive(Debug)]
pub(super) struct Clear {
    /// The code that counts: the body's, and HTTP's where the body has none or HTTP's is worse.
    pub code: u16,
    /// What it says.
    pub messages: Vec<String>,
    /// The body, which is JSON.
    pub body: Vec<u8>,
}

impl Answer {
    /// What it says, unless it is not clear.
    pub fn clear(self) -> Result<Clear, CallError> {
        let Self { http, body } = self;
        match http {
            401 => return Err(CallError::Unauthorised),
            300..=399 | 429 | 500.. => return Err(CallError::Unknown(Unclear::Answered(http))),
            _ => {}
        }
        let head: Head<'_> = match serde_json::from_slice(&body) {
            Ok(head) => head,
            Err(error) if error.is_data() => return Err(CallError::Unreadable(error.to_string())),
            // A proxy's page, or half an answer.
            Err(_) => return Err(CallError::Unknown(Unclear::NotJson(http))),
        };
        let code = match head.status_code.map(|code| code.0.parse::<u16>()) {
            Some(Ok(code)) if http < 400 || code >= 400 => code,
            None | Some(Ok(_)) => http,
            Some(Err(_)) => return Err(CallError::Unreadable("`status_code` is no number".to_owned())),
        };
        let messages = [head.error_messages, head.validation_messages, head.status_message];
        let messages: Vec<_> = messages.into_iter().flatten().flat_map(texts).collect();
        match code {
            401 => Err(CallError::Unauthorised),
            429 | 500..=599 => Err(CallError::Unknown(Unclear::Answered(code))),
            _ => Ok(Clear { code, messages, body }),
        }
    }
}

impl Clear {
    /// Its body as what was asked for.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        serde_json::from_slice(&self.body).map_err(|error| CallError::Unreadable(error.to_string()))
    }

    /// That it is a no.
    pub fn refused(self) -> CallError {
        match self.code {
            406 => CallError::OrderUsed { messages: self.messages },
            status_code => CallError::Refused { status_code, messages: self.messages },
        }
    }
}

/// So many messages at most, and so many characters of each: they end in logs and in what administrators see.
const MESSAGES: usize = 10;
const LONGEST_MESSAGE: usize = 300;

/// One text or several.
fn texts(raw: &RawValue) -> Vec<String> {
    let texts = match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => vec![text],
        Err(_) => serde_json::from_str::<Vec<String>>(raw.get()).unwrap_or_default(),
    };
    let cut = |text: String| text.chars().filter(|it| !it.is_control()).take(LONGEST_MESSAGE).collect();
    texts.into_iter().take(MESSAGES).map(cut).collect()
}
