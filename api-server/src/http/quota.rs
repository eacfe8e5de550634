//! A customer's limits, as they look in answers and in requests.

use super::problem::{Fields, Problem};
use crate::cluster::quota::{Progress, Quota};
use crds::{
    Quantity,
    quota::{Limits, Used},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

const MEBI: i64 = 1 << 20;
const PEBI: i64 = 1 << 50;
/// The most instances; as the resource has it.
const INSTANCES: i64 = 10_000;
/// The most CPU, in millicores; as the resource has it.
const CPU: i64 = 100_000_000;
/// The most plans that can be named; as the resource has it.
const PLANS: usize = 100;

/// What may run at once.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = QuotaLimits)]
#[serde(deny_unknown_fields)]
pub struct LimitsView {
    /// How many instances.
    #[schema(example = 5, minimum = 0, maximum = 10_000)]
    instances: i64,
    /// CPU of all of them together, in millicores.
    #[schema(example = 8000, minimum = 0, maximum = 100_000_000)]
    cpu_millicores: i64,
    /// Memory of all of them together, in bytes: 0, or 1 MiB to 1 PiB.
    #[schema(example = 17_179_869_184_i64, minimum = 0, maximum = 1_125_899_906_842_624_i64)]
    memory_bytes: i64,
    /// Storage of all of them together, in bytes: 0, or 1 MiB to 8 PiB.
    #[schema(example = 214_748_364_800_i64, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    storage_bytes: i64,
    /// How many of a plan, by the plan's name; a plan that is not named is bounded only by the others.
    #[serde(default)]
    #[schema(required = false, example = json!({"ghost-small": 1}))]
    per_plan: BTreeMap<String, i64>,
}

/// What runs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuotaUse)]
pub struct UseView {
    /// How many instances.
    #[schema(example = 1)]
    instances: i64,
    /// CPU of all of them together, in millicores.
    #[schema(example = 500)]
    cpu_millicores: i64,
    /// Memory of all of them together, in bytes.
    #[schema(example = 1_073_741_824_i64)]
    memory_bytes: i64,
    /// Storage of all of them together, in bytes.
    #[schema(example = 10_737_418_240_i64)]
    storage_bytes: i64,
}

/// What somebody may have at once, and has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quota)]
pub struct QuotaView {
    /// What they may have.
    limits: LimitsView,
    /// What they have, as it was counted last.
    used: UseView,
    /// Whether nobody has set limits for them yet.
    is_default: bool,
}

/// How far the operator is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuotaProgress)]
pub struct ProgressView {
    /// Whether everything is as it should be.
    ready: bool,
    /// In one word, constant.
    #[schema(example = "Converged")]
    reason: String,
    /// For people.
    message: String,
}

/// What somebody may have at once, and has, with what administrators see of it in the cluster.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserQuota)]
pub struct AdminQuotaView {
    /// What they may have.
    limits: LimitsView,
    /// What they have, as it was counted last.
    used: UseView,
    /// Whether nobody has set limits for them yet.
    is_default: bool,
    /// The `TenantQuota`'s name.
    #[schema(example = "u0192a000000070008000000000000000")]
    tenant: String,
    /// Their namespace, once there is one.
    #[schema(example = "customer-u0192a000000070008000000000000000")]
    #[schema(required = true)]
    namespace: Option<String>,
    /// How far the operator is with these limits; none while it has said nothing of them.
    #[schema(required = true)]
    progress: Option<ProgressView>,
}

impl From<Limits> for LimitsView {
    fn from(limits: Limits) -> Self {
        Self {
            instances: limits.instances.into(),
            cpu_millicores: limits.cpu.millis(),
            memory_bytes: limits.memory.units(),
            storage_bytes: limits.storage.units(),
            per_plan: limits.per_plan.into_iter().map(|(plan, most)| (plan, most.into())).collect(),
        }
    }
}

impl LimitsView {
    /// As the resource has them.
    ///
    /// # Errors
    /// 422 with each that is out of its bounds.
    pub fn read(self) -> Result<Limits, Problem> {
        let mut fields = Fields::new();
        let instances = whole(&mut fields, "limits.instances", self.instances, INSTANCES);
        let cpu = whole(&mut fields, "limits.cpu_millicores", self.cpu_millicores, CPU);
        let memory = bytes(&mut fields, "limits.memory_bytes", self.memory_bytes, PEBI);
        let storage = bytes(&mut fields, "limits.storage_bytes", self.storage_bytes, (8 * PEBI) - 1);
        if self.per_plan.len() > PLANS {
            let _: Option<()> = fields.parse("limits.per_plan", Err(format!("has more than {PLANS} plans")));
        }
        let plans = self.per_plan.into_iter().map(|(plan, most)| {
            let name = format!("limits.per_plan.{plan}");
            let most = whole(&mut fields, &name, most, INSTANCES);
            (plan, i32::try_from(most).unwrap_or_default())
        });
        let per_plan = plans.collect();
        fields.check()?;
        Ok(Limits {
            instances: i32::try_from(instances).unwrap_or_default(),
            cpu: Quantity::from_millis(cpu),
            memory: Quantity::from_units(memory),
            storage: Quantity::from_units(storage),
            per_plan,
        })
    }
}

fn whole(fields: &mut Fields, name: &str, value: i64, most: i64) -> u64 {
    let fits = (0..=most).contains(&value);
    let parsed = u64::try_from(value).ok().filter(|_| fits);
    fields.parse(name, parsed.ok_or_else(|| format!("must be 0 to {most}"))).unwrap_or_default()
}

fn bytes(fields: &mut Fields, name: &str, value: i64, most: i64) -> u64 {
    let fits = value == 0 || (MEBI..=most).contains(&value);
    let parsed = u64::try_from(value).ok().filter(|_| fits);
    let wrong = || format!("must be 0, or {MEBI} (1 MiB) to {most}; it counts bytes");
    fields.parse(name, parsed.ok_or_else(wrong)).unwrap_or_default()
}

impl UseView {
    fn of(used: Option<&Used>) -> Self {
        Self {
            instances: used.map_or(0, |used| used.instances.into()),
            cpu_millicores: used.map_or(0, |used| used.cpu.millis()),
            memory_bytes: used.map_or(0, |used| used.memory.units()),
            storage_bytes: used.map_or(0, |used| used.storage.units()),
        }
    }
}

impl From<&Quota> for QuotaView {
    fn from(quota: &Quota) -> Self {
        Self {
            limits: quota.limits().into(),
            used: UseView::of(quota.used()),
            is_default: quota.is_default(),
        }
    }
}

impl From<&Quota> for AdminQuotaView {
    fn from(quota: &Quota) -> Self {
        let QuotaView { limits, used, is_default } = quota.into();
        let progress = quota.progress().map(|Progress { ready, reason, message }| ProgressView {
            ready,
            reason,
            message,
        });
        Self { limits, used, is_default, tenant: quota.tenant(), namespace: quota.namespace(), progress }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_in_their_units_and_each_that_is_out_of_bounds_is_told() {
        let view: LimitsView = Limits::default().into();
        assert_eq!((view.cpu_millicores, view.memory_bytes), (8000, 16 << 30));
        assert_eq!(view.read().unwrap(), Limits::default());
        let per_plan = BTreeMap::from([("ghost-small".to_owned(), -1)]);
        let wrong = LimitsView {
            instances: 10_001,
            cpu_millicores: -1,
            memory_bytes: 16,
            storage_bytes: i64::MAX,
            per_plan,
        };
        let body = serde_json::to_value(wrong.read().unwrap_err().body("")).unwrap();
        let fields: Vec<_> = body["errors"].as_array().unwrap().iter().map(|one| &one["field"]).collect();
        assert_eq!(
            fields,
            [
                "limits.instances",
                "limits.cpu_millicores",
                "limits.memory_bytes",
                "limits.storage_bytes",
                "limits.per_plan.ghost-small"
            ]
        );
    }
}
