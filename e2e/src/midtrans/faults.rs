//! What goes wrong, and how often. Rules are looked at in the order they were given; the first that fits acts.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// The creation of a Snap transaction.
    Create,
    /// Get Status.
    Status,
    /// Cancel, expire, approve and deny of the Core API, and the closing of a page.
    Change,
    /// Refunds of the Core API.
    Refund,
    /// The moment a method is picked.
    Pick,
    /// A notification.
    Notification,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// HTTP 500 with a JSON body; nothing is done.
    Http500,
    /// HTTP 502 with a page of HTML; nothing is done.
    Html502,
    /// HTTP 429; nothing is done.
    TooMany,
    /// The connection is closed; nothing is done.
    Nothing,
    /// It is done, and the connection is closed without an answer.
    ClosedAfterDone,
    /// Done after a while. A notification leaves later, and others of its order may overtake it.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Done at once and answered after a while.
    Stall {
        /// Milliseconds.
        ms: u64,
    },
    /// The bank refuses the refund, and the answer looks fine.
    Denied,
    /// The merchant's balance at the gateway is too low for the refund.
    NoFunds,
    /// The gateway adds a fee at the customer's cost.
    Fee {
        /// Rupiah.
        rupiah: i64,
    },
    /// `PENDING` is written in capitals.
    UppercasePending,
    /// The notification is kept until it is released.
    Hold,
    /// It is sent more than once.
    Duplicate {
        /// How many times beside the first.
        n: usize,
    },
    /// It is never sent.
    Drop,
    /// It waits for the next of its order and comes after it.
    Reorder,
}

/// A fault, where, for whom and how often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Where.
    pub on: On,
    /// What.
    #[serde(flatten)]
    pub fault: Fault,
    /// The order; none: all.
    #[serde(default)]
    pub order_id: Option<String>,
    /// How many times; none: until it is taken away.
    #[serde(default)]
    pub count: Option<u64>,
}

impl Rule {
    /// A rule for everybody, until it is taken away.
    pub fn new(on: On, fault: Fault) -> Self {
        Self { on, fault, order_id: None, count: None }
    }

    /// For one order.
    #[must_use]
    pub fn order(mut self, id: impl Into<String>) -> Self {
        self.order_id = Some(id.into());
        self
    }

    /// So many times.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }

    fn fits(&self) -> bool {
        use Fault as F;
        let is_call = matches!(self.on, On::Create | On::Status | On::Change | On::Refund);
        match self.fault {
            F::Http500 | F::Html502 | F::TooMany | F::Nothing | F::ClosedAfterDone | F::Stall { .. } => {
                is_call
            }
            F::Delay { .. } => is_call || self.on == On::Notification,
            F::Denied | F::NoFunds => self.on == On::Refund,
            F::Fee { .. } | F::UppercasePending => self.on == On::Pick,
            F::Hold | F::Duplicate { .. } | F::Drop | F::Reorder => self.on == On::Notification,
        }
    }
}

/// A rule that could never act.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{fault:?} doesn't happen on {on:?}")]
pub struct Misplaced {
    fault: Fault,
    on: On,
}

/// The rules of the moment.
#[derive(Clone, Debug, Default)]
pub struct Faults(Vec<Rule>);

impl Faults {
    /// Adds rules, all or none.
    pub fn add(&mut self, rules: Vec<Rule>) -> Result<(), Misplaced> {
        if let Some(Rule { on, fault, .. }) = rules.iter().find(|rule| !rule.fits()) {
            return Err(Misplaced { fault: *fault, on: *on });
        }
        self.0.extend(rules);
        Ok(())
    }

    /// Takes all away.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What is left of them.
    pub fn rules(&self) -> &[Rule] {
        &self.0
    }

    /// The fault of the first rule that fits, which is counted.
    pub fn take(&mut self, on: On, order_id: &str) -> Option<Fault> {
        self.take_if(on, order_id, |_| true)
    }

    /// The same among certain faults.
    pub fn take_if(&mut self, on: On, order_id: &str, wanted: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let place = self.0.iter().position(|rule| {
            rule.on == on && wanted(&rule.fault) && rule.order_id.as_deref().is_none_or(|id| id == order_id)
        })?;
        let rule = &mut self.0[place];
        let fault = rule.fault;
        if let Some(count) = &mut rule.count {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(place);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, Faults, On, Rule};

    #[test]
    fn a_rule_acts_as_often_as_it_says_and_for_whom_it_says() {
        let mut faults = Faults::default();
        faults.add(vec![Rule::new(On::Status, Fault::Http500).order("a").times(2)]).unwrap();
        assert_eq!(faults.take(On::Status, "b"), None);
        assert_eq!(faults.take(On::Create, "a"), None);
        assert_eq!(faults.take(On::Status, "a"), Some(Fault::Http500));
        assert_eq!(faults.take(On::Status, "a"), Some(Fault::Http500));
        assert_eq!(faults.take(On::Status, "a"), None);
    }

    #[test]
    fn a_rule_that_could_never_act_is_refused() {
        let mut faults = Faults::default();
        assert!(faults.add(vec![Rule::new(On::Create, Fault::Hold)]).is_err());
        assert!(faults.rules().is_empty());
    }

    #[test]
    fn a_rule_reads_as_flat_json() {
        let text = r#"{"on": "notification", "fault": "duplicate", "n": 2, "count": 1}"#;
        let rule: Rule = serde_json::from_str(text).unwrap();
        assert_eq!(rule, Rule::new(On::Notification, Fault::Duplicate { n: 2 }).times(1));
    }
}
