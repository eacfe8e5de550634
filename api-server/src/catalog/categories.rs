//! Categories of apps: how they look. Which app is in which its template says.

use super::store;
use crate::{
    audit::{self, Actor, Entry},
    http::problem::{Code, Fields, Problem},
};
use crds::names;
use jiff::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;

/// The most of a name.
const NAME: usize = 80;
/// The most of a description.
const DESCRIPTION: usize = 1000;
/// The last place in lists.
const LAST: i32 = 10_000;

/// How a category looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Looks {
    /// What templates name it by.
    pub slug: String,
    /// Its name in English.
    pub name_en: String,
    /// Its name in Indonesian.
    pub name_id: String,
    /// What is in it, in English.
    pub description_en: String,
    /// What is in it, in Indonesian.
    pub description_id: String,
    /// Its place in lists, smallest first.
    pub position: i32,
}

/// A category that is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Category {
    /// How it looks.
    pub looks: Looks,
    /// Rises with each change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// Who changes a category, why and when.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// Why.
    pub reason: Option<&'a str>,
    /// When.
    pub now: Timestamp,
}

impl Looks {
    /// With its texts trimmed and all of it within its bounds.
    ///
    /// # Errors
    /// 422 with each that is not.
    pub fn checked(self) -> Result<Self, Problem> {
        let mut fields = Fields::new();
        let slug = Some(self.slug).filter(|slug| names::is_label(slug));
        let wanted = "must be 1 to 63 of a-z, 0-9 and -, beginning with a letter and not ending in -";
        let slug = fields.parse("slug", slug.ok_or(wanted)).unwrap_or_default();
        let mut text = |name: &str, text: &str, least: usize, most: usize| {
            let text = text.trim();
            let fits = (least..=most).contains(&text.chars().count());
            let parsed = Some(text.to_owned()).filter(|_| fits);
            let wanted = || format!("must have {least} to {most} characters");
            fields.parse(name, parsed.ok_or_else(wanted)).unwrap_or_default()
        };
        let checked = Self {
            slug,
            name_en: text("name_en", &self.name_en, 1, NAME),
            name_id: text("name_id", &self.name_id, 1, NAME),
            description_en: text("description_en", &self.description_en, 0, DESCRIPTION),
            description_id: text("description_id", &self.description_id, 0, DESCRIPTION),
            position: self.position,
        };
        let position = Some(self.position).filter(|position| (0..=LAST).contains(position));
        fields.parse("position", position.ok_or_else(|| format!("must be 0 to {LAST}")));
        fields.check().map(|()| checked)
    }
}

/// Makes one.
///
/// # Errors
/// 409 where there is one of that slug.
pub async fn create(db: &mut PgConnection, by: By<'_>, looks: Looks) -> Result<Category, Problem> {
    let made = store::insert(db, &looks, by.now).await?;
    let made = made.ok_or_else(|| Problem::new(Code::CategoryTaken))?;
    record(db, by, "category.create", &made.looks.slug, None, Some(&made.looks)).await?;
    Ok(made)
}

/// Changes how one that is locked looks; its slug stays, since templates name it.
///
/// # Errors
/// As the database's.
pub async fn change(
    db: &mut PgConnection,
    by: By<'_>,
    was: Category,
    looks: Looks,
) -> Result<Category, Problem> {
    if was.looks == looks {
        return Ok(was);
    }
    let changed = store::update(db, &looks, by.now).await?;
    record(db, by, "category.change", &was.looks.slug, Some(&was.looks), Some(&changed.looks)).await?;
    Ok(changed)
}

/// Takes one away. What templates name stays shown, by its bare name.
///
/// # Errors
/// As the database's.
pub async fn delete(db: &mut PgConnection, by: By<'_>, was: &Category) -> Result<(), Problem> {
    store::delete(db, &was.looks.slug).await?;
    record(db, by, "category.delete", &was.looks.slug, Some(&was.looks), None).await
}

async fn record(
    db: &mut PgConnection,
    by: By<'_>,
    action: &'static str,
    slug: &str,
    before: Option<&Looks>,
    after: Option<&Looks>,
) -> Result<(), Problem> {
    let value = |looks: Option<&Looks>| looks.and_then(audit::value);
    let entry = Entry {
        action,
        entity_type: "category",
        entity_id: slug,
        before: value(before),
        after: value(after),
        reason: by.reason,
    };
    Ok(audit::record(db, by.actor, entry, by.now).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_trimmed_and_each_thing_out_of_bounds_is_told() {
        let looks = Looks {
            slug: "websites".to_owned(),
            name_en: " Websites ".to_owned(),
            name_id: "Situs web".to_owned(),
            description_en: String::new(),
            description_id: String::new(),
            position: 10,
        };
        assert_eq!(looks.clone().checked().unwrap().name_en, "Websites");
        let wrong = Looks { slug: "Web".to_owned(), name_en: " ".to_owned(), position: -1, ..looks };
        let body = serde_json::to_value(wrong.checked().unwrap_err().body("")).unwrap();
        let fields: Vec<_> = body["errors"].as_array().unwrap().iter().map(|one| &one["field"]).collect();
        assert_eq!(fields, ["slug", "name_en", "position"]);
    }
}
