//! Passwords: which are good enough, and their hashes, made off the async threads and a few at a time.

use super::argon::Argon;
use crate::{
    config,
    http::problem::{Code, Problem},
};
use argon2::password_hash::phc::PasswordHash;
use rayon::ThreadPool;
use secrecy::{ExposeSecret as _, SecretString};
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization as _;

/// The fewest characters.
const SHORTEST: usize = 10;
/// The most characters; more cost time and add nothing.
const LONGEST: usize = 200;
/// How many may wait for each that is being hashed; whoever comes then is told to come again.
const QUEUE: usize = 25;
/// How far the threads that hash stand back behind all others, 0 to 19.
const NICE: i32 = 15;

/// A password in compatibility form, of a bearable length.
#[derive(Clone, Debug)]
pub struct Password(SecretString);

/// Why a password is not accepted as a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too short.
    #[error("has fewer than {SHORTEST} characters")]
    TooShort,
    /// Too long.
    #[error("has more than {LONGEST} characters")]
    TooLong,
    /// Found in a list of common ones, or guessed from what is known of the user.
    #[error("is too easy to guess; use several unrelated words, or let a password manager make one")]
    TooCommon,
}

impl Password {
    /// A password to be compared. Any text may be one.
    pub fn given(text: &str) -> Self {
        let normal: String = text.nfkc().take(4 * LONGEST).collect();
        Self(normal.into())
    }

    /// A new password, of somebody of whom these things are known.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub fn new(text: &str, known: &[&str]) -> Result<Self, PasswordError> {
        if text.len() > 8 * LONGEST {
            return Err(PasswordError::TooLong);
        }
        let password = Self::given(text);
        // As it came too: the document knows of no compatibility form, in which some characters are several.
        let (sent, length) = (text.chars().count(), password.0.expose_secret().chars().count());
        if sent.min(length) < SHORTEST {
            return Err(PasswordError::TooShort);
        }
        if sent.max(length) > LONGEST {
            return Err(PasswordError::TooLong);
        }
        let mut known: Vec<&str> = known.to_vec();
        known.push("nakhoda");
        // Only so much is looked at: the time it takes grows faster than the text.
        let looked_at: String = password.0.expose_secret().chars().take(32).collect();
        if zxcvbn::zxcvbn(&looked_at, &known).score() < zxcvbn::Score::Two {
            return Err(PasswordError::TooCommon);
        }
        Ok(password)
    }
}

/// What comparing a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matches {
    /// It is another.
    No,
    /// It is the one.
    Yes,
    /// It is the one, and its hash was made with weaker parameters than today's.
    YesButOld,
}

/// Hashes passwords with today's parameters.
#[derive(Debug, Clone)]
pub struct Hasher {
    argon: Argon,
    threads: Arc<ThreadPool>,
    slots: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    places: usize,
    /// Compared with where there is no user, so that this takes as long.
    nobody: Arc<str>,
}

/// Threads of their own, which give way to all others: whoever floods us with logins takes the processors from nobody who is logged in.
fn threads(count: usize) -> Result<ThreadPool, rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(count)
        .thread_name(|nth| format!("passwords-{nth}"))
        .start_handler(|_| {
            // Of the calling thread alone, on Linux. Where it is not allowed, the threads are as all others.
            let _ = rustix::process::setpriority_process(None, NICE);
        })
        .panic_handler(|_| tracing::error!("hashing a password panicked"))
        .build()
}

