//! All SQL about lists of users.

use super::{
    super::{User, store::Row},
    Filter, Flag, Sort,
};
use crate::{
    clock,
    http::{
        pagination::{List, Place},
        view::Status,
    },
};
use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::Timestamp as Time;
use sqlx::{FromRow as _, PgPool, Postgres, QueryBuilder};

const COLUMNS: &str = "id, email, name, language, role, email_verified_at, deactivated_at, deleted_at, created_at, updated_at, last_login_at, version";

/// How many users there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Not deleted.
    pub total: i64,
    /// Neither deactivated nor deleted.
    pub active: i64,
    /// Deactivated.
    pub deactivated: i64,
    /// Deleted.
    pub deleted: i64,
    /// With a proven address, of the total.
    pub verified: i64,
    /// Who may everything.
    pub administrators: i64,
    /// Registered in the last thirty days, of the total.
    pub registered_last_30_days: i64,
    /// Logged in within the last thirty days, of the total.
    pub logged_in_last_30_days: i64,
}

/// The rows of a page, one more than asked for where there are more, and how many there are in all.
pub(super) async fn page(db: &PgPool, list: &List<Filter, Sort>) -> Result<(Vec<User>, i64), sqlx::Error> {
    let mut query = QueryBuilder::new("select count(*) from users where ");
    filter(&mut query, &list.filter);
    let total: i64 = query.build_query_scalar().fetch_one(db).await?;

    let mut query = QueryBuilder::new("select ");
    query.push(COLUMNS).push(" from users where ");
    filter(&mut query, &list.filter);
    let column = match list.sort {
        Sort::CreatedAt => "created_at",
        Sort::Email => "email",
        Sort::Name => "name",
    };
    let (beyond, direction) = if list.reads_descending() { ("<", "desc") } else { (">", "asc") };
    if let Place::After(cursor) | Place::Before(cursor) = &list.place {
        query.push(" and (").push(column).push(", id) ").push(beyond).push(" (");
        match (list.sort, cursor.value.parse::<Timestamp>()) {
            (Sort::CreatedAt, Ok(time)) => query.push_bind(Time::from(time)),
            // A cursor that was tampered with names no row.
            (Sort::CreatedAt, Err(_)) => return Ok((Vec::new(), total)),
            (Sort::Email | Sort::Name, _) => query.push_bind(cursor.value.clone()),
        };
        query.push(", ").push_bind(cursor.id).push(")");
    }
    query.push(" order by ").push(column).push(" ").push(direction).push(", id ").push(direction);
    query.push(" limit ").push_bind(i64::from(list.size) + 1);
    let rows = query.build().fetch_all(db).await?;
    let users = rows.iter().map(|row| Row::from_row(row).map(User::from)).collect::<Result<_, _>>()?;
    Ok((users, total))
}

fn filter(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    let Filter { search, role, status, email_verified, created_from, created_before } = filter;
    query.push(match status {
        None => "deleted_at is null",
        Some(Status::Active) => "deactivated_at is null",
        Some(Status::Deactivated) => "deactivated_at is not null and deleted_at is null",
        Some(Status::Deleted) => "deleted_at is not null",
    });
    if let Some(search) = search {
        let pattern = format!("%{}%", search.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
        query
            .push(" and (email ilike ")
            .push_bind(pattern.clone())
            .push(" or name ilike ")
            .push_bind(pattern)
            .push(")");
    }
    if let Some(role) = role {
        query.push(" and role = ").push_bind(role.as_str());
    }
    if let Some(verified) = email_verified {
        query.push(if *verified == Flag::True {
            " and email_verified_at is not null"
        } else {
            " and email_verified_at is null"
        });
    }
    if let Some(from) = created_from {
        query.push(" and created_at >= ").push_bind(Time::from(*from));
    }
    if let Some(before) = created_before {
        query.push(" and created_at < ").push_bind(Time::from(*before));
    }
}

pub(super) async fn stats(db: &PgPool, now: Timestamp) -> Result<Stats, sqlx::Error> {
    sqlx::query_as!(
        Stats,
        "select count(*) filter (where deleted_at is null) as \"total!\",
                count(*) filter (where deactivated_at is null) as \"active!\",
                count(*) filter (where deactivated_at is not null and deleted_at is null) as \"deactivated!\",
                count(*) filter (where deleted_at is not null) as \"deleted!\",
                count(*) filter (where deleted_at is null and email_verified_at is not null) as \"verified!\",
                count(*) filter (where deactivated_at is null and role = 'ADMINISTRATOR') as \"administrators!\",
                count(*) filter (where deleted_at is null and created_at > $1) as \"registered_last_30_days!\",
                count(*) filter (where deleted_at is null and last_login_at > $1) as \"logged_in_last_30_days!\"
         from users",
        Time::from(clock::before(now, SignedDuration::from_hours(30 * 24))) as _,
    )
    .fetch_one(db)
    .await
}
