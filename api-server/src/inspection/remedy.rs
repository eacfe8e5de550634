//! What mends a difference: a call, as it is typed.

use crate::money::Rupiah;
use serde::{Serialize, Serializer};
use std::fmt;
use uuid::Uuid;

/// What mends something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The cluster is told once more what a subscription's resource is to say, in words newer than that.
    Retell {
        /// The subscription.
        subscription: Uuid,
        /// What the resource was told last.
        above: i64,
    },
    /// A version that nobody of ours has written goes; the right one is told then.
    Unnote {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The subscription ends, and what was not used comes back, or all of it; its data is kept for a while.
    Cancel {
        /// The subscription.
        subscription: Uuid,
    },
    /// A resource goes; its data is kept for a while.
    Delete {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A resource that somebody has made by hand loses what lets it run.
    Disentitle {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The same, unless somebody means it to run without billing, and says why.
    DisentitleOrMean {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// Billing's hold of a resource goes.
    Release {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// What still runs is looked for.
    LookForPods {
        /// The namespace.
        namespace: String,
        /// The resource's uid.
        uid: Option<Uuid>,
    },
    /// The gateway is asked about an order, and what it says is booked.
    Settle {
        /// The order.
        order_id: String,
    },
    /// A wallet is corrected, once somebody has looked.
    Adjust {
        /// Whose.
        user: Uuid,
        /// Whether money is given, or taken.
        gives: bool,
        /// How much.
        amount: Rupiah,
    },
    /// All that is known of a payment is looked at: how much is owed, if anything, nothing here knows.
    Look {
        /// The order.
        order_id: String,
    },
    /// Everything is read again, to see how far it goes.
    VerifyBooks,
}

/// Takes a part of a resource's spec away.
fn without(namespace: &str, name: &str, part: &str) -> String {
    format!(
        "kubectl -n {namespace} patch serviceinstance {name} --type=json -p '[{{\"op\":\"remove\",\"path\":\"/spec/{part}\"}}]'"
    )
}

impl fmt::Display for Remedy {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retell { subscription, above: 0 } => {
                write!(to, "api-server subscription retell {subscription}")
            }
            Self::Retell { subscription, above } => {
                write!(to, "api-server subscription retell {subscription} --above {above}")
            }
            Self::Unnote { namespace, name } => {
                let note = crds::labels::BILLING_VERSION;
                write!(to, "kubectl -n {namespace} annotate serviceinstance {name} {note}-")
            }
            Self::Cancel { subscription } => {
                write!(to, "api-server subscription cancel {subscription} --refund prorated --reason \"…\"")
            }
            Self::Delete { namespace, name } => {
                write!(to, "kubectl -n {namespace} delete serviceinstance {name}")
            }
            Self::Disentitle { namespace, name } => to.write_str(&without(namespace, name, "entitlement")),
            Self::DisentitleOrMean { namespace, name } => {
                let disentitle = without(namespace, name, "entitlement");
                let because = crds::labels::ENTITLED_BECAUSE;
                write!(
                    to,
                    "{disentitle}; or, if it is meant to run: kubectl -n {namespace} annotate serviceinstance {name} {because}='WHY'"
                )
            }
            Self::Release { namespace, name } => to.write_str(&without(namespace, name, "holds/billing")),
            Self::LookForPods { namespace, uid: Some(uid) } => {
                write!(to, "kubectl -n {namespace} get pods -o wide -l {}={uid}", crds::labels::INSTANCE)
            }
            Self::LookForPods { namespace, uid: None } => {
                write!(to, "kubectl -n {namespace} get serviceinstances,pods -o wide")
            }
            Self::Settle { order_id } => write!(to, "api-server payment settle {order_id}"),
            Self::Adjust { user, gives, amount } => {
                let kind = if *gives { "CREDIT" } else { "DEBIT" };
                write!(
                    to,
                    "POST /api/v1/admin/billing/adjustments {{\"user_id\":\"{user}\",\"kind\":\"{kind}\",\"amount\":{amount},\"reason\":\"…\"}}; once: see first that none was made for it, GET /api/v1/admin/billing/transactions?user_id={user}&type=ADJUSTMENT",
                    amount = amount.get()
                )
            }
            Self::Look { order_id } => {
                write!(
                    to,
                    "GET /api/v1/admin/billing/payments?of={order_id}; it has a finding, which says what to do (docs/PAYMENTS.md) and is settled once that is done"
                )
            }
            Self::VerifyBooks => write!(to, "api-server ledger verify --full"),
        }
    }
}

impl Serialize for Remedy {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}
