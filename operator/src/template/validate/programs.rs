//! Command lines: which of their words are code, and which are never options.

use std::collections::BTreeSet;

/// Programs that run one of their arguments as code, with the options before it; `*`: every argument.
const INTERPRETERS: [(&[&str], &[&str]); 10] = [
    (&["sh", "bash", "ash", "dash", "zsh", "ksh"], &["-c"]),
    (&["su", "runuser"], &["-c", "--command"]),
    (&["node", "nodejs", "deno", "bun"], &["-e", "-p", "--eval", "--print"]),
    (&["php"], &["-r", "-B", "-R", "-E", "--run"]),
    (&["python", "pypy"], &["-c"]),
    (&["perl", "ruby", "lua"], &["-e", "-E"]),
    (&["psql"], &["-c", "--command"]),
    (&["mysql", "mariadb", "mongosh", "mongo"], &["-e", "--execute", "--eval", "--init-command"]),
    (&["env"], &["-S", "--split-string"]),
    (&["eval", "awk", "gawk", "mawk", "sed", "jq", "sqlite3", "xargs"], &["*"]),
];
/// The first of them: their options end at the name of a script.
const SHELLS: &[&str] = INTERPRETERS[0].0;
/// Programs that start the program that their arguments name.
pub const STARTERS: [&str; 14] = [
    "catatonit",
    "dumb-init",
    "env",
    "gosu",
    "nice",
    "nohup",
    "runuser",
    "setpriv",
    "setsid",
    "stdbuf",
    "su-exec",
    "sudo",
    "timeout",
    "tini",
];

/// Which words of a command line are code to the program before them, such as what follows `sh -c`.
pub fn scripts(words: &[&str]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    for (index, word) in words.iter().enumerate() {
        let program = word.rsplit('/').next().unwrap_or_default();
        let program = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        let known = INTERPRETERS.iter().find(|(names, _)| names.contains(&program));
        if let Some((_, options)) = known {
            let first = index + 1;
            let code = scripts_of(&words[first..], options, SHELLS.contains(&program));
            found.extend(code.into_iter().map(|index| first + index));
        }
    }
    found
}

fn scripts_of(words: &[&str], options: &[&str], is_shell: bool) -> Vec<usize> {
    if options == ["*"] {
        return (0..words.len()).collect();
    }
    let (mut found, mut index) = (Vec::new(), 0);
    while let Some(word) = words.get(index) {
        index += 1;
        if is_shell && takes_next(word) {
            index += 1;
        } else if options.iter().any(|option| is_option(word, option)) {
            // What follows, and what is attached to the option itself.
            found.push(index - 1);
            found.extend((index < words.len()).then_some(index));
            index += 1;
        } else if is_shell && word.contains('/') {
            // A script's path: what follows are its arguments.
            return found;
        }
    }
    found
}

/// Whether what follows this option of a shell is its value: `-o pipefail`, `-euo pipefail`.
fn takes_next(word: &str) -> bool {
    let cluster = word
        .strip_prefix(['-', '+'])
        .is_some_and(|rest| rest.ends_with(['o', 'O']) && !rest.starts_with('-'));
    (cluster && !word.contains('c')) || matches!(word, "--rcfile" | "--init-file")
}

/// Whether a word is this option: alone, in a cluster (`-euc`), or with its value attached (`--eval=…`, `-e…`).
fn is_option(word: &str, option: &str) -> bool {
    if let Some(letter) = option.strip_prefix('-').filter(|rest| rest.len() == 1) {
        let cluster = word
            .strip_prefix('-')
            .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphabetic()) && rest.contains(letter));
        return cluster || word.starts_with(option);
    }
    word.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// From which word on nothing is an option to the program, because `--` stood before it. The `--` of what only starts the
/// program ends that one's options, and what directly follows a script is the script's name.
pub(super) fn first_operand(words: &[&str], code: &BTreeSet<usize>, program: bool) -> usize {
    let starts = |word: &&str| STARTERS.contains(&word.rsplit('/').next().unwrap_or_default());
    let mut starter = program && words.first().is_some_and(starts);
    for (index, word) in words.iter().enumerate() {
        if *word != "--" {
            continue;
        }
        let is_name = index.checked_sub(1).is_some_and(|before| code.contains(&before));
        if starter {
            starter = words.get(index + 1).is_some_and(starts);
        } else if !is_name {
            return index + 1;
        }
    }
    usize::MAX
}
