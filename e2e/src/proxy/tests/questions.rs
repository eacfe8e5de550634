//! What the log tells.

use std::time::Duration;

use super::world::{POD, PODS, SOON, World};
use crate::proxy::{Action, Mark, Matcher, Outcome, ProxyError, Rule, Verb};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/system/leases/l";

#[tokio::test]
async fn a_write_is_written_down_with_its_result() {
    let world = World::new().await;
    world.client.call("POST", &format!("{PODS}?fieldManager=m"), r#"{"metadata":{"name":"p"}}"#).await;
    let call = world.log().writes(Mark::START, &Matcher::any()).remove(0);
    assert_eq!((&*call.actor, call.request.verb, call.name()), ("operator", Verb::Create, Some("p")));
    assert_eq!((call.status, call.upstream_status, call.outcome), (Some(201), Some(201), Outcome::Forwarded));
    assert_eq!((call.uid.as_deref(), call.resource_version.as_deref()), (Some("uid-1"), Some("1")));
    assert_eq!(
        (call.request.field_manager(), call.request.content_type.as_deref()),
        (Some("m"), Some("application/json"))
    );
    assert!(call.request.body_sha256.is_some() && call.request.body.is_none());
    assert!(call.finished.unwrap() >= call.started);
    assert_eq!(call.to_string(), "#0 operator create pods a/p 201 Forwarded");
}

#[tokio::test]
async fn a_generated_name_comes_from_the_answer() {
    let world = World::new().await;
    world.client.call("POST", PODS, r#"{"metadata":{"generateName":"p-"}}"#).await;
    let generated = world.log().calls(Mark::START, &Matcher::any().name("generated"));
    assert_eq!(generated.len(), 1);
    assert_eq!(
        Matcher::like(&generated[0]),
        Matcher::any()
            .actor("operator")
            .verb(Verb::Create)
            .resource("", "pods")
            .namespace("a")
            .main_resource()
    );
}

#[tokio::test]
async fn bodies_are_kept_on_request_but_not_those_of_secrets() {
    let world = World::with(super::super::ProxyConfig::keep_bodies).await;
    world.client.call("POST", PODS, r#"{"spec":1}"#).await;
    world.client.call("POST", "/api/v1/namespaces/a/secrets", r#"{"data":{"k":"cGFzcw=="}}"#).await;
    let calls = world.log().calls(Mark::START, &Matcher::any());
    assert_eq!(calls[0].request.body.as_deref(), Some(br#"{"spec":1}"#.as_slice()));
    assert!(calls[1].request.body.is_none() && calls[1].request.body_sha256.is_some());
}

#[tokio::test]
async fn writes_are_found_by_actor_place_and_time_without_leases() {
    let world = World::new().await;
    world.client.status("PUT", POD).await;
    let mark = world.log().mark();
    world.client.status("GET", POD).await;
    world.client.status("PUT", LEASE).await;
    world.client.status("DELETE", POD).await;
    let log = world.log();
    assert_eq!(log.writes(Mark::START, &Matcher::any()).len(), 3);
    assert_eq!(log.writes(mark, &Matcher::any()).len(), 2);
    assert_eq!(log.writes(mark, &Matcher::any().without_leases()).len(), 1);
    assert_eq!(log.writes(mark, &Matcher::any().namespace("b")).len(), 0);
    assert_eq!(log.writes(mark, &Matcher::any().actor("other")).len(), 0);
    assert_eq!(log.calls(mark, &Matcher::writes()).len(), 2);
}

#[tokio::test]
async fn calls_are_counted_by_object_and_verb() {
    let world = World::new().await;
    for method in ["GET", "GET", "PUT"] {
        world.client.status(method, POD).await;
    }
    world.client.status("GET", LEASE).await;
    let counts = world.log().counts(Mark::START, &Matcher::any());
    let lines: Vec<String> = counts.iter().map(|(object, verbs)| format!("{object}: {verbs:?}")).collect();
    assert_eq!(lines, ["pods a/p: {Get: 2, Update: 1}", "leases.coordination.k8s.io system/l: {Get: 1}"]);
    let (object, most) = world.log().busiest(Mark::START, &Matcher::any(), SOON).unwrap();
    assert_eq!((object.to_string().as_str(), most), ("pods a/p", 3));
}

#[tokio::test]
async fn a_trace_is_a_list_of_steps_that_rules_can_meet_again() {
    let world = World::new().await;
    for (method, uri) in [("PUT", POD), ("DELETE", POD), ("PUT", POD)] {
        world.client.status(method, uri).await;
    }
    let steps = world.log().steps(Mark::START, &Matcher::writes());
    assert_eq!(steps.iter().map(|step| step.nth).collect::<Vec<_>>(), [1, 1, 2]);
    world.proxy.add_rule(Rule::new(steps[2].matcher.clone(), Action::reply(500)).nth(steps[2].nth));
    assert_eq!(world.client.status("PUT", POD).await, 200);
    assert_eq!(world.client.status("DELETE", POD).await, 200);
    assert_eq!(world.client.status("PUT", POD).await, 500);
}

#[tokio::test]
async fn a_read_is_finished_when_its_body_is() {
    let world = World::new().await;
    assert_eq!(world.client.status("GET", POD).await, 200);
    world.log().wait_for(SOON, |calls| calls[0].finished.is_some()).await.unwrap();
    let call = &world.log().calls(Mark::START, &Matcher::any())[0];
    assert_eq!((call.outcome, call.uid.as_deref()), (Outcome::Forwarded, None));
}

#[tokio::test]
async fn a_call_is_awaited_by_notification_or_in_vain() {
    let world = World::new().await;
    let wanted = Matcher::any().verb(Verb::Delete).name("p");
    let in_vain = world.log().wait_for_call(Mark::START, &wanted, Duration::from_millis(20)).await;
    assert!(matches!(in_vain, Err(ProxyError::TooLate { .. })));
    let (found, _) = tokio::join!(world.log().wait_for_call(Mark::START, &wanted, SOON), async {
        world.client.status("GET", POD).await;
        world.client.status("DELETE", POD).await
    });
    assert_eq!(found.unwrap().seq, 1);
}

#[tokio::test]
async fn quiet_is_counted_from_the_last_write_and_not_from_before_it_was_asked_for() {
    let world = World::new().await;
    let (log, span) = (world.log(), Duration::from_millis(80));
    let own = Matcher::any().without_leases();
    let asked = log.now();
    assert!(log.wait_quiet(&own, span, SOON).await.unwrap() >= asked);
    assert!(log.now() >= asked + span);

    let (quiet_since, ()) = tokio::join!(log.wait_quiet(&own, span, SOON), async {
        world.client.status("PUT", POD).await;
    });
    let write = log.writes(Mark::START, &own).remove(0);
    assert_eq!(quiet_since.unwrap(), write.finished.unwrap());
    assert!(log.now() >= write.finished.unwrap() + span);
}

#[tokio::test]
async fn a_write_under_way_is_not_quiet() {
    let world = World::new().await;
    let hang = world.proxy.add_rule(Rule::new(Matcher::writes(), Action::Hang));
    let call = world.client.spawn("PUT", POD);
    hang.wait_hits(1, SOON).await.unwrap();
    let own = Matcher::any();
    let loud =
        world.log().wait_quiet(&own, Duration::from_millis(5), Duration::from_millis(60)).await.unwrap_err();
    assert!(loud.to_string().contains("last write: #0 operator update pods a/p Pending"), "{loud}");
    hang.remove();
    assert_eq!(call.await.unwrap(), Some(200));
    world.log().wait_quiet(&own, Duration::from_millis(5), SOON).await.unwrap();
}

#[tokio::test]
async fn leases_and_reads_do_not_disturb_the_quiet() {
    let world = World::new().await;
    let hang = world.proxy.add_rule(Rule::new(Matcher::any(), Action::Hang).every());
    let calls = [world.client.spawn("PUT", LEASE), world.client.spawn("GET", POD)];
    hang.wait_hits(2, SOON).await.unwrap();
    let own = Matcher::any().without_leases();
    world.log().wait_quiet(&own, Duration::from_millis(5), SOON).await.unwrap();
    hang.remove();
    for call in calls {
        assert_eq!(call.await.unwrap(), Some(200));
    }
}
