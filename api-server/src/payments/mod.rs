//! Money in. A customer means to top up; an attempt has an order id of its own, stored before the gateway is called; what the gateway says of
//! it is judged and booked, by whichever way it was learnt: a notification, the customer's wish, or our own asking.

pub mod check;
pub mod comparison;
pub mod findings;
pub mod inbox;
pub mod inquiry;
pub mod judge;
pub mod methods;
pub mod metrics;
pub mod midtrans;
pub mod reconcile;
pub mod settle;
mod store;
pub mod top_up;

use crate::{
    config,
    money::Rupiah,
    wallet::{Number, Status},
};
use jiff::{SignedDuration, Timestamp};
use judge::Standing;
use methods::Methods;
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
};
use uuid::Uuid;

/// How long a customer has to pay.
pub const LASTS: SignedDuration = SignedDuration::from_hours(24);

/// What payments need: the gateway, if there is one, and the methods.
#[derive(Debug)]
pub struct Payments {
    /// The gateway; none: nobody can pay.
    pub gateway: Option<midtrans::Client>,
    /// How people can pay.
    pub methods: Methods,
    /// Wakes who looks at notifications in this process.
    pub inbox_is_due: tokio::sync::Notify,
    forged: AtomicU32,
}

/// How many forged notifications this process keeps in a minute.
const FORGED: u32 = 20;

impl Payments {
    /// By the settings.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(midtrans: &config::Midtrans, methods: &config::PaymentMethods) -> Result<Self, SettingsError> {
        Ok(Self {
            gateway: midtrans::Client::new(midtrans)?,
            methods: Methods::load(methods)?,
            inbox_is_due: tokio::sync::Notify::new(),
            forged: AtomicU32::new(0),
        })
    }

    /// Whether one more forged notification is kept.
    fn forged_is_kept(&self) -> bool {
        self.forged.fetch_add(1, Ordering::Relaxed) < FORGED
    }

    /// A minute is over.
    pub fn tidy(&self) {
        self.forged.store(0, Ordering::Relaxed);
    }
}

/// Why the settings of payments can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Those of the gateway.
    #[error(transparent)]
    Gateway(#[from] midtrans::SettingsError),
    /// The methods.
    #[error(transparent)]
    Methods(#[from] methods::MethodsError),
}

/// How findings and notifications stand.
///
/// # Errors
/// As the database's.
pub async fn standing(db: &sqlx::PgPool, now: Timestamp) -> Result<metrics::Standing, sqlx::Error> {
    store::standing(db, now).await
}

/// What a customer means to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopUp {
    /// Its id.
    pub id: Uuid,
    /// Its transaction's number.
    pub number: Number,
    /// Its transaction.
    pub transaction_id: Uuid,
    /// How much.
    pub amount: Rupiah,
    /// How it stands, by its transaction.
    pub status: Status,
    /// The customer's choice.
    pub method: Option<String>,
    /// What it was paid with, as the gateway calls it, once it is decided.
    pub paid_with: Option<String>,
    /// What the gateway says while it is pending, once a method was chosen there.
    pub awaits_payment_by: Option<String>,
    /// Token and address of the page, while it is pending and there is one.
    pub page: Option<(String, String)>,
    /// When it was meant.
    pub created_at: Timestamp,
    /// Until when it can be paid.
    pub expires_at: Timestamp,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
}

/// One try to have a top-up paid, with what matters of the top-up.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attempt {
    id: Uuid,
    top_up_id: Uuid,
    transaction_id: Uuid,
    user_id: Uuid,
    number: Number,
    /// Of the top-up.
    status: Status,
    amount: Rupiah,
    method: Option<String>,
    is_open: bool,
    page: Option<(String, String)>,
    created_at: Timestamp,
    expires_at: Timestamp,
    /// Whether the gateway may have been asked for a page before.
    was_called: bool,
    cancel_wanted: bool,
}

impl Attempt {
    fn order_id(&self) -> midtrans::OrderId {
        midtrans::OrderId::of(self.id)
    }
}

/// What is known of one transaction of the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Payment {
    attempt_id: Uuid,
    status: String,
    standing: Standing,
    credited_by: Option<Uuid>,
    credited: Rupiah,
    taken_back: Rupiah,
    keys: BTreeSet<String>,
    /// When the gateway was asked for the answer that was booked last.
    asked_at: Option<Timestamp>,
}

/// A top-up to be kept.
#[derive(Clone, Debug)]
struct NewTopUp<'a> {
    id: Uuid,
    transaction_id: Uuid,
    user_id: Uuid,
    method: Option<&'a str>,
    expires_at: Timestamp,
    created_at: Timestamp,
}

/// An attempt to be kept.
#[derive(Clone, Debug)]
struct NewAttempt {
    id: Uuid,
    top_up_id: Uuid,
    amount: Rupiah,
    created_at: Timestamp,
    expires_at: Timestamp,
    next_check_at: Timestamp,
}

/// An attempt that the gateway is to be asked about.
#[derive(Clone, Copy, Debug)]
struct Due {
    id: Uuid,
    failing_since: Option<Timestamp>,
}

/// What a comparison with the gateway came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Of attempts made or changed from then on.
    pub since: Timestamp,
    /// How many the gateway was asked about.
    pub asked: i64,
    /// How many differed: set right where that is possible, and noted.
    pub differing: i64,
    /// How many it gave no answer about.
    pub unanswered: i64,
}
