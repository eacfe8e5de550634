//! Starting, stopping and restarting an app under a key: what was decided once is done once.

use anyhow::{Result, ensure};
use e2e::wait::until;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::platform::{Bought, Platform};
use crate::world::{Answer, BOUND, User};

/// An app that runs, and a cluster that may hang.
struct Scene {
    platform: Platform,
    ayu: User,
    bought: Bought,
}

impl Scene {
    async fn new() -> Result<Self> {
        let platform = Platform::new().await?;
        let ayu = platform.user("ayu").await?;
        let bought = platform.runs(&ayu).await?;
        Ok(Self { platform, ayu, bought })
    }

    async fn restarts(&self, key: &str) -> Result<Answer> {
        let path = format!("{}/restart", self.bought.path());
        self.platform.api.post_once(&self.ayu, &path, key, &json!({})).await
    }

    async fn hangs(&self, hangs: bool) {
        self.platform.kubernetes.hang("serviceinstances", hangs).await;
    }

    /// Asks while the cluster does not answer: nobody knows what came of it.
    async fn restarts_in_vain(&self, key: &str) -> Result<()> {
        self.hangs(true).await;
        self.restarts(key).await?.expect(StatusCode::SERVICE_UNAVAILABLE)?;
        self.hangs(false).await;
        Ok(())
    }

    /// How often the audit log has it that the app was restarted.
    async fn count(&self) -> Result<usize> {
        let boss = self.platform.world.administrator("boss").await?;
        let path = format!("/admin/audit?entity_id={}&action=instance.restart", self.bought.id);
        let log = self.platform.api.get_as(&boss, &path).await?.expect(StatusCode::OK)?.body;
        Ok(log["items"].as_array().map_or(0, Vec::len))
    }
}

fn restarted_at(answer: &Value) -> Result<Timestamp> {
    Ok(answer["restarted_at"].as_str().unwrap_or_default().parse()?)
}

#[tokio::test]
async fn of_many_at_once_under_one_key_one_restarts_it_and_the_others_are_told_so() -> Result<()> {
    let scene = Scene::new().await?;
    let before = scene.platform.spec(&scene.bought).await?;
    let answers = join_all((0..8).map(|_| scene.restarts("once"))).await;
    let mut done = Vec::new();
    for answer in answers {
        let answer = answer?;
        match answer.status {
            StatusCode::OK => done.push(answer.body),
            _ => assert_eq!((answer.status, answer.code()), (StatusCode::CONFLICT, "idempotency.in_flight")),
        }
    }
    ensure!(!done.is_empty() && done.iter().all(|one| *one == done[0]), "{done:?}");
    let after = scene.platform.spec(&scene.bought).await?;
    assert_eq!((&before["restartedAt"], scene.count().await?), (&Value::Null, 1));
    assert_eq!(after["restartedAt"], done[0]["restarted_at"]);
    Ok(())
}

#[tokio::test]
async fn while_the_first_is_at_it_a_second_is_told_so_and_a_repeat_restarts_it_as_of_the_first_time()
-> Result<()> {
    let scene = Scene::new().await?;
    scene.hangs(true).await;
    let answers = join_all([scene.restarts("slow"), scene.restarts("slow")]).await;
    let mut codes = Vec::new();
    for answer in answers {
        codes.push(answer?.code().to_owned());
    }
    codes.sort();
    assert_eq!(codes, ["idempotency.in_flight", "unavailable"]);
    scene.hangs(false).await;
    let failed = scene.platform.world.clock.now();
    scene.platform.world.clock.advance(SignedDuration::from_secs(10));
    let repeated = scene.restarts("slow").await?.expect(StatusCode::OK)?.body;
    ensure!(restarted_at(&repeated)? <= failed, "{repeated} is not as of before {failed}");
    let replayed = scene.restarts("slow").await?.expect(StatusCode::OK)?;
    assert_eq!((&replayed.body, replayed.header("idempotency-replayed")), (&repeated, "true"));
    let another = json!({"take_over": true});
    let path = format!("{}/restart", scene.bought.path());
    let refused = scene.platform.api.post_once(&scene.ayu, &path, "slow", &another).await?;
    assert_eq!(refused.code(), "idempotency.key_reused");
    Ok(())
}

#[tokio::test]
async fn a_repeat_sets_no_later_restart_back() -> Result<()> {
    let scene = Scene::new().await?;
    scene.restarts_in_vain("first").await?;
    scene.platform.world.clock.advance(SignedDuration::from_secs(10));
    let later = scene.restarts("second").await?.expect(StatusCode::OK)?.body;
    let repeated = scene.restarts("first").await?.expect(StatusCode::OK)?.body;
    assert_eq!(
        json!([repeated["restarted_at"], repeated["generation"]]),
        json!([later["restarted_at"], later["generation"]])
    );
    assert_eq!(scene.count().await?, 1);
    Ok(())
}

#[tokio::test]
async fn what_was_refused_may_be_asked_for_again_under_its_key() -> Result<()> {
    let scene = Scene::new().await?;
    let (platform, ayu, bought) = (&scene.platform, &scene.ayu, &scene.bought);
    platform.verb(ayu, bought, "stop", &json!({})).await?.expect(StatusCode::OK)?;
    let refused = scene.restarts("again").await?.expect(StatusCode::CONFLICT)?;
    assert_eq!(refused.code(), "instance.stopped");
    platform.verb(ayu, bought, "start", &json!({})).await?.expect(StatusCode::OK)?;
    until("it to be seen to be started", BOUND, async || {
        let now = platform.api.get_as(ayu, &bought.path()).await?.expect(StatusCode::OK)?.body;
        Ok((now["power_state"] == "RUNNING").then_some(()))
    })
    .await?;
    scene.restarts("again").await?.expect(StatusCode::OK)?;
    Ok(())
}
