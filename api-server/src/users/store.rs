//! All SQL about users and their one-time tokens.

use super::{
    Language, Role, User,
    email::Email,
    one_time::{Link, Purpose},
};
use crate::clock;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// The unique index on addresses.
pub const EMAIL_INDEX: &str = "users_email";

/// A row as it is read.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Row {
    id: Uuid,
    email: String,
    name: String,
    language: String,
    role: String,
    email_verified_at: Option<Time>,
    deactivated_at: Option<Time>,
    deleted_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
    last_login_at: Option<Time>,
    version: i64,
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            email: row.email,
            name: row.name,
            language: Language::of(&row.language),
            role: Role::of(&row.role),
            email_verified_at: row.email_verified_at.map(Into::into),
            deactivated_at: row.deactivated_at.map(Into::into),
            deleted_at: row.deleted_at.map(Into::into),
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            last_login_at: row.last_login_at.map(Into::into),
            version: row.version,
        }
    }
}

/// A user to be made.
#[derive(Clone, Debug)]
pub struct New<'a> {
    /// The id.
    pub id: Uuid,
    /// The address.
    pub email: &'a Email,
    /// The name.
    pub name: &'a str,
    /// The language.
    pub language: Language,
    /// The role.
    pub role: Role,
    /// The password's hash; none: it has yet to be set.
    pub password_hash: Option<&'a str>,
    /// When the address was verified, if it was.
    pub email_verified_at: Option<Timestamp>,
}

/// Makes a user; `None` where the address is taken.
///
/// # Errors
/// As the database's.
pub async fn insert(
    db: &mut PgConnection,
    new: &New<'_>,
    now: Timestamp,
) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "insert into users (id, email, name, language, role, password_hash, email_verified_at, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         on conflict (email) where deleted_at is null do nothing
         returning id, email, name, language, role, email_verified_at, deactivated_at, deleted_at, created_at, updated_at, last_login_at, version",
        new.id,
        new.email.as_str(),
        new.name,
        new.language.as_str(),
        new.role.as_str(),
        new.password_hash,
        new.email_verified_at.map(Time::from) as _,
        Time::from(now) as _,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}

/// A user by id, the deleted ones too.
///
/// # Errors
/// As the database's.
pub async fn find(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, email, name, language, role, email_verified_at, deactivated_at, deleted_at, created_at, updated_at, last_login_at, version
         from users where id = $1",
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}

/// A user by id, whom nobody else changes until the transaction's end.
///
/// # Errors
/// As the database's.
pub async fn lock(db: &mut PgConnection, id: Uuid) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "select id, email, name, language, role, email_verified_at, deactivated_at, deleted_at, created_at, updated_at, last_login_at, version
         from users where id = $1 for no key update",
        id,
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(User::from))
}

/// Locks users as [`lock`] does, all that are there.
///
/// # Errors
/// As the database's.
pub async fn lock_all(db: &mut PgConnection, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!("select id from users where id = any($1) order by id for no key update", ids)
        .fetch_all(db)
        .await
        .map(drop)
}

/// A user by address with the password's hash.
///
/// # Errors
/// As the database's.
pub async fn find_by_email(
    db: impl PgExecutor<'_>,
    email: &Email,
) -> Result<Option<(User, Option<String>)>, sqlx::Error> {
    let row = sqlx::query!(
        "select id, email, name, language, role, email_verified_at, deactivated_at, deleted_at, created_at, updated_at, last_login_at, version,
                password_hash
         from users where email = $1 and deleted_at is null",
        email.as_str(),
    )
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| {
        let user = Row {
            id: row.id,
            email: row.email,
            name: row.name,
            language: row.language,
            role: row.role,
            email_verified_at: row.email_verified_at,
            deactivated_at: row.deactivated_at,
            deleted_at: row.deleted_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_login_at: row.last_login_at,
            version: row.version,
        };
        (user.into(), row.password_hash)
    }))
}

