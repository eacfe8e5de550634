//! What each test gets: a database of its own, a mail server, and as many API servers on them as it wants.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use api_server::clock::Clock;
use api_server::cluster::Cluster;
use api_server::secret_key::SecretKey;
use api_server::serve::{self, Role, Settings};
use api_server::state::State;
use api_server::{config, db};
use e2e::mail_catcher::MailCatcher;
use e2e::postgres::{APPLICATION, Durability, OWNER, Postgres};
use e2e::scratch;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

/// How long a test waits for what must come.
pub const BOUND: Duration = Duration::from_mins(2);
/// A password that nobody guesses.
pub const PASSWORD: &str = "kapal layar putih 7";
/// The migrated database that all others are copies of.
const TEMPLATE: &str = "template_of_tests";
/// The installation's secret.
pub const SECRET: &str = "bmFraG9kYSB0ZXN0cyBvbmx5IG5ha2hvZGEgdGVzdHM=";

/// The gateway's key.
pub const SERVER_KEY: &str = "SB-Mid-server-for-tests-only";

static SERVER: OnceCell<Arc<Postgres>> = OnceCell::const_new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The PostgreSQL of this run, with the migrated template.
pub async fn postgres() -> Result<Arc<Postgres>> {
    let server = SERVER.get_or_try_init(|| async {
        let home = scratch::folder("tests")?;
        let server = Postgres::start(&home, &home, Durability::Forgotten).await?;
        server.make_database(TEMPLATE)?;
        db::migrate(&server.url(OWNER, TEMPLATE).into()).await?;
        anyhow::Ok(Arc::new(server))
    });
    Ok(Arc::clone(server.await?))
}

/// A database of one test.
#[derive(Clone, Debug)]
pub struct Database {
    pub server: Arc<Postgres>,
    pub name: String,
}

impl Database {
    /// A migrated one.
    pub async fn new() -> Result<Self> {
        let server = postgres().await?;
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let copy = format!("create database {name} template {TEMPLATE} owner {OWNER} strategy file_copy");
        let at_once = Arc::clone(&server);
        tokio::task::spawn_blocking(move || at_once.sql("postgres", &copy)).await??;
        Ok(Self { server, name })
    }

    /// Its address as the application's role.
    pub fn url(&self) -> String {
        self.server.url(APPLICATION, &self.name)
    }
}

/// A test's world.
pub struct World {
    pub database: Database,
    pub mail: MailCatcher,
    pub clock: Clock,
    pub api: Api,
}

impl World {
    pub async fn new() -> Result<Self> {
        Self::with(|_| {}).await
    }

