//! Who has which host in this process: two reconciles that decide at the same time, each before it sees what the other wrote, must
//! not both have it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// The uid of who has a host.
#[derive(Debug, Default)]
pub struct Holders {
    by_host: Mutex<HashMap<String, String>>,
}

impl Holders {
    /// Takes a host for an instance, unless another has it that still asks for it.
    pub fn take(&self, host: &str, uid: &str, still_asks: impl Fn(&str) -> bool) -> bool {
        let mut all = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(host) {
            Some(other) if other != uid && still_asks(other) => false,
            Some(other) if other == uid => true,
            _ => {
                all.insert(host.to_owned(), uid.to_owned());
                true
            }
        }
    }

    /// Lets a host go; whether the instance had it.
    pub fn release(&self, host: &str, uid: &str) -> bool {
        let mut all = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        let had = all.get(host).is_some_and(|holder| holder == uid);
        if had {
            all.remove(host);
        }
        had
    }

    /// Forgets who no longer asks for what it had.
    pub fn keep_only(&self, asks: impl Fn(&str, &str) -> bool) {
        let mut all = self.by_host.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|host, uid| asks(host, uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_that_decide_at_once_one_has_it_until_it_lets_go() {
        let holders = Holders::default();
        let asks = |_: &str| true;
        assert!(holders.take("x.test", "a", asks) && holders.take("x.test", "a", asks));
        assert!(!holders.take("x.test", "b", asks));
        assert!(!holders.release("x.test", "b"));
        assert!(holders.release("x.test", "a") && holders.take("x.test", "b", asks));
        assert!(holders.take("x.test", "a", |_| false), "b asks for it no more");
    }
}
