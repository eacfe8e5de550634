//! Tokens in mailed links. A token is the id of its row and a code over it that only we can make, so the database holds none.

use crate::secret_key::{Purpose as Key, SecretKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::SignedDuration;
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To show that one reads mail at the address one registered with.
    VerifyEmail,
    /// To set a new password.
    ResetPassword,
    /// To show that one reads mail at the new address.
    ChangeEmail,
}

impl Purpose {
    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "VERIFY_EMAIL",
            Self::ResetPassword => "RESET_PASSWORD",
            Self::ChangeEmail => "CHANGE_EMAIL",
        }
    }
}

/// A link that a mail carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// What its token is for.
    pub purpose: Purpose,
    /// The page of the frontend.
    pub page: &'static str,
    /// How long it is good.
    pub lifetime: SignedDuration,
}

/// The token of a row.
pub fn token(secret: &SecretKey, purpose: Purpose, id: Uuid) -> String {
    let code = secret.code(Key::OneTimeTokens, &[purpose.as_str().as_bytes(), id.as_bytes()]);
    URL_SAFE_NO_PAD.encode([id.as_bytes().as_slice(), &code[..24]].concat())
}

/// The row of a token; none for one that we did not make for this purpose.
pub fn parse(secret: &SecretKey, purpose: Purpose, text: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let id = Uuid::from_slice(bytes.get(..16)?).ok()?;
    let is_ours: bool = token(secret, purpose, id).as_bytes().ct_eq(text.as_bytes()).into();
    is_ours.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_purpose_only_and_no_letter_of_it_can_be_another() {
        let secret = SecretKey::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
        let id = Uuid::from_u128(7);
        let token = token(&secret, Purpose::ResetPassword, id);
        assert_eq!(parse(&secret, Purpose::ResetPassword, &token), Some(id));
        assert_eq!(parse(&secret, Purpose::VerifyEmail, &token), None);
        for place in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[place] = if other[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(parse(&secret, Purpose::ResetPassword, std::str::from_utf8(&other).unwrap()), None);
        }
        assert_eq!(parse(&secret, Purpose::ResetPassword, ""), None);
    }
}
