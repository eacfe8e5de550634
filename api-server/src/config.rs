//! Settings of the program: flags, each with an environment variable. Secrets come by environment or file only.

use crate::secret_key::{SecretKey, SecretKeyError};
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

/// What every command that uses the database needs.
#[derive(Clone, Debug, Args)]
pub struct Database {
    /// The database, as the application's role: `postgres://user:password@host:5432/name`
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: SecretString,
    /// How many connections at most
    #[arg(long, env = "NAKHODA_DATABASE_CONNECTIONS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub database_connections: u32,
    /// How long one statement may take, in seconds
    #[arg(long, env = "NAKHODA_STATEMENT_TIMEOUT_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub statement_timeout_seconds: u64,
}

impl Database {
    /// How long one statement may take.
    pub fn statement_timeout(&self) -> Duration {
        Duration::from_secs(self.statement_timeout_seconds)
    }
}

/// The installation's secret.
#[derive(Clone, Debug, Args)]
pub struct Secret {
    /// The installation's secret in base64, at least 32 bytes; or a file with it
    #[arg(long, env = "NAKHODA_SECRET_KEY", hide_env_values = true, hide = true)]
    pub secret_key: Option<SecretString>,
    /// The file with the installation's secret in base64, at least 32 bytes (openssl rand -base64 32)
    #[arg(long, env = "NAKHODA_SECRET_KEY_FILE")]
    pub secret_key_file: Option<PathBuf>,
}

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No secret.
    #[error(
        "there is no secret key; name a file with --secret-key-file or NAKHODA_SECRET_KEY_FILE (openssl rand -base64 32 > FILE)"
    )]
    NoSecret,
    /// The file can't be read.
    #[error("the secret key's file {path} can't be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no secret.
    #[error(transparent)]
    Secret(#[from] SecretKeyError),
    /// The file with a key of Midtrans can't be read.
    #[error("the file {path} with Midtrans' server key can't be read")]
    MidtransKeyUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no key of Midtrans.
    #[error(
        "Midtrans' server key is empty, or holds blanks, colons or other characters that no key has; copy it from Midtrans' dashboard (Settings > Access keys)"
    )]
    MidtransKeyMalformed,
}

impl Secret {
    /// Reads it.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn read(&self) -> Result<SecretKey, ConfigError> {
        if let Some(text) = &self.secret_key {
            return Ok(SecretKey::parse(text.expose_secret())?);
        }
        let path = self.secret_key_file.clone().ok_or(ConfigError::NoSecret)?;
        let text =
            std::fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable { path, source })?;
        Ok(SecretKey::parse(&text)?)
    }
}

/// What serving HTTP needs.
#[derive(Clone, Debug, Args)]
pub struct Http {
    /// Where to listen
    #[arg(long, env = "NAKHODA_LISTEN", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    /// Where people's browsers find the frontend; mailed links lead there
    #[arg(long, env = "NAKHODA_PUBLIC_URL", default_value = "http://localhost:3000")]
    pub public_url: String,
    /// Origins whose pages may call the API, separated by commas
    #[arg(long, env = "NAKHODA_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<String>,
    /// Networks of the proxies whose X-Forwarded-For is believed, separated by commas
    #[arg(long, env = "NAKHODA_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpNet>,
    /// Tell browsers to use HTTPS alone (HSTS, one year)
    #[arg(long, env = "NAKHODA_HSTS")]
    pub hsts: bool,
    /// The longest that a request may take, in seconds
    #[arg(long, env = "NAKHODA_REQUEST_TIMEOUT_SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub request_timeout_seconds: u64,
    /// The most bytes of a request's body
    #[arg(long, env = "NAKHODA_BODY_LIMIT_BYTES", default_value_t = 256 * 1024, value_parser = clap::value_parser!(u64).range(1024..=16_777_216))]
    pub body_limit_bytes: u64,
    /// Requests a minute that one address may make that change something or log in
    #[arg(long, env = "NAKHODA_RATE_PER_ADDRESS", default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate_per_address: u32,
    /// Requests a minute that one address may make for the catalogue, which anybody reads
    #[arg(long, env = "NAKHODA_RATE_CATALOG_PER_ADDRESS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate_catalog_per_address: u32,
    /// Requests a minute that one user may make
    #[arg(long, env = "NAKHODA_RATE_PER_USER", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate_per_user: u32,
    /// Requests a minute that one user may make to begin, pay or cancel a top-up: each may call the payment gateway
    #[arg(long, env = "NAKHODA_RATE_TOP_UPS_PER_USER", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate_top_ups_per_user: u32,
    /// Purchases an hour that one user may ask for: each takes a place of a plan, and makes something in the cluster
    #[arg(long, env = "NAKHODA_RATE_PURCHASES_PER_USER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate_purchases_per_user: u32,
}

