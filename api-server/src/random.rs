//! The one place that makes randomness, and the ids that hold some.

use jiff::Timestamp;
use rand::Rng as _;
use uuid::Uuid;

/// As many random bytes.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[expect(clippy::disallowed_methods, reason = "this is the edge where randomness is made")]
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A new id: `UUIDv7`, which sorts by its time.
pub fn id(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or_default();
    let millis = seconds * 1000 + u64::from(nanos) / 1_000_000;
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes()).into_uuid()
}

/// An id of a request, where its sender gave none.
pub fn request_id() -> String {
    let mut id = [0; uuid::fmt::Simple::LENGTH];
    Uuid::from_bytes(bytes()).simple().encode_lower(&mut id).to_owned()
}