    /// One with other settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Result<Self> {
        let (database, mail, clock) = (Database::new().await?, MailCatcher::start().await?, Clock::system());
        let mut settings = settings(&database, &mail);
        change(&mut settings);
        let api = Api::start(settings, clock.clone()).await?;
        Ok(Self { database, mail, clock, api })
    }

    /// One whose API server does only that.
    pub async fn with_role(role: Role) -> Result<Self> {
        let (database, mail, clock) = (Database::new().await?, MailCatcher::start().await?, Clock::system());
        let api = Api::start_as(settings(&database, &mail), Cluster::none(), clock.clone(), role).await?;
        Ok(Self { database, mail, clock, api })
    }

    /// The settings of its replicas.
    pub fn settings(&self) -> Settings {
        settings(&self.database, &self.mail)
    }

    /// One more replica on the same database.
    pub async fn replica(&self) -> Result<Api> {
        self.replica_with(|_| {}).await
    }

    /// One more replica with other settings.
    pub async fn replica_with(&self, change: impl FnOnce(&mut Settings)) -> Result<Api> {
        let mut settings = settings(&self.database, &self.mail);
        change(&mut settings);
        Api::start(settings, self.clock.clone()).await
    }

    /// One more replica that does only that.
    pub async fn replica_in(&self, role: Role) -> Result<Api> {
        Api::start_as(self.settings(), Cluster::none(), self.clock.clone(), role).await
    }

    /// One more replica, with a cluster.
    pub async fn replica_on(&self, cluster: Cluster) -> Result<Api> {
        Api::start_on(settings(&self.database, &self.mail), cluster, self.clock.clone()).await
    }

    /// What a replica with a cluster has. It serves nothing.
    pub fn state_on(&self, cluster: Cluster) -> Result<Arc<State>> {
        Ok(serve::build(settings(&self.database, &self.mail), cluster, self.clock.clone())?.0)
    }

    /// One more replica whose routes are others, or lie otherwise.
    pub async fn replica_of(&self, routes: impl FnOnce(&Arc<State>) -> axum::Router) -> Result<Api> {
        let (state, _) =
            serve::build(settings(&self.database, &self.mail), Cluster::none(), self.clock.clone())?;
        state.keys.load(&state.db, &state.secret, state.clock.now()).await?;
        let service = routes(&state).into_make_service_with_connect_info::<SocketAddr>();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (base, stop) = (format!("http://{}", listener.local_addr()?), CancellationToken::new());
        let serving = axum::serve(listener, service).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(serving.into_future());
        Ok(Api { base, http: reqwest::Client::new(), stop })
    }

    /// What a replica with other settings has, for calls that no route makes. It serves nothing.
    pub fn state_with(&self, change: impl FnOnce(&mut Settings)) -> Result<Arc<State>> {
        let mut settings = settings(&self.database, &self.mail);
        change(&mut settings);
        Ok(serve::build(settings, Cluster::none(), self.clock.clone())?.0)
    }

    /// Somebody who has registered and proven the address.
    pub async fn user(&self, name: &str) -> Result<User> {
        let email = format!("{name}@example.com");
        let body = json!({"email": email, "password": PASSWORD, "name": name, "language": "EN"});
        self.api.post("/auth/register", &body).await?.expect(StatusCode::ACCEPTED)?;
        let token = self.token_to(&email, 1).await?;
        self.api.post("/auth/email/verify", &json!({"token": token})).await?.expect(StatusCode::OK)?;
        self.log_in(&email, PASSWORD).await
    }

    /// So many more like somebody, with the same password: nobody may register hundreds.
    pub async fn copies_of(&self, one: &User, count: usize) -> Result<Vec<User>> {
        let sql = format!(
            "insert into users (id, email, name, language, password_hash, email_verified_at, created_at, updated_at)
             select gen_random_uuid(), 'copy-' || n || '@example.com', name, language, password_hash, now(), now(), now()
             from users, generate_series(1, {count}) n where id = '{}'",
            one.id
        );
        self.database.server.sql(&self.database.name, &sql)?;
        let emails = (1..=count).map(|n| format!("copy-{n}@example.com"));
        let logged_in = stream::iter(emails).map(async |email| self.log_in(&email, PASSWORD).await);
        logged_in.buffer_unordered(8).try_collect().await
    }

    /// Somebody who may everything.
    pub async fn administrator(&self, name: &str) -> Result<User> {
        let user = self.user(name).await?;
        let sql = format!("update users set role = 'ADMINISTRATOR' where email = '{}'", user.email);
        self.database.server.sql(&self.database.name, &sql)?;
        self.log_in(&user.email, PASSWORD).await
    }

    /// The token in the link of the `nth` mail to an address.
    pub async fn token_to(&self, email: &str, nth: usize) -> Result<String> {
        let mail = self.mail.nth_to(email, nth, BOUND).await?;
        mail.link_parameter("token").with_context(|| format!("no token in: {}", mail.text))
    }

    /// Logs in.
    pub async fn log_in(&self, email: &str, password: &str) -> Result<User> {
        let answer = self.api.post("/auth/login", &json!({"email": email, "password": password})).await?;
        let body = answer.expect(StatusCode::OK)?.body;
        let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(User {
            id: text("/user/id"),
            email: email.to_owned(),
            access: text("/tokens/access_token"),
            refresh: text("/tokens/refresh_token"),
        })
    }
}

fn settings(database: &Database, mail: &MailCatcher) -> Settings {
    Settings {
        database: config::Database {
            database_url: database.url().into(),
            database_connections: 8,
            statement_timeout_seconds: 20,
        },
        http: config::Http {
            listen: ([127, 0, 0, 1], 0).into(),
            public_url: "https://app.example.com".to_owned(),
            cors_origins: vec!["https://app.example.com".to_owned()],
            trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
            hsts: true,
            request_timeout_seconds: 30,
            body_limit_bytes: 64 * 1024,
            rate_per_address: 100_000,
            rate_catalog_per_address: 100_000,
            rate_per_user: 100_000,
            rate_top_ups_per_user: 100_000,
            rate_purchases_per_user: 100_000,
        },
        passwords: config::Passwords { argon2_memory_kib: 64, argon2_passes: 1, argon2_at_once: 4 },
        mail: config::Mail {
            smtp_url: Some(mail.url().into()),
            mail_from: "Nakhoda <no-reply@example.com>".to_owned(),
            mail_at_once: 4,
        },
        midtrans: midtrans(None),
        billing: config::Billing { tax_basis_points: 1100, subscriptions_per_service: 1 },
        methods: config::PaymentMethods::default(),
        secret: SecretKey::parse(SECRET).unwrap(),
    }
}

