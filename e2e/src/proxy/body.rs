//! The one body type of the proxy's answers.

use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Incoming};

/// Any failure on the way.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body: whole, passed through, or fed by a watch.
pub(super) type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A body that is all there.
pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body passed through frame by frame; `keep` lives until it is over or given up.
pub(super) fn pass<T: Send + 'static>(incoming: Incoming, keep: T) -> Body {
    let kept = incoming.map_frame(move |frame| {
        let _kept = &keep;
        frame
    });
    kept.map_err(Into::into).boxed_unsync()
}
