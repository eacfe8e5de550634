//! What is answered when something is not as asked: RFC 9457, with codes from one registry.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::{borrow::Cow, time::Duration};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// The media type of problems.
pub const MEDIA_TYPE: &str = "application/problem+json";

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        /// Every code there is. Stable: a client may decide by it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as it is sent.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The status that goes with it.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// What it means, the same every time.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    /// Something went wrong on our side; the log has it under the request's id.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong on our side.";
    /// The database or the cluster is away, or all connections are busy.
    Unavailable = "unavailable", SERVICE_UNAVAILABLE, "The service can't answer right now.";
    /// It took too long.
    TimedOut = "timed_out", SERVICE_UNAVAILABLE, "The request took too long.";
    /// No such route.
    NoRoute = "request.no_such_route", NOT_FOUND, "There is no such address here.";
    /// The route has no such method.
    NoMethod = "request.method_not_allowed", METHOD_NOT_ALLOWED, "This address does not know that method.";
    /// The body can't be read.
    Malformed = "request.malformed", BAD_REQUEST, "The request can't be read.";
    /// A value is out of bounds.
    Invalid = "request.invalid", UNPROCESSABLE_ENTITY, "Some values can't be accepted.";
    /// The body is too large.
    TooLarge = "request.too_large", PAYLOAD_TOO_LARGE, "The request is too large.";
    /// The body is of another kind.
    MediaType = "request.media_type", UNSUPPORTED_MEDIA_TYPE, "The body must be application/json.";
    /// Too many requests.
    RateLimited = "request.rate_limited", TOO_MANY_REQUESTS, "Too many requests.";
    /// If-Match is missing.
    PreconditionRequired = "request.precondition_required", PRECONDITION_REQUIRED, "The request must say which version it changes.";
    /// If-Match is not what is there.
    PreconditionFailed = "request.precondition_failed", PRECONDITION_FAILED, "It was changed in the meantime.";
    /// The key was used for something else.
    KeyReused = "idempotency.key_reused", UNPROCESSABLE_ENTITY, "The idempotency key was used for another request.";
    /// The first request with this key is still under way.
    KeyInFlight = "idempotency.in_flight", CONFLICT, "The first request with this idempotency key is still under way.";
    /// No such object, or somebody else's.
    NotFound = "not_found", NOT_FOUND, "There is no such thing.";
    /// No token.
    Unauthenticated = "auth.required", UNAUTHORIZED, "You must be logged in.";
    /// The token is not good, any more or at all.
    BadToken = "auth.invalid_token", UNAUTHORIZED, "The access token is not accepted.";
    /// Administrators only.
    Forbidden = "auth.forbidden", FORBIDDEN, "Only administrators may do this.";
    /// Address or password is wrong; never said which.
    BadCredentials = "auth.invalid_credentials", UNAUTHORIZED, "E-mail address or password is wrong.";
    /// Right, but the address has yet to be verified.
    Unverified = "auth.email_not_verified", FORBIDDEN, "The e-mail address has not been verified yet.";
    /// Right, but the account is off.
    Deactivated = "auth.deactivated", FORBIDDEN, "The account is deactivated.";
    /// The refresh token is not good, any more or at all.
    BadRefreshToken = "auth.invalid_refresh_token", UNAUTHORIZED, "The refresh token is not accepted.";
    /// A mailed token is not good, any more or at all.
    BadOneTimeToken = "auth.invalid_one_time_token", BAD_REQUEST, "The link is no longer good.";
    /// The password for the change is wrong.
    WrongPassword = "auth.wrong_password", FORBIDDEN, "The current password is wrong.";
    /// The address is taken.
    EmailTaken = "user.email_taken", CONFLICT, "Another user has this e-mail address.";
    /// Nobody would be left to administrate.
    LastAdministrator = "user.last_administrator", CONFLICT, "The last active administrator must stay.";
    /// Whoever has not proven the address can't be an administrator.
    UserUnverified = "user.email_not_verified", CONFLICT, "The user has not proven the address yet.";
    /// A deleted user stays so.
    UserDeleted = "user.deleted", CONFLICT, "The user is deleted.";
    /// There is money in the wallet, or on its way there.
    UserHasMoney = "user.has_money", CONFLICT, "The user's wallet has or owes money, or money is on its way to it.";
    /// Something that was bought has not ended.
    UserHasSubscriptions = "user.has_subscriptions", CONFLICT, "The user has subscriptions that have not ended.";
    /// To whom a mail went is not kept any more.
    MailForgotten = "email.forgotten", CONFLICT, "It is not known any more to whom the mail went.";
    /// The link of a mail was used, or nobody is there any more who could use it.
    MailNotNeeded = "email.not_needed", CONFLICT, "Nobody needs this mail any more.";
    /// A worker has it.
    JobRunning = "job.running", CONFLICT, "The job is being run right now.";
    /// Another of its kind and key waits.
    JobReplaced = "job.replaced", CONFLICT, "Another job for the same thing waits to be run.";
    /// Too many are pending.
    TooManyTopUps = "top_up.too_many_pending", CONFLICT, "Too many top-ups are pending.";
    /// Too many pages were made for it.
    TopUpTooManyAttempts = "top_up.too_many_attempts", CONFLICT, "The payment of this top-up was begun anew too often.";
    /// It was decided already.
    TopUpDecided = "top_up.decided", CONFLICT, "The top-up is not pending any more.";
    /// Another request is at it.
    TopUpInFlight = "top_up.in_flight", CONFLICT, "Another request is under way for this top-up.";
    /// The gateway won't have it.
    PaymentRefused = "payment.refused", CONFLICT, "The payment gateway refuses this payment.";
    /// It is not the gateway's.
    BadSignature = "webhook.bad_signature", FORBIDDEN, "The signature is not the gateway's.";
    /// It was settled already.
    FindingSettled = "payment.finding_settled", CONFLICT, "Somebody has settled it already.";
    /// There is less in the wallet.
    InsufficientBalance = "wallet.insufficient_balance", CONFLICT, "There is not enough in the wallet.";
    /// A reversal has left the wallet owing.
    WalletFrozen = "wallet.frozen", CONFLICT, "The wallet owes money, and pays for nothing until that is settled.";
    /// The plan is not sold any more.
    PlanRetired = "plan.retired", CONFLICT, "The plan is not sold any more.";
    /// The plan, or its app, can't be made now.
    PlanOutOfOrder = "plan.out_of_order", CONFLICT, "The plan can't be had at the moment.";
    /// All of the plan are sold.
    SoldOut = "plan.sold_out", CONFLICT, "The plan is sold out.";
    /// The customer's quota is used up.
    QuotaExceeded = "quota.exceeded", CONFLICT, "The quota does not allow it.";
    /// There is one of that app already.
    ServiceTaken = "subscription.service_taken", CONFLICT, "There is a subscription to this app already.";
    /// It costs something else by now.
    PriceChanged = "subscription.price_changed", CONFLICT, "The price has changed.";
    /// It has ended.
    SubscriptionEnded = "subscription.ended", CONFLICT, "The subscription has ended.";
    /// It is only about to be made.
    InstanceNotReady = "instance.not_ready", CONFLICT, "The app is not there yet.";
    /// It is about to be gone.
    InstanceEnding = "instance.ending", CONFLICT, "The app is being deleted.";
    /// Something or somebody holds it.
    InstanceHeld = "instance.held", CONFLICT, "The app may not run.";
    /// Its owner has stopped it.
    InstanceStopped = "instance.stopped", CONFLICT, "The app is stopped.";
    /// Another category has the slug.
    CategoryTaken = "category.slug_taken", CONFLICT, "There is a category of this slug already.";
    /// Templates name it.
    CategoryInUse = "category.in_use", CONFLICT, "Services are in this category.";
    /// Another resource has the name.
    NameTaken = "catalog.name_taken", CONFLICT, "This name is taken.";
    /// Something is sold or runs by it.
    CatalogueInUse = "catalog.in_use", CONFLICT, "It is in use.";
    /// The fields are another tool's, such as a `GitOps` controller's, which would set them back.
    ManagedElsewhere = "resource.managed_elsewhere", CONFLICT, "Another tool manages this.";
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Every code there is."))
            .enum_values(Some(Self::ALL.iter().map(|code| code.code())))
            .examples([Self::NotFound.code()])
            .into()
    }
}

