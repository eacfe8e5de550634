//! Whether an instance may and should run: a pure function of its spec, the settings and the time.

use crate::settings::Unsubscribed;
use crds::instance::{Hold, PowerState, ServiceInstanceSpec};
use jiff::Timestamp;

/// Whether it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Power {
    /// It should run.
    On,
    /// Its owner stopped it.
    Stopped,
    /// It may not run.
    Suspended {
        /// A constant word.
        reason: &'static str,
        /// Why, and who must act.
        message: String,
    },
}

impl Power {
    /// Whether pods should be there.
    pub fn is_on(&self) -> bool {
        *self == Self::On
    }
}

/// What holds at `now`, and when that changes by the clock alone.
pub fn decide(
    spec: &ServiceInstanceSpec,
    unsubscribed: Unsubscribed,
    now: Timestamp,
) -> (Power, Option<Timestamp>) {
    if let Some((reason, hold, who)) = held(spec) {
        let message = format!("{} It runs again once {who} releases the hold.", sentence(&hold.reason));
        return (Power::Suspended { reason, message }, None);
    }
    let suspend_at = match &spec.entitlement {
        Some(entitlement) => entitlement.suspend_at.as_ref().map(|time| time.0),
        None if unsubscribed == Unsubscribed::Allow => None,
        None => {
            let message = "Nobody has entitled this instance to run. Buy a subscription for it, or ask an administrator.";
            return (Power::Suspended { reason: "NotEntitled", message: message.to_owned() }, None);
        }
    };
    match suspend_at {
        Some(at) if at <= now => {
            let message = "The paid period and its grace are over; the data is kept. It runs again once it is paid for.";
            (Power::Suspended { reason: "EntitlementEnded", message: message.to_owned() }, None)
        }
        _ if spec.power_state == PowerState::Stopped => (Power::Stopped, suspend_at),
        _ => (Power::On, suspend_at),
    }
}

fn held(spec: &ServiceInstanceSpec) -> Option<(&'static str, &Hold, &'static str)> {
    let holds = spec.holds.as_ref()?;
    let abuse = holds.abuse.as_ref().map(|hold| ("HeldForAbuse", hold, "the abuse team"));
    let admin = holds.admin.as_ref().map(|hold| ("HeldByAdministrator", hold, "an administrator"));
    let billing = holds.billing.as_ref().map(|hold| ("HeldByBilling", hold, "billing"));
    abuse.or(admin).or(billing)
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::instance::{Entitlement, Holds};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn entitled(suspend_at: Option<i64>) -> ServiceInstanceSpec {
        let suspend_at = suspend_at.map(|second| Time(at(second)));
        ServiceInstanceSpec {
            entitlement: Some(Entitlement { paid_until: None, suspend_at }),
            ..ServiceInstanceSpec::default()
        }
    }

    fn reason(spec: &ServiceInstanceSpec, now: i64) -> &'static str {
        match decide(spec, Unsubscribed::Deny, at(now)).0 {
            Power::On => "On",
            Power::Stopped => "Stopped",
            Power::Suspended { reason, .. } => reason,
        }
    }

    #[test]
    fn it_runs_until_the_clock_reaches_suspend_at_and_says_when_to_look_again() {
        let spec = entitled(Some(100));
        assert_eq!(decide(&spec, Unsubscribed::Deny, at(99)), (Power::On, Some(at(100))));
        assert_eq!(reason(&spec, 100), "EntitlementEnded");
    }

    #[test]
    fn without_an_entitlement_the_setting_decides() {
        let spec = ServiceInstanceSpec::default();
        assert_eq!(reason(&spec, 0), "NotEntitled");
        assert_eq!(decide(&spec, Unsubscribed::Allow, at(0)), (Power::On, None));
    }

    #[test]
    fn releasing_one_hold_leaves_the_others() {
        let hold = |reason: &str| Some(Hold { reason: reason.into(), since: Time(at(0)) });
        let mut spec = entitled(None);
        spec.holds = Some(Holds { billing: hold("unpaid"), admin: hold("moving"), abuse: None });
        assert_eq!(reason(&spec, 0), "HeldByAdministrator");
        spec.holds = Some(Holds { billing: hold("unpaid"), ..Holds::default() });
        assert_eq!(reason(&spec, 0), "HeldByBilling");
        spec.holds = Some(Holds::default());
        assert_eq!(reason(&spec, 0), "On");
    }

    #[test]
    fn a_hold_counts_more_than_being_stopped_by_the_owner() {
        let mut spec = entitled(Some(10));
        spec.power_state = PowerState::Stopped;
        assert_eq!(reason(&spec, 0), "Stopped");
        assert_eq!(reason(&spec, 11), "EntitlementEnded");
    }

    #[test]
    fn it_runs_only_without_a_hold_entitled_in_time_and_wanted_in_every_combination() {
        let hold = || Some(Hold { reason: "why".into(), since: Time(at(0)) });
        let entitlements = [None, Some(None), Some(Some(9)), Some(Some(10)), Some(Some(11))];
        let mut running = 0;
        for mask in 0..8u8 {
            for ends in entitlements {
                for (wanted, setting) in [
                    (PowerState::Running, Unsubscribed::Deny),
                    (PowerState::Running, Unsubscribed::Allow),
                    (PowerState::Stopped, Unsubscribed::Deny),
                    (PowerState::Stopped, Unsubscribed::Allow),
                ] {
                    let mut spec = ends.map_or_else(ServiceInstanceSpec::default, entitled);
                    spec.power_state = wanted;
                    let placed = |bit: u8| if mask & bit == 0 { None } else { hold() };
                    spec.holds = Some(Holds { billing: placed(1), admin: placed(2), abuse: placed(4) });
                    let may = mask == 0
                        && match ends {
                            None => setting == Unsubscribed::Allow,
                            Some(end) => end.is_none_or(|end| end > 10),
                        };
                    let power = decide(&spec, setting, at(10)).0;
                    let expected = match (may, wanted) {
                        (true, PowerState::Running) => "On",
                        (true, PowerState::Stopped) => "Stopped",
                        (false, _) => "Suspended",
                    };
                    let found = match power {
                        Power::On => "On",
                        Power::Stopped => "Stopped",
                        Power::Suspended { .. } => "Suspended",
                    };
                    assert_eq!(found, expected, "{mask} {ends:?} {wanted:?} {setting:?}");
                    running += u8::from(found == "On");
                }
            }
        }
        assert_eq!(running, 5, "two entitlements by either setting, and none where that is allowed");
    }
}
