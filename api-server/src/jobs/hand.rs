//! What a worker has in its hand: jobs that it took, until when each is surely its own, and how much room there is.

use super::{Queue, store::Taken};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Hand {
    held: Mutex<HashMap<Uuid, Held>>,
    /// Somebody put something down.
    pub(super) freed: Notify,
}

#[derive(Debug)]
struct Held {
    attempt: i32,
    queue: Queue,
    /// From then on another may have it.
    until: Instant,
    lost: CancellationToken,
}

impl Hand {
    /// How many more of a queue's there is room for; 0 while it is not worth to ask.
    pub(super) fn room(&self, queue: Queue) -> usize {
        let held = self.open().values().filter(|held| held.queue == queue).count();
        let room = queue.in_hand().saturating_sub(held);
        if room >= queue.in_hand() / 4 { room } else { 0 }
    }

    /// Notes a job that was taken; what tells that it was lost.
    pub(super) fn take(&self, queue: Queue, job: &Taken, until: Instant) -> CancellationToken {
        let lost = CancellationToken::new();
        let held = Held { attempt: job.attempts, queue, until, lost: lost.clone() };
        if let Some(before) = self.open().insert(job.id, held) {
            before.lost.cancel();
        }
        lost
    }

    /// Puts down what has ended.
    pub(super) fn put_down(&self, ended: impl Iterator<Item = Uuid>) {
        let mut held = self.open();
        for id in ended {
            held.remove(&id);
        }
        drop(held);
        self.freed.notify_one();
    }

    /// What is held, each with its attempt.
    pub(super) fn all(&self) -> (Vec<Uuid>, Vec<i32>) {
        self.open().iter().map(|(id, held)| (*id, held.attempt)).unzip()
    }

    /// Of those that were asked about, these are ours until then; the others are not any more.
    pub(super) fn renew(&self, asked: &[Uuid], ours: &[Uuid], until: Instant) {
        let mut held = self.open();
        for id in asked {
            let Some(one) = held.get_mut(id) else { continue };
            if ours.contains(id) {
                one.until = until;
            } else {
                one.lost.cancel();
            }
        }
    }

    /// Lets go of what may be another's by now.
    pub(super) fn let_go(&self, now: Instant) {
        for one in self.open().values().filter(|one| one.until <= now) {
            one.lost.cancel();
        }
    }

    /// Nothing in here panics while it is held.
    fn open(&self) -> MutexGuard<'_, HashMap<Uuid, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn job(id: u128) -> Taken {
        Taken {
            id: Uuid::from_u128(id),
            position: 0,
            kind: "PROBE".to_owned(),
            payload: serde_json::Value::Null,
            attempts: 1,
            allowed: 5,
            due_at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn what_is_not_renewed_is_let_go() {
        let (hand, now) = (Hand::default(), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        let [one, two, three] = [1, 2, 3].map(|id| hand.take(Queue::Quick, &job(id), later(50)));
        let [first, second, third] = [1, 2, 3].map(Uuid::from_u128);
        hand.renew(&[first, second], &[first], later(60));
        assert_eq!([&one, &two, &three].map(CancellationToken::is_cancelled), [false, true, false]);
        hand.let_go(later(55));
        assert_eq!([&one, &two, &three].map(CancellationToken::is_cancelled), [false, true, true]);
        hand.put_down([first, second, third].into_iter());
        assert!(hand.all().0.is_empty());
    }

    #[tokio::test]
    async fn more_is_taken_once_a_quarter_is_free() {
        let (hand, all) = (Hand::default(), Queue::Quick.in_hand());
        let ids = || (0..all).map(|id| Uuid::from_u128(u128::try_from(id).unwrap()));
        for id in ids() {
            hand.take(Queue::Quick, &job(id.as_u128()), Instant::now());
        }
        assert_eq!((hand.room(Queue::Quick), hand.room(Queue::Upkeep)), (0, 2));
        hand.put_down(ids().take(all / 4 - 1));
        assert_eq!(hand.room(Queue::Quick), 0);
        hand.put_down(ids().take(all / 4));
        assert_eq!(hand.room(Queue::Quick), all / 4);
    }
}
