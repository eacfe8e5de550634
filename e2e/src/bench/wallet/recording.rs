//! What one debit asks of PostgreSQL, from the server's own log, so that the floors can't drift from what the API does. Two debits of one
//! wallet are compared: what differs between them is fresh in every debit.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::load::{self, Target};
use super::shop::{Shop, Wallet};
use crate::wait;

/// How long it may take until the log tells what is asked for.
const BOUND: Duration = Duration::from_mins(1);
/// How many characters a UUID has.
const UUID: usize = 36;

/// A statement between the beginning of a debit's transaction and its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) parameters: Vec<Parameter>,
}

/// A parameter of a statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Parameter {
    /// PostgreSQL's name of its type.
    pub(super) kind: String,
    /// Its text, in parts; none: it is null.
    pub(super) parts: Option<Vec<Part>>,
}

/// A part of a parameter's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// The same in each debit.
    Same(String),
    /// A UUID that is another in each debit.
    Fresh(usize),
    /// Whose wallet it is.
    User,
    /// The account of cash.
    Account,
}

/// What one debit asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Recording {
    pub(super) statements: Vec<Statement>,
    /// How many UUIDs are another in each debit.
    pub(super) fresh: usize,
}

/// A line of the log: what was run, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Logged {
    process: String,
    sql: String,
    values: Vec<Option<String>>,
}

impl Recording {
    /// Records a debit of the first wallet.
    pub(super) async fn take(shop: &Shop, target: &Target) -> Result<Self> {
        let wallet = *shop.wallets.first().context("there is a wallet")?;
        shop.set("set log_line_prefix = '%p|'")?;
        shop.set("set log_statement = 'all'")?;
        let pair = wait::until("two debits that ask for the same", BOUND, async || {
            let (one, other) =
                (debit(shop, target, wallet.user).await?, debit(shop, target, wallet.user).await?);
            let alike = one.len() == other.len() && one.iter().zip(&other).all(|(a, b)| a.sql == b.sql);
            Ok((alike && !one.is_empty()).then_some((one, other)))
        });
        let (one, other) = pair.await?;
        shop.set("reset log_statement")?;
        shop.set("reset log_line_prefix")?;
        let fresh = differing(&one, &other);
        let mut statements = Vec::new();
        for logged in &one {
            let kinds = kinds(shop, &logged.sql)?;
            ensure!(kinds.len() == logged.values.len(), "not all parameters are told of {}", logged.sql);
            let parameters = kinds.into_iter().zip(&logged.values).map(|(kind, value)| {
                let parts = value.as_ref().map(|value| parts(value, &kind, &fresh, wallet));
                Parameter { kind, parts }
            });
            statements.push(Statement { sql: logged.sql.clone(), parameters: parameters.collect() });
        }
        Ok(Self { statements, fresh: fresh.len() })
    }
}

/// What a debit asks for between begin and commit.
async fn debit(shop: &Shop, target: &Target, user: Uuid) -> Result<Vec<Logged>> {
    let log = shop.postgres.process().log();
    let before = read_to_string(log)?.len();
    let key = Uuid::now_v7();
    load::one(target, user, key).await?;
    let text = read_to_string(log)?;
    let all = logged(text.get(before..).context("the log only grows")?);
    Ok(transaction_of(&all, &key.to_string()))
}

/// Of the connection that knows a key: what stands between the begin before that and the commit after it.
fn transaction_of(all: &[Logged], key: &str) -> Vec<Logged> {
    let knows = |one: &&Logged| one.values.iter().flatten().any(|value| value.contains(key));
    let Some(process) = all.iter().find(knows).map(|one| one.process.as_str()) else { return Vec::new() };
    let own = all.iter().filter(|one| one.process == process);
    let mut found = Vec::new();
    for one in own {
        match one.sql.to_ascii_lowercase().as_str() {
            "begin" => found.clear(),
            "commit" if found.iter().any(|one| knows(&one)) => return found,
            _ => found.push(one.clone()),
        }
    }
    Vec::new()
}

/// The statements of a log with the prefix `PROCESS|`; what goes on in the next line begins with a tab there.
fn logged(text: &str) -> Vec<Logged> {
    let mut found: Vec<Logged> = Vec::new();
    for line in text.replace("\n\t", " ").lines() {
        let Some((process, rest)) = line.split_once('|') else { continue };
        if let Some(said) = rest.strip_prefix("LOG:  ") {
            let sql = said.strip_prefix("statement: ").or_else(|| {
                said.strip_prefix("execute ").and_then(|rest| rest.split_once(": ")).map(|(_, sql)| sql)
            });
            let Some(sql) = sql else { continue };
            found.push(Logged { process: process.to_owned(), sql: sql.to_owned(), values: Vec::new() });
        } else if let Some(said) = rest.strip_prefix("DETAIL:  ")
            && let Some(values) =
                said.strip_prefix("parameters: ").or_else(|| said.strip_prefix("Parameters: "))
            && let Some(last) = found.iter_mut().rfind(|one| one.process == process)
        {
            last.values = values_of(values);
        }
    }
    found
}

