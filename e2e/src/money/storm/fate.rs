//! What becomes of a payment, and of which of its notifications it hears late.

use crate::midtrans::{Act, Forgery, Method, Verb};

/// All kinds of forgery. The first one can always be made.
pub(super) const FORGERIES: [Forgery; 5] =
    [Forgery::Signature, Forgery::Status, Forgery::Transaction, Forgery::Amount, Forgery::Key];

/// What becomes of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Paid at once.
    Paid,
    /// Paid by card: charged, and settled later.
    Card,
    /// Paid; that it is pending is told after that it is settled.
    PendingLate,
    /// Expired, and settled all the same; the expiry is told last.
    SettledAfterExpiry,
    /// Paid, and some of it given back; the payment is told last.
    PartlyRefunded,
    /// Paid, and all of it given back.
    Refunded,
    /// Paid, and some of it charged back.
    ChargedBack,
    /// Paid, and denied by the bank after that.
    Reversed,
    /// Paid twice.
    PaidTwice,
    /// Paid with a fee at the customer's cost.
    Fee,
    /// Not paid in time.
    Expired,
    /// Refused.
    Denied,
}

/// Something that happens, of an order yet to be named.
#[derive(Clone, Debug)]
pub(super) struct Step(Act);

impl Step {
    fn of(verb: Verb) -> Self {
        Self(Act::new(verb, ""))
    }

    fn pays(method: Method) -> Self {
        Self(Act::pay("", method).quiet())
    }

    /// It happens to that order.
    pub(super) fn on(self, order_id: &str) -> Act {
        Act { order_id: order_id.to_owned(), ..self.0 }
    }
}

impl Fate {
    /// By a number below a hundred.
    pub(super) fn drawn(number: u64) -> Self {
        match number {
            0..56 => Self::Paid,
            56..60 => Self::Card,
            60..70 => Self::PendingLate,
            70..76 => Self::SettledAfterExpiry,
            76..82 => Self::PartlyRefunded,
            82..85 => Self::Refunded,
            85..88 => Self::ChargedBack,
            88..91 => Self::Reversed,
            91..93 => Self::PaidTwice,
            93..95 => Self::Fee,
            95..98 => Self::Expired,
            _ => Self::Denied,
        }
    }

    /// What happens first.
    pub(super) fn first(self) -> Vec<Step> {
        match self {
            Self::Paid => vec![Step::pays(Method::BcaVa)],
            Self::Card => vec![Step(Act::pay("", Method::CreditCard).captured().quiet())],
            Self::PendingLate => vec![Step(Act::pay("", Method::OtherQris))],
            Self::SettledAfterExpiry | Self::Expired => {
                vec![Step(Act::new(Verb::Pick, "").by(Method::BniVa)), Step::of(Verb::Expire)]
            }
            Self::PartlyRefunded | Self::Refunded => vec![Step::pays(Method::Gopay)],
            Self::ChargedBack => vec![Step::pays(Method::CreditCard)],
            Self::Reversed => vec![Step::pays(Method::PermataVa)],
            Self::PaidTwice => vec![Step::pays(Method::BriVa)],
            Self::Fee => vec![Step(Act::pay("", Method::Shopeepay).fee(2_500).quiet())],
            Self::Denied => vec![Step(Act::new(Verb::Pick, "").by(Method::Gopay)), Step::of(Verb::Deny)],
        }
    }

    /// What happens after some of that was told.
    pub(super) fn then(self) -> Vec<Step> {
        match self {
            Self::Card => vec![Step::of(Verb::Settle)],
            Self::SettledAfterExpiry => vec![Step::of(Verb::LateSettle)],
            Self::PartlyRefunded => vec![Step(Act::new(Verb::Refund, "").amount(4_000))],
            Self::Refunded => vec![Step::of(Verb::Refund)],
            Self::ChargedBack => vec![Step(Act::new(Verb::Chargeback, "").amount(7_000))],
            Self::Reversed => vec![Step::of(Verb::Reverse)],
            Self::PaidTwice => vec![Step::of(Verb::SecondPayment)],
            Self::Paid | Self::PendingLate | Self::Fee | Self::Expired | Self::Denied => Vec::new(),
        }
    }

    /// Whether its top-up may still wait to be paid in the end: nothing was, or it was given back before anybody heard that it was.
    pub(super) fn may_be_left_unpaid(self) -> bool {
        matches!(self, Self::Expired | Self::Denied | Self::Refunded | Self::Reversed)
    }

    /// Whether a notification of that state comes past another state.
    pub(super) fn is_late(self, status: &str) -> bool {
        match self {
            Self::PendingLate => status.eq_ignore_ascii_case("pending"),
            Self::SettledAfterExpiry => status == "expire",
            Self::PartlyRefunded => status == "settlement",
            _ => false,
        }
    }
}