/// How passwords are hashed.
#[derive(Clone, Copy, Debug, Args)]
pub struct Passwords {
    /// Memory of a password's hash, in KiB
    #[arg(long, env = "NAKHODA_ARGON2_MEMORY_KIB", default_value_t = 19_456, value_parser = clap::value_parser!(u32).range(8..=1_048_576))]
    pub argon2_memory_kib: u32,
    /// Passes of a password's hash
    #[arg(long, env = "NAKHODA_ARGON2_PASSES", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub argon2_passes: u32,
    /// Passwords hashed at the same time; each takes the memory above
    #[arg(long, env = "NAKHODA_ARGON2_AT_ONCE", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub argon2_at_once: u16,
}

/// Whether there is a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClusterMode {
    /// The one that `KUBECONFIG` names, or the pod's own
    Infer,
    /// None: what needs one answers that it is not there
    None,
}

/// How mail is sent.
#[derive(Clone, Debug, Args)]
pub struct Mail {
    /// The mail server: `smtp://host:25`, `smtp://user:password@host:587?tls=required`, `smtps://user:password@host:465`
    #[arg(long, env = "NAKHODA_SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<SecretString>,
    /// The sender: Nakhoda <no-reply@example.com>
    #[arg(long, env = "NAKHODA_MAIL_FROM", default_value = "Nakhoda <no-reply@localhost>")]
    pub mail_from: String,
    /// Mails sent at the same time
    #[arg(long, env = "NAKHODA_MAIL_AT_ONCE", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub mail_at_once: u16,
}

/// Which of Midtrans' two worlds. A key belongs to one of them, and nothing in it tells reliably to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MidtransEnvironment {
    /// Play money
    Sandbox,
    /// Real money
    Production,
}

/// How Midtrans is called. Without a key payments are off, and all else works.
#[derive(Clone, Debug, Args)]
pub struct Midtrans {
    /// Which of Midtrans' worlds the server key is of
    #[arg(long, env = "NAKHODA_MIDTRANS_ENVIRONMENT", value_enum, default_value = "sandbox")]
    pub midtrans_environment: MidtransEnvironment,
    /// Where Snap is, if not where the environment has it, such as `https://app.sandbox.midtrans.com/snap/v1`
    #[arg(long, env = "NAKHODA_MIDTRANS_SNAP_URL")]
    pub midtrans_snap_url: Option<Url>,
    /// Where the Core API is, if not where the environment has it, such as `https://api.sandbox.midtrans.com`
    #[arg(long, env = "NAKHODA_MIDTRANS_CORE_URL")]
    pub midtrans_core_url: Option<Url>,
    /// The server key; or a file with it
    #[arg(long, env = "NAKHODA_MIDTRANS_SERVER_KEY", hide_env_values = true, hide = true)]
    pub midtrans_server_key: Option<SecretString>,
    /// The file with the server key. Without a key nobody can pay
    #[arg(long, env = "NAKHODA_MIDTRANS_SERVER_KEY_FILE")]
    pub midtrans_server_key_file: Option<PathBuf>,
    /// The server key before this one; or a file with it
    #[arg(long, env = "NAKHODA_MIDTRANS_PREVIOUS_SERVER_KEY", hide_env_values = true, hide = true)]
    pub midtrans_previous_server_key: Option<SecretString>,
    /// The file with the server key before this one: its notifications are believed, and no call is made with it
    #[arg(long, env = "NAKHODA_MIDTRANS_PREVIOUS_SERVER_KEY_FILE")]
    pub midtrans_previous_server_key_file: Option<PathBuf>,
    /// Where Midtrans sends its notifications, if not where its dashboard says
    #[arg(long, env = "NAKHODA_MIDTRANS_NOTIFICATION_URL")]
    pub midtrans_notification_url: Option<Url>,
    /// Calls to Midtrans at the same time
    #[arg(long, env = "NAKHODA_MIDTRANS_AT_ONCE", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub midtrans_at_once: u16,
}

