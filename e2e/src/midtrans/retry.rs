//! How often and when a notification is tried again. The gateway shifts its intervals at random to be earlier; this one doesn't.

use std::time::Duration;

/// Minutes between one try and the next.
const INTERVALS: [u64; 5] = [2, 10, 30, 90, 210];

/// How many times it is tried again after this answer; none is a time-out or a broken connection.
pub fn retries(answer: Option<u16>) -> usize {
    match answer {
        Some(200..=299 | 301..=303) => 0,
        Some(500) => 1,
        Some(400 | 404) => 2,
        Some(503) => 4,
        _ => 5,
    }
}

/// When it is tried again after an answer to the `attempt`th try, counted from 1; none: never again.
pub fn next(answer: Option<u16>, attempt: usize) -> Option<Duration> {
    if attempt > retries(answer) {
        return None;
    }
    INTERVALS.get(attempt.checked_sub(1)?).map(|minutes| Duration::from_mins(*minutes))
}

#[cfg(test)]
mod tests {
    use super::{next, retries};
    use std::time::Duration;

    #[test]
    fn the_answer_decides_how_often_it_is_tried_again() {
        let expected = [
            (Some(200), 0),
            (Some(204), 0),
            (Some(301), 0),
            (Some(302), 0),
            (Some(303), 0),
            (Some(500), 1),
            (Some(400), 2),
            (Some(404), 2),
            (Some(503), 4),
            (Some(401), 5),
            (Some(403), 5),
            (Some(409), 5),
            (Some(422), 5),
            (Some(429), 5),
            (Some(502), 5),
            (Some(307), 5),
            (None, 5),
        ];
        for (answer, times) in expected {
            assert_eq!(retries(answer), times, "{answer:?}");
        }
    }

    #[test]
    fn the_intervals_grow_and_end() {
        let minutes: Vec<_> = (1..=6).map(|attempt| next(None, attempt)).collect();
        let expected = [Some(2), Some(10), Some(30), Some(90), Some(210), None];
        assert_eq!(minutes, expected.map(|one| one.map(Duration::from_mins)));
        assert_eq!(next(Some(500), 1), Some(Duration::from_mins(2)));
        assert_eq!(next(Some(500), 2), None);
    }
}
