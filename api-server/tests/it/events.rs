//! Being told of a subscription as things happen to it.

use anyhow::{Context as _, Result, ensure};
use e2e::wait::{until, within};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::platform::Platform;
use crate::world::{Api, BOUND, User};

/// A stream of events, and what of it was not taken yet.
struct Events {
    answer: Response,
    text: String,
}

/// An event: its id and its data.
type Event = (String, Value);

impl Events {
    async fn open(api: &Api, user: &User, id: &str, last: Option<&str>) -> Result<Self> {
        let request =
            api.request(Method::GET, &format!("/subscriptions/{id}/events")).bearer_auth(&user.access);
        let answer = match last {
            Some(last) => request.header("last-event-id", last).send().await?,
            None => request.send().await?,
        };
        Ok(Self { answer, text: String::new() })
    }

    fn is(self, status: StatusCode) -> Result<Self> {
        ensure!(self.answer.status() == status, "{}", self.answer.status());
        Ok(self)
    }

    /// The next event; none where the stream has ended. Signs of life are none.
    async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (read(event)?, rest.to_owned());
                self.text = rest;
                match event {
                    Some(event) => return Ok(Some(event)),
                    None => continue,
                }
            }
            let Some(chunk) = within("more of the stream", BOUND, self.answer.chunk()).await? else {
                return Ok(None);
            };
            self.text.push_str(std::str::from_utf8(&chunk)?);
        }
    }

    /// The first event of which something is so, and how many came until then.
    async fn until(&mut self, is_so: impl Fn(&Value) -> bool) -> Result<(Event, usize)> {
        let mut count = 0;
        loop {
            let event = self.next().await?.context("the stream has ended")?;
            count += 1;
            if is_so(&event.1) {
                return Ok((event, count));
            }
        }
    }
}

fn read(text: &str) -> Result<Option<Event>> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_start);
    let Some(data) = field("data:") else { return Ok(None) };
    ensure!(field("event:") == Some("state"), "{text}");
    Ok(Some((field("id:").context("an id")?.to_owned(), serde_json::from_str(data)?)))
}

/// How each step stands.
fn steps(event: &Value) -> Vec<String> {
    let all = event["steps"].as_array().into_iter().flatten();
    let words = |one: &Value| {
        format!("{} {}", one["step"].as_str().unwrap_or_default(), one["state"].as_str().unwrap_or_default())
    };
    all.map(words).collect()
}

fn stands(event: &Value, step: &str, state: &str) -> bool {
    steps(event).contains(&format!("{step} {state}"))
}

#[tokio::test]
async fn from_bought_to_active_each_step_is_told_and_after_a_gap_nothing_twice() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let bought = platform.buys(&ayu).await?;
    let mut events = Events::open(&platform.api, &ayu, &bought.id, None).await?.is(StatusCode::OK)?;
    assert_eq!(events.answer.headers()["content-type"], "text/event-stream");
    assert_eq!(events.answer.headers()["cache-control"], "no-store");
    let ((_, first), _) = events.until(|event| stands(event, "SENT", "DONE")).await?;
    assert_eq!(json!([first["status"], first["phase"]]), json!(["PENDING_DEPLOYMENT", "PENDING"]));
    assert!(stands(&first, "PAID", "DONE") && stands(&first, "ADMITTED", "CURRENT"), "{first}");
    platform.becomes_active(&ayu, &bought).await?;
    let ((id, active), _) = events.until(|event| event["status"] == "ACTIVE").await?;
    assert!(steps(&active).iter().all(|step| step.ends_with(" DONE")), "{active}");
    assert_eq!(json!([active["steps"][4]["ready"], active["steps"][4]["of"]]), json!([1, 1]));
    ensure!(!id.is_empty());
    drop(events);

    // What happened meanwhile is told to whoever comes again, and what is known to them is not.
    until("it to be told until when it is paid for", BOUND, async || {
        Ok(platform.spec(&bought).await?["entitlement"]["paidUntil"].is_string().then_some(()))
    })
    .await?;
    platform.says(&bought, "Degraded", "CrashLooping").await?;
    let mut again = Events::open(&platform.api, &ayu, &bought.id, Some(&id)).await?.is(StatusCode::OK)?;
    let ((id, broken), _) = again.until(|event| event["phase"] == "DEGRADED").await?;
    assert_eq!(broken["why"]["reason"], "CrashLooping");
    drop(again);
    let mut quiet = Events::open(&platform.api, &ayu, &bought.id, Some(&id)).await?.is(StatusCode::OK)?;
    platform.says(&bought, "Running", "Running").await?;
    let (next, next_state) = quiet.next().await?.context("news")?;
    assert!(next != id && next_state["phase"] == "RUNNING", "only what is new: {next_state}");
    Ok(())
}

