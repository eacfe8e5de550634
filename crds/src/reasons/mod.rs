//! Every reason that a condition, an event or the REASON column can carry: its word, who must act, whether it stalls, and
//! what it means. The operator says them, the API server shows them to customers, `docs/reasons.md` lists them.

mod table;

pub use table::*;

use std::fmt::Write as _;

/// Who must act, if anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// It goes on by itself.
    Nobody,
    /// Whoever ordered the instance.
    Owner,
    /// Whoever runs the platform.
    Administrator,
}

/// When it makes `Stalled` true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stalls {
    /// It does not: nothing is in the way of what was asked for, or it was decided so.
    Never,
    /// At once: without somebody's help it does not go on.
    AtOnce,
    /// Once it has lasted longer than the operator's settings allow (`bounds`).
    AfterBound,
}

/// Of which resource it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// A `ServiceInstance`, in the REASON column.
    Instance,
    /// A `ServiceInstance`, in one of its conditions.
    Condition,
    /// A `TenantQuota`.
    Tenant,
    /// A `ServiceTemplate` or `ServicePlan`.
    Catalogue,
}

/// A reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The constant CamelCase word.
    pub name: &'static str,
    /// Where it is said.
    pub of: Of,
    /// Who must act.
    pub who: Who,
    /// When it stalls.
    pub stalls: Stalls,
    /// What is wrong, what happens next, who must act.
    pub sentence: &'static str,
}

impl Who {
    /// As it stands in the document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Owner => "owner",
            Self::Administrator => "administrator",
        }
    }
}

impl Stalls {
    /// As it stands in the document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "no",
            Self::AtOnce => "at once",
            Self::AfterBound => "if it lasts",
        }
    }
}

/// The reason of that name.
pub fn find(name: &str) -> Option<&'static Reason> {
    ALL.iter().find(|reason| reason.name == name)
}

/// The sentence of a reason; empty for one that does not exist.
pub fn sentence(name: &str) -> &'static str {
    find(name).map_or("", |reason| reason.sentence)
}

/// Its place among all: of several causes the one of the lowest rank is said.
pub fn rank(name: &str) -> usize {
    ALL.iter().position(|reason| reason.name == name).unwrap_or(ALL.len())
}

/// Whether somebody must act at once.
pub fn stalls_at_once(name: &str) -> bool {
    find(name).is_some_and(|reason| reason.stalls == Stalls::AtOnce)
}

/// The lists of the document, in the order of rank.
pub fn markdown() -> String {
    let parts = [
        (Of::Instance, "The REASON column of an instance, the one that counts most first"),
        (Of::Condition, "Only in conditions of an instance"),
        (Of::Tenant, "Tenants"),
        (Of::Catalogue, "Templates and plans"),
    ];
    let mut text = String::new();
    for (of, title) in parts {
        let _ = writeln!(text, "### {title}\n\n| reason | says | acts | stalled |\n|---|---|---|---|");
        for Reason { name, of: _, who, stalls, sentence } in ALL.iter().filter(|one| one.of == of) {
            let _ = writeln!(text, "| `{name}` | {sentence} | {} | {} |", who.name(), stalls.name());
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// A document with the part between the two marks of `part` replaced; none where the marks are not there.
pub fn with_part(document: &str, part: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {part}: begin -->\n"), format!("<!-- {part}: end -->"));
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{text}\n{end}{after}"))
}

/// The part of `docs/reasons.md` that [`markdown`] fills.
pub const PART: &str = "all reasons";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_is_one_camel_case_word_and_stands_there_once() {
        let names: BTreeSet<&str> = ALL.iter().map(|reason| reason.name).collect();
        assert_eq!(names.len(), ALL.len());
        for name in names {
            let first = name.chars().next().is_some_and(|c| c.is_ascii_uppercase());
            assert!(first && name.chars().all(|c| c.is_ascii_alphabetic()), "{name}");
            assert!(name.len() <= 128);
        }
    }

    #[test]
    fn every_sentence_is_constant_and_says_who_must_act_where_it_stalls() {
        for Reason { name, who, stalls, sentence, .. } in ALL {
            assert!(sentence.ends_with('.') && sentence.starts_with(|c: char| c.is_uppercase()), "{name}");
            assert!(!sentence.contains(|c: char| c.is_ascii_digit() || c == '|'), "{name}: {sentence}");
            assert!(*stalls != Stalls::AtOnce || *who != Who::Nobody, "{name} stalls, so somebody must act");
            assert!(
                *who != Who::Administrator || *stalls != Stalls::AtOnce || sentence.contains("dministrator"),
                "{name}: {sentence}"
            );
        }
    }

    #[test]
    fn a_part_of_a_document_is_replaced_between_its_marks() {
        let document = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n";
        let fresh = with_part(document, "x", "new").unwrap();
        assert_eq!(fresh, "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n");
        assert_eq!(with_part(document, "y", "new"), None);
    }
}
