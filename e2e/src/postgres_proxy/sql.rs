//! What a statement changes, as far as its text tells.

/// Words before `update` that make it a lock or a part of an insert.
const NO_VERB: [&str; 3] = ["for", "key", "do"];

/// What a statement changes: verb, table, and of an update the first column.
pub(super) fn changes(sql: &str) -> Vec<String> {
    let is_end = |c: char| c.is_whitespace() || "(),;=".contains(c);
    let lower = sql.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(is_end).filter(|word| !word.is_empty()).collect();
    let word = |at: usize| words.get(at).copied().unwrap_or_default();
    let mut all = Vec::new();
    for at in 0..words.len() {
        let before = at.checked_sub(1).map_or("", &word);
        let change = match (word(at), word(at + 1)) {
            ("insert", "into") => format!("insert {}", word(at + 2)),
            ("delete", "from") => format!("delete {}", word(at + 2)),
            ("update", table) if !NO_VERB.contains(&before) && !table.is_empty() => {
                let set = words[at..].iter().position(|word| *word == "set");
                format!("update {table} {}", set.map_or("", |set| word(at + set + 1)))
            }
            _ => continue,
        };
        if !all.contains(&change) {
            all.push(change);
        }
    }
    all
}

/// Whether a transaction is to end with what it changed.
pub(super) fn is_commit(sql: &str) -> bool {
    let sql = sql.trim_start();
    sql.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("commit"))
}

/// How many rows a finished statement speaks of.
pub(super) fn rows(tag: &str) -> u64 {
    tag.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{changes, is_commit, rows};

    #[test]
    fn locks_and_conflicts_are_no_updates() {
        assert_eq!(changes("select 1 from a where id = $1 for no key update"), [""; 0]);
        assert_eq!(changes("select 1 from a for update skip locked"), [""; 0]);
        let upsert = "insert into a (id) values ($1) on conflict (id) do update set b = 1";
        assert_eq!(changes(upsert), ["insert a"]);
    }

    #[test]
    fn changes_are_found_wherever_they_stand() {
        let taken = "with due as (select id from emails where x for update skip locked)
                     update emails set next_attempt_at = $2, attempts = attempts + 1 from due where emails.id = due.id returning emails.id";
        assert_eq!(changes(taken), ["update emails next_attempt_at"]);
        let moved = "with gone as (delete from job_outbox where id = any($1) returning *) INSERT INTO jobs (id) select id from gone";
        assert_eq!(changes(moved), ["delete job_outbox", "insert jobs"]);
        assert!(is_commit("COMMIT") && !is_commit("ROLLBACK"));
    }

    #[test]
    fn a_tag_tells_how_many_rows() {
        assert_eq!([rows("INSERT 0 1"), rows("UPDATE 0"), rows("SELECT 3"), rows("COMMIT")], [1, 0, 3, 0]);
    }
}
