//! Checkpoints: what the house's accounts came to, so that a verification needs only what came after. Nobody waits for one: the writer waits
//! until every transaction that may have taken a lower number has ended.

use super::verify;
use jiff::Timestamp;
use sqlx::PgPool;
use std::time::Duration;

/// Between two looks at whether those transactions have ended.
const LOOK: Duration = Duration::from_millis(50);
/// How many looks; then it is left to the next time.
const LOOKS: usize = 200;

/// Writes a checkpoint of what has ended, where anything came since the last; the last transfer it covers.
///
/// # Errors
/// As the database's.
pub async fn write(db: &PgPool, now: Timestamp) -> Result<Option<i64>, sqlx::Error> {
    let Some((up_to, begun)) = verify::checkpoint_is_due(db).await? else { return Ok(None) };
    for _ in 0..LOOKS {
        if verify::checkpoint(db, up_to, begun, now).await? {
            return Ok(Some(up_to));
        }
        tokio::time::sleep(LOOK).await;
    }
    tracing::warn!(up_to, "some transaction lasts too long for a checkpoint; it is tried again later");
    Ok(None)
}
