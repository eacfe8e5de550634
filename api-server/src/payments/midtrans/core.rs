//! The Core API: what became of a transaction, and its end before it is paid.
//!
//! No `Idempotency-Key` is sent: asking twice to cancel or to expire does no more than asking once.

use super::{CallError, Client, Observed, Unclear, answer::Clear, segment};
use http::{HeaderMap, Method};

/// What became of a transaction that was to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It is over.
    Done,
    /// It can't end so any more: it was paid, or ended before.
    NotPossible,
    /// There is none: the customer chose no method.
    NotFound,
}

impl Client {
    /// How a transaction stands, by its own id or by its order's, which leads to the latest one. None where there is none: the customer
    /// has chosen no method yet. DANA's are found by their own ids alone.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn status(&self, id: &str) -> Result<Option<Observed>, CallError> {
        let Some(path) = segment(id) else { return Ok(None) };
        let url = format!("{}/v2/{path}/status", self.shared.core);
        let answer = self.call(Method::GET, &url, None, HeaderMap::new()).await?.clear()?;
        match answer.code {
            404 => Ok(None),
            // 407: expired, which is no error.
            200..300 | 407 => {
                let seen = Observed::parse(&answer.body)
                    .map_err(|error| CallError::Unreadable(error.to_string()))?;
                if seen.transaction_id != id && seen.order_id != id {
                    return Err(CallError::Unreadable("it is about another transaction".to_owned()));
                }
                Ok(Some(seen))
            }
            _ => Err(answer.refused()),
        }
    }

    /// Cancels what is not settled.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn cancel(&self, id: &str) -> Result<Ended, CallError> {
        self.end(id, "cancel").await
    }

    /// Expires what is pending, at once.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn expire(&self, id: &str) -> Result<Ended, CallError> {
        self.end(id, "expire").await
    }

    async fn end(&self, id: &str, verb: &str) -> Result<Ended, CallError> {
        let Some(path) = segment(id) else { return Ok(Ended::NotFound) };
        let url = format!("{}/v2/{path}/{verb}", self.shared.core);
        let answer = self.call(Method::POST, &url, None, HeaderMap::new()).await?;
        let is_at_work = answer.http == 202;
        let answer: Clear = answer.clear()?;
        match answer.code {
            _ if is_at_work => Err(Unclear::AtWork.into()),
            // 407 is what expiring answers when it was done.
            200..300 | 407 => Ok(Ended::Done),
            404 => Ok(Ended::NotFound),
            412 => Ok(Ended::NotPossible),
            _ => Err(answer.refused()),
        }
    }
}
