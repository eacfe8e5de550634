//! Field managers of server-side apply: one constant per concern, each applying its whole concern.
//! A partial apply under the same manager would remove the fields it leaves out.

/// What billing orders: the plan of an instance.
pub const ORDER: &str = "nakhoda-order";
/// Until when an instance is paid and when it is to be suspended.
pub const ENTITLEMENT: &str = "nakhoda-entitlement";
/// The hold that billing places on an instance.
pub const HOLD_BILLING: &str = "nakhoda-hold-billing";
/// The hold that an administrator places on an instance.
pub const HOLD_ADMIN: &str = "nakhoda-hold-admin";
/// The hold placed because of abuse.
pub const HOLD_ABUSE: &str = "nakhoda-hold-abuse";
/// What the customer decides: power state, parameters, domains, windows, access, retention.
pub const OWNER: &str = "nakhoda-owner";
/// A tenant's limits and orders.
pub const TENANT: &str = "nakhoda-tenant";
/// Templates and plans.
pub const CATALOGUE: &str = "nakhoda-catalogue";
/// Everything the operator makes: child objects, status, finalizers.
pub const OPERATOR: &str = "nakhoda-operator";
