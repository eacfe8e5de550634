//! What the linter has to say, and what somebody has accepted with a reason.

use super::Document;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What the annotations begin with by which a template's author accepts warnings, one rule each: the value is why.
pub const ACCEPT: &str = "lint.nakhoda.dev/";

/// Every rule by its name, and what it is about.
pub const RULES: [(&str, &str); 41] = [
    ("schema", "a field that is unknown, missing, of the wrong type or out of its bounds"),
    ("rule", "what the schema's own rules (CEL) refuse"),
    (
        "contradiction",
        "what the operator refuses: names that lead nowhere, circles, collisions, ways to break out",
    ),
    ("twice", "two documents with one kind and name"),
    ("skipped", "a document of another kind"),
    (
        "accept-unknown",
        "an annotation that accepts a rule that does not exist, was not broken, or gives no reason",
    ),
    ("image-moving-tag", "a tag that names no exact version"),
    ("image-two-numbers", "a tag of two numbers, which most makers move"),
    ("version-differs", "an image of another version than the template says"),
    ("image-short-name", "an image without the host of its registry"),
    ("literal-secret", "a password, key or token that stands in the template"),
    ("secret-on-command-line", "a secret that everybody sees who can list processes"),
    ("secret-shown", "a secret among the credentials that a page shows without being asked"),
    ("secret-unused", "a generated secret that nothing uses"),
    ("password-unknown", "the hash of a password that nobody is told"),
    (
        "first-boot-parameter",
        "a parameter that a database reads once and that could be changed later without effect",
    ),
    ("writable-root", "a root file system that can be written to"),
    ("no-tmp", "a read-only root without a /tmp"),
    ("privileged-port", "a port below 1024, which needs a privilege"),
    ("not-executable", "a file that is run and can't be executed"),
    ("service-without-dependency", "a component that calls another and does not depend on it"),
    ("startup-short", "a first start that is killed before it can end"),
    ("liveness-hasty", "a restart after a short pause"),
    ("liveness-asks-another", "a restart because another component is down"),
    ("probe-headers", "a probe that is redirected, which counts as success"),
    ("probe-timeout", "a command that has less than five seconds"),
    ("probe-socket", "a database that is asked over its socket, where it answers too early"),
    ("no-volume", "a database without a volume"),
    ("lost-and-found", "data at the root of a volume, beside lost+found"),
    ("grace-short", "a database that is killed before it has written everything"),
    ("memory-unknown", "a database that is not told how much memory it has"),
    ("scratch-in-memory", "memory for files that leaves too little for the program"),
    ("plan-too-small", "a plan that leaves a component too little"),
    ("unbounded-parameter", "free text without a longest length or a pattern"),
    ("parameter-unused", "a parameter that nothing uses"),
    ("file-unused", "a file that nothing mounts"),
    (
        "option-from-parameter",
        "a number or a choice that begins with a hyphen and stands alone in an argument",
    ),
    ("open-braces", "a {{ that is never closed"),
    ("not-filled", "a placeholder where nothing is filled"),
    ("script-evaluates", "a script that runs what stands in a variable"),
    ("body-size", "an app that speaks HTTP and does not say how large a request may be"),
];

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It is refused, or harms whoever uses the app.
    Error,
    /// It is likely a mistake.
    Warning,
    /// It is good to know.
    Note,
}

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file; `-` for what came by standard input.
    pub file: String,
    /// Which of its documents, from 1.
    pub document: usize,
    /// Where in the document.
    pub path: String,
    /// How much it matters.
    pub level: Level,
    /// The rule.
    pub rule: &'static str,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do.
    pub advice: String,
}

/// What its author accepts: the reason by rule.
pub type Accepted = BTreeMap<String, String>;

/// What is said about one document.
#[derive(Debug)]
pub struct Findings<'a> {
    document: &'a Document,
    all: Vec<Finding>,
}

impl<'a> Findings<'a> {
    /// Nothing yet.
    pub fn new(document: &'a Document) -> Self {
        Self { document, all: Vec::new() }
    }

    /// Something that is refused or harms.
    pub fn error(&mut self, rule: &'static str, path: &str, message: &str, advice: &str) {
        self.push(Level::Error, rule, path, message, advice);
    }

    /// Something that is likely a mistake.
    pub fn warning(&mut self, rule: &'static str, path: &str, message: &str, advice: &str) {
        self.push(Level::Warning, rule, path, message, advice);
    }

    /// Something that is good to know.
    pub fn note(&mut self, rule: &'static str, path: &str, message: &str, advice: &str) {
        self.push(Level::Note, rule, path, message, advice);
    }

    /// Whether nothing was said.
    pub fn is_clean(&self) -> bool {
        self.all.is_empty()
    }

    fn push(&mut self, level: Level, rule: &'static str, path: &str, message: &str, advice: &str) {
        self.all.push(Finding {
            file: self.document.file.clone(),
            document: self.document.number,
            path: path.to_owned(),
            level,
            rule,
            message: message.to_owned(),
            advice: advice.to_owned(),
        });
    }

    /// What remains once accepted warnings are notes. An acceptance that accepts nothing is a warning itself: it would
    /// hide the next mistake.
    pub fn into_findings(mut self) -> Vec<Finding> {
        for (rule, reason) in accepted(&self.document.value) {
            let mut used = false;
            for one in self.all.iter_mut().filter(|one| one.rule == rule && one.level == Level::Warning) {
                used = true;
                if !reason.trim().is_empty() {
                    one.level = Level::Note;
                    one.advice = format!("accepted: {}", reason.trim());
                }
            }
            let path = format!("metadata.annotations.{ACCEPT}{rule}");
            if reason.trim().is_empty() {
                self.warning(
                    "accept-unknown",
                    &path,
                    "gives no reason",
                    "write why the warning doesn't matter here",
                );
            } else if !used {
                let what = if RULES.iter().any(|(name, _)| *name == rule) {
                    "accepts a warning that is not there (errors can't be accepted)"
                } else {
                    "accepts a rule that does not exist"
                };
                self.warning("accept-unknown", &path, what, "take the annotation out");
            }
        }
        self.all
    }
}

fn accepted(document: &Value) -> Accepted {
    let annotations = document["metadata"]["annotations"].as_object().into_iter().flatten();
    annotations
        .filter_map(|(key, value)| {
            Some((key.strip_prefix(ACCEPT)?.to_owned(), value.as_str().unwrap_or_default().to_owned()))
        })
        .collect()
}