impl ToSchema for Code {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ProblemCode")
    }
}

/// What is wrong with one value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where, as a path in the body: `email`, `items[2].name`; a query parameter by its name.
    #[schema(example = "email")]
    pub field: String,
    /// What is wrong and what would be right.
    #[schema(example = "is not an e-mail address")]
    pub message: String,
}

/// A problem as it is sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Body {
    /// Names the kind of problem; the code as a URN.
    #[serde(rename = "type")]
    #[schema(example = "urn:nakhoda:problem:not_found")]
    pub kind: String,
    /// The status of the answer.
    #[schema(example = 404)]
    pub status: u16,
    /// Stable; what a client decides by.
    #[schema(value_type = Code)]
    pub code: String,
    /// What the code means.
    pub title: String,
    /// What it is here, for people.
    pub detail: String,
    /// Each value that can't be accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
    /// To be named when asking for help; the log has it.
    pub request_id: String,
}

/// A problem on its way out.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after_seconds: Option<u64>,
}

/// What handlers return.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

impl Problem {
    /// One of that code, with its title as detail.
    pub fn new(code: Code) -> Self {
        Self { code, detail: Cow::Borrowed(code.title()), errors: Vec::new(), retry_after_seconds: None }
    }

    /// One of that code with a detail.
    pub fn with(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { detail: detail.into(), ..Self::new(code) }
    }

