//! What is bought, while everything that sells it is killed, and while its deadline and its readiness meet: one debit, one instance, one refund, one
//! mail of each kind.

mod buyer;
mod crashes;
mod deadlines;
mod points;
mod program;
mod shop;
mod walk;

/// What is bought: of all apps the one with the fewest parts.
const PLAN: &str = "postgresql-small";
/// What a customer has before, in rupiah.
const GIFT: i64 = 500_000;
/// The same choices each time.
const SEED: u64 = 20_261_122;
