//! How a storm went.

use std::time::Duration;

/// How it went.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many payments there were.
    pub payments: usize,
    /// How many notifications were brought.
    pub notifications: usize,
    /// How many of them came past another state.
    pub late: usize,
    /// How many were forged, and how many of those were refused at the door.
    pub forged: (usize, usize),
    /// How long it took to make the payments.
    pub making: Duration,
    /// How long it took until all notifications were looked at.
    pub telling: Duration,
}

impl Outcome {
    /// Payments and notifications a second.
    pub fn rates(&self) -> String {
        let rate =
            |count, time: Duration| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / time.as_secs_f64();
        format!(
            "{:.0} payments made a second; {:.0} notifications a second, told and looked at",
            rate(self.payments, self.making),
            rate(self.notifications, self.telling),
        )
    }
}
