//! What apps use, where whoever measures is not well.

use std::time::Duration;

use anyhow::{Context as _, Result};
use api_server::cluster::Cluster;
use api_server::cluster::apply::Found;
use api_server::instances::usage::Missing;
use crds::ServiceInstance;
use e2e::wait::until;
use futures::future::{join_all, try_join_all};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;

use crate::platform::Platform;
use crate::world::BOUND;

/// When what is known of a cluster that is away is too old.
const STALE: Duration = Duration::from_secs(45);

#[tokio::test]
async fn a_source_that_never_answers_is_asked_once_and_then_left_in_peace() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let bought = platform.runs(&ayu).await?;
    platform.kubernetes.hang("podmetrics", true).await;
    let path = format!("/subscriptions/{}/metrics", bought.id);
    for _ in 0..2 {
        let polls = (0..20).map(|_| platform.api.get_as(&ayu, &path));
        for answer in try_join_all(polls).await? {
            let now = answer.expect(StatusCode::OK)?.body;
            assert_eq!(
                json!([now["available"], now["reason"], now["status"]]),
                json!([false, "FAILING", "RUNNING"])
            );
        }
        assert_eq!(platform.kubernetes.asked(&Method::GET, "podmetrics").await, 1);
    }
    Ok(())
}

#[tokio::test]
async fn however_many_wait_for_whoever_measures_all_else_of_the_cluster_can_be_asked() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let bought = platform.runs(&ayu).await?;
    platform.kubernetes.hang("podmetrics", true).await;
    let state = platform.world.state_on(platform.kubernetes.cluster()?)?;
    let uids: Vec<String> = (0..300).map(|number| format!("app-{number}")).collect();
    let readings = uids.iter().map(|uid| state.readings.of(&state.cluster, &bought.namespace, uid));
    let others = async {
        until("many to wait", BOUND, async || {
            let asked = platform.kubernetes.asked(&Method::GET, "podmetrics").await;
            Ok((asked > 8).then_some(()))
        })
        .await?;
        let found =
            Found::<ServiceInstance>::find(&state.cluster, Some(&bought.namespace), &bought.name).await;
        found.ok().flatten().context("it is there, and can be read")
    };
    let (readings, found) = tokio::join!(join_all(readings), others);
    found?;
    assert!(readings.iter().all(|reading| *reading == Err(Missing::Failing)));
    // Once it answers for one, the others ask again before their half minute is over.
    platform.kubernetes.hang("podmetrics", false).await;
    let another = state.readings.of(&state.cluster, &bought.namespace, "another").await;
    assert_eq!(another, Err(Missing::NotMeasured));
    until("it to be asked again", BOUND / 6, async || {
        let reading = state.readings.of(&state.cluster, &bought.namespace, "app-0").await;
        Ok((reading == Err(Missing::NotMeasured)).then_some(()))
    })
    .await
}

#[tokio::test]
async fn while_the_cluster_is_away_that_is_said_and_not_what_was_known_of_it() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let bought = platform.runs(&ayu).await?;
    let path = format!("/subscriptions/{}/metrics", bought.id);
    platform.kubernetes.set_away(true).await;
    let away = until("what is known to be too old", STALE, async || {
        let now = platform.api.get_as(&ayu, &path).await?.expect(StatusCode::OK)?.body;
        Ok((now["reason"] == "CLUSTER_AWAY").then_some(now))
    })
    .await?;
    assert_eq!(
        json!([away["available"], away["status"], away["urls"]["public"]]),
        json!([false, null, "https://a.example.com"])
    );
    platform.kubernetes.set_away(false).await;
    until("the cluster to be heard of again", BOUND, async || {
        let now = platform.api.get_as(&ayu, &path).await?.expect(StatusCode::OK)?.body;
        Ok((now["reason"] == "NOT_MEASURED" && now["status"] == "RUNNING").then_some(()))
    })
    .await?;
    // Where nobody listens that is known at once.
    let nobody = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let cluster = Cluster::of(kube::Config::new(format!("http://{nobody}").parse()?))?;
    let state = platform.world.state_on(cluster)?;
    let reading = state.readings.of(&state.cluster, &bought.namespace, &bought.uid).await;
    assert_eq!(reading, Err(Missing::Away));
    Ok(())
}