impl Midtrans {
    /// The server key, where there is one.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn server_key(&self) -> Result<Option<SecretString>, ConfigError> {
        midtrans_key(self.midtrans_server_key.as_ref(), self.midtrans_server_key_file.as_deref())
    }

    /// The one before it, where there is one.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn previous_server_key(&self) -> Result<Option<SecretString>, ConfigError> {
        let file = self.midtrans_previous_server_key_file.as_deref();
        midtrans_key(self.midtrans_previous_server_key.as_ref(), file)
    }
}

/// A key as it is given, or from its file. An empty variable is none, an empty file is a mistake.
fn midtrans_key(
    given: Option<&SecretString>,
    file: Option<&Path>,
) -> Result<Option<SecretString>, ConfigError> {
    let given = given.map(|key| key.expose_secret().trim()).filter(|key| !key.is_empty());
    let read = match (given, file) {
        (Some(key), _) => SecretString::from(key),
        (None, None) => return Ok(None),
        (None, Some(path)) => {
            let path = path.to_owned();
            SecretString::from(
                std::fs::read_to_string(&path)
                    .map_err(|source| ConfigError::MidtransKeyUnreadable { path, source })?,
            )
        }
    };
    let key = read.expose_secret().trim();
    // The colon ends the name in Basic authentication.
    let is_good = (1..=200).contains(&key.len()) && key.bytes().all(|it| it.is_ascii_graphic() && it != b':');
    if is_good { Ok(Some(SecretString::from(key))) } else { Err(ConfigError::MidtransKeyMalformed) }
}

/// What is sold, and on which terms.
#[derive(Clone, Copy, Debug, Args)]
pub struct Billing {
    /// Tax on what is sold, in hundredths of a percent: 1100 are 11 %, 0 is none
    #[arg(long, env = "NAKHODA_TAX_BASIS_POINTS", default_value_t = 1100, value_parser = clap::value_parser!(u32).range(0..=5000))]
    pub tax_basis_points: u32,
    /// How many subscriptions to one app a customer may have at once
    #[arg(long, env = "NAKHODA_SUBSCRIPTIONS_PER_SERVICE", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub subscriptions_per_service: u32,
}

/// How people can pay.
#[derive(Clone, Debug, Default, Args)]
pub struct PaymentMethods {
    /// The methods of payment and their limits, in place of those compiled in (config/payment-methods.yaml)
    #[arg(long, env = "NAKHODA_PAYMENT_METHODS_FILE")]
    pub payment_methods_file: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_secret_is_told_with_what_to_do() {
        let none = Secret { secret_key: None, secret_key_file: None };
        assert!(none.read().unwrap_err().to_string().contains("openssl rand"));
        let lost = Secret { secret_key: None, secret_key_file: Some("/nowhere".into()) };
        assert!(lost.read().unwrap_err().to_string().contains("/nowhere"));
    }
}
