//! Access tokens and the keys they are signed with. A key is shown to everybody before it signs and for as long as a token signed
//! with it may be good, so that rotation logs nobody out.

mod store;

use super::Principal;
use crate::{
    clock,
    http::problem::{Code, Problem},
    random,
    secret_key::{Purpose, SecretKey, Unsealable},
    users::Role,
};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use std::{
    sync::{Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};
use store::Row;
use utoipa::ToSchema;
use uuid::Uuid;

/// How long an access token is good.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(15);
/// By how much the clocks of replicas may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(30);
/// How long a key is shown before it signs.
const SHOWN_FIRST: SignedDuration = SignedDuration::from_mins(10);
/// How long a key signs.
const SIGNS: SignedDuration = SignedDuration::from_hours(60 * 24);
/// How long a key is accepted after it signed last.
const LINGERS: SignedDuration = SignedDuration::from_hours(24);
/// Between two looks into the database because of a key that is not known.
const LOOKS: Duration = Duration::from_secs(5);
/// Who signs, and for whom.
const ISSUER: &str = "nakhoda";
const AUDIENCE: &str = "nakhoda-api";

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    aud: String,
    /// The user.
    pub sub: Uuid,
    /// The session.
    pub sid: Uuid,
    /// The user's role when it was signed; for the frontend, nothing is decided by it here.
    pub role: Role,
    iat: i64,
    exp: i64,
}

/// Why a token is not accepted. Told to the log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bad {
    /// It is no token of ours.
    #[error("the token is malformed")]
    Malformed,
    /// Another algorithm, `none` among them.
    #[error("the token is of another algorithm")]
    Algorithm,
    /// Its key is not known.
    #[error("the token's key is not known")]
    UnknownKey,
    /// The signature is wrong.
    #[error("the token's signature is wrong")]
    Signature,
    /// For somebody else.
    #[error("the token is of somebody else or for somebody else")]
    Audience,
    /// Over, or not yet good.
    #[error("the token is over, or not good yet")]
    Time,
}

/// Why keys can't be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The database.
    #[error("the signing keys can't be read or written")]
    Database(#[from] sqlx::Error),
    /// Another secret sealed them.
    #[error("the signing key {0} can't be opened")]
    Sealed(String, #[source] Unsealable),
    /// There is none that may sign.
    #[error("there is no signing key yet")]
    None,
    /// The library refused.
    #[error("a token can't be signed")]
    Signing(#[from] jsonwebtoken::errors::Error),
    /// A key can't be made or read.
    #[error("a signing key can't be made or read")]
    Key,
}

impl From<KeysError> for Problem {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Database(error) => error.into(),
            KeysError::None => Self::new(Code::Unavailable),
            error => Self::internal(&error),
        }
    }
}

struct Key {
    id: String,
    signs_from: Timestamp,
    expires_at: Timestamp,
    public: Vec<u8>,
    encoding: EncodingKey,
}

/// The public half of a key.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Jwk {
    /// The type of key.
    #[schema(example = "OKP")]
    kty: &'static str,
    /// The curve.
    #[schema(example = "Ed25519")]
    crv: &'static str,
    /// What it is for.
    #[serde(rename = "use")]
    #[schema(example = "sig")]
    usage: &'static str,
    /// The algorithm.
    #[schema(example = "EdDSA")]
    alg: &'static str,
    /// Its id, as tokens name it.
    kid: String,
    /// The public key in base64url.
    x: String,
}

/// The keys that are known here.
pub struct Keys {
    all: RwLock<Vec<Key>>,
    looked: Mutex<Option<Instant>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self { all: RwLock::new(Vec::new()), looked: Mutex::new(None) }
    }
}

impl Keys {
    /// Whether a key that is not known may be looked for in the database now; not for every forged token.
    pub fn may_look_again(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let may = looked.is_none_or(|at| at.elapsed() >= LOOKS);
        if may {
            *looked = Some(Instant::now());
        }
        may
    }

