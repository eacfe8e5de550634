//! What follows from what the gateway says of one transaction: credited once, taken back as far as it was credited, and never the other
//! way. Everything here is pure; whoever calls it keeps [`Known`] under a lock and books the [`Verdict`].
//!
//! Observations may come twice, late and in any order. What went back is counted in sums, for the gateway tells all of it each time; the keys
//! say which part of it is which, and that a part is booked once.

use super::midtrans::{Fraud, Observed, Refund, Status};
use crate::money::Rupiah;
use std::{cmp::max, collections::BTreeSet};

#[cfg(test)]
mod tests;

/// The one currency.
const CURRENCY: &str = "IDR";
/// The key of what a denied or voided payment takes back.
const REVERSAL: &str = "reversal";

/// How far a transaction has come. It only moves up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Nothing is paid yet.
    Pending,
    /// It ended without being paid; it may be paid all the same.
    Unpaid,
    /// It is paid: the gateway has the money, credited or not.
    Paid,
    /// Some of it went back.
    PartlyReversed,
    /// All of it went back.
    Reversed,
}

/// How the attempt was closed here before its money came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Closed {
    /// Its time was over.
    Expired,
    /// The customer cancelled it.
    Cancelled,
    /// It failed.
    Failed,
}

/// What is known of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// How far it has come.
    pub standing: Standing,
    /// What was credited, if anything was: what the attempt is about, or less where some had gone back before.
    pub credited: Option<Rupiah>,
    /// What was taken back of it.
    pub taken_back: Rupiah,
    /// The keys of what went back: [`Verdict::keys`] of all verdicts so far.
    pub keys: BTreeSet<String>,
    /// Whether another transaction has paid for the attempt.
    pub attempt_is_paid_by_another: bool,
    /// How the attempt was closed, if it was closed unpaid.
    pub attempt_closed: Option<Closed>,
}

/// Why something is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The payment was denied after all, or voided.
    Reversal,
    /// The money was given back.
    Refund,
    /// A bank took it.
    Chargeback,
}

/// Something to take back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeBack {
    /// What tells it from the others of its transaction: it is booked once.
    pub key: String,
    /// How much, more than nothing.
    pub amount: Rupiah,
    /// Why.
    pub kind: Kind,
}

/// What a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Credited, though the transaction or the attempt was over.
    LateSettlement,
    /// Credited, though another transaction has paid for the attempt.
    SecondPayment,
    /// Paid, and not what was asked for: nothing is credited.
    AmountDiffers {
        /// What was asked for.
        expected: Rupiah,
        /// What was paid.
        gross: Rupiah,
        /// What was asked for, as the gateway has it, where it added a fee.
        original: Option<Rupiah>,
    },
    /// Paid in another currency: nothing is credited.
    OtherCurrency {
        /// Which.
        currency: String,
    },
    /// Paid by the status, and not by the code: nothing is credited.
    OtherCode {
        /// Which.
        status_code: String,
    },
    /// Paid by the status, and not by what is thought of fraud: nothing is credited.
    NotAccepted {
        /// What is thought.
        fraud: Option<Fraud>,
    },
    /// A payment that was credited is denied or voided: it is taken back.
    Reversed,
    /// It is said to be paid, after it was taken back, as when a bank gives back what it had taken: nothing is credited.
    PaidAfterReversal,
    /// It is said to have ended unpaid, after it was paid: nothing is taken back.
    EndedAfterPaid {
        /// How.
        status: Status,
    },
    /// Money went back of what was not credited before: nothing is taken back, and no more than what is left is credited.
    RefundedUncredited,
    /// More went back than was asked for, such as the fee: no more than what was credited is taken back.
    RefundExceeds {
        /// What went back.
        refunded: Rupiah,
        /// What was asked for.
        expected: Rupiah,
    },
    /// The status says that all went back, and the amounts less: all is taken back.
    RefundFallsShort {
        /// What went back by the amounts.
        refunded: Rupiah,
    },
    /// Some went back, and nothing says how much: nothing is taken back.
    RefundUntold,
    /// A status that is not known here: nothing moves.
    UnknownStatus {
        /// Which.
        status: String,
    },
}

impl Finding {
    /// One word for metrics and logs.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::LateSettlement => "late_settlement",
            Self::SecondPayment => "second_payment",
            Self::AmountDiffers { .. } => "amount_differs",
            Self::OtherCurrency { .. } => "other_currency",
            Self::OtherCode { .. } => "other_code",
            Self::NotAccepted { .. } => "not_accepted",
            Self::Reversed => "reversed",
            Self::PaidAfterReversal => "paid_after_reversal",
            Self::EndedAfterPaid { .. } => "ended_after_paid",
            Self::RefundedUncredited => "refunded_uncredited",
            Self::RefundExceeds { .. } => "refund_exceeds",
            Self::RefundFallsShort { .. } => "refund_falls_short",
            Self::RefundUntold => "refund_untold",
            Self::UnknownStatus { .. } => "unknown_status",
        }
    }
}

