//! Sends what is due, from every process that is told to. A mail is taken for a minute; whoever takes it and dies leaves it to the next.

use super::{
    Kind,
    compose::{ComposeError, Composed, Composer},
    prepare::{self, Prepared},
    store::{self, Due},
};
use crate::{clock, config, random, state::State};
use jiff::SignedDuration;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
    transport::smtp,
};
use secrecy::ExposeSecret as _;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// For how long a mail that was taken is left alone.
const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// How long the mail server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long one mail may take in all, a server that says nothing included; less than the lease.
const WHOLE: Duration = Duration::from_secs(45);
/// Between two looks when nobody wakes us: what other processes queue.
const LOOK: Duration = Duration::from_secs(1);
/// After so many tries, about a day, it is given up.
const TRIES: i32 = 16;
/// The pause after the first try that failed; each further one doubles it.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(4);

/// Why mail can't be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    /// The server's address makes no sense.
    #[error(
        "the mail server's address can't be read; it looks like smtp://host:25 or smtps://user:password@host:465"
    )]
    Url(#[source] smtp::Error),
    /// The sender's address makes no sense.
    #[error("the sender of mails can't be read; it looks like: Nakhoda <no-reply@example.com>")]
    From(#[from] lettre::address::AddressError),
    /// The texts are broken.
    #[error(transparent)]
    Compose(#[from] ComposeError),
}

/// Why one mail was not sent.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Compose(#[from] ComposeError),
    #[error("the message can't be built: {0}")]
    Build(#[from] lettre::error::Error),
    #[error("an address can't be used: {0}")]
    Address(#[from] lettre::address::AddressError),
    #[error("the mail server: {0}")]
    Smtp(#[from] smtp::Error),
    #[error("it took longer than {} s", WHOLE.as_secs())]
    TimedOut,
}

impl Failure {
    /// What the log says of it: a mail server's answer names the recipient, so of that only the code.
    fn for_log(&self) -> String {
        match self {
            Self::Smtp(error) => match error.status() {
                Some(code) => format!("the mail server answered {code}"),
                None => self.to_string(),
            },
            Self::Address(_) => "an address can't be used".to_owned(),
            Self::Database(_) | Self::Compose(_) | Self::Build(_) | Self::TimedOut => self.to_string(),
        }
    }

    /// Whether another try would end the same.
    fn is_final(&self) -> bool {
        match self {
            // Only what is said of the recipient; a login or a quota that is refused can be mended.
            Self::Smtp(error) => error
                .status()
                .is_some_and(|code| ["550", "551", "553", "555"].contains(&code.to_string().as_str())),
            Self::Address(_) => true,
            // The next version of this program may be able to.
            Self::Build(_) | Self::Compose(_) | Self::Database(_) | Self::TimedOut => false,
        }
    }
}

/// Sends mails.
#[derive(Debug)]
pub struct Sender {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    composer: Composer,
    at_once: u16,
}

impl Sender {
    /// One by these settings; none where no mail server is named.
    ///
    /// # Errors
    /// [`SenderError`].
    pub fn new(settings: &config::Mail) -> Result<Option<Self>, SenderError> {
        let Some(url) = &settings.smtp_url else { return Ok(None) };
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose_secret())
            .map_err(SenderError::Url)?
            .timeout(Some(TIMEOUT))
            .build();
        let (from, composer) = (settings.mail_from.parse()?, Composer::new()?);
        Ok(Some(Self { transport, from, composer, at_once: settings.mail_at_once }))
    }

    /// Sends until told to stop; what is under way is finished.
    pub async fn run(&self, state: Arc<State>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let sent = self.send_due(&state).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "mails can't be taken from the database");
                0
            });
            if sent == usize::from(self.at_once) {
                continue;
            }
            tokio::select! {
                () = state.mail_is_due.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Sends what is due, as many as are sent at once; how many that were.
    ///
    /// # Errors
    /// As the database's.
    pub async fn send_due(&self, state: &State) -> Result<usize, sqlx::Error> {
        let now = state.clock.now();
        let due = store::take(&state.db, i64::from(self.at_once), now, clock::after(now, LEASE)).await?;
        let count = due.len();
        futures::future::join_all(due.iter().map(|due| self.handle(state, due))).await;
        Ok(count)
    }

    async fn handle(&self, state: &State, due: &Due) {
        let kind = Kind::of(&due.kind).map_or("(unknown)", Kind::as_str);
        let sent = tokio::time::timeout(WHOLE, self.send(state, due)).await.unwrap_or(Err(Failure::TimedOut));
        let outcome = match sent {
            Ok(outcome) => outcome,
            Err(failure) => {
                let next = next_try(due.attempts, failure.is_final(), state);
                tracing::warn!(email.id = %due.id, email.kind = kind, attempt = due.attempts, error = failure.for_log(), given_up = next.is_none(), "a mail was not sent");
                let text = failure.to_string();
                if let Err(error) = store::failed(&state.db, due, &text, next).await {
                    tracing::warn!(email.id = %due.id, %error, "that can't be noted; it is tried again when its minute is over");
                }
                if next.is_some() { "failed" } else { "dead" }
            }
        };
        state.metrics.mailed(kind, outcome);
    }

    async fn send(&self, state: &State, due: &Due) -> Result<&'static str, Failure> {
        let ready = match prepare::prepare(state, due).await? {
            Prepared::Ready(ready) => ready,
            Prepared::Discard(why) => {
                store::discard(&state.db, due, why).await?;
                return Ok("discarded");
            }
        };
        let message = self.message(due, &self.composer.compose(&ready)?)?;
        self.transport.send(message).await?;
        let now = state.clock.now();
        store::sent(&state.db, due.id, now).await?;
        if due.attempts == 1 {
            state.metrics.mail_took(now.duration_since(due.due_at));
        }
        tracing::info!(email.id = %due.id, email.kind = ready.kind.as_str(), attempt = due.attempts, "a mail was sent");
        Ok("sent")
    }

    fn message(&self, due: &Due, composed: &Composed) -> Result<Message, Failure> {
        let to = Mailbox::new(None, due.recipient.parse()?);
        let parts = MultiPart::alternative_plain_html(composed.text.clone(), composed.html.clone());
        Ok(Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(composed.subject.clone())
            .message_id(Some(format!("<{}>", due.message_id)))
            .multipart(parts)?)
    }
}

/// When it is tried next, with a fifth more or less so that a server that came back is not met by all at once.
fn next_try(attempts: i32, is_final: bool, state: &State) -> Option<jiff::Timestamp> {
    if is_final || attempts >= TRIES {
        return None;
    }
    let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or_default();
    let pause = FIRST_PAUSE.checked_mul(1 << doublings).unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
    let percent = 80 + i32::from(random::bytes::<1>()[0]) * 40 / 255;
    Some(clock::after(state.clock.now(), pause * percent / 100))
}