    /// Whether a key may sign.
    pub fn is_ready(&self, now: Timestamp) -> bool {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|key| key.signs_from <= now && now < key.expires_at)
    }

    /// Reads the keys, and makes the next where the newest has signed for long enough.
    ///
    /// # Errors
    /// [`KeysError`].
    pub async fn load(&self, db: &PgPool, secret: &SecretKey, now: Timestamp) -> Result<(), KeysError> {
        let mut rows = store::read(db, now).await?;
        let is_due = |rows: &[Row]| {
            rows.iter().all(|row| clock::after(row.signs_from.into(), SIGNS - SHOWN_FIRST) <= now)
        };
        if is_due(&rows) {
            let mut tx = db.begin().await?;
            store::lock(&mut tx).await?;
            rows = store::read(&mut *tx, now).await?;
            if is_due(&rows) {
                // The first signs at once; nobody has to learn of it first.
                let signs_from = if rows.is_empty() { now } else { clock::after(now, SHOWN_FIRST) };
                make(&mut tx, secret, now, signs_from).await?;
                rows = store::read(&mut *tx, now).await?;
            }
            tx.commit().await?;
        }
        let keys: Vec<Key> = rows.into_iter().map(|row| open(row, secret)).collect::<Result<_, _>>()?;
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Signs an access token.
    ///
    /// # Errors
    /// [`KeysError::None`] before the keys were loaded.
    pub fn sign(&self, principal: &Principal, now: Timestamp) -> Result<String, KeysError> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let signing = all.iter().filter(|key| key.signs_from <= now).max_by_key(|key| key.signs_from);
        let key = signing.ok_or(KeysError::None)?;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: principal.user_id,
            sid: principal.session_id,
            role: principal.role,
            iat: now.as_second(),
            exp: clock::after(now, LIFETIME).as_second(),
        };
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::EdDSA) };
        Ok(jsonwebtoken::encode(&header, &claims, &key.encoding)?)
    }

    /// What a token says, once all about it is right but for its session.
    ///
    /// # Errors
    /// [`Bad`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, Bad> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Bad::Malformed)?;
        if header.alg != Algorithm::EdDSA {
            return Err(Bad::Algorithm);
        }
        let id = header.kid.ok_or(Bad::UnknownKey)?;
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let key = all.iter().find(|key| key.id == id && now < key.expires_at).ok_or(Bad::UnknownKey)?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        // Times are compared with our own clock, below.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims =
            jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_ed_der(&key.public), &validation)
                .map_err(|_| Bad::Signature)?
                .claims;
        if claims.iss != ISSUER || claims.aud != AUDIENCE {
            return Err(Bad::Audience);
        }
        let (second, skew) = (now.as_second(), SKEW.as_secs());
        let is_good = claims.iat <= second + skew
            && second < claims.exp + skew
            && claims.exp - claims.iat <= LIFETIME.as_secs();
        is_good.then_some(claims).ok_or(Bad::Time)
    }

    /// The public halves.
    pub fn public(&self) -> Vec<Jwk> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .map(|key| Jwk {
                kty: "OKP",
                crv: "Ed25519",
                usage: "sig",
                alg: "EdDSA",
                kid: key.id.clone(),
                x: URL_SAFE_NO_PAD.encode(&key.public),
            })
            .collect()
    }
}

async fn make(
    db: &mut sqlx::PgConnection,
    secret: &SecretKey,
    now: Timestamp,
    signs_from: Timestamp,
) -> Result<(), KeysError> {
    let pair = Ed25519KeyPair::generate().map_err(|_| KeysError::Key)?;
    let private = pair.to_pkcs8v1().map_err(|_| KeysError::Key)?;
    let id = random::id(now).simple().to_string();
    let sealed = secret.seal(Purpose::SigningKeys, id.as_bytes(), private.as_ref());
    let expires_at = clock::after(clock::after(signs_from, SIGNS), LINGERS);
    let public_key = pair.public_key().as_ref().to_vec();
    let row = Row {
        id,
        signs_from: signs_from.into(),
        expires_at: expires_at.into(),
        public_key,
        sealed_key: sealed,
    };
    store::insert(db, &row, now).await?;
    tracing::info!(key.id = row.id, %signs_from, "a new signing key was made");
    Ok(())
}

fn open(row: Row, secret: &SecretKey) -> Result<Key, KeysError> {
    let private = secret
        .open(Purpose::SigningKeys, row.id.as_bytes(), &row.sealed_key)
        .map_err(|error| KeysError::Sealed(row.id.clone(), error))?;
    // Read once here, so that a token is never the first to find out that it can't be.
    Ed25519KeyPair::from_pkcs8(&private).map_err(|_| KeysError::Key)?;
    Ok(Key {
        encoding: EncodingKey::from_ed_der(&private),
        id: row.id,
        signs_from: row.signs_from.into(),
        expires_at: row.expires_at.into(),
        public: row.public_key,
    })
}
