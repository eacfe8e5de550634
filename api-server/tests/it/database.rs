//! The database: what the application's role may not, and what is said when it is not as it must be.

use anyhow::{Context as _, Result};
use api_server::db::{self, Level};
use e2e::postgres::OWNER;
use secrecy::SecretString;
use std::time::Duration;

use crate::world::{Database, postgres};

fn said(error: &db::DatabaseError) -> String {
    error.to_string()
}

#[tokio::test]
async fn the_applications_role_has_no_more_than_it_needs() -> Result<()> {
    let database = Database::new().await?;
    let pool = sqlx::PgPool::connect(&database.url()).await?;
    for forbidden in [
        "create table mine ()",
        "drop table users",
        "truncate audit_log",
        "delete from users",
        "delete from audit_log",
        "update audit_log set action = 'x'",
        "update users set id = id",
        "update users set created_at = now()",
        "update sessions set user_id = user_id",
        "update one_time_tokens set user_id = user_id",
        "update signing_keys set expires_at = now()",
        "delete from users",
        "update emails set message_id = 'x'",
        "update jobs set kind = 'x'",
        "update job_outbox set payload = '1'",
        "delete from job_schedules",
        "update _sqlx_migrations set success = false",
    ] {
        let refused = sqlx::query(sqlx::AssertSqlSafe(forbidden)).execute(&pool).await;
        let code = refused
            .err()
            .and_then(|error| error.as_database_error()?.code().map(std::borrow::Cow::into_owned));
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_database_is_said_with_what_to_do() -> Result<()> {
    let (database, server) = (Database::new().await?, postgres().await?);
    let short = Duration::from_secs(5);
    let pool = |url: String| db::pool(&url.into(), 2, short);
    let current = pool(database.url())?;
    assert_eq!(db::check(&current).await?, Level::Current);

    let last =
        db::MIGRATIONS.iter().map(|migration| migration.version).max().context("there are migrations")?;
    server
        .sql(&database.name, &format!("update _sqlx_migrations set version = 9000 where version = {last}"))?;
    assert_eq!(db::check(&current).await?, Level::Newer { found: 9000 });
    let owner: SecretString = server.url(OWNER, &database.name).into();
    let error = db::migrate(&owner).await.err().context("it is newer")?;
    assert!(said(&error).contains("newer than this version"), "{error}");

    server.sql(&database.name, "delete from _sqlx_migrations where version = 9000")?;
    let error = db::check(&current).await.err().context("one is missing")?;
    assert!(said(&error).contains("run: api-server migrate"), "{error}");

    server.make_database("empty_one")?;
    let empty = pool(server.url(OWNER, "empty_one"))?;
    assert!(said(&db::check(&empty).await.err().context("nothing is there")?).contains("migrated up to 0"));
    let nowhere = pool("postgres://nobody:x@127.0.0.1:1/none".to_owned())?;
    assert!(said(&db::check(&nowhere).await.err().context("nobody is there")?).contains("can't be reached"));
    let wrong = pool(database.url().replacen("nakhoda_app:", "nakhoda_app:not", 1))?;
    assert!(said(&db::check(&wrong).await.err().context("wrong password")?).contains("refuses us"));
    assert!(
        said(&db::pool(&"not an address".to_owned().into(), 2, short).err().context("no address")?)
            .contains("postgres://")
    );
    Ok(())
}

#[tokio::test]
async fn migrating_twice_and_from_two_places_at_once_is_fine() -> Result<()> {
    let server = postgres().await?;
    server.make_database("twice")?;
    let owner: SecretString = server.url(OWNER, "twice").into();
    let (one, other) = tokio::join!(db::migrate(&owner), db::migrate(&owner));
    one?;
    other?;
    db::migrate(&owner).await?;
    Ok(())
}
