use super::*;
use jiff::SignedDuration;
use serde_json::{Value, json};

const CREATED: &str =
    r#"{"token":"66e4fa55","redirect_url":"https://app.sandbox.midtrans.com/snap/v4/redirection/66e4fa55"}"#;
const SETTLED: &str = r#"{"status_code":"200","transaction_id":"t-1","order_id":"o-1","gross_amount":"10000.00","currency":"IDR","payment_type":"qris","transaction_status":"settlement"}"#;
const HTML: &str = "<html><body><h1>502 Bad Gateway</h1></body></html>";

fn page(methods: &[String]) -> NewPage<'_> {
    let order_id = OrderId::parse("tu-0198c6f00000700080000000000000ab").unwrap();
    NewPage {
        order_id,
        top_up: order_id.attempt(),
        again: false,
        amount: rupiah(50_000),
        enabled_payments: methods,
        customer_name: "Some|body",
        customer_email: "somebody@example.com",
        starts: "2026-11-21T03:04:05Z".parse().unwrap(),
        lasts: SignedDuration::from_hours(24),
        finish_url: Some("https://example.com/wallet"),
        item_name: "Top-up of a wallet whose name is quite a lot longer than fifty characters",
    }
}

fn unknown<T>(why: Unclear) -> Result<T, CallError> {
    Err(CallError::Unknown(why))
}