#[tokio::test]
async fn the_stream_ends_with_the_subscription_with_the_session_and_with_the_process() -> Result<()> {
    let platform = Platform::new().await?;
    let ayu = platform.user("ayu").await?;
    let bought = platform.runs(&ayu).await?;
    let other = platform.world.log_in(&ayu.email, crate::world::PASSWORD).await?;
    let mut of_other = Events::open(&platform.api, &other, &bought.id, None).await?.is(StatusCode::OK)?;
    of_other.next().await?.context("how it is")?;
    let logout = json!({"refresh_token": other.refresh});
    platform.api.post("/auth/logout", &logout).await?.expect(StatusCode::NO_CONTENT)?;
    assert_eq!(of_other.next().await?, None, "the session has ended");

    // One user has so many at once.
    let mut open = Vec::new();
    let refused = loop {
        let next = Events::open(&platform.api, &ayu, &bought.id, None).await?;
        if next.answer.status() != StatusCode::OK {
            break next.answer.status();
        }
        open.push(next);
        ensure!(open.len() < 100, "there is no end of them");
    };
    assert_eq!((refused, open.len()), (StatusCode::TOO_MANY_REQUESTS, 6));
    let mut events = open.pop().context("one is open")?;
    drop(open);
    events.next().await?.context("how it is")?;

    let cancel = format!("/api/v1/subscriptions/{}/cancel", bought.id);
    platform.api.post_once(&ayu, &cancel, "end", &json!({})).await?.expect(StatusCode::OK)?;
    events.until(|event| event["status"] == "CANCELLED").await?;
    until("it to be held", BOUND, async || {
        Ok(platform.spec(&bought).await?["holds"]["billing"].is_object().then_some(()))
    })
    .await?;
    platform.says(&bought, "Suspended", "HeldByBilling").await?;
    let ((last, _), _) = events.until(|event| event["over"] == true).await?;
    assert_eq!(events.next().await?, None, "nothing is left to happen");
    let after = Events::open(&platform.api, &ayu, &bought.id, Some(&last)).await?;
    assert_eq!(after.answer.status(), StatusCode::NO_CONTENT);

    // A process that is about to end waits for no listener.
    let second = platform.user("budi").await?;
    let bought = platform.buys(&second).await?;
    let mut events = Events::open(&platform.api, &second, &bought.id, None).await?.is(StatusCode::OK)?;
    events.next().await?.context("how it is")?;
    let Platform { api, .. } = platform;
    drop(api);
    while events.next().await?.is_some() {}
    Ok(())
}

#[tokio::test]
async fn nobody_is_told_of_anothers_and_without_a_cluster_nothing_is_known() -> Result<()> {
    let platform = Platform::new().await?;
    let (ayu, budi) = (platform.user("ayu").await?, platform.world.user("budi").await?);
    let bought = platform.buys(&ayu).await?;
    Events::open(&platform.api, &budi, &bought.id, None).await?.is(StatusCode::NOT_FOUND)?;
    Events::open(&platform.world.api, &ayu, &bought.id, None).await?.is(StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(())
}
