//! All SQL about jobs, a file a concern.

mod administration;
mod outbox;
mod schedules;
mod standing;
mod work;

pub use administration::*;
pub(super) use outbox::*;
pub(super) use schedules::*;
pub use standing::*;
pub use work::*;
