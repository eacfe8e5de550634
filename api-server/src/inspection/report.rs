//! What an inspection found, for people and for programs.

use super::{Difference, Meant, Outcome, Part};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::{self, Write as _};

/// What it came to, by how a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All agrees.
    Agrees,
    /// Something differs.
    Differs,
    /// Something could not be looked at.
    Unknown,
}

impl Verdict {
    /// As a program's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Agrees => 0,
            Self::Differs => 1,
            Self::Unknown => 2,
        }
    }
}

/// How far one part was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Which.
    pub part: &'static str,
    /// How many things were looked at; none: it was not to be looked at, or could not be.
    pub count: Option<u64>,
    /// What could not be looked at, and why.
    pub missed: Vec<String>,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// When.
    pub at: Timestamp,
    /// Payments begun or changed since were asked about.
    pub since: Timestamp,
    /// What was looked at.
    pub parts: Vec<Line>,
    /// What differs.
    pub differences: Vec<Difference>,
    /// What nobody has bought, and is meant to run.
    pub meant: Vec<Meant>,
}

impl Report {
    /// Puts together what the parts came to.
    pub fn new(at: Timestamp, since: Timestamp, outcomes: Vec<Outcome>) -> Self {
        let (mut parts, mut differences, mut meant) = (Vec::new(), Vec::new(), Vec::new());
        for Outcome { part, looked } in outcomes {
            let mut line = Line { part: part.as_str(), count: None, missed: Vec::new() };
            match looked {
                None => {}
                Some(Ok(looked)) => {
                    (line.count, line.missed) = (Some(looked.count), looked.missed);
                    differences.extend(looked.differences);
                    meant.extend(looked.meant);
                }
                Some(Err(error)) => line.missed.push(error.to_string()),
            }
            parts.push(line);
        }
        differences.sort_by(|one, other| (one.kind, &one.subject).cmp(&(other.kind, &other.subject)));
        Self { at, since, parts, differences, meant }
    }

    /// Notes that a part could not be looked at from the beginning.
    pub fn miss(&mut self, part: Part, why: &str) {
        for line in self.parts.iter_mut().filter(|line| line.part == part.as_str()) {
            line.missed = vec![why.to_owned()];
        }
    }

    /// What it comes to. What could not be looked at weighs most.
    pub fn verdict(&self) -> Verdict {
        if self.parts.iter().any(|part| !part.missed.is_empty()) {
            Verdict::Unknown
        } else if self.differences.is_empty() {
            Verdict::Agrees
        } else {
            Verdict::Differs
        }
    }
}

/// A table for people: what was looked at, then what differs, each with what mends it.
impl fmt::Display for Report {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Line { part, count, missed } in &self.parts {
            match count {
                Some(count) => writeln!(to, "{part:<8} {count} looked at")?,
                None if missed.is_empty() => writeln!(to, "{part:<8} not looked at")?,
                None => {}
            }
            for why in missed {
                writeln!(to, "{part:<8} COULD NOT BE LOOKED AT: {why}")?;
            }
        }
        for Meant { subject, because } in &self.meant {
            writeln!(to, "meant    {subject} runs without billing: {because}")?;
        }
        writeln!(to, "{} differences", self.differences.len())?;
        if self.differences.is_empty() {
            return Ok(());
        }
        let width = self.differences.iter().map(|one| one.kind.as_str().len()).max().unwrap_or_default();
        let mut text = String::new();
        for Difference { kind, subject, expected, found, mend } in &self.differences {
            let (kind, gap) = (kind.as_str(), " ".repeat(width));
            writeln!(text, "\n{kind:<width$}  {subject}")?;
            writeln!(
                text,
                "{gap}  should be  {expected}\n{gap}  is         {found}\n{gap}  mend       {mend}"
            )?;
        }
        to.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspection::{InspectionError, Kind, Looked, remedy::Remedy};
    use uuid::Uuid;

    fn difference() -> Difference {
        Difference {
            kind: Kind::WrongPlan,
            subject: "subscription 1".to_owned(),
            expected: "plan `small`".to_owned(),
            found: "its resource says `large`".to_owned(),
            mend: Remedy::Retell { subscription: Uuid::nil(), above: 0 },
        }
    }

    fn report(outcomes: Vec<Outcome>) -> Report {
        Report::new(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH, outcomes)
    }

    #[test]
    fn what_could_not_be_looked_at_weighs_more_than_what_differs_and_hides_nothing_of_it() {
        let fine = |part| Outcome { part, looked: Some(Ok(Looked::default())) };
        assert_eq!(report(vec![fine(Part::Books)]).verdict(), Verdict::Agrees);
        let differs = || {
            let meant = Meant { subject: "serviceinstance a/b".to_owned(), because: "a sample".to_owned() };
            let looked =
                Looked { count: 3, differences: vec![difference()], meant: vec![meant], missed: Vec::new() };
            Outcome { part: Part::Cluster, looked: Some(Ok(looked)) }
        };
        assert_eq!(report(vec![fine(Part::Books), differs()]).verdict(), Verdict::Differs);
        let away = Outcome { part: Part::Gateway, looked: Some(Err(InspectionError::NoGateway)) };
        let report = report(vec![differs(), away]);
        assert_eq!((report.verdict(), report.differences.len()), (Verdict::Unknown, 1));
        let text = report.to_string();
        for words in [
            "cluster  3 looked at",
            "gateway  COULD NOT BE LOOKED AT",
            "meant    serviceinstance a/b runs without billing: a sample",
            "WRONG_PLAN  subscription 1",
            "subscription retell",
        ] {
            assert!(text.contains(words), "{text}");
        }
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["differences"][0]["kind"], "WRONG_PLAN");
        assert!(
            json["differences"][0]["mend"].as_str().unwrap().starts_with("api-server subscription retell")
        );
    }
}
