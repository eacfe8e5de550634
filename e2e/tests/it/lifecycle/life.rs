//! One instance's whole life, step by step, in a tenant and by a plan and a template of its own: nothing that the
//! operator writes for it is another's.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use crds::instance::{DnsRecord, Phase};
use crds::{ServiceInstance, ServicePlan, ServiceTemplate, conditions, names};
use e2e::proxy::{Call, Mark};
use e2e::wait;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use super::catalogue::{sell, sell_larger};
use super::{dns, roomy};
use crate::world::{BOUND, Instance, Place, RunningOperator, Tenant, World, is_settled_in};

/// What happens to an instance, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Create,
    /// A host of its owner's is named whose record is there: it leads to the app, which restarts to call itself by it.
    Route,
    /// To a larger plan of the same app.
    Upgrade,
    /// The template is, by somebody else: nothing restarts.
    Edit,
    /// What was edited, at its owner's wish.
    RollOut,
    Stop,
    /// The host is dropped, while the app is off.
    Unroute,
    Start,
    Suspend,
    Resume,
    /// Its data is retained.
    Delete,
    /// Another instance is made from the retained data.
    Restore,
}

impl Step {
    pub(super) const ALL: [Self; 12] = [
        Self::Create,
        Self::Route,
        Self::Upgrade,
        Self::Edit,
        Self::RollOut,
        Self::Stop,
        Self::Unroute,
        Self::Start,
        Self::Suspend,
        Self::Resume,
        Self::Delete,
        Self::Restore,
    ];
}

/// A tenant, a template, a plan, all of one name, and an instance.
#[derive(Clone)]
pub(super) struct Life {
    name: String,
    pub(super) admin: Client,
    tenant: Tenant,
    db: Instance,
    again: Instance,
}

impl Life {
    /// Everything but the instance. Takes a running operator. Names of one length make states comparable to the letter.
    pub(super) async fn begin(world: &World, name: &str) -> Result<Self> {
        let (admin, host) = (world.admin(), host(name));
        let record = names::verification_name(&host);
        let value = names::verification_value(name);
        dns().await?.add(&DnsRecord { type_: "TXT".to_owned(), name: record, value })?;
        let tenant = world.tenant(name, roomy()).await?;
        sell(&admin, name).await?;
        sell_larger(&admin, name, &larger(name)).await?;
        let (db, again) = (tenant.named("db"), tenant.named("again"));
        let life = Self { name: name.to_owned(), admin, tenant, db, again };
        life.counts(0).await?;
        Ok(life)
    }

