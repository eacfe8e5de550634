//! How long to wait after a try that failed.

use jiff::SignedDuration;

/// The pause after the first; each further one doubles it.
const FIRST: SignedDuration = SignedDuration::from_secs(2);
/// The longest.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// The pause after the `nth` try (from 1 on): up to a quarter less than twice the one before, so that what failed together does not come
/// back together.
pub(super) fn pause(nth: i32, chance: u8) -> SignedDuration {
    let doublings = u32::try_from(nth.clamp(1, 20) - 1).unwrap_or_default();
    let whole = FIRST.checked_mul(1 << doublings).unwrap_or(LONGEST).min(LONGEST);
    whole * (3 * 255 + i32::from(chance)) / (4 * 255)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let most = |nth| pause(nth, 255).as_secs();
        assert_eq!(
            [1, 2, 3, 4, 10, 11, 12, 13, i32::MAX].map(most),
            [2, 4, 8, 16, 1024, 2048, 3600, 3600, 3600]
        );
        assert_eq!(pause(12, 0), SignedDuration::from_mins(45));
    }

    proptest! {
        #[test]
        fn a_pause_is_never_longer_than_an_hour_nor_shorter_than_three_quarters(nth: i32, chance: u8) {
            let (pause, most) = (pause(nth, chance), pause(nth, 255));
            prop_assert!(pause <= LONGEST && pause <= most && pause * 4 >= most * 3);
            prop_assert!(pause >= FIRST * 3 / 4);
        }
    }
}
