//! Sessions that the database said are good, for so short a time that an end is felt everywhere within a second.

use super::Principal;
use std::time::Duration;
use uuid::Uuid;

/// How old an answer may be.
const AGE: Duration = Duration::from_millis(500);
/// How many are kept.
const MOST: u64 = 50_000;

/// The sessions, by id.
#[derive(Clone, Debug)]
pub struct Cache(moka::sync::Cache<Uuid, Principal>);

impl Default for Cache {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(MOST).time_to_live(AGE).build())
    }
}

impl Cache {
    /// Who has the session, if it was asked a moment ago.
    pub fn get(&self, session: Uuid) -> Option<Principal> {
        self.0.get(&session)
    }

    /// Keeps an answer.
    pub fn put(&self, principal: Principal) {
        self.0.insert(principal.session_id, principal);
    }

    /// Forgets a session that was ended here.
    pub fn forget(&self, session: Uuid) {
        self.0.invalidate(&session);
    }

    /// Forgets all.
    pub fn forget_all(&self) {
        self.0.invalidate_all();
    }
}