/// A place in the queue of what is to be hashed.
#[derive(Debug)]
pub struct Place(#[expect(dead_code, reason = "it is held until the hash is made")] OwnedSemaphorePermit);

/// Why hashing failed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The parameters are out of the algorithm's bounds.
    #[error("argon2 does not take these parameters: {0}")]
    Parameters(argon2::Error),
    /// The library refused.
    #[error("a password can't be hashed: {0}")]
    Hash(argon2::password_hash::Error),
    /// The thread was lost.
    #[error("the thread that hashes was lost")]
    Lost(#[from] tokio::sync::oneshot::error::RecvError),
    /// The threads can't be started.
    #[error("no threads can be had to hash passwords")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A hash in the database is none.
    #[error("a password's hash in the database can't be read: {0}")]
    Unreadable(argon2::password_hash::phc::Error),
}

impl Hasher {
    /// One with these parameters.
    ///
    /// # Errors
    /// [`HashError`].
    pub fn new(settings: config::Passwords) -> Result<Self, HashError> {
        let argon = Argon::new(settings.argon2_memory_kib, settings.argon2_passes);
        let argon = argon.map_err(HashError::Parameters)?;
        let (at_once, first) = (usize::from(settings.argon2_at_once), argon.clone());
        let threads = threads(at_once)?;
        let nobody = threads.install(move || first.hash(&crate::random::bytes::<32>()));
        let nobody = nobody.map_err(HashError::Hash)?;
        let places = at_once * (1 + QUEUE);
        Ok(Self {
            argon,
            threads: Arc::new(threads),
            slots: Arc::new(Semaphore::new(at_once)),
            queue: Arc::new(Semaphore::new(places)),
            places,
            nobody: nobody.to_string().into(),
        })
    }

    /// How many can be hashed or wait for it.
    pub fn places(&self) -> usize {
        self.places
    }

    /// How many are hashed or wait for it.
    pub fn waiting(&self) -> usize {
        self.places - self.queue.available_permits()
    }

    /// A new password of somebody of whom these things are known, if it is good enough. Looked at off the async threads: it takes a while.
    ///
    /// # Errors
    /// 422 where it is not, with the name of its field; 429 when too many wait.
    pub async fn accept(&self, field: &str, text: &str, known: &[&str]) -> Result<Password, Problem> {
        let text: String = text.chars().take(8 * LONGEST).collect();
        let known: Vec<String> = known.iter().map(|one| one.chars().take(LONGEST).collect()).collect();
        let looked = self.run(move || {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            Ok(Password::new(&text, &known))
        });
        looked.await?.map_err(|error| Problem::field(Code::Invalid, field, error.to_string()))
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// 429 when too many wait.
    pub async fn hash(&self, password: &Password) -> Result<String, Problem> {
        let (argon, password) = (self.argon.clone(), password.clone());
        self.run(move || {
            let hash = argon.hash(password.0.expose_secret().as_bytes()).map_err(HashError::Hash)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Takes a place in the queue.
    ///
    /// # Errors
    /// 429 when too many wait.
    pub fn place(&self) -> Result<Place, Problem> {
        let place = Arc::clone(&self.queue).try_acquire_owned();
        place.map(Place).map_err(|_| Problem::rate_limited(Duration::from_secs(2)))
    }

    /// Compares a password with a hash; with none it takes as long and is another.
    ///
    /// # Errors
    /// 429 when too many wait.
    pub async fn verify(&self, password: &Password, hash: Option<&str>) -> Result<Matches, Problem> {
        self.verify_at(self.place()?, password, hash).await
    }

    /// The same at a place that was taken before.
    ///
    /// # Errors
    /// None but our own.
    pub async fn verify_at(
        &self,
        place: Place,
        password: &Password,
        hash: Option<&str>,
    ) -> Result<Matches, Problem> {
        let (argon, password) = (self.argon.clone(), password.clone());
        let is_somebody = hash.is_some();
        let hash = hash.unwrap_or(&self.nobody).to_owned();
        self.run_at(place, move || {
            let parsed = PasswordHash::new(&hash).map_err(HashError::Unreadable)?;
            let is_it = argon.matches(password.0.expose_secret().as_bytes(), &parsed);
            let is_old = argon.is_old(&parsed).map_err(HashError::Hash)?;
            Ok(match (is_it && is_somebody, is_old) {
                (false, _) => Matches::No,
                (true, false) => Matches::Yes,
                (true, true) => Matches::YesButOld,
            })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, Problem> {
        self.run_at(self.place()?, work).await
    }

    async fn run_at<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, Problem> {
        let slot =
            Arc::clone(&self.slots).acquire_owned().await.map_err(|_| Problem::new(Code::Unavailable))?;
        let (tell, told) = tokio::sync::oneshot::channel();
        self.threads.spawn(move || {
            let done = work();
            // Held by the thread: a request that was given up has not freed the memory yet.
            drop((slot, place));
            // Whoever gave up has nothing to be told.
            let _ = tell.send(done);
        });
        let done = told.await.map_err(HashError::from).and_then(|done| done);
        done.map_err(|error| Problem::internal(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(memory: u32) -> Hasher {
        let settings = config::Passwords { argon2_memory_kib: memory, argon2_passes: 1, argon2_at_once: 1 };
        Hasher::new(settings).unwrap()
    }

    #[test]
    fn common_and_guessable_passwords_are_refused() {
        let check = |text: &str| Password::new(text, &["ayu@example.com", "Ayu Lestari"]).err();
        assert_eq!(check("short"), Some(PasswordError::TooShort));
        assert_eq!(check(&"x9 ".repeat(67)), Some(PasswordError::TooLong));
        assert_eq!(check(&"x".repeat(1_000_000)), Some(PasswordError::TooLong));
        for common in
            ["password123", "1234567890", "qwertyuiop", "aaaaaaaaaaaa", "ayu@example.com", "nakhodanakhoda"]
        {
            assert_eq!(check(common), Some(PasswordError::TooCommon), "{common}");
        }
        assert_eq!(check("kapal layar putih 7"), None);
    }

    #[tokio::test]
    async fn a_password_matches_its_hash_in_any_unicode_form_and_no_other() {
        let hasher = hasher(64);
        let hash = hasher.hash(&Password::given("cafe\u{301} di pelabuhan")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        let matches = async |text: &str| hasher.verify(&Password::given(text), Some(&hash)).await.unwrap();
        assert_eq!(matches("café di pelabuhan").await, Matches::Yes);
        assert_eq!(matches("cafe di pelabuhan").await, Matches::No);
        assert_eq!(hasher.verify(&Password::given("x"), None).await.unwrap(), Matches::No);
    }

    #[tokio::test]
    async fn a_hash_of_weaker_parameters_is_told() {
        let old = hasher(64).hash(&Password::given("kapal layar putih")).await.unwrap();
        let today = hasher(128);
        assert_eq!(
            today.verify(&Password::given("kapal layar putih"), Some(&old)).await.unwrap(),
            Matches::YesButOld
        );
    }

    #[tokio::test]
    async fn a_hash_of_stronger_parameters_is_compared_by_them() {
        let stronger = hasher(256).hash(&Password::given("kapal layar putih")).await.unwrap();
        let matches =
            async |text: &str| hasher(64).verify(&Password::given(text), Some(&stronger)).await.unwrap();
        assert_eq!(matches("kapal layar putih").await, Matches::Yes);
        assert_eq!(matches("kapal layar merah").await, Matches::No);
    }

    #[tokio::test]
    async fn more_than_can_wait_are_sent_away() {
        let hasher = hasher(64);
        // Whoever hashes now does not end before all others have come.
        let slot = Arc::clone(&hasher.slots).acquire_owned().await.unwrap();
        let hash = async || hasher.hash(&Password::given("kapal layar putih")).await.is_err();
        let all = futures::future::join_all((0..=QUEUE + 1).map(|_| hash()));
        let release = async { drop(slot) };
        let (refused, ()) = tokio::join!(all, release);
        assert_eq!(refused.into_iter().filter(|refused| *refused).count(), 1);
        assert!(!hash().await, "there is room again");
    }
}
