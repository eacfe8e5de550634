//! Orders that make no sense: each says what is wrong, nothing of it is made, and the others go on.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use crds::instance::Phase;
use crds::{conditions, labels, names};
use serde_json::{Value, json};

use super::catalogue;
use crate::admission::foreign::{contents, says};
use crate::world::{BOUND, Instance, Tenant, World, block_on};

/// The most calls about one object in a second.
pub(super) const CALLS: usize = 5;
/// For how long nothing may be written in the end.
pub(super) const QUIET: Duration = Duration::from_secs(5);

pub(super) fn limits() -> Value {
    json!({"instances": 50, "cpu": "100", "memory": "100Gi", "storage": "4Ti"})
}

/// An order, the reason that it is told, and a part of the sentence.
struct Case {
    name: &'static str,
    spec: Value,
    reason: &'static str,
    part: &'static str,
}

fn case(name: &'static str, spec: Value, reason: &'static str, part: &'static str) -> Case {
    Case { name, spec, reason, part }
}

/// The odd templates that the cases order from.
async fn odd_apps(world: &World) -> Result<()> {
    catalogue::app(world, "odd-twin", |_| {}).await?;
    catalogue::app(world, "odd-off", |spec| spec["disabled"] = json!(true)).await?;
    catalogue::app(world, "odd-gone", |_| {}).await?;
    catalogue::remove(world, "odd-gone").await?;
    let circle = |spec: &mut Value| {
        let mut other = spec["components"][0].clone();
        other["name"] = json!("other");
        other["dependsOn"] = json!(["db"]);
        other["volumes"] = json!([]);
        other["resources"] = json!({"cpuPercent": 50, "memoryPercent": 50});
        spec["components"][0]["resources"] = other["resources"].clone();
        spec["components"][0]["dependsOn"] = json!(["other"]);
        spec["components"].as_array_mut().into_iter().for_each(|all| all.push(other.clone()));
    };
    catalogue::app(world, "odd-circle", circle).await?;
    catalogue::app(world, "odd-port", |spec| spec["expose"]["tcp"]["port"] = json!("nowhere")).await?;
    let secret = |spec: &mut Value| spec["components"][0]["env"][0]["value"] = json!("{{secrets.password}}");
    catalogue::app(world, "odd-secret", secret).await?;
    catalogue::contradicts_itself(world, "odd-circle", "depend on each other in a circle").await?;
    catalogue::contradicts_itself(
        world,
        "odd-port",
        "the port nowhere of component db, which does not exist",
    )
    .await?;
    catalogue::contradicts_itself(world, "odd-secret", "may stand only in credentials").await
}

fn cases(used: &str, released: &str) -> Vec<Case> {
    let of = |plan: &str| json!({"planRef": plan});
    let with = |name: &str, value: &str| json!({"planRef": "postgresql-small", "parameters": {name: value}});
    let from = |plan: &str, data: &str| json!({"planRef": plan, "restoreFrom": data});
    vec![
        case("plan-unknown", of("no-such-plan"), "PlanNotFound", "The plan no-such-plan does not exist"),
        case("template-off", of("odd-off-small"), "TemplateDisabled", "not offered"),
        case(
            "template-gone",
            of("odd-gone-small"),
            "TemplateNotFound",
            "The template odd-gone of its plan does not exist",
        ),
        case("circle", of("odd-circle-small"), "TemplateInvalid", "in a circle"),
        case("port", of("odd-port-small"), "TemplateInvalid", "the port nowhere"),
        case("secret", of("odd-secret-small"), "TemplateInvalid", "env[].secret"),
        case(
            "too-many",
            with("maxConnections", "201"),
            "ParameterInvalid",
            "maxConnections must be from 10 to 200",
        ),
        case("no-number", with("maxConnections", "many"), "ParameterInvalid", "must be a whole number"),
        case("sql", with("database", "a; DROP TABLE x"), "ParameterInvalid", "must match"),
        case("unknown", with("colour", "red"), "ParameterInvalid", "no parameter colour; it has database"),
        case(
            "no-data",
            from("postgresql-small", "aaaaaaaaaaaa"),
            "RetainedDataNotFound",
            "status.retained lists",
        ),
        case(
            "data-used",
            from("postgresql-small", used),
            "RetainedDataInUse",
            "another instance that still exists",
        ),
        case(
            "data-of-another",
            from("odd-twin-small", released),
            "RetainedDataOfAnotherApp",
            "written by another app",
        ),
    ]
}

