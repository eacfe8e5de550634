//! What the apps use of CPU and memory, with a metrics-server, without one, and after one.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use crds::instance::Phase;
use e2e::wait;
use serde_json::json;

use crate::world::{BOUND, RunningOperator, Setup, Tenant, World, block_on};

/// How often usage is read here, in seconds.
const INTERVAL: u64 = 10;
/// Until it is read again after it was absent for some time.
const FOUND: Duration = Duration::from_mins(3);
/// Until what was measured is too old to be shown.
const FORGOTTEN: Duration = Duration::from_secs(INTERVAL * 3 + 10);
/// What KWOK says that every container uses: see `e2e/src/control_plane/usage.yaml`.
const CORES: f64 = 0.05;
const BYTES: f64 = 64.0 * 1024.0 * 1024.0;

fn in_detail() -> Setup {
    let settings = json!({
        "usage": {"intervalSeconds": INTERVAL, "perInstanceMetrics": true}, "metrics": {"perTenant": true},
    });
    Setup { settings, ..Setup::default() }
}

async fn source_is(operator: &RunningOperator, state: &str, bound: Duration) -> Result<()> {
    let series = format!("nakhoda_operator_usage_source{{state=\"{state}\"}}");
    operator.wait_sample(&series, bound, |value| value == Some(1.0)).await
}

/// A figure of the one container of a tenant's one instance.
async fn figure(operator: &RunningOperator, tenant: &Tenant, name: &str) -> Result<Option<f64>> {
    let text = operator.metrics().await?;
    let begin =
        format!("nakhoda_operator_container_{name}{{namespace=\"{}\",instance=\"db\"", tenant.namespace());
    let mut found = text.lines().filter(|line| line.starts_with(&begin));
    let line = found.next();
    ensure!(found.next().is_none(), "one container has one {name}");
    line.map(|line| line.rsplit(' ').next().context("a sample has a value")?.parse().context("a number"))
        .transpose()
}

#[test]
fn usage_stands_beside_requests_and_limits_and_no_metrics_server_is_a_state() -> Result<()> {
    block_on(async {
        let mut world = World::shared_stories().await?;
        let operator = world.operator("a").await?;
        operator.restart_with(in_detail()).await?;
        let (tenant, db) = world.tenant_with_db("usage").await?;

        source_is(&operator, "absent", BOUND).await?;
        assert_eq!(figure(&operator, &tenant, "memory_usage_bytes").await?, None);
        let requested = figure(&operator, &tenant, "memory_request_bytes").await?;
        assert!(
            requested.is_some_and(|bytes| bytes > 0.0),
            "what was asked for is known without: {requested:?}"
        );
        let asked = "nakhoda_operator_api_calls_total{verb=\"list\",resource=\"pods\",code=\"404\"}";
        operator.wait_sample(asked, BOUND, |count| count.is_some_and(|count| count >= 2.0)).await?;
        assert_eq!(operator.log()?.matches("there is no metrics-server").count(), 1, "said once");

        world.control_plane().start_metrics_server().await?;
        source_is(&operator, "present", FOUND).await?;
        wait::until("the database to be measured", FOUND, async || {
            figure(&operator, &tenant, "memory_usage_bytes").await
        })
        .await?;
        let mut said = Vec::new();
        for name in [
            "cpu_usage_cores",
            "cpu_request_cores",
            "memory_usage_bytes",
            "memory_request_bytes",
            "memory_limit_bytes",
        ] {
            said.push((name, figure(&operator, &tenant, name).await?.with_context(|| format!("no {name}"))?));
        }
        println!("with a metrics-server (simulated usage): {said:?}");
        assert!((said[0].1 - CORES).abs() < CORES / 5.0, "{said:?}");
        assert!((said[2].1 - BYTES).abs() < 1.0, "{said:?}");
        assert_eq!(Some(said[3].1), requested);

        world.control_plane().stop_metrics_server(false).await?;
        source_is(&operator, "absent", FOUND).await?;
        wait::until("old measurements to go", FORGOTTEN, async || {
            Ok(figure(&operator, &tenant, "memory_usage_bytes").await?.is_none().then_some(()))
        })
        .await?;
        world.control_plane().stop_metrics_server(true).await?;
        let used = format!(
            "nakhoda_operator_tenant_quota_used{{tenant=\"{}\",resource=\"instances\"}}",
            tenant.name()
        );
        assert_eq!(operator.sample(&used).await?, Some(1.0));
        db.patch_spec(json!({"powerState": "Stopped"})).await?;
        db.settled_in(Phase::Stopped, BOUND).await?;
        Ok(())
    })
}
