//! What the proxy does to watches.

use std::time::Duration;

use super::world::{SOON, World};
use crate::proxy::{Action, Mark, Matcher, Outcome, Rule, Verb};

const ALL: &str = "/api/v1/pods?watch=true";
const OF_A: &str = "/api/v1/namespaces/a/pods?watch=true";

fn pods() -> Matcher {
    Matcher::any().resource("", "pods")
}

#[tokio::test]
async fn an_event_is_delivered_before_the_next_is_sent() {
    let mut world = World::new().await;
    let (mut watcher, feed) = world.watch(ALL).await;
    for version in 1..=3 {
        let event = feed.pod("MODIFIED", "p", version);
        assert_eq!(watcher.next().await, Some(event));
    }
    drop(feed);
    assert_eq!(watcher.next().await, None);
}

#[tokio::test]
async fn an_event_in_two_chunks_arrives_whole() {
    let mut world = World::new().await;
    let (mut watcher, feed) = world.watch(ALL).await;
    feed.send("{\"type\":");
    feed.send("\"BOOKMARK\"}\n");
    assert_eq!(watcher.next().await.as_deref(), Some("{\"type\":\"BOOKMARK\"}\n"));
}

#[tokio::test]
async fn a_watch_broken_off_by_the_api_server_breaks_for_the_actor() {
    let mut world = World::new().await;
    let (mut watcher, feed) = world.watch(ALL).await;
    feed.break_off();
    assert!(watcher.try_next().await.is_err());
}

#[tokio::test]
async fn a_watcher_that_goes_away_is_gone_for_the_api_server_too() {
    let mut world = World::new().await;
    let (watcher, feed) = world.watch(ALL).await;
    drop(watcher);
    feed.gone().await;
    world.log().wait_for(SOON, |calls| calls[0].finished.is_some()).await.unwrap();
}

#[tokio::test]
async fn a_held_watch_delivers_everything_in_order_once_released() {
    let mut world = World::new().await;
    let (mut watcher, feed) = world.watch(ALL).await;
    let first = feed.pod("ADDED", "p", 1);
    assert_eq!(watcher.next().await, Some(first));
    let rule = world.proxy.add_rule(Rule::new(pods(), Action::HoldWatch).every());
    rule.wait_hits(1, SOON).await.unwrap();
    let held = [feed.pod("MODIFIED", "p", 2), feed.pod("DELETED", "p", 3)];
    rule.wait_held(2, SOON).await.unwrap();
    assert!(watcher.is_silent());
    // Even the end has to wait, or the watcher would ask anew and hear the truth.
    drop(feed);
    assert!(watcher.is_silent());
    rule.remove();
    for event in held {
        assert_eq!(watcher.next().await, Some(event));
    }
    assert_eq!(watcher.next().await, None);
}

#[tokio::test]
async fn the_end_of_a_held_watch_is_held_even_with_no_event_waiting() {
    let mut world = World::new().await;
    let (mut watcher, feed) = world.watch(ALL).await;
    let rule = world.proxy.add_rule(Rule::new(pods(), Action::HoldWatch).every());
    rule.wait_hits(1, SOON).await.unwrap();
    drop(feed);
    let ended = |calls: &[crate::proxy::Call]| calls[0].finished.is_some();
    assert!(world.log().wait_for(Duration::from_millis(100), ended).await.is_err());
    rule.remove();
    assert_eq!(watcher.next().await, None);
}

#[tokio::test]
async fn a_watch_opened_under_the_rule_is_held_too() {
    let mut world = World::new().await;
    let rule = world.proxy.add_rule(Rule::new(pods(), Action::HoldWatch).every());
    let (mut watcher, feed) = world.watch(ALL).await;
    let event = feed.pod("ADDED", "p", 1);
    rule.wait_held(1, SOON).await.unwrap();
    assert!(watcher.is_silent());
    world.proxy.clear_rules();
    assert_eq!(watcher.next().await, Some(event));
}

