//! All SQL about the catalogue: how categories look.

use super::categories::{Category, Looks};
use jiff::Timestamp;
use jiff_sqlx::Timestamp as Time;
use sqlx::PgConnection;

struct Row {
    slug: String,
    name_en: String,
    name_id: String,
    description_en: String,
    description_id: String,
    position: i32,
    version: i64,
    created_at: Time,
    updated_at: Time,
}

impl From<Row> for Category {
    fn from(row: Row) -> Self {
        let Row {
            slug,
            name_en,
            name_id,
            description_en,
            description_id,
            position,
            version,
            created_at,
            updated_at,
        } = row;
        let looks = Looks { slug, name_en, name_id, description_en, description_id, position };
        Self { looks, version, created_at: created_at.to_jiff(), updated_at: updated_at.to_jiff() }
    }
}

/// All of them, as they are listed.
///
/// # Errors
/// As the database's.
pub async fn all(db: &mut PgConnection) -> Result<Vec<Category>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select slug, name_en, name_id, description_en, description_id, position, version, created_at as "created_at: _",
         updated_at as "updated_at: _" from categories order by position, slug"#,
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(Category::from).collect())
}

/// One of them.
///
/// # Errors
/// As the database's.
pub async fn find(db: &mut PgConnection, slug: &str) -> Result<Option<Category>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select slug, name_en, name_id, description_en, description_id, position, version, created_at as "created_at: _",
         updated_at as "updated_at: _" from categories where slug = $1"#,
        slug,
    );
    Ok(row.fetch_optional(db).await?.map(Category::from))
}

/// One of them, which nobody else changes until the transaction's end.
///
/// # Errors
/// As the database's.
pub async fn lock(db: &mut PgConnection, slug: &str) -> Result<Option<Category>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select slug, name_en, name_id, description_en, description_id, position, version, created_at as "created_at: _",
         updated_at as "updated_at: _" from categories where slug = $1 for update"#,
        slug,
    );
    Ok(row.fetch_optional(db).await?.map(Category::from))
}

pub(super) async fn insert(
    db: &mut PgConnection,
    looks: &Looks,
    now: Timestamp,
) -> Result<Option<Category>, sqlx::Error> {
    let Looks { slug, name_en, name_id, description_en, description_id, position } = looks;
    let row = sqlx::query_as!(
        Row,
        r#"insert into categories (slug, name_en, name_id, description_en, description_id, position, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict do nothing
         returning slug, name_en, name_id, description_en, description_id, position, version, created_at as "created_at: _",
         updated_at as "updated_at: _""#,
        slug,
        name_en,
        name_id,
        description_en,
        description_id,
        position,
        Time::from(now) as _,
    );
    Ok(row.fetch_optional(db).await?.map(Category::from))
}

pub(super) async fn update(
    db: &mut PgConnection,
    looks: &Looks,
    now: Timestamp,
) -> Result<Category, sqlx::Error> {
    let Looks { slug, name_en, name_id, description_en, description_id, position } = looks;
    let row = sqlx::query_as!(
        Row,
        r#"update categories set name_en = $2, name_id = $3, description_en = $4, description_id = $5, position = $6,
         version = version + 1, updated_at = $7 where slug = $1
         returning slug, name_en, name_id, description_en, description_id, position, version, created_at as "created_at: _",
         updated_at as "updated_at: _""#,
        slug,
        name_en,
        name_id,
        description_en,
        description_id,
        position,
        Time::from(now) as _,
    );
    Ok(row.fetch_one(db).await?.into())
}

pub(super) async fn delete(db: &mut PgConnection, slug: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from categories where slug = $1", slug).execute(db).await.map(drop)
}