/// It says so, in words, and nothing of it is there.
async fn check(world: &World, tenant: &Tenant, order: &Instance, case: &Case) -> Result<()> {
    let told =
        order.wait_for(case.reason, BOUND, |one| says(one, conditions::STALLED, "True", case.reason)).await?;
    let status = told.status.as_ref().context("it has a status")?;
    let said = |condition| conditions::find(&status.conditions, condition).context("the condition");
    assert!(
        said(conditions::STALLED)?.message.contains(case.part),
        "{order}: {}",
        said(conditions::STALLED)?.message
    );
    assert_eq!(
        (said(conditions::READY)?.status.as_str(), said(conditions::AVAILABLE)?.status.as_str()),
        ("False", "False")
    );
    assert!(matches!(status.phase, Some(Phase::Failed | Phase::Pending)), "{order}: {:?}", status.phase);
    let uid = told.metadata.uid.context("a uid")?;
    let made = contents(world, tenant.namespace(), &format!("{}={uid}", labels::INSTANCE)).await?;
    assert!(made.is_empty(), "{order} is half-made: {made:?}");
    Ok(())
}

#[test]
fn an_order_that_makes_no_sense_says_why_and_nothing_of_it_is_made() -> Result<()> {
    block_on(async {
        let world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        odd_apps(&world).await?;
        let tenant = world.tenant("odd", limits()).await?;
        let good = json!({"planRef": "postgresql-small"});
        let (used, donor) =
            (tenant.instance("used", good.clone()).await?, tenant.instance("donor", good.clone()).await?);
        let mut data = Vec::new();
        for one in [&used, &donor] {
            one.entitle().await?;
            let settled = one.settled_in(Phase::Running, BOUND).await?;
            data.push(settled.status.and_then(|status| status.data_id).context("a data id")?);
        }
        donor.delete().await?;
        donor.gone(BOUND).await?;
        let kept = contents(&world, tenant.namespace(), &format!("{}={}", labels::DATA, data[1])).await?;

        let (log, mark) = (world.proxy().log(), world.proxy().log().mark());
        let cases = cases(&data[0], &data[1]);
        let mut orders = Vec::new();
        for case in &cases {
            let order = tenant.instance(case.name, case.spec.clone()).await?;
            order.entitle().await?;
            orders.push(order);
        }
        for (case, order) in cases.iter().zip(&orders) {
            check(&world, &tenant, order, case).await?;
        }
        assert_eq!(
            contents(&world, tenant.namespace(), &format!("{}={}", labels::DATA, data[1])).await?,
            kept
        );

        // The others go on.
        let begun = Instant::now();
        let other = tenant.instance("other", good).await?;
        other.entitle().await?;
        other.settled_in(Phase::Running, BOUND).await?;
        let took = begun.elapsed();
        used.settled_in(Phase::Running, BOUND).await?;

        let here = operator.own_calls().namespace(tenant.namespace());
        log.wait_quiet(&here, QUIET, BOUND).await?;
        let mut busiest = 0;
        for (order, case) in orders.iter().zip(&cases) {
            let data =
                case.spec["restoreFrom"].as_str().map_or(names::short_id(&order.uid().await?), str::to_owned);
            for name in [order.name().to_owned(), names::data_secret(&data)] {
                let most = log.busiest(mark, &here.clone().name(name), Duration::from_secs(1));
                busiest = busiest.max(most.map_or(0, |(_, most)| most));
            }
        }
        println!(
            "{} senseless orders: each told why, nothing made; a good one beside them ran after {:.1} s; most calls about one \
             of them in a second: {busiest}; {} writes",
            cases.len(),
            took.as_secs_f64(),
            log.writes(mark, &here).len(),
        );
        assert!((1..=CALLS).contains(&busiest), "a hot loop: {busiest}");
        Ok(())
    })
}
