//! One transaction: its states and the steps between them. Nothing here knows HTTP, a clock or a key.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::method::Method;
pub use super::status::{Fraud, Refused, Status, Step};

/// Money that went back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    /// The `refund_chargeback_id`.
    pub id: u64,
    /// The merchant's `refund_key`; none in a chargeback.
    pub key: Option<String>,
    /// Rupiah.
    pub amount: i64,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    /// When the bank said that the money went; it comes later.
    pub bank_confirmed_at: Option<Timestamp>,
}

/// An attempt to pay an order by one method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// Its id.
    pub id: String,
    /// Tells its account numbers from those of others.
    pub serial: u64,
    /// How it is paid.
    pub method: Method,
    /// What the merchant asked for, in rupiah.
    pub amount: i64,
    /// What the gateway adds to it at the customer's cost.
    pub fee: i64,
    /// The state.
    pub status: Status,
    /// The fraud detection's word, where the method has one.
    pub fraud: Option<Fraud>,
    /// When the method was picked.
    pub at: Timestamp,
    /// When it settled.
    pub settled_at: Option<Timestamp>,
    /// Until when it can be paid.
    pub expires_at: Timestamp,
    /// What went back, in order.
    pub returned: Vec<Returned>,
    /// Refunds that the bank refused: the key, and when it was tried first.
    pub denied: Vec<(String, Timestamp)>,
    /// Whether its pending state is written in capitals, with status code 200.
    pub uppercase: bool,
    /// Whether anything that was said of it was signed with status code 200.
    pub signed_200: bool,
}

impl Transaction {
    /// What the customer pays: the amount and the fee.
    pub fn gross(&self) -> i64 {
        self.amount + self.fee
    }

    /// What went back so far.
    pub fn returned_total(&self) -> i64 {
        self.returned.iter().map(|returned| returned.amount).sum()
    }

    /// What is left of the amount to go back.
    pub fn left(&self) -> i64 {
        self.amount - self.returned_total()
    }

    /// What the merchant really holds by it, without the fee.
    pub fn net(&self) -> i64 {
        if !matches!(self.fraud, None | Some(Fraud::Accept)) {
            return 0;
        }
        match self.status {
            Status::Settlement
            | Status::Refund
            | Status::PartialRefund
            | Status::Chargeback
            | Status::PartialChargeback => self.left(),
            Status::Capture => self.amount,
            _ => 0,
        }
    }

    /// Whether it is over without money.
    pub fn is_given_up(&self) -> bool {
        matches!(self.status, Status::Expire | Status::Cancel)
    }

    /// Whether money came by it at some time.
    pub fn is_paid(&self) -> bool {
        self.settled_at.is_some() || self.status == Status::Capture
    }

    /// The state after a step; `forced` leaves aside what the method allows.
    pub fn after(&self, step: Step, forced: bool) -> Result<Status, Refused> {
        let card = self.method == Method::CreditCard || forced;
        let challenged = self.fraud == Some(Fraud::Challenge);
        match (self.status, step) {
            (Status::Pending, Step::Settle) | (Status::Expire, Step::LateSettle) => Ok(Status::Settlement),
            (Status::Capture, Step::Settle) if !challenged || forced => Ok(Status::Settlement),
            (Status::Pending, Step::Authorize) if card => Ok(Status::Authorize),
            (Status::Pending, Step::Capture | Step::Challenge) if card => Ok(Status::Capture),
            (Status::Authorize, Step::Capture) => Ok(Status::Capture),
            (Status::Capture, Step::Approve) if challenged => Ok(Status::Capture),
            (Status::Pending | Status::Authorize, Step::Deny) => Ok(Status::Deny),
            (Status::Capture, Step::Deny) if challenged => Ok(Status::Deny),
            (Status::Pending | Status::Authorize | Status::Capture, Step::Cancel) => Ok(Status::Cancel),
            (Status::Pending | Status::Authorize, Step::Expire) => Ok(Status::Expire),
            (Status::Pending, Step::Fail) => Ok(Status::Failure),
            (Status::Settlement, Step::Reverse) if forced || self.method.is_reversible() => Ok(Status::Deny),
            (Status::Settlement, Step::Reverse) => Err(Refused::Method(self.method)),
            (Status::Cancel | Status::Failure, Step::LateSettle) if forced => Ok(Status::Settlement),
            (
                Status::Settlement | Status::PartialRefund | Status::PartialChargeback,
                Step::Refund(amount),
            ) => self.after_return(amount, Status::Refund, Status::PartialRefund),
            (
                Status::Settlement | Status::PartialRefund | Status::PartialChargeback,
                Step::Chargeback(amount),
            ) => self.after_return(amount, Status::Chargeback, Status::PartialChargeback),
            (Status::Pending, Step::Capture | Step::Challenge | Step::Authorize) => {
                Err(Refused::Method(self.method))
            }
            (status, _) => Err(Refused::State(status)),
        }
    }

    fn after_return(&self, amount: i64, whole: Status, part: Status) -> Result<Status, Refused> {
        let left = self.left();
        if !(1..=left).contains(&amount) {
            return Err(Refused::Amount(left));
        }
        Ok(if amount == left { whole } else { part })
    }

    /// Takes a step; what goes back is written down by [`Self::give_back`].
    pub fn take(&mut self, step: Step, forced: bool, now: Timestamp) -> Result<(), Refused> {
        self.status = self.after(step, forced)?;
        match step {
            Step::Settle | Step::LateSettle => self.settled_at = Some(now),
            Step::Challenge => self.fraud = Some(Fraud::Challenge),
            Step::Approve => self.fraud = Some(Fraud::Accept),
            Step::Deny if self.fraud == Some(Fraud::Challenge) => self.fraud = Some(Fraud::Deny),
            _ => {}
        }
        self.signed_200 |= self.notified_code() == "200";
        Ok(())
    }

    /// Gives money back: a refund where there is a key, else a chargeback.
    pub fn give_back(&mut self, returned: Returned, now: Timestamp) -> Result<(), Refused> {
        let step = match returned.key {
            Some(_) => Step::Refund(returned.amount),
            None => Step::Chargeback(returned.amount),
        };
        self.take(step, true, now)?;
        self.returned.push(returned);
        Ok(())
    }

    /// The `status_code` of a notification in this state, which is what is signed.
    pub fn notified_code(&self) -> &'static str {
        match self.status {
            Status::Pending => "201",
            Status::Capture if self.fraud == Some(Fraud::Challenge) => "201",
            Status::Deny | Status::Cancel | Status::Expire | Status::Failure => "202",
            _ => "200",
        }
    }

    /// The `status_code` of the answer to Get Status in this state.
    pub fn status_code(&self) -> &'static str {
        match self.status {
            Status::Expire => "407",
            Status::Cancel => "200",
            Status::Pending if self.uppercase => "200",
            _ => self.notified_code(),
        }
    }

    /// Whether the time within which it can be refunded is over.
    pub fn is_too_old_to_refund(&self, now: Timestamp) -> bool {
        let (Some(settled), Some(days)) = (self.settled_at, self.method.refund_days()) else { return true };
        now.duration_since(settled) > SignedDuration::from_hours(24 * days)
    }
}