/// `$1 = 'it''s', $2 = NULL`.
fn values_of(mut text: &str) -> Vec<Option<String>> {
    let mut values = Vec::new();
    while let Some((_, rest)) = text.split_once(" = ") {
        let Some(quoted) = rest.strip_prefix('\'') else {
            values.push(None);
            text = rest;
            continue;
        };
        let mut value = String::new();
        let mut rest = quoted;
        while let Some((before, after)) = rest.split_once('\'') {
            value.push_str(before);
            rest = after;
            let Some(more) = rest.strip_prefix('\'') else { break };
            value.push('\'');
            rest = more;
        }
        values.push(Some(value));
        text = rest;
    }
    values
}

/// The types of a statement's parameters, as PostgreSQL understands them.
fn kinds(shop: &Shop, sql: &str) -> Result<Vec<String>> {
    let asked = format!(
        "prepare recorded as {sql}; select unnest(parameter_types) from pg_prepared_statements where name = 'recorded'"
    );
    Ok(shop.sql(&asked)?.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// The UUIDs in a text, with where they begin.
fn uuids(text: &str) -> BTreeMap<usize, &str> {
    let found = (0..text.len().saturating_sub(UUID - 1))
        .filter_map(|at| text.get(at..at + UUID).map(|part| (at, part)))
        .filter(|(_, part)| part.as_bytes()[8] == b'-' && Uuid::try_parse(part).is_ok());
    found.collect()
}

/// The UUIDs of one debit that another has not at the same place.
fn differing(one: &[Logged], other: &[Logged]) -> Vec<String> {
    let mut fresh: Vec<String> = Vec::new();
    let values = |all: &[Logged]| all.iter().flat_map(|one| one.values.clone()).collect::<Vec<_>>();
    for (value, beside) in values(one).into_iter().zip(values(other)) {
        let (value, beside) = (value.unwrap_or_default(), beside.unwrap_or_default());
        let beside = uuids(&beside);
        for (at, uuid) in uuids(&value) {
            if beside.get(&at) != Some(&uuid) && !fresh.iter().any(|known| known == uuid) {
                fresh.push(uuid.to_owned());
            }
        }
    }
    fresh
}

/// A value in parts.
fn parts(value: &str, kind: &str, fresh: &[String], wallet: Wallet) -> Vec<Part> {
    if kind == "bigint" && value == wallet.account.to_string() {
        return vec![Part::Account];
    }
    let user = wallet.user.to_string();
    let (mut parts, mut done) = (Vec::new(), 0);
    for (at, uuid) in uuids(value) {
        let part = if uuid == user {
            Part::User
        } else if let Some(nth) = fresh.iter().position(|one| one == uuid) {
            Part::Fresh(nth)
        } else {
            continue;
        };
        if at > done {
            parts.push(Part::Same(value[done..at].to_owned()));
        }
        parts.push(part);
        done = at + UUID;
    }
    if done < value.len() || parts.is_empty() {
        parts.push(Part::Same(value[done..].to_owned()));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "019a0000-0000-7000-8000-000000000001";
    const OTHER: &str = "019a0000-0000-7000-8000-000000000002";

    fn log(key: &str) -> String {
        format!(
            "7|LOG:  statement: BEGIN\n\
             9|LOG:  execute sqlx_s_2: select 1\n\
             7|LOG:  execute sqlx_s_1: insert into keys\n\t  values ($1, $2, $3)\n\
             9|DETAIL:  parameters: $1 = 'of another'\n\
             7|DETAIL:  parameters: $1 = 'it''s {key}', $2 = NULL, $3 = '1000'\n\
             7|LOG:  statement: COMMIT\n\
             7|LOG:  statement: BEGIN\n"
        )
    }

    #[test]
    fn a_transaction_is_found_by_its_key_among_others() {
        let found = transaction_of(&logged(&log(KEY)), KEY);
        let values = vec![Some(format!("it's {KEY}")), None, Some("1000".to_owned())];
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].values.clone(), found[0].sql.contains("values")), (values, true));
        assert!(transaction_of(&logged(&log(KEY)), OTHER).is_empty());
    }

    #[test]
    fn what_differs_between_two_debits_is_fresh() {
        let (one, other) = (logged(&log(KEY)), logged(&log(OTHER)));
        let fresh = differing(&one, &other);
        assert_eq!(fresh, [KEY]);
        let wallet = Wallet { user: OTHER.parse().unwrap(), account: 1000 };
        let both = format!("it's {KEY}:{OTHER}");
        let same = |text: &str| Part::Same(text.to_owned());
        assert_eq!(
            parts(&both, "text", &fresh, wallet),
            [same("it's "), Part::Fresh(0), same(":"), Part::User]
        );
        assert_eq!(parts("1000", "bigint", &fresh, wallet), [Part::Account]);
        assert_eq!(parts("1000", "text", &fresh, wallet), [same("1000")]);
        assert_eq!(parts("", "text", &fresh, wallet), [same("")]);
    }
}