/// What follows. The same observation judged again, after this was booked, moves nothing; a finding may be told again only where nothing
/// moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How far the transaction has come.
    pub standing: Standing,
    /// What to credit, for the first and last time.
    pub credit: Option<Rupiah>,
    /// What to take back.
    pub take_back: Vec<TakeBack>,
    /// What to keep as [`Known::keys`] from now on, those known before included.
    pub keys: BTreeSet<String>,
    /// What a person should look at.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Whether there is anything to book or to keep.
    pub fn moves(&self, known: &Known) -> bool {
        self.standing != known.standing
            || self.credit.is_some()
            || !self.take_back.is_empty()
            || self.keys != known.keys
    }
}

impl Default for Known {
    fn default() -> Self {
        Self {
            standing: Standing::Pending,
            credited: None,
            taken_back: Rupiah::ZERO,
            keys: BTreeSet::new(),
            attempt_is_paid_by_another: false,
            attempt_closed: None,
        }
    }
}

impl Known {
    /// What is known once the verdict is booked.
    #[must_use]
    pub fn after(&self, verdict: &Verdict) -> Self {
        let taken = verdict.take_back.iter().map(|it| it.amount).fold(self.taken_back, sum);
        Self {
            standing: verdict.standing,
            credited: verdict.credit.or(self.credited),
            taken_back: taken,
            keys: verdict.keys.clone(),
            ..self.clone()
        }
    }
}

/// Judges what is seen of a transaction, by what is known of it. `expected` is what the attempt asked for, more than nothing.
pub fn judge(expected: Rupiah, known: &Known, seen: &Observed) -> Verdict {
    let unmoved = Verdict {
        standing: known.standing,
        credit: None,
        take_back: Vec::new(),
        keys: known.keys.clone(),
        findings: Vec::new(),
    };
    let case = Case { expected, known, seen, verdict: unmoved };
    match &seen.status {
        Status::Pending | Status::Authorize => case.verdict,
        // What somebody has to look at, or is thought a fraud, isn't paid; how it ends is told later.
        Status::Capture if matches!(seen.fraud, Some(Fraud::Challenge | Fraud::Deny)) => case.verdict,
        Status::Capture | Status::Settlement => case.paid(),
        Status::Deny | Status::Cancel => case.denied(),
        Status::Expire | Status::Failure => case.ended(),
        Status::Refund | Status::PartialRefund | Status::Chargeback | Status::PartialChargeback => {
            case.refunded()
        }
        Status::Unknown(status) => case.finding(Finding::UnknownStatus { status: status.clone() }),
    }
}

/// One observation under judgement.
struct Case<'a> {
    expected: Rupiah,
    known: &'a Known,
    seen: &'a Observed,
    verdict: Verdict,
}