/// The settings of a gateway at an address; without one payments are off.
pub fn midtrans(url: Option<&str>) -> config::Midtrans {
    let at = |path: &str| url.map(|url| format!("{url}{path}").parse().unwrap());
    config::Midtrans {
        midtrans_environment: config::MidtransEnvironment::Sandbox,
        midtrans_snap_url: at("/snap/v1"),
        midtrans_core_url: at(""),
        midtrans_server_key: url.map(|_| SERVER_KEY.into()),
        midtrans_server_key_file: None,
        midtrans_previous_server_key: None,
        midtrans_previous_server_key_file: None,
        midtrans_notification_url: None,
        midtrans_at_once: 32,
    }
}

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub struct User {
    pub id: String,
    pub email: String,
    pub access: String,
    pub refresh: String,
}

/// A running API server.
pub struct Api {
    pub base: String,
    http: reqwest::Client,
    stop: CancellationToken,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// An answer, read.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    async fn read(response: Response) -> Result<Self> {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text).unwrap_or(Value::String(text))
        };
        Ok(Self { status, headers, body })
    }

    /// Itself, if it has that status.
    pub fn expect(self, status: StatusCode) -> Result<Self> {
        ensure!(self.status == status, "{} in the place of {status}: {}", self.status, self.body);
        Ok(self)
    }

    /// The code of a problem.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// A header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Api {
    /// Starts one and waits until it is ready.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self> {
        Self::start_on(settings, Cluster::none(), clock).await
    }

    async fn start_on(settings: Settings, cluster: Cluster, clock: Clock) -> Result<Self> {
        Self::start_as(settings, cluster, clock, Role::Both).await
    }

    async fn start_as(settings: Settings, cluster: Cluster, clock: Clock, role: Role) -> Result<Self> {
        let (state, sender) = serve::build(settings, cluster, clock)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (base, stop) = (format!("http://{}", listener.local_addr()?), CancellationToken::new());
        tokio::spawn(serve::serve(state, sender, role, listener, stop.clone()));
        let api = Self { base, http: reqwest::Client::new(), stop };
        e2e::wait::until("the API server to be ready", BOUND, async || {
            let answer = api.send(api.request(Method::GET, "/readyz")).await?;
            Ok((answer.status == StatusCode::OK).then_some(()))
        })
        .await?;
        Ok(api)
    }

    /// A request; what begins with `/api` or is not under it is taken as it is.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let is_whole = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/api"]
            .iter()
            .any(|one| path.starts_with(one));
        let prefix = if is_whole { "" } else { "/api/v1" };
        self.http.request(method, format!("{}{prefix}{path}", self.base))
    }

    pub async fn send(&self, request: RequestBuilder) -> Result<Answer> {
        Answer::read(request.send().await?).await
    }

    /// Posts JSON, as nobody.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Sends JSON, as somebody.
    pub async fn send_as(&self, user: &User, method: Method, path: &str, body: &Value) -> Result<Answer> {
        self.send(self.request(method, path).bearer_auth(&user.access).json(body)).await
    }

    /// Posts JSON, as somebody, with an idempotency key.
    pub async fn post_once(&self, user: &User, path: &str, key: &str, body: &Value) -> Result<Answer> {
        let request = self.request(Method::POST, path).bearer_auth(&user.access);
        self.send(request.header("idempotency-key", key).json(body)).await
    }

    /// Reads, as somebody.
    pub async fn get_as(&self, user: &User, path: &str) -> Result<Answer> {
        self.send(self.request(Method::GET, path).bearer_auth(&user.access)).await
    }

    /// Exchanges a refresh token.
    pub async fn refresh(&self, token: &str) -> Result<Answer> {
        self.post("/auth/refresh", &json!({"refresh_token": token})).await
    }
}