/// The hash of a user's password.
///
/// # Errors
/// As the database's.
pub async fn password_hash(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<String>, sqlx::Error> {
    let hash = sqlx::query_scalar!("select password_hash from users where id = $1", id);
    Ok(hash.fetch_optional(db).await?.flatten())
}

/// Sets the hash of a user's password; none takes it away.
///
/// # Errors
/// As the database's.
pub async fn set_password(
    db: &mut PgConnection,
    id: Uuid,
    hash: Option<&str>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update users set password_hash = $2, updated_at = $3 where id = $1",
        id,
        hash,
        Time::from(now) as _
    )
    .execute(db)
    .await
    .map(drop)
}

/// Takes the password off a user whose address nobody has proven, unless it is the one with this hash.
///
/// # Errors
/// As the database's.
pub async fn distrust_password(
    db: &mut PgConnection,
    id: Uuid,
    trusted: Option<&str>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update users set password_hash = null, updated_at = $3
         where id = $1 and email_verified_at is null and password_hash is distinct from $2",
        id,
        trusted,
        Time::from(now) as _
    )
    .execute(db)
    .await
    .map(drop)
}

/// Puts a stronger hash of the same password in the place of the one that was compared.
///
/// # Errors
/// As the database's.
pub async fn rehash(db: &mut PgConnection, id: Uuid, old: &str, new: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("update users set password_hash = $3 where id = $1 and password_hash = $2", id, old, new)
        .execute(db)
        .await
        .map(drop)
}

/// Notes a login; whether the password that was compared is still the user's, who may still log in.
///
/// # Errors
/// As the database's.
pub async fn logged_in(
    db: &mut PgConnection,
    id: Uuid,
    hash: &str,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let noted = sqlx::query!(
        "update users set last_login_at = $3 where id = $1 and password_hash = $2 and deactivated_at is null",
        id,
        hash,
        Time::from(now) as _,
    );
    Ok(noted.execute(db).await?.rows_affected() > 0)
}

/// Writes what people edit of a user, and counts the version on.
///
/// # Errors
/// As the database's; a unique violation of [`EMAIL_INDEX`] where the address is taken.
pub async fn save(db: &mut PgConnection, user: &User, now: Timestamp) -> Result<User, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        "update users set email = $2, name = $3, language = $4, role = $5, email_verified_at = $6, deactivated_at = $7,
                updated_at = $8, version = version + 1
         where id = $1
         returning id, email, name, language, role, email_verified_at, deactivated_at, deleted_at, created_at, updated_at, last_login_at, version",
        user.id,
        user.email,
        user.name,
        user.language.as_str(),
        user.role.as_str(),
        user.email_verified_at.map(Time::from) as _,
        user.deactivated_at.map(Time::from) as _,
        Time::from(now) as _,
    )
    .fetch_one(db)
    .await?;
    Ok(row.into())
}

/// Takes everything personal off a user; the id stays, since money was moved under it.
///
/// # Errors
/// As the database's.
pub async fn erase(db: &mut PgConnection, id: Uuid, now: Timestamp) -> Result<(), sqlx::Error> {
    let address = format!("{}@deleted.invalid", id.simple());
    sqlx::query!(
        "update users set email = $2, name = 'Deleted user', password_hash = null, role = 'USER', email_verified_at = null,
                deactivated_at = coalesce(deactivated_at, $3), deleted_at = $3, updated_at = $3, version = version + 1
         where id = $1",
        id,
        address,
        Time::from(now) as _,
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("delete from known_addresses where user_id = $1", id).execute(&mut *db).await?;
    sqlx::query!("update sessions set user_agent = null, address = null where user_id = $1", id)
        .execute(&mut *db)
        .await?;
    sqlx::query!("delete from one_time_tokens where user_id = $1", id).execute(db).await.map(drop)
}

/// How many active administrators there are but for one. Whoever asks holds a lock until the transaction's end, so that two can't
/// remove each other.
///
/// # Errors
/// As the database's.
pub async fn other_administrators(db: &mut PgConnection, but: Uuid) -> Result<i64, sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock(hashtext('nakhoda administrators')) is null as locked")
        .fetch_one(&mut *db)
        .await?;
    sqlx::query_scalar!(
        "select count(*) as \"count!\" from users where role = 'ADMINISTRATOR' and deactivated_at is null and password_hash is not null and id <> $1",
        but,
    )
    .fetch_one(db)
    .await
}

