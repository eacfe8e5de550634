//! The main story, as a customer walks it at the public doors of what runs, in this process or in another: somebody comes in with money, buys an
//! app, and cancels it.

use std::fs;
use std::io::Read as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use serde_json::{Value, json};

use crate::api_client::ApiClient;
use crate::mail_folder::MailFolder;
use crate::midtrans::{Act, Control, Method};
use crate::people::PASSWORD;
use crate::story::Story;
use crate::wait;

/// What the customer of the story pays in, in rupiah.
const TOP_UP: i64 = 500_000;
/// How long it may take until what was paid is in the wallet.
const PAID: Duration = Duration::from_secs(30);
/// What the customer of the story buys.
const PLAN: &str = "ghost-small";
/// How long it may take until it can be bought.
const SOLD: Duration = Duration::from_secs(30);
/// How long it may take until it is there; a promise to customers is two to five minutes. The same until it is gone.
const ACTIVE: Duration = Duration::from_mins(5);
/// How long a mail may take.
const MAIL: Duration = Duration::from_secs(30);
/// Which mail of a customer says what: in the order in which they are sent.
const PROVE_ADDRESS: usize = 1;
const TOPPED_UP: usize = 3;
const READY: usize = 5;
const CAME_BACK: usize = 7;

/// The doors.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The API.
    pub api: ApiClient,
    /// Where mail goes.
    pub mails: MailFolder,
    /// The stand-in for the payment gateway.
    pub gateway: Control,
    /// What to add to a claim about a pod.
    pub simulated: &'static str,
}

/// Somebody who has come in, and has money.
#[derive(Debug)]
pub struct Customer {
    /// The address.
    pub email: String,
    /// The access token.
    pub access: String,
}

impl Walk {
    /// Somebody registers, proves an address, logs in, and tops up a wallet.
    pub async fn come_in(&self, story: Story) -> Result<Customer> {
        let email = register(&self.api).await?;
        story.step(format!("customer {email} registered"));
        let mail = self.mails.nth_to(&email, PROVE_ADDRESS, MAIL).await?;
        let token = mail.link_parameter("token").context("no link in the mail that asks for one")?;
        self.api.must("POST", "/api/v1/auth/email/verify", None, Some(&json!({"token": token}))).await?;
        story.step("address proven by the mailed link");
        let access = log_in(&self.api, &email).await?;
        let me = self.api.must("GET", "/api/v1/me", Some(&access), None).await?;
        story.step(format!("logged in as {} ({})", text(&me, "/name"), text(&me, "/role")));
        let customer = Customer { email, access };
        self.top_up(story, &customer).await?;
        self.tells(story, &customer, TOPPED_UP).await?;
        Ok(customer)
    }

    /// The customer buys an app, and waits until it is there. The path of what was bought.
    pub async fn buy(&self, story: Story, customer: &Customer) -> Result<String> {
        let access = Some(customer.access.as_str());
        let parameters = json!({"ownerEmail": customer.email});
        let wish = json!({"plan": PLAN, "parameters": parameters});
        // The operator may not have looked at the plan yet.
        let offered = wait::until("the plan to be sold", SOLD, async || {
            let offered = self.api.must("POST", "/api/v1/subscriptions/quote", access, Some(&wish)).await?;
            Ok((offered["can_buy"] == true).then_some(offered))
        })
        .await?;
        let (total, tax) = (&offered["total"], &offered["tax"]);
        story.step(format!("{PLAN} costs IDR {total} a month, of it IDR {tax} tax"));
        let order = json!({"plan": PLAN, "parameters": parameters, "expected_total": total});
        let bought = self.once("/api/v1/subscriptions", customer, Some(&order)).await?;
        let (name, resource) = (text(&bought, "/name"), text(&bought, "/resource"));
        story.step(format!("bought: {name}, paid from the wallet; its resource is {resource}"));
        let path = format!("/api/v1/subscriptions/{}", text(&bought, "/id"));
        let active = self
            .becomes("what was bought to be active", &path, customer, |now| now["status"] == "ACTIVE")
            .await?;
        let (simulated, until) = (self.simulated, text(&active, "/paid_until"));
        story.step(format!("it is ACTIVE{simulated}, paid until {until}"));
        self.tells(story, customer, READY).await?;
        Ok(path)
    }

