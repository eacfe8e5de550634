//! What is counted about payments.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    call: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: String,
}

/// What a judge may find; each begins at 0.
const FINDINGS: [&str; 14] = [
    "late_settlement",
    "second_payment",
    "amount_differs",
    "other_currency",
    "other_code",
    "not_accepted",
    "reversed",
    "paid_after_reversal",
    "ended_after_paid",
    "refunded_uncredited",
    "refund_exceeds",
    "refund_falls_short",
    "refund_untold",
    "unknown_status",
];

/// How findings, notifications and the daily comparison stand.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Findings that nobody has settled.
    pub open_findings: i64,
    /// Notifications that were not looked at to the end.
    pub waiting: i64,
    /// Since when the oldest of them waits, in seconds.
    pub oldest_seconds: i64,
    /// When all was last compared with the gateway, in seconds since 1970; 0: never.
    pub compared_at: i64,
    /// About how many the gateway gave no answer then.
    pub unanswered: i64,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Metrics {
    calls: Family<Call, Counter>,
    notifications: Family<Outcome, Counter>,
    findings: Family<Kind, Counter>,
    open_findings: Gauge,
    waiting: Gauge,
    oldest: Gauge,
    compared_at: Gauge,
    unanswered: Gauge,
}

impl Metrics {
    /// Registers them, and lets what can be counted begin at 0.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("gateway_calls", "Calls to the payment gateway", self.calls.clone());
        registry.register(
            "payment_notifications",
            "Notifications of payments, by what became of them",
            self.notifications.clone(),
        );
        registry.register(
            "payment_findings",
            "Payments that were not as they should be, by kind",
            self.findings.clone(),
        );
        registry.register(
            "payment_findings_open",
            "Findings that nobody has settled yet",
            self.open_findings.clone(),
        );
        registry.register(
            "payment_notifications_waiting",
            "Notifications that have yet to be looked at to the end",
            self.waiting.clone(),
        );
        registry.register(
            "payment_notification_oldest_seconds",
            "How long the oldest of them waits",
            self.oldest.clone(),
        );
        registry.register(
            "payments_compared_timestamp_seconds",
            "When all recent payments were last compared with the gateway",
            self.compared_at.clone(),
        );
        registry.register(
            "payments_unanswered",
            "Of how many payments the gateway gave no answer then",
            self.unanswered.clone(),
        );
        for outcome in ["done", "unknown_order", "failed", "forged", "malformed"] {
            drop(self.notifications.get_or_create(&Outcome { outcome }));
        }
        for call in ["create", "status", "cancel", "cancel_page"] {
            for outcome in ["ok", "unknown", "refused", "order_used", "unauthorised", "unreadable"] {
                drop(self.calls.get_or_create(&Call { call, outcome }));
            }
        }
        for label in FINDINGS {
            drop(self.findings.get_or_create(&Kind { kind: label.to_uppercase() }));
        }
        for kind in super::findings::KINDS {
            drop(self.findings.get_or_create(&Kind { kind: (*kind).to_owned() }));
        }
    }

    /// The gateway was called.
    pub fn called(&self, call: &'static str, outcome: &'static str) {
        self.calls.get_or_create(&Call { call, outcome }).inc();
    }

    /// A notification came to this.
    pub fn notified(&self, outcome: &'static str) {
        self.notifications.get_or_create(&Outcome { outcome }).inc();
    }

    /// Something was found.
    pub fn found(&self, kind: &str) {
        self.findings.get_or_create(&Kind { kind: kind.to_owned() }).inc();
    }

    /// How all stand.
    pub fn stand(&self, standing: &Standing) {
        self.open_findings.set(standing.open_findings);
        self.waiting.set(standing.waiting);
        self.oldest.set(standing.oldest_seconds);
        self.compared_at.set(standing.compared_at);
        self.unanswered.set(standing.unanswered);
    }
}
