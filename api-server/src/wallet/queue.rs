//! Where requests wait whose wallet another is changing, in this process and in the order in which they came. They wait here and not in
//! the database, so that many clients of one wallet take one connection of the pool, and not all of them to wait for one row.

use crate::http::problem::Problem;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use uuid::Uuid;

/// The most that wait for one wallet or change it; whoever comes then is told to come again.
const MOST: usize = 256;
/// How long somebody waits.
const BOUND: Duration = Duration::from_secs(5);
/// What is said to whom it takes too long.
const BUSY: &str = "Too many requests change this wallet at the same time.";

/// A queue for each wallet that somebody is changing.
#[derive(Debug)]
pub struct Queue {
    wallets: Arc<Mutex<HashMap<Uuid, Wallet>>>,
    most: usize,
    bound: Duration,
}

/// The queue of a wallet. It is there as long as anybody stands in it.
#[derive(Debug, Default)]
struct Wallet {
    turn: Arc<Turn<()>>,
    people: usize,
}

/// The only one in this process to change a wallet, until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Place {
    // The turn goes first, then the place in the queue.
    _turn: OwnedMutexGuard<()>,
    _ticket: Ticket,
}

/// Somebody in a queue.
#[derive(Debug)]
struct Ticket {
    wallets: Arc<Mutex<HashMap<Uuid, Wallet>>>,
    of: Uuid,
}

impl Default for Queue {
    fn default() -> Self {
        Self::new(MOST, BOUND)
    }
}

impl Queue {
    fn new(most: usize, bound: Duration) -> Self {
        Self { wallets: Arc::default(), most, bound }
    }

    /// Waits until nobody else in this process changes a user's wallet. It comes before the connection to the database; whoever needs
    /// several wallets takes their places in the order of the users' ids.
    ///
    /// # Errors
    /// 503 where too many wait, or it takes too long.
    pub async fn place(&self, user_id: Uuid) -> Result<Place, Problem> {
        let (turn, ticket) = self.enter(user_id).ok_or_else(|| Problem::unavailable(BUSY))?;
        match tokio::time::timeout(self.bound, turn.lock_owned()).await {
            Ok(turn) => Ok(Place { _turn: turn, _ticket: ticket }),
            Err(_) => Err(Problem::unavailable(BUSY)),
        }
    }

    fn enter(&self, user_id: Uuid) -> Option<(Arc<Turn<()>>, Ticket)> {
        let mut wallets = open(&self.wallets);
        let wallet = wallets.entry(user_id).or_default();
        // One that was just made is empty.
        if wallet.people >= self.most {
            return None;
        }
        wallet.people += 1;
        Some((Arc::clone(&wallet.turn), Ticket { wallets: Arc::clone(&self.wallets), of: user_id }))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut wallets = open(&self.wallets);
        if let Some(wallet) = wallets.get_mut(&self.of) {
            wallet.people -= 1;
            if wallet.people == 0 {
                wallets.remove(&self.of);
            }
        }
    }
}

/// Nothing in here panics while it is held.
fn open(wallets: &Mutex<HashMap<Uuid, Wallet>>) -> MutexGuard<'_, HashMap<Uuid, Wallet>> {
    wallets.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::Code;
    use futures::{FutureExt as _, future::join_all};
    use std::sync::atomic::{AtomicUsize, Ordering};

    const AYU: Uuid = Uuid::from_u128(1);
    const BUDI: Uuid = Uuid::from_u128(2);
    const LONG: Duration = Duration::from_mins(5);

    #[tokio::test]
    async fn one_at_a_time_changes_a_wallet_in_the_order_of_coming_and_nothing_is_left() {
        let (queue, inside) = (Queue::new(100, LONG), AtomicUsize::new(0));
        let order = Mutex::new(Vec::new());
        join_all((0..50).map(async |nth| {
            let place = queue.place(AYU).await.unwrap();
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two at once");
            tokio::task::yield_now().await;
            order.lock().unwrap().push(nth);
            inside.fetch_sub(1, Ordering::SeqCst);
            drop(place);
        }))
        .await;
        assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
        assert!(open(&queue.wallets).is_empty());
    }

    #[tokio::test]
    async fn nobody_waits_for_another_wallet() {
        let queue = Queue::new(2, LONG);
        let ayu = queue.place(AYU).await.unwrap();
        assert!(queue.place(AYU).now_or_never().is_none(), "it waits, and goes away again");
        let budi = queue.place(BUDI).now_or_never().unwrap();
        drop((ayu, budi));
        assert!(open(&queue.wallets).is_empty());
    }

    #[tokio::test]
    async fn who_comes_when_too_many_wait_or_waits_too_long_is_told_to_come_again() {
        let queue = Queue::new(2, Duration::ZERO);
        let place = queue.place(AYU).await.unwrap();
        assert_eq!(queue.place(AYU).await.unwrap_err().code(), Code::Unavailable, "too long");
        let (_, waiting) = queue.enter(AYU).unwrap();
        assert_eq!(
            queue.place(AYU).now_or_never().unwrap().unwrap_err().code(),
            Code::Unavailable,
            "too many"
        );
        drop((waiting, place));
        drop(queue.place(AYU).await.unwrap());
        assert!(open(&queue.wallets).is_empty());
    }
}
