//! What its owner decides of an app, as it looks in answers and in requests.

use crate::http::problem::{Fields, Result};
use crds::instance::{self, Weekday};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = InstanceWeekday)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

const DAYS: [(Day, Weekday); 7] = [
    (Day::Monday, Weekday::Monday),
    (Day::Tuesday, Weekday::Tuesday),
    (Day::Wednesday, Weekday::Wednesday),
    (Day::Thursday, Weekday::Thursday),
    (Day::Friday, Weekday::Friday),
    (Day::Saturday, Weekday::Saturday),
    (Day::Sunday, Weekday::Sunday),
];

/// A weekly time at which updates may restart the app.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = InstanceMaintenanceWindow)]
#[serde(deny_unknown_fields)]
pub struct WindowView {
    /// The days on which it begins; empty: every day.
    #[serde(default)]
    #[schema(required = false, max_items = 7)]
    days: Vec<Day>,
    /// When it begins, as `HH:MM`.
    #[schema(example = "02:30", pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    start: String,
    /// How long it lasts, in minutes.
    #[serde(default = "two_hours")]
    #[schema(required = false, minimum = 30, maximum = 1440, example = 120)]
    duration_minutes: i32,
    /// The IANA time zone that `start` is given in.
    #[serde(default = "jakarta")]
    #[schema(required = false, example = "Asia/Jakarta", min_length = 1, max_length = 64)]
    time_zone: String,
}

fn two_hours() -> i32 {
    120
}

fn jakarta() -> String {
    "Asia/Jakarta".to_owned()
}

impl From<&instance::MaintenanceWindow> for WindowView {
    fn from(window: &instance::MaintenanceWindow) -> Self {
        let day = |day: &Weekday| DAYS.iter().find(|(_, one)| one == day).map(|(day, _)| *day);
        Self {
            days: window.days.iter().filter_map(day).collect(),
            start: window.start.clone(),
            duration_minutes: window.duration_minutes,
            time_zone: window.time_zone.clone(),
        }
    }
}

impl WindowView {
    /// As the resource has it.
    ///
    /// # Errors
    /// 422 with each value that is none.
    pub fn read(self) -> Result<instance::MaintenanceWindow> {
        let Self { days, start, duration_minutes, time_zone } = self;
        let mut fields = Fields::new();
        let is_time = jiff::civil::Time::strptime("%H:%M", &start).is_ok() && start.len() == 5;
        let wrong = |is_right: bool, says: &'static str| if is_right { Ok(()) } else { Err(says) };
        fields.parse("maintenance_window.start", wrong(is_time, "must be a time of day such as 02:30"));
        let lasts = (30..=1440).contains(&duration_minutes);
        fields.parse("maintenance_window.duration_minutes", wrong(lasts, "must be 30 to 1440"));
        let is_zone = jiff::tz::TimeZone::get(&time_zone).is_ok();
        fields.parse("maintenance_window.time_zone", wrong(is_zone, "is no IANA time zone"));
        let several = (1..days.len()).any(|at| days[at..].contains(&days[at - 1]));
        fields.parse("maintenance_window.days", wrong(!several, "names a day twice"));
        fields.check()?;
        let day = |day: &Day| DAYS.iter().find(|(one, _)| one == day).map(|(_, day)| *day);
        Ok(instance::MaintenanceWindow {
            days: days.iter().filter_map(day).collect(),
            start,
            duration_minutes,
            time_zone,
        })
    }
}

/// Access from outside, for apps that speak TCP.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = InstanceAccess)]
#[serde(deny_unknown_fields)]
pub struct AccessView {
    /// Whether a port is opened to the outside; `urls.external` says which, once it is.
    external: bool,
    /// Who may connect, as address ranges. Empty: everybody.
    #[serde(default)]
    #[schema(required = false, max_items = 50, example = json!(["203.0.113.0/24"]))]
    allowed_cidrs: Vec<String>,
}

impl From<&instance::Access> for AccessView {
    fn from(access: &instance::Access) -> Self {
        Self { external: access.external, allowed_cidrs: access.allowed_cidrs.clone() }
    }
}

impl AccessView {
    /// As the resource has it.
    ///
    /// # Errors
    /// 422 where a range is none.
    pub fn read(self) -> Result<instance::Access> {
        let Self { external, allowed_cidrs } = self;
        let mut fields = Fields::new();
        for (at, range) in allowed_cidrs.iter().enumerate() {
            let parsed =
                range.parse::<ipnet::IpNet>().map_err(|_| "is no address range such as 203.0.113.0/24");
            fields.parse(&format!("access.allowed_cidrs[{at}]"), parsed);
        }
        if !external && !allowed_cidrs.is_empty() {
            let _: Option<()> =
                fields.parse("access.allowed_cidrs", Err("has an effect only where external is true"));
        }
        fields.check()?;
        Ok(instance::Access { external, allowed_cidrs })
    }
}