    /// Its name: the tenant's, the plan's and the template's.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    pub(super) fn namespace(&self) -> &str {
        self.tenant.namespace()
    }

    /// What people do in this step.
    pub(super) async fn perform(&self, step: Step) -> Result<()> {
        match step {
            Step::Create => drop(self.db.apply(&self.spec()).await?),
            Step::Route => drop(self.db.patch_spec(json!({"domains": [host(&self.name)]})).await?),
            Step::Unroute => drop(self.db.patch_spec(json!({"domains": []})).await?),
            Step::Upgrade => drop(self.db.patch_spec(json!({"planRef": larger(&self.name)})).await?),
            Step::Edit => self.edit().await?,
            Step::RollOut => drop(self.db.patch_spec(json!({"rolloutAt": "2026-01-01T00:00:00Z"})).await?),
            Step::Stop => drop(self.db.patch_spec(json!({"powerState": "Stopped"})).await?),
            Step::Start => drop(self.db.patch_spec(json!({"powerState": "Running"})).await?),
            Step::Suspend => drop(self.db.hold(Some("The invoice is unpaid")).await?),
            Step::Resume => drop(self.db.hold(None).await?),
            Step::Delete => self.db.delete().await?,
            Step::Restore => {
                let mut spec = self.spec();
                let retained = self.tenant.get().await?.status.unwrap_or_default().retained;
                spec["restoreFrom"] = json!(retained.first().context("data is retained")?.data_id);
                drop(self.again.apply(&spec).await?);
            }
        }
        Ok(())
    }

    fn spec(&self) -> serde_json::Value {
        let until = json!({"paidUntil": "2098-12-31T17:00:00Z", "suspendAt": "2099-01-03T17:00:00Z"});
        json!({"planRef": self.name, "entitlement": until, "retention": {"keepFor": "30d"}})
    }

    /// Waits until the operator is done with what people did in this step, as far as the instance shows it.
    pub(super) async fn settled(&self, step: Step, bound: Duration) -> Result<()> {
        let (instance, phase) = match step {
            Step::Edit => {
                self.db.wait_for("waiting for its roll-out", bound, is_pending).await?;
                return Ok(());
            }
            Step::Route => {
                self.db.wait_for("routed, and settled", bound, is_routed).await?;
                return Ok(());
            }
            Step::Create | Step::Upgrade | Step::RollOut | Step::Start | Step::Resume => {
                (&self.db, Phase::Running)
            }
            Step::Stop | Step::Unroute => (&self.db, Phase::Stopped),
            Step::Suspend => (&self.db, Phase::Suspended),
            Step::Delete => return self.db.gone(bound).await,
            Step::Restore => (&self.again, Phase::Running),
        };
        instance.settled_in(phase, bound).await?;
        Ok(())
    }

    /// Waits until plan and template have counted what is there after this step.
    pub(super) async fn is_counted(&self, step: Step) -> Result<()> {
        self.counts(i32::from(step != Step::Delete)).await
    }

    /// Another image, which would restart everybody's app.
    async fn edit(&self) -> Result<()> {
        let templates: Api<ServiceTemplate> = Api::all(self.admin.clone());
        let mut components = templates.get(&self.name).await?.spec.components;
        "docker.io/library/postgres:17.12-bookworm".clone_into(&mut components[0].container.image);
        let edited = json!({"spec": {"components": components}});
        templates.patch(&self.name, &PatchParams::default(), &Patch::Merge(&edited)).await?;
        Ok(())
    }

    async fn counts(&self, instances: i32) -> Result<()> {
        let plans: Api<ServicePlan> = Api::all(self.admin.clone());
        let templates: Api<ServiceTemplate> = Api::all(self.admin.clone());
        wait::until(&format!("the instances of {} to be counted", self.name), BOUND, async || {
            let used = async |name: &str| -> Result<i32> {
                Ok(plans.get(name).await?.status.map_or(0, |status| status.instances))
            };
            let plan = Some(used(&self.name).await? + used(&larger(&self.name)).await?);
            let template = templates.get(&self.name).await?.status.map(|status| status.instances);
            Ok((plan == Some(instances) && template == Some(instances)).then_some(()))
        })
        .await
    }

    /// Waits until everything is as it was in the undisturbed run.
    pub(super) async fn is_as(&self, step: Step, expected: &str, bound: Duration) -> Result<()> {
        self.settled(step, bound).await?;
        let mut last = String::new();
        let same = wait::until("the state of the undisturbed run", bound, async || {
            last = self.tenant.snapshot().await?;
            Ok((last == expected).then_some(()))
        });
        match same.await {
            Ok(()) => Ok(()),
            Err(error) => bail!("{}: {error:#}:\n{}", self.name, difference(expected, &last)),
        }
    }

    /// Lets its pod go, so that there is room for others.
    pub(super) async fn end(&self) -> Result<()> {
        self.again.delete().await?;
        self.again.gone(BOUND).await?;
        self.counts(0).await
    }

    /// Where it is lived.
    pub(super) fn place(&self) -> Place<'_> {
        Place { namespace: self.namespace(), name: &self.name }
    }

    /// The masked state of its namespace and tenant.
    pub(super) async fn state(&self) -> Result<String> {
        self.tenant.snapshot().await
    }

    /// The operator's writes for it since then, leases and events left out.
    pub(super) fn writes(&self, world: &World, operator: &RunningOperator, since: Mark) -> Vec<Call> {
        let mut calls = world.proxy().log().writes(since, &operator.own_calls());
        calls.retain(|call| {
            let request = &call.request;
            let cluster_scoped = request.namespace.is_none()
                && call.name().is_some_and(|name| *name == *self.name || *name == *larger(&self.name));
            cluster_scoped || request.namespace.as_deref() == Some(self.namespace())
        });
        calls
    }
}

/// The plan that is larger than the one of that name.
fn larger(name: &str) -> String {
    format!("{name}-l")
}

/// The host that its owner names in between.
fn host(name: &str) -> String {
    format!("{name}.example.com")
}

fn is_routed(instance: &ServiceInstance) -> bool {
    is_settled_in(Phase::Running)(instance) && instance.is(conditions::DOMAINS_READY)
}

fn is_pending(instance: &ServiceInstance) -> bool {
    let observed = instance.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    conditions::is_true(observed, conditions::UPDATE_PENDING, instance.metadata.generation)
}

/// The lines that only one of two texts has.
fn difference(expected: &str, found: &str) -> String {
    let lost = expected.lines().filter(|line| !found.lines().any(|other| other == *line));
    let new = found.lines().filter(|line| !expected.lines().any(|other| other == *line));
    let lines = lost.map(|line| format!("- {line}")).chain(new.map(|line| format!("+ {line}")));
    lines.take(40).collect::<Vec<_>>().join("\n")
}