#[tokio::test]
async fn a_hold_on_one_object_begins_with_its_first_event_and_keeps_the_order() {
    let mut world = World::new().await;
    let (mut watcher, feed) = world.watch(ALL).await;
    let rule = Rule::new(pods().namespace("a").name("p"), Action::HoldWatch).every();
    let rule = world.proxy.add_rule(rule);
    let other = feed.pod("ADDED", "q", 1);
    assert_eq!(watcher.next().await, Some(other));
    let held = [feed.pod("ADDED", "p", 2), feed.pod("MODIFIED", "q", 3)];
    rule.wait_held(2, SOON).await.unwrap();
    assert!(watcher.is_silent());
    rule.remove();
    for event in held {
        assert_eq!(watcher.next().await, Some(event));
    }
}

#[tokio::test]
async fn a_hold_on_another_namespace_does_not_concern_a_watch() {
    let mut world = World::new().await;
    let rule = world.proxy.add_rule(Rule::new(pods().namespace("b"), Action::HoldWatch).every());
    let (mut watcher, feed) = world.watch(OF_A).await;
    let event = feed.pod("ADDED", "p", 1);
    assert_eq!(watcher.next().await, Some(event));
    assert_eq!(rule.hits(), 0);
}

#[tokio::test]
async fn a_coalesced_watch_delivers_the_newest_of_each_object() {
    let mut world = World::new().await;
    let (mut watcher, feed) = world.watch(ALL).await;
    let rule = world.proxy.add_rule(Rule::new(pods(), Action::CoalesceWatch));
    rule.wait_hits(1, SOON).await.unwrap();
    feed.pod("MODIFIED", "p", 1);
    feed.pod("MODIFIED", "p", 2);
    let newest = feed.pod("MODIFIED", "p", 3);
    rule.wait_held(3, SOON).await.unwrap();
    rule.remove();
    assert_eq!(watcher.next().await, Some(newest));
    let after = feed.pod("MODIFIED", "p", 4);
    assert_eq!(watcher.next().await, Some(after));
}

#[tokio::test]
async fn an_open_watch_can_be_closed_in_order() {
    let mut world = World::new().await;
    let (mut watcher, feed) = world.watch(ALL).await;
    let rule = world.proxy.add_rule(Rule::new(pods(), Action::CloseWatch));
    assert_eq!(watcher.next().await, None);
    feed.gone().await;
    let call = world.log().calls(Mark::START, &pods().verb(Verb::Watch)).remove(0);
    assert_eq!(call.outcome, Outcome::Injected(rule.id()));
    let (mut again, feed) = world.watch(ALL).await;
    let event = feed.pod("ADDED", "p", 1);
    assert_eq!(again.next().await, Some(event), "once unless told otherwise");
}

#[tokio::test]
async fn a_watch_can_be_told_that_it_is_too_old() {
    let mut world = World::new().await;
    let (mut watcher, _feed) = world.watch(ALL).await;
    world.proxy.add_rule(Rule::new(pods(), Action::Watch410));
    let event: serde_json::Value = serde_json::from_str(&watcher.next().await.unwrap()).unwrap();
    assert_eq!(event["type"], "ERROR");
    assert_eq!((&event["object"]["code"], &event["object"]["reason"]), (&410.into(), &"Expired".into()));
    assert_eq!(watcher.next().await, None);
}

#[tokio::test]
async fn the_nth_watch_is_counted_by_watches_not_by_events() {
    let mut world = World::new().await;
    let rule = world.proxy.add_rule(Rule::new(pods(), Action::CloseWatch).nth(2));
    let (mut first, feed) = world.watch(ALL).await;
    for version in 1..=3 {
        let event = feed.pod("MODIFIED", "p", version);
        assert_eq!(first.next().await, Some(event));
    }
    let (mut second, _feed) = world.watch(ALL).await;
    assert_eq!(second.next().await, None);
    assert_eq!(rule.hits(), 1);
}

#[tokio::test]
async fn a_watch_can_be_refused_like_any_call() {
    let world = World::new().await;
    world.proxy.add_rule(Rule::new(pods().verb(Verb::Watch), Action::reply(410)));
    assert_eq!(world.client.status("GET", ALL).await, 410);
}