#[tokio::test]
async fn a_page_is_asked_for_as_midtrans_wants_it() {
    let (gateway, client) =
        Gateway::start([says(201, CREATED)], &["--midtrans-notification-url", "https://example.com/n"]).await;
    let methods = ["other_qris".to_owned(), "gopay".to_owned()];
    let made = client.create(&page(&methods)).await.unwrap();
    assert_eq!(made.token, "66e4fa55");
    assert!(made.redirect_url.ends_with("/66e4fa55"));
    let sent = gateway.sent().remove(0);
    assert_eq!((sent.method, sent.path.as_str()), (Method::POST, "/snap/v1/transactions"));
    let header = |name: &str| sent.headers.get(name).map(|it| it.to_str().unwrap());
    assert_eq!(header("authorization"), Some("Basic U0ItTWlkLXNlcnZlci1URVNUS0VZOg=="));
    assert_eq!(
        (header("accept"), header("content-type")),
        (Some("application/json"), Some("application/json"))
    );
    assert_eq!(header("x-override-notification"), Some("https://example.com/n"));
    assert_eq!(header("accept-encoding"), None);
    let id = "0198c6f0-0000-7000-8000-0000000000ab";
    let expected = json!({
        "transaction_details": {"order_id": "tu-0198c6f00000700080000000000000ab", "gross_amount": 50_000},
        "item_details": [{"id": "top-up", "price": 50_000, "quantity": 1, "name": "Top-up of a wallet whose name is quite a lot longe"}],
        "customer_details": {"first_name": "Some body", "email": "somebody@example.com"},
        "credit_card": {"secure": true},
        "expiry": {"start_time": "2026-11-21 10:04:05 +0700", "unit": "minute", "duration": 1440},
        "page_expiry": {"unit": "minute", "duration": 1440},
        "custom_field1": id,
        "enabled_payments": ["other_qris", "gopay"],
        "callbacks": {"finish": "https://example.com/wallet"},
    });
    assert_eq!(serde_json::from_slice::<Value>(&sent.body).unwrap(), expected);
    assert!(String::from_utf8_lossy(&sent.body).contains(r#""gross_amount":50000,"#), "an integer, no float");
}

#[test]
fn without_methods_and_a_way_back_nothing_is_said_of_them() {
    let bare: Value = serde_json::from_slice(&NewPage { finish_url: None, ..page(&[]) }.body()).unwrap();
    assert_eq!((bare.get("enabled_payments"), bare.get("callbacks")), (None, None));
}

#[tokio::test]
async fn a_refusal_of_a_page_is_told_in_snaps_words() {
    let told =
        r#"{"error_messages":["transaction_details.gross_amount is not equal to the sum of item_details"]}"#;
    let (_, client) = Gateway::start([says(400, told)], &[]).await;
    let refused = client.create(&page(&[])).await.unwrap_err();
    assert_eq!((refused.label(), refused.is_worth_repeating()), ("refused", false));
    assert!(refused.to_string().contains("400: transaction_details.gross_amount is not equal"), "{refused}");
}

#[tokio::test]
async fn a_page_that_is_asked_for_again_and_refused_may_be_under_way() {
    let told = r#"{"error_messages":["transaction_details.order_id sudah digunakan"]}"#;
    let other = r#"{"status_code":"406","status_message":"Duplicate order ID"}"#;
    let (_, client) = Gateway::start([says(400, told), says(406, other), says(200, other)], &[]).await;
    let again = NewPage { again: true, ..page(&[]) };
    assert_eq!(client.create(&again).await.unwrap_err().label(), "order_used");
    assert_eq!(client.create(&page(&[])).await.unwrap_err().label(), "order_used");
    let used = client.create(&page(&[])).await.unwrap_err();
    assert_eq!(used, CallError::OrderUsed { messages: vec!["Duplicate order ID".into()] });
}

#[tokio::test]
async fn a_wrong_key_is_told_with_both_settings_that_may_be_wrong() {
    let told = r#"{"status_code":"401","status_message":"Access denied"}"#;
    let (_, client) = Gateway::start([says(401, ""), says(200, told), says(401, HTML)], &[]).await;
    let wrong = client.create(&page(&[])).await.unwrap_err();
    assert_eq!(wrong, CallError::Unauthorised);
    for setting in ["NAKHODA_MIDTRANS_SERVER_KEY", "NAKHODA_MIDTRANS_ENVIRONMENT"] {
        assert!(wrong.to_string().contains(setting));
    }
    assert!(!wrong.is_worth_repeating());
    // A 200 by HTTP, and a 401 by the body.
    assert_eq!(client.status("o-1").await, Err(CallError::Unauthorised));
    assert_eq!(client.cancel("o-1").await, Err(CallError::Unauthorised));
}

#[tokio::test]
async fn what_is_not_clear_may_have_been_done_and_may_be_tried_again() {
    let error = r#"{"error_messages":["internal server error"]}"#;
    let by_body = r#"{"status_code":"503","status_message":"bank is away"}"#;
    let answers = [
        says(500, error),
        says(502, HTML),
        says(429, "{}"),
        says(403, HTML),
        says(201, HTML),
        says(404, HTML),
        says(200, by_body),
        says(302, ""),
        says(200, r#"{"status_code":"2"#),
        says(200, ""),
    ];
    let (_, client) = Gateway::start(answers, &[]).await;
    assert_eq!(client.create(&page(&[])).await, unknown(Unclear::Answered(500)));
    assert_eq!(client.create(&page(&[])).await, unknown(Unclear::Answered(502)));
    assert_eq!(client.create(&page(&[])).await, unknown(Unclear::Answered(429)));
    assert_eq!(client.create(&page(&[])).await, unknown(Unclear::NotJson(403)));
    assert_eq!(client.create(&page(&[])).await, unknown(Unclear::NotJson(201)));
    assert_eq!(
        client.status("o-1").await,
        unknown(Unclear::NotJson(404)),
        "a proxy's page is no word on a payment"
    );
    assert_eq!(client.status("o-1").await, unknown(Unclear::Answered(503)));
    assert_eq!(client.status("o-1").await, unknown(Unclear::Answered(302)), "no redirect is followed");
    assert_eq!(client.status("o-1").await, unknown(Unclear::NotJson(200)));
    let last = client.status("o-1").await.unwrap_err();
    assert!(last.is_worth_repeating());
}

#[tokio::test]
async fn a_call_that_hangs_ends_in_time_and_gives_its_place_back() {
    let (_, client) =
        Gateway::start([Scripted::Hangs, says(200, SETTLED)], &["--midtrans-at-once", "1"]).await;
    let short = client.within(Duration::from_millis(50));
    assert_eq!(short.create(&page(&[])).await, unknown(Unclear::TimedOut));
    assert!(client.status("o-1").await.unwrap().is_some());
    assert_eq!(short.within(Duration::from_hours(1)).bound, Duration::from_millis(50), "it gets no longer");
}

#[tokio::test]
async fn waiting_for_a_place_is_part_of_the_bound() {
    let (_, client) = Gateway::start([Scripted::Hangs], &["--midtrans-at-once", "1"]).await;
    let place = client.shared.places.acquire().await.unwrap();
    let waits = client.within(Duration::from_millis(50)).status("o-1").await;
    assert_eq!(waits, unknown(Unclear::TimedOut));
    drop(place);
}

#[tokio::test]
async fn a_connection_that_breaks_or_is_not_there_is_not_clear() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = client_of(&address, &[]);
    let breaking = tokio::spawn(async move {
        let (connection, _) = listener.accept().await.unwrap();
        connection.readable().await.unwrap();
        drop((connection, listener));
    });
    assert_eq!(client.create(&page(&[])).await, unknown(Unclear::Connection));
    breaking.await.unwrap();
    assert_eq!(client.status("o-1").await, unknown(Unclear::Connection));
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let (_, client) = Gateway::start([says(200, &" ".repeat(LARGEST_ANSWER + 1))], &[]).await;
    assert_eq!(client.status("o-1").await, unknown(Unclear::TooLarge));
}

#[tokio::test]
async fn json_of_another_shape_is_told_and_not_tried_again() {
    let elsewhere = r#"{"token":"t","redirect_url":"javascript:alert(1)"}"#;
    let of_another = SETTLED.replace("o-1", "o-2");
    let answers = [
        says(201, r#"{"token":1}"#),
        says(201, elsewhere),
        says(200, "[]"),
        says(200, "{}"),
        says(200, &of_another),
    ];
    let (_, client) = Gateway::start(answers, &[]).await;
    for _ in 0..2 {
        let made = client.create(&page(&[])).await.unwrap_err();
        assert_eq!((made.label(), made.is_worth_repeating()), ("unreadable", false));
    }
    for _ in 0..3 {
        assert_eq!(client.status("o-1").await.unwrap_err().label(), "unreadable");
    }
}

#[tokio::test]
async fn a_status_is_asked_for_by_order_or_by_transaction() {
    let (gateway, client) = Gateway::start([says(200, SETTLED), says(200, SETTLED)], &[]).await;
    for id in ["o-1", "t-1"] {
        assert_eq!(client.status(id).await.unwrap().unwrap().status, Status::Settlement);
    }
    let paths: Vec<_> = gateway.sent().into_iter().map(|it| (it.method, it.path)).collect();
    assert_eq!(paths, [(Method::GET, "/v2/o-1/status".into()), (Method::GET, "/v2/t-1/status".into())]);
}

#[tokio::test]
async fn no_transaction_is_none_whether_http_says_so_or_the_body() {
    let told = r#"{"status_code":"404","status_message":"Transaction doesn't exist."}"#;
    let (_, client) = Gateway::start([says(200, told), says(404, told), says(404, "{}")], &[]).await;
    for _ in 0..3 {
        assert_eq!(client.status("o-1").await, Ok(None));
    }
}

#[tokio::test]
async fn an_expired_transaction_is_no_error() {
    let expired = SETTLED.replace("200", "407").replace("settlement", "expire");
    let (_, client) = Gateway::start([says(200, &expired)], &[]).await;
    assert_eq!(client.status("o-1").await.unwrap().unwrap().status, Status::Expire);
}

#[tokio::test]
async fn an_id_from_outside_stays_one_part_of_the_path() {
    let (gateway, client) = Gateway::start([says(404, "{}"), says(404, "{}")], &[]).await;
    for id in ["", ".", "..", &"x".repeat(300)] {
        assert_eq!(client.status(id).await, Ok(None));
        assert_eq!(client.cancel(id).await, Ok(Ended::NotFound));
    }
    client.status("a/../b?c#d%2e e").await.unwrap();
    client.status("é\n").await.unwrap();
    let paths: Vec<_> = gateway.sent().into_iter().map(|it| it.path).collect();
    assert_eq!(paths, ["/v2/a%2F..%2Fb%3Fc%23d%252e%20e/status", "/v2/%C3%A9%0A/status"]);
}

#[tokio::test]
async fn a_transaction_is_ended_or_it_is_told_why_not() {
    let code = |code: &str| says(200, &format!(r#"{{"status_code":"{code}","status_message":"so"}}"#));
    let answers =
        [code("200"), code("407"), code("412"), says(412, "{}"), code("404"), says(202, "{}"), code("402")];
    let (gateway, client) = Gateway::start(answers, &[]).await;
    assert_eq!(client.cancel("o-1").await, Ok(Ended::Done));
    assert_eq!(client.expire("o-1").await, Ok(Ended::Done), "407 is what it answers when it was done");
    assert_eq!(client.expire("o-1").await, Ok(Ended::NotPossible));
    assert_eq!(client.cancel("o-1").await, Ok(Ended::NotPossible));
    assert_eq!(client.cancel("o-1").await, Ok(Ended::NotFound));
    assert_eq!(client.cancel("o-1").await, unknown(Unclear::AtWork));
    let refused = CallError::Refused { status_code: 402, messages: vec!["so".into()] };
    assert_eq!(client.cancel("o-1").await, Err(refused));
    let paths: Vec<_> = gateway.sent().into_iter().take(2).map(|it| (it.method, it.path)).collect();
    assert_eq!(paths, [(Method::POST, "/v2/o-1/cancel".into()), (Method::POST, "/v2/o-1/expire".into())]);
}

#[tokio::test]
async fn a_page_is_closed_or_it_is_told_why_not() {
    let error = |text: &str| says(400, &format!(r#"{{"error_messages":["{text}"]}}"#));
    let answers = [
        says(200, r#"{"canceled_at":"2026-11-21T10:00:00+07:00"}"#),
        error("token already canceled"),
        error("token not found"),
        says(404, "{}"),
        error("Transaction is on progress"),
        error("something else"),
    ];
    let (gateway, client) = Gateway::start(answers, &[]).await;
    assert_eq!(client.cancel_page("t/1").await, Ok(PageEnded::Done));
    for _ in 0..3 {
        assert_eq!(client.cancel_page("t").await, Ok(PageEnded::Gone));
    }
    assert_eq!(client.cancel_page("t").await, Ok(PageEnded::InProgress));
    assert_eq!(client.cancel_page("t").await.unwrap_err().label(), "refused");
    assert_eq!(gateway.sent()[0].path, "/snap/v1/transactions/t%2F1/cancel");
}

#[test]
fn without_a_key_payments_are_off() {
    assert!(Client::new(&Cli::parse_from(["test"]).midtrans).unwrap().is_none());
    assert!(
        Client::new(&Cli::parse_from(["test", "--midtrans-server-key", " "]).midtrans).unwrap().is_none()
    );
}

#[test]
fn each_environment_has_its_hosts() {
    let hosts = |environment| {
        let client = Client::new(&settings(&["--midtrans-environment", environment])).unwrap().unwrap();
        (client.shared.snap.clone(), client.shared.core.clone())
    };
    let (snap, core) = hosts("sandbox");
    assert_eq!(
        (snap.as_str(), core.as_str()),
        ("https://app.sandbox.midtrans.com/snap/v1", "https://api.sandbox.midtrans.com")
    );
    let (snap, core) = hosts("production");
    assert_eq!(
        (snap.as_str(), core.as_str()),
        ("https://app.midtrans.com/snap/v1", "https://api.midtrans.com")
    );
}

#[test]
fn settings_that_are_wrong_are_told() {
    let told = |more: &[&str]| Client::new(&settings(more)).unwrap_err().to_string();
    let real = ["--midtrans-environment", "production", "--midtrans-core-url", "http://example.com"];
    assert!(told(&real).starts_with("--midtrans-core-url must be an https address"));
    for url in
        ["ftp://example.com", "https://user@example.com", "https://example.com?x", "https://example.com#x"]
    {
        assert!(
            told(&["--midtrans-snap-url", url]).starts_with("--midtrans-snap-url must be an http"),
            "{url}"
        );
    }
    assert!(
        told(&["--midtrans-notification-url", "https://example.com/a,b"])
            .starts_with("--midtrans-notification-url")
    );
    let key = |key: &str| Client::new(&Cli::parse_from(["test", "--midtrans-server-key", key]).midtrans);
    for bad in ["two words", "a:b", "ключ", "a\nb", &"x".repeat(201)] {
        assert!(key(bad).unwrap_err().to_string().contains("Settings > Access keys"), "{bad}");
    }
    let file = Cli::parse_from(["test", "--midtrans-server-key-file", "/nowhere/key"]).midtrans;
    assert!(Client::new(&file).unwrap_err().to_string().contains("/nowhere/key"));
}

#[test]
fn nothing_secret_is_printed() {
    let settings = settings(&["--midtrans-previous-server-key", "SB-Mid-server-BEFORE"]);
    let client = Client::new(&settings).unwrap().unwrap();
    let printed = format!("{settings:?} {client:?} {:?} {:?}", client.keys(), client.shared.authorization);
    for secret in ["TESTKEY", "BEFORE", "U0ItTWlk"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