    /// A value that can't be accepted.
    pub fn field(code: Code, field: &str, message: impl Into<String>) -> Self {
        Self::fields(code, vec![FieldError { field: field.to_owned(), message: message.into() }])
    }

    /// Values that can't be accepted.
    pub fn fields(code: Code, errors: Vec<FieldError>) -> Self {
        let all: Vec<String> = errors.iter().map(|one| format!("{} {}", one.field, one.message)).collect();
        Self { detail: Cow::Owned(all.join("; ")), errors, ..Self::new(code) }
    }

    /// Too many requests; when to try again.
    pub fn rate_limited(after: Duration) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        Self {
            retry_after_seconds: Some(seconds),
            ..Self::with(Code::RateLimited, format!("Try again in {seconds} s."))
        }
    }

    /// With its fields called otherwise.
    #[must_use]
    pub fn renamed(mut self, name: impl Fn(&FieldError) -> String) -> Self {
        for error in &mut self.errors {
            error.field = name(error);
        }
        self
    }

    /// Something that is needed is away; it may be tried again soon.
    pub fn unavailable(detail: &'static str) -> Self {
        Self { retry_after_seconds: Some(2), ..Self::with(Code::Unavailable, detail) }
    }

    /// Something that nobody outside learns of.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error = %chain(error), "a request failed");
        Self::new(Code::Internal)
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// As it is sent in the answer to the request of that id.
    pub fn body(&self, request_id: &str) -> Body {
        Body {
            kind: format!("urn:nakhoda:problem:{}", self.code.code()),
            status: self.code.status().as_u16(),
            code: self.code.code().to_owned(),
            title: self.code.title().to_owned(),
            detail: self.detail.to_string(),
            errors: self.errors.clone(),
            request_id: request_id.to_owned(),
        }
    }

    /// The answer to the request of that id.
    pub fn answer(&self, request_id: &str) -> Response {
        let mut response = (self.code.status(), Json(self.body(request_id))).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.code.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        let is_away = matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) | sqlx::Error::Tls(_))
            // Shutting down, starting up, too many connections, statement or lock timeout.
            || error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| {
                ["57P01", "57P02", "57P03", "53300", "57014", "55P03", "40P01", "40001"].contains(&code.as_ref())
            });
        if is_away {
            tracing::warn!(error = %chain(&error), "the database is away or overloaded");
            return Self { retry_after_seconds: Some(2), ..Self::new(Code::Unavailable) };
        }
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        // A NUL in a text, a time beyond what the database keeps.
        if code.is_some_and(|code| ["22021", "22P05", "22008"].contains(&code.as_ref())) {
            return Self::with(Code::Malformed, "The request has a character or a time that can't be kept.");
        }
        Self::internal(&error)
    }
}

/// The middleware that knows the request's id writes the body; the problem travels to it beside the answer.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Gathers what is wrong with a body, so that all of it is said at once.
#[derive(Debug, Default)]
pub struct Fields(Vec<FieldError>);

impl Fields {
    /// Nothing is wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The parsed value; else what is wrong is noted.
    pub fn parse<T, E: std::fmt::Display>(
        &mut self,
        field: &str,
        parsed: std::result::Result<T, E>,
    ) -> Option<T> {
        parsed
            .map_err(|error| {
                self.0.push(FieldError { field: field.to_owned(), message: error.to_string() });
            })
            .ok()
    }

    /// The value; else what is wrong with fields is noted.
    ///
    /// # Errors
    /// What is wrong and not with a field.
    pub fn take<T>(&mut self, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(problem) if problem.code == Code::Invalid => {
                self.0.extend(problem.errors);
                Ok(None)
            }
            Err(problem) => Err(problem),
        }
    }

    /// The problem, where anything is wrong.
    pub fn problem(self) -> Problem {
        Problem::fields(Code::Invalid, self.0)
    }

    /// Whether anything is wrong.
    ///
    /// # Errors
    /// All that is.
    pub fn check(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(self.problem()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_is_used_twice_and_each_reads_well() {
        let mut codes: Vec<&str> = Code::ALL.iter().map(|code| code.code()).collect();
        codes.sort_unstable();
        let all = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), all);
        assert!(Code::ALL.iter().all(|code| code.title().ends_with('.') && !code.status().is_success()));
    }

    #[test]
    fn a_pause_is_rounded_up_to_whole_seconds() {
        let answer = Problem::rate_limited(Duration::from_millis(1200)).answer("r");
        assert_eq!(answer.headers()[header::RETRY_AFTER], "2");
    }
}
