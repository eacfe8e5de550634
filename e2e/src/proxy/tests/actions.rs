//! What each action does to a call.

use std::{
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::world::{POD, PODS, SOON, World};
use crate::proxy::{Action, Lost, Mark, Matcher, Outcome, Reply, Rule, Verb};

fn pods() -> Matcher {
    Matcher::any().actor("operator").resource("", "pods")
}

fn only_call(world: &World) -> crate::proxy::Call {
    let mut calls = world.log().calls(Mark::START, &pods());
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.remove(0)
}

#[tokio::test]
async fn a_crash_before_a_call_kills_the_actor_and_the_call_never_arrives() {
    let mut world = World::new().await;
    let (mut watcher, feed) = world.watch("/api/v1/pods?watch=true").await;
    let killed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&killed);
    world.port.on_crash(move |actor| {
        assert_eq!(actor, "operator");
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let rule = world.proxy.add_rule(Rule::new(pods().verb(Verb::Create), Action::CrashBefore));

    assert!(world.client.send("POST", PODS, "{}").await.is_err());
    assert!(watcher.try_next().await.is_err(), "the watch must be cut");
    feed.gone().await;
    world.port.wait_crashed(SOON).await.unwrap();
    assert!(world.client.send("GET", POD, "").await.is_err(), "a dead actor has no way in");
    assert_eq!(killed.load(Ordering::SeqCst), 1);
    assert_eq!(world.seen(), ["GET /api/v1/pods"]);
    let call = world.log().wait_for_call(Mark::START, &pods().verb(Verb::Create), SOON).await.unwrap();
    assert_eq!((call.outcome, call.status), (Outcome::CrashedBefore(rule.id()), None));

    world.port.revive();
    assert_eq!(world.client.status("GET", POD).await, 200);
}

#[tokio::test]
async fn a_crash_after_a_call_kills_the_actor_and_the_call_has_been_carried_out() {
    let world = World::new().await;
    let rule = world.proxy.add_rule(Rule::new(pods(), Action::CrashAfter));
    assert!(world.client.send("POST", PODS, "{}").await.is_err());
    assert!(world.port.is_crashed());
    assert_eq!(world.seen(), ["POST /api/v1/namespaces/a/pods"]);
    let call = only_call(&world);
    assert_eq!(
        (call.outcome, call.status, call.upstream_status),
        (Outcome::CrashedAfter(rule.id()), None, Some(201))
    );
    assert!(call.is_committed());
}

#[tokio::test]
async fn a_reply_is_a_status_of_the_right_reason_and_the_call_never_arrives() {
    let world = World::new().await;
    let table = [
        (Reply::code(401), 401, "Unauthorized"),
        (Reply::code(403), 403, "Forbidden"),
        (Reply::code(404), 404, "NotFound"),
        (Reply::code(409), 409, "Conflict"),
        (Reply::already_exists(), 409, "AlreadyExists"),
        (Reply::code(410), 410, "Expired"),
        (Reply::code(422), 422, "Invalid"),
        (Reply::code(429), 429, "TooManyRequests"),
        (Reply::code(500), 500, "InternalError"),
        (Reply::code(503), 503, "ServiceUnavailable"),
        (Reply::code(504), 504, "Timeout"),
        (Reply::code(504).reason("ServerTimeout"), 504, "ServerTimeout"),
    ];
    for (reply, code, reason) in table {
        world.proxy.add_rule(Rule::new(pods(), Action::Reply(reply)));
        let (status, body) = world.client.call("PUT", POD, "{}").await;
        assert_eq!(status, code);
        assert_eq!(body["kind"], "Status");
        assert_eq!((&body["status"], &body["code"]), (&"Failure".into(), &code.into()));
        assert_eq!((&body["reason"], &body["details"]["name"]), (&reason.into(), &"p".into()));
    }
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn too_many_requests_says_when_to_come_back() {
    let world = World::new().await;
    world.proxy.add_rule(Rule::new(pods(), Action::reply(429)));
    let response = world.client.send("GET", POD, "").await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(world.client.status("GET", POD).await, 200, "once unless told otherwise");
}

#[tokio::test]
async fn a_reset_is_an_rst_and_the_call_never_arrives() {
    let world = World::new().await;
    world.proxy.add_rule(Rule::new(pods(), Action::Reset));
    let mut socket = TcpStream::connect(world.port.address).await.unwrap();
    socket.write_all(format!("GET {POD} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let error = socket.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(world.seen().is_empty());
}

#[tokio::test]
async fn a_lost_reply_hides_that_the_call_was_carried_out() {
    let world = World::new().await;
    let rule = world.proxy.add_rule(Rule::new(pods(), Action::CommitThen(Lost::Reply(Reply::code(504)))));
    assert_eq!(world.client.status("POST", PODS).await, 504);
    let call = only_call(&world);
    assert_eq!((call.status, call.upstream_status), (Some(504), Some(201)));
    assert_eq!((call.outcome, call.uid.as_deref()), (Outcome::ReplyLost(rule.id()), Some("uid-1")));

    world.proxy.add_rule(Rule::new(pods(), Action::CommitThen(Lost::Reset)));
    assert!(world.client.send("POST", PODS, "").await.is_err());

    let hanging = world.proxy.add_rule(Rule::new(pods(), Action::CommitThen(Lost::Hang)));
    let call = world.client.spawn("POST", PODS);
    hanging.wait_hits(1, SOON).await.unwrap();
    world.wait_seen(3).await;
    assert!(!call.is_finished());
    hanging.remove();
    assert_eq!(call.await.unwrap(), Some(201));
    assert_eq!(world.seen().len(), 3);
}

#[tokio::test]
async fn a_call_whose_reply_is_lost_is_carried_out_even_if_the_actor_is_gone() {
    let world = World::new().await;
    let rule = world.proxy.add_rule(Rule::new(pods(), Action::CommitThen(Lost::Hang)));
    let call = world.client.spawn("POST", PODS);
    rule.wait_hits(1, SOON).await.unwrap();
    call.abort();
    world.wait_seen(1).await;
    let committed = |calls: &[crate::proxy::Call]| calls[0].is_committed() && calls[0].finished.is_some();
    world.log().wait_for(SOON, committed).await.unwrap();
    assert_eq!(only_call(&world).outcome, Outcome::ReplyLost(rule.id()));
}

#[tokio::test]
async fn a_delay_is_as_long_as_it_says() {
    let world = World::new().await;
    let delay = Duration::from_millis(50);
    let rule = world.proxy.add_rule(Rule::new(pods(), Action::Delay(delay)));
    assert_eq!(world.client.status("PUT", POD).await, 200);
    let call = only_call(&world);
    assert_eq!(call.outcome, Outcome::Delayed(rule.id()));
    assert!(call.finished.unwrap() >= call.started + delay);
}

#[tokio::test]
async fn a_hanging_call_is_passed_on_when_the_rule_is_removed() {
    let world = World::new().await;
    let rule = world.proxy.add_rule(Rule::new(pods(), Action::Hang));
    let call = world.client.spawn("PUT", POD);
    rule.wait_hits(1, SOON).await.unwrap();
    assert!(world.seen().is_empty() && !call.is_finished());
    rule.remove();
    assert_eq!(call.await.unwrap(), Some(200));
}

#[tokio::test]
async fn a_hanging_call_is_forgotten_when_the_actor_goes_away() {
    let world = World::new().await;
    let rule = world.proxy.add_rule(Rule::new(pods(), Action::Hang).every());
    let call = world.client.spawn("PUT", POD);
    rule.wait_hits(1, SOON).await.unwrap();
    call.abort();
    let abandoned = world.log().wait_for_call(Mark::START, &pods(), SOON).await.unwrap();
    assert_eq!(abandoned.outcome, Outcome::Abandoned);
    rule.remove();
    assert_eq!(world.client.status("GET", POD).await, 200);
    assert_eq!(world.seen(), [format!("GET {POD}")]);
}

#[tokio::test]
async fn cutting_breaks_all_connections_of_one_actor_and_lets_it_come_back() {
    let mut world = World::new().await;
    let (mut watcher, feed) = world.watch("/api/v1/pods?watch=true").await;
    let other = super::world::Http::new(&world.proxy.actor("other").unwrap().url);
    world.proxy.add_rule(Rule::new(pods().verb(Verb::Update), Action::CutAll));
    assert!(world.client.send("PUT", POD, "").await.is_err());
    assert!(watcher.try_next().await.is_err());
    feed.gone().await;
    assert_eq!(other.status("PUT", POD).await, 200, "another actor is not concerned");
    assert_eq!(world.client.status("PUT", POD).await, 200);
    assert!(!world.port.is_crashed());
}

#[tokio::test]
async fn a_rule_acts_on_the_nth_call_the_first_calls_or_every_call() {
    let world = World::new().await;
    let statuses = async |n| {
        let mut statuses = Vec::new();
        for _ in 0..n {
            statuses.push(world.client.status("GET", POD).await);
        }
        statuses
    };
    let nth = world.proxy.add_rule(Rule::new(pods(), Action::reply(500)).nth(3));
    assert_eq!(statuses(4).await, [200, 200, 500, 200]);
    assert_eq!(nth.hits(), 1);
    world.proxy.add_rule(Rule::new(pods(), Action::reply(500)).first(2));
    assert_eq!(statuses(3).await, [500, 500, 200]);
    let every = world.proxy.add_rule(Rule::new(pods(), Action::reply(500)).every());
    assert_eq!(statuses(2).await, [500, 500]);
    every.remove();
    assert_eq!(statuses(1).await, [200]);
    world.proxy.add_rule(Rule::new(pods(), Action::reply(500)).every());
    world.proxy.clear_rules();
    assert_eq!(statuses(1).await, [200]);
}

#[tokio::test]
async fn a_lasting_rule_begins_with_its_first_call_and_ends_by_itself() {
    let world = World::new().await;
    let rule = Rule::new(pods(), Action::reply(503)).lasting(Duration::from_millis(30));
    let rule = world.proxy.add_rule(rule);
    assert!(rule.wait_ended(Duration::from_millis(40)).await.is_err(), "no call yet");
    assert_eq!(world.client.status("GET", POD).await, 503);
    rule.wait_ended(SOON).await.unwrap();
    assert_eq!(world.client.status("GET", POD).await, 200);
}

#[tokio::test]
async fn of_two_rules_the_older_acts_and_the_younger_does_not_count() {
    let world = World::new().await;
    world.proxy.add_rule(Rule::new(pods(), Action::reply(500)));
    let younger = world.proxy.add_rule(Rule::new(pods(), Action::reply(503)));
    assert_eq!(world.client.status("GET", POD).await, 500);
    assert_eq!(younger.hits(), 0);
    assert_eq!(world.client.status("GET", POD).await, 503);
}

#[tokio::test]
async fn a_rule_acts_on_no_call_it_does_not_mean() {
    let world = World::new().await;
    let exact = pods().verb(Verb::Patch).namespace("a").name("p").subresource("status").field_manager("m");
    let rule = world.proxy.add_rule(Rule::new(exact, Action::reply(500)).every());
    let others = [
        "/api/v1/namespaces/b/pods/p/status?fieldManager=m",
        "/api/v1/namespaces/a/pods/q/status?fieldManager=m",
        "/api/v1/namespaces/a/pods/p?fieldManager=m",
        "/api/v1/namespaces/a/pods/p/status?fieldManager=n",
        "/api/v1/namespaces/a/services/p/status?fieldManager=m",
        "/apis/g/v1/namespaces/a/pods/p/status?fieldManager=m",
    ];
    for uri in others {
        assert_eq!(world.client.status("PATCH", uri).await, 200, "{uri}");
    }
    assert_eq!(world.client.status("PUT", "/api/v1/namespaces/a/pods/p/status?fieldManager=m").await, 200);
    assert_eq!(rule.hits(), 0);
    assert_eq!(world.client.status("PATCH", "/api/v1/namespaces/a/pods/p/status?fieldManager=m").await, 500);
}

#[tokio::test]
async fn a_create_is_met_by_the_name_in_its_body() {
    let world = World::new().await;
    world
        .proxy
        .add_rule(Rule::new(pods().verb(Verb::Create).name("p"), Action::Reply(Reply::already_exists())));
    assert_eq!(world.client.call("POST", PODS, r#"{"metadata":{"name":"q"}}"#).await.0, 201);
    assert_eq!(world.client.call("POST", PODS, r#"{"metadata":{"name":"p"}}"#).await.0, 409);
}