/// A one-time token that is still good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneTime {
    /// Whose.
    pub user_id: Uuid,
    /// The address that it proves.
    pub email: String,
}

/// Makes a one-time token; the same again for a mail that is tried again.
///
/// # Errors
/// As the database's.
pub async fn insert_one_time(
    db: &mut PgConnection,
    id: Uuid,
    user: Uuid,
    link: &Link,
    email: &str,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into one_time_tokens (id, user_id, purpose, email, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)
         on conflict (id) do nothing",
        id,
        user,
        link.purpose.as_str(),
        email,
        Time::from(now) as _,
        Time::from(clock::after(now, link.lifetime)) as _,
    )
    .execute(db)
    .await
    .map(drop)
}

/// Lets a token that was not spent be good until then; whether there is one.
///
/// # Errors
/// As the database's.
pub async fn renew_one_time(db: &mut PgConnection, id: Uuid, until: Timestamp) -> Result<bool, sqlx::Error> {
    let renewed = sqlx::query!(
        "update one_time_tokens set expires_at = $2 where id = $1 and spent_at is null",
        id,
        Time::from(until) as _,
    );
    Ok(renewed.execute(db).await?.rows_affected() > 0)
}

/// Whose a one-time token is.
///
/// # Errors
/// As the database's.
pub async fn one_time_user(db: &mut PgConnection, id: Uuid) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!("select user_id from one_time_tokens where id = $1", id).fetch_optional(db).await
}

/// Whether a one-time token was spent; none where there is no such token.
///
/// # Errors
/// As the database's.
pub async fn one_time_was_spent(db: &mut PgConnection, id: Uuid) -> Result<Option<bool>, sqlx::Error> {
    sqlx::query_scalar!("select spent_at is not null as \"spent!\" from one_time_tokens where id = $1", id)
        .fetch_optional(db)
        .await
}

/// Forgets tokens that were over before then, a thousand at a time.
///
/// # Errors
/// As the database's.
pub async fn forget_old_tokens(db: impl PgExecutor<'_>, before: Timestamp) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query!(
        "delete from one_time_tokens where id in (select id from one_time_tokens where expires_at < $1 limit 1000)",
        Time::from(before) as _,
    );
    Ok(gone.execute(db).await?.rows_affected())
}

/// Spends a one-time token, if it is still good.
///
/// # Errors
/// As the database's.
pub async fn spend_one_time(
    db: &mut PgConnection,
    id: Uuid,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<OneTime>, sqlx::Error> {
    sqlx::query_as!(
        OneTime,
        "update one_time_tokens set spent_at = $3 where id = $1 and purpose = $2 and spent_at is null and expires_at > $3
         returning user_id, email",
        id,
        purpose.as_str(),
        Time::from(now) as _,
    )
    .fetch_optional(db)
    .await
}

/// Makes a user's tokens of a purpose worthless; of all purposes where none is named.
///
/// # Errors
/// As the database's.
pub async fn spend_all(
    db: &mut PgConnection,
    user: Uuid,
    purpose: Option<Purpose>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update one_time_tokens set spent_at = $3 where user_id = $1 and spent_at is null and ($2::text is null or purpose = $2)",
        user,
        purpose.map(Purpose::as_str),
        Time::from(now) as _,
    )
    .execute(db)
    .await
    .map(drop)
}