impl Case<'_> {
    fn finding(mut self, finding: Finding) -> Verdict {
        self.verdict.findings.push(finding);
        self.verdict
    }

    fn rise(&mut self, to: Standing) {
        self.verdict.standing = max(self.verdict.standing, to);
    }

    /// Why it may not be credited, if it may not.
    fn objection(&self) -> Option<Finding> {
        let Self { expected, seen, .. } = *self;
        let is_accepted = match (&seen.status, &seen.fraud) {
            (_, Some(fraud)) => *fraud == Fraud::Accept,
            // A captured card must have been looked at.
            (status, None) => *status != Status::Capture,
        };
        let is_amount = match seen.original {
            // Ours, whatever the gateway's fee is.
            Some(original) => original == expected && seen.gross >= expected,
            None => seen.gross == expected,
        };
        if seen.status_code != "200" {
            return Some(Finding::OtherCode { status_code: seen.status_code.clone() });
        }
        if !is_accepted {
            return Some(Finding::NotAccepted { fraud: seen.fraud.clone() });
        }
        if !seen.currency.eq_ignore_ascii_case(CURRENCY) {
            return Some(Finding::OtherCurrency { currency: seen.currency.clone() });
        }
        let (gross, original) = (seen.gross, seen.original);
        (!is_amount).then_some(Finding::AmountDiffers { expected, gross, original })
    }

    /// Credits, with what is odd about it. Nothing is not credited.
    fn credit(&mut self, amount: Rupiah) {
        if !amount.is_positive() {
            return;
        }
        self.verdict.credit = Some(amount);
        if self.known.standing == Standing::Unpaid || self.known.attempt_closed.is_some() {
            self.verdict.findings.push(Finding::LateSettlement);
        }
        if self.known.attempt_is_paid_by_another {
            self.verdict.findings.push(Finding::SecondPayment);
        }
    }

    fn paid(mut self) -> Verdict {
        if self.known.standing > Standing::Paid {
            let is_taken_back = self.known.keys.contains(REVERSAL) || self.known.taken_back.is_positive();
            return if is_taken_back { self.finding(Finding::PaidAfterReversal) } else { self.verdict };
        }
        if self.known.credited.is_some() {
            return self.verdict;
        }
        match self.objection() {
            // These may yet turn out well, so nothing is said of how far it has come.
            Some(finding @ (Finding::OtherCode { .. } | Finding::NotAccepted { .. })) => {
                self.finding(finding)
            }
            Some(finding) => {
                self.rise(Standing::Paid);
                self.finding(finding)
            }
            None => {
                self.rise(Standing::Paid);
                self.credit(self.expected);
                self.verdict
            }
        }
    }

    /// Denied or cancelled: before it is paid an end like any other, afterwards a reversal of all that is left.
    fn denied(mut self) -> Verdict {
        if self.known.standing < Standing::Paid {
            self.rise(Standing::Unpaid);
            return self.verdict;
        }
        if self.known.standing == Standing::Reversed {
            return self.verdict;
        }
        self.rise(Standing::Reversed);
        self.verdict.keys.insert(REVERSAL.to_owned());
        self.verdict.findings.push(Finding::Reversed);
        let left = difference(self.known.credited.unwrap_or_default(), self.known.taken_back);
        if left.is_positive() {
            let key = REVERSAL.to_owned();
            self.verdict.take_back.push(TakeBack { key, amount: left, kind: Kind::Reversal });
        }
        self.verdict
    }

    fn ended(mut self) -> Verdict {
        if self.known.standing < Standing::Paid {
            self.rise(Standing::Unpaid);
            return self.verdict;
        }
        let status = self.seen.status.clone();
        self.finding(Finding::EndedAfterPaid { status })
    }

    /// Money went back: of what was credited it is taken back; of what was not, what is left is credited.
    fn refunded(mut self) -> Verdict {
        if self.known.standing == Standing::Reversed {
            return self.verdict;
        }
        let Some(refunded) = self.refunded_in_all() else {
            if self.known.credited.is_none() {
                self.rise(Standing::PartlyReversed);
            }
            return self.finding(Finding::RefundUntold);
        };
        let gone = refunded.min(self.expected);
        match self.known.credited {
            Some(credited) => {
                // What had gone back before the rest was credited is not taken back once more.
                let withheld = difference(self.expected, credited);
                self.take_back(difference(difference(gone, withheld), self.known.taken_back), refunded);
            }
            None => self.credit_what_is_left(gone),
        }
        let all = gone == self.expected;
        if self.verdict.moves(self.known) && refunded > self.expected {
            let expected = self.expected;
            self.verdict.findings.push(Finding::RefundExceeds { refunded, expected });
        }
        if gone.is_positive() {
            self.rise(if all { Standing::Reversed } else { Standing::PartlyReversed });
        }
        self.verdict
    }

    /// What went back so far by the gateway's word; none where it doesn't say.
    fn refunded_in_all(&mut self) -> Option<Rupiah> {
        let Self { seen, expected, .. } = *self;
        let listed = seen.refunds.iter().map(|it| it.amount).fold(Rupiah::ZERO, sum);
        let told = max(listed, seen.refund_amount.unwrap_or_default());
        match seen.status {
            // Nothing lists what a bank takes as reliably as what is given back.
            Status::Chargeback => Some(max(told, seen.gross)),
            Status::Refund if !told.is_positive() => Some(seen.gross),
            Status::Refund if told < expected => {
                self.verdict.findings.push(Finding::RefundFallsShort { refunded: told });
                Some(expected)
            }
            _ => told.is_positive().then_some(told),
        }
    }

    fn credit_what_is_left(&mut self, gone: Rupiah) {
        let is_new = self.known.standing < Standing::PartlyReversed;
        if let Some(objection) = self.objection() {
            if is_new {
                self.verdict.findings.extend([objection, Finding::RefundedUncredited]);
            }
            return;
        }
        self.credit(difference(self.expected, gone));
        self.verdict.findings.push(Finding::RefundedUncredited);
        self.verdict.keys.extend(self.seen.refunds.iter().map(|it| it.key.clone()));
    }

    /// Takes back `due`, in the parts that the gateway lists.
    fn take_back(&mut self, mut due: Rupiah, refunded: Rupiah) {
        for refund in &self.seen.refunds {
            let amount = refund.amount.min(due);
            if amount.is_positive() && self.verdict.keys.insert(refund.key.clone()) {
                due = difference(due, amount);
                let (key, kind) = (refund.key.clone(), self.kind(Some(refund)));
                self.verdict.take_back.push(TakeBack { key, amount, kind });
            }
        }
        let key = format!("sum:{}", refunded.get());
        if due.is_positive() && self.verdict.keys.insert(key.clone()) {
            let kind = self.kind(None);
            self.verdict.take_back.push(TakeBack { key, amount: due, kind });
        }
    }

    fn kind(&self, listed: Option<&Refund>) -> Kind {
        let is_charged_back = matches!(self.seen.status, Status::Chargeback | Status::PartialChargeback);
        match listed {
            Some(refund) if refund.is_chargeback => Kind::Chargeback,
            None if is_charged_back => Kind::Chargeback,
            _ => Kind::Refund,
        }
    }
}

/// The sum, or the most there is.
fn sum(one: Rupiah, other: Rupiah) -> Rupiah {
    one.plus(other).unwrap_or(Rupiah::MOST)
}

/// What is left, or nothing.
fn difference(from: Rupiah, what: Rupiah) -> Rupiah {
    from.minus(what).unwrap_or_default().max(Rupiah::ZERO)
}
