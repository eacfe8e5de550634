//! Top-ups beside what the gateway says of them.

use super::{InspectionError, Kind, Looked, MOST};
use crate::payments::{
    check::{self, CheckError},
    midtrans::{CallError, Client},
};
use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use sqlx::PgPool;
use std::collections::BTreeSet;
use uuid::Uuid;

/// How many are read at a time, and how many of those are asked about at once.
const PAGE: i64 = 64;
const AT_ONCE: usize = 8;

/// Asks about all that was begun or changed since, or about what differed before alone. Whatever keeps it from going on, what was found until
/// then is told.
pub(super) async fn look(
    db: &PgPool,
    gateway: Option<&Client>,
    since: Timestamp,
    only: Option<&BTreeSet<(Kind, String)>>,
) -> Looked {
    let mut looked = Looked::default();
    match check::uncovered(db, since).await {
        Ok(found) => looked.differences = found,
        Err(error) => looked.missed.push(error.to_string()),
    }
    if let Err(error) = ask(db, gateway, since, only, &mut looked).await {
        looked.missed.push(error.to_string());
    }
    looked
}

async fn ask(
    db: &PgPool,
    gateway: Option<&Client>,
    since: Timestamp,
    only: Option<&BTreeSet<(Kind, String)>>,
    looked: &mut Looked,
) -> Result<(), InspectionError> {
    let mut after = Uuid::nil();
    loop {
        let ids = check::attempts_since(db, since, after, PAGE).await?;
        let Some(last) = ids.last() else { return Ok(()) };
        after = *last;
        let client = gateway.ok_or(InspectionError::NoGateway)?;
        let is_wanted = |id: &Uuid| only.is_none_or(|only| is_among(only, *id));
        let wanted: Vec<Uuid> = ids.into_iter().filter(is_wanted).collect();
        let asked = stream::iter(wanted).map(|id| check::check(db, client, id)).buffer_unordered(AT_ONCE);
        for one in asked.collect::<Vec<_>>().await {
            match one {
                Ok(one) => {
                    looked.count += one.count;
                    looked.differences.extend(one.differences);
                    looked.missed.extend(one.missed);
                }
                Err(CheckError::Database(error)) => return Err(error.into()),
                Err(CheckError::Gateway(error @ CallError::Unauthorised)) => return Err(error.into()),
                Err(CheckError::Gateway(error)) => {
                    looked.count += 1;
                    looked.missed.push(error.to_string());
                }
            }
        }
        looked.differences.truncate(MOST);
    }
}

fn is_among(only: &BTreeSet<(Kind, String)>, attempt: Uuid) -> bool {
    let subject = check::subject(attempt);
    only.iter().any(|(_, one)| *one == subject)
}