    /// The customer cancels what was bought, and gets back what was not used, once nothing of it runs.
    pub async fn cancel(&self, story: Story, customer: &Customer, path: &str) -> Result<()> {
        let cancelled = self.once(&format!("{path}/cancel"), customer, None).await?;
        let amount = cancelled.pointer("/refund/amount").and_then(Value::as_i64).unwrap_or_default();
        story.step(format!("cancelled; IDR {amount} are to come back"));
        let is_back = |now: &Value| now.pointer("/refund/done") == Some(&json!(true));
        self.becomes("the money to come back", path, customer, is_back).await?;
        let simulated = self.simulated;
        story.step(format!("not a pod of it runs any more{simulated}, and the money has come back"));
        self.tells(story, customer, CAME_BACK).await?;
        let wallet = self.api.must("GET", "/api/v1/wallet", Some(&customer.access), None).await?;
        story.step(format!("in the wallet: IDR {}", wallet["cash"]));
        Ok(())
    }

    /// The customer tops up, pays at the gateway, and the wallet has it.
    async fn top_up(&self, story: Story, customer: &Customer) -> Result<()> {
        let body = json!({"amount": TOP_UP, "method": "BANK_TRANSFER"});
        let top_up = self.once("/api/v1/wallet/top-ups", customer, Some(&body)).await?;
        let (number, page) = (text(&top_up, "/number"), text(&top_up, "/payment/redirect_url"));
        story.step(format!("top-up {number} of IDR {TOP_UP} begun, to be paid at {page}"));
        let (token, book) = (text(&top_up, "/payment/token"), self.gateway.book().await?);
        let order = book.into_iter().find(|order| order.token == token);
        let order = order.context("the gateway knows no such page")?.order_id;
        self.gateway.act(&Act::pay(order, Method::BcaVa)).await.context("the gateway refuses the payment")?;
        story.step("paid at the gateway's stand-in, which notifies the API server");
        let path = format!("/api/v1/wallet/top-ups/{}", text(&top_up, "/id"));
        let done = wait::until("the top-up to be completed", PAID, async || {
            let now = self.api.must("GET", &path, Some(&customer.access), None).await?;
            Ok((now["status"] == "COMPLETED").then_some(()))
        });
        done.await?;
        let wallet = self.api.must("GET", "/api/v1/wallet", Some(&customer.access), None).await?;
        ensure!(wallet["cash"] == TOP_UP, "what was paid is not in the wallet: {wallet}");
        story.step(format!("in the wallet: IDR {}", wallet["cash"]));
        Ok(())
    }

    /// Asks for something under a key of its own.
    async fn once(&self, path: &str, customer: &Customer, body: Option<&Value>) -> Result<Value> {
        let key = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random()?);
        let headers = [("Idempotency-Key", key.as_str())];
        let (status, _, answer) =
            self.api.exchange("POST", path, Some(&customer.access), &headers, body).await?;
        ensure!(status.is_success(), "POST {path}: {status}: {answer}");
        Ok(answer)
    }

    async fn becomes(
        &self,
        what: &str,
        path: &str,
        customer: &Customer,
        is_so: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        wait::until(what, ACTIVE, async || {
            let now = self.api.must("GET", path, Some(&customer.access), None).await?;
            Ok(is_so(&now).then_some(now))
        })
        .await
    }

    async fn tells(&self, story: Story, customer: &Customer, nth: usize) -> Result<()> {
        let mail = self.mails.nth_to(&customer.email, nth, MAIL).await?;
        story.step(format!("the mail tells: {}", mail.subject));
        Ok(())
    }
}

/// Registers somebody new; the address.
pub async fn register(api: &ApiClient) -> Result<String> {
    let [a, b, c, d, ..] = random()?;
    let email = format!("customer-{:08x}@nakhoda.test", u32::from_be_bytes([a, b, c, d]));
    let body = json!({"email": email, "password": PASSWORD, "name": "A customer", "language": "EN"});
    api.must("POST", "/api/v1/auth/register", None, Some(&body)).await?;
    Ok(email)
}

/// Logs somebody in; the access token.
pub async fn log_in(api: &ApiClient, email: &str) -> Result<String> {
    let body = json!({"email": email, "password": PASSWORD});
    let answer = api.must("POST", "/api/v1/auth/login", None, Some(&body)).await?;
    Ok(text(&answer, "/tokens/access_token"))
}

/// Bytes that nobody can guess.
pub fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn text(value: &Value, at: &str) -> String {
    value.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
}
