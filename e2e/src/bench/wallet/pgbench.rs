//! The floor of one wallet: pgbench, which runs what a debit asks for and nothing else.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::block_in_place;
use uuid::Uuid;

use super::recording::{Parameter, Part, Recording};
use super::shop::{Shop, Wallet};

/// A script, and the values of its variables.
#[derive(Debug, PartialEq, Eq)]
struct Script {
    text: String,
    variables: Vec<(String, String)>,
}

/// Debits a second by so many clients, for that long.
pub(super) fn run(
    shop: &Shop,
    recording: &Recording,
    dir: &Path,
    clients: usize,
    part: Duration,
) -> Result<f64> {
    let wallet = shop.wallets.first().context("there is a wallet")?;
    let script = Script::of(recording, *wallet, Uuid::now_v7());
    let file = dir.join("debit.sql");
    fs::write(&file, &script.text)?;
    let mut command = shop.pgbench();
    command.args(["--no-vacuum", "--protocol=prepared", "--define=n=0"]);
    command.arg(format!("--client={clients}")).arg(format!("--time={}", part.as_secs().max(1)));
    command.arg("--file").arg(&file).stdin(Stdio::null());
    for (name, value) in &script.variables {
        command.arg(format!("--define={name}={value}"));
    }
    let done = block_in_place(|| command.output()).context("cannot run pgbench")?;
    let said = String::from_utf8_lossy(&done.stdout);
    ensure!(done.status.success(), "pgbench: {}{said}", String::from_utf8_lossy(&done.stderr));
    if said.contains("actually processed: 0\n") {
        // Too short a time on too busy a machine; no rate is told then.
        return Ok(0.0);
    }
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    rate.and_then(|rate| rate.parse().ok()).with_context(|| format!("pgbench says no rate: {said}"))
}

impl Script {
    /// Fresh UUIDs begin like this one, and go on with a number, as those of the API go on with the time.
    fn of(recording: &Recording, wallet: Wallet, seed: Uuid) -> Self {
        let mut script = Self { text: String::new(), variables: Vec::new() };
        let time = &seed.to_string()[..13];
        for nth in 0..recording.fresh {
            script.variables.push((format!("f{nth}"), format!("{time}-7{nth:03x}-8000-")));
        }
        script.text.push_str("\\set n :n + 1\n\\set id :n * 1024 + :client_id\nbegin;\n");
        for statement in &recording.statements {
            let parameters: Vec<String> =
                statement.parameters.iter().map(|one| script.parameter(one, wallet)).collect();
            script.text.push_str(&filled(&statement.sql, &parameters));
            script.text.push_str(";\n");
        }
        script.text.push_str("commit;\n");
        script
    }

    fn parameter(&mut self, parameter: &Parameter, wallet: Wallet) -> String {
        let Parameter { kind, parts } = parameter;
        let Some(parts) = parts else { return format!("null::{kind}") };
        let texts: Vec<String> = parts.iter().map(|part| self.part(part, wallet)).collect();
        match texts.as_slice() {
            [only] if !only.starts_with('(') => format!("{only}::{kind}"),
            _ => {
                format!("({})::{kind}", texts.iter().map(|text| typed(text)).collect::<Vec<_>>().join(" || "))
            }
        }
    }

    fn part(&mut self, part: &Part, wallet: Wallet) -> String {
        let same = match part {
            Part::Fresh(nth) => return format!("(:f{nth}::text || lpad(to_hex(:id::bigint), 12, '0'))"),
            Part::Same(text) => text.clone(),
            Part::User => wallet.user.to_string(),
            Part::Account => wallet.account.to_string(),
        };
        let name = format!("v{}", self.variables.len());
        let variable = format!(":{name}");
        self.variables.push((name, same));
        variable
    }
}

/// A part as a text.
fn typed(part: &str) -> String {
    if part.starts_with('(') { part.to_owned() } else { format!("{part}::text") }
}

/// A statement with its parameters put in.
fn filled(sql: &str, parameters: &[String]) -> String {
    let (mut text, mut rest) = (String::new(), sql);
    while let Some((before, after)) = rest.split_once('$') {
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, more) = after.split_at(end);
        let parameter = number.parse::<usize>().ok().and_then(|nth| parameters.get(nth.checked_sub(1)?));
        text.push_str(before);
        text.push_str(parameter.map_or("$", String::as_str));
        rest = if parameter.is_some() { more } else { after };
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::super::recording::Statement;
    use super::*;

    #[test]
    fn a_script_runs_what_was_recorded_with_fresh_ids() {
        let parameter = |kind: &str, parts| Parameter { kind: kind.to_owned(), parts };
        let parameters = vec![
            parameter("uuid", Some(vec![Part::Fresh(0)])),
            parameter("text", Some(vec![Part::Same("key:".to_owned()), Part::Fresh(0)])),
            parameter("bigint", Some(vec![Part::Account])),
            parameter("text", None),
        ];
        let statement = Statement { sql: "insert into x values ($1, $2, $3, $4, $3)".to_owned(), parameters };
        let recording = Recording { statements: vec![statement], fresh: 1 };
        let seed: Uuid = "019a1234-5678-7abc-8def-000000000000".parse().unwrap();
        let script = Script::of(&recording, Wallet { user: seed, account: 1000 }, seed);
        let fresh = "(:f0::text || lpad(to_hex(:id::bigint), 12, '0'))";
        let statement = format!(
            "insert into x values (({fresh})::uuid, (:v1::text || {fresh})::text, :v2::bigint, null::text, :v2::bigint);"
        );
        assert_eq!(script.text.lines().nth(3), Some(statement.as_str()));
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            script.variables,
            [variable("f0", "019a1234-5678-7000-8000-"), variable("v1", "key:"), variable("v2", "1000")]
        );
    }
}
