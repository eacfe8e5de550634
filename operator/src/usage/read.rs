//! Reads what `metrics.k8s.io` answers, and decides what an answer means and when to ask again: pure.

use super::{ByPod, Source};
use crate::{apply::CallError, nodes::pods::Asked};
use serde_json::Value;
use std::time::Duration;

/// The longest wait between two tries.
const LONGEST: Duration = Duration::from_mins(10);

/// What one container was measured to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Its name.
    pub container: String,
    /// CPU over the last moments, and memory now (the working set).
    pub used: Asked,
}

/// Takes a page of `PodMetrics` in.
pub fn take(page: &[Value], into: &mut ByPod) {
    for pod in page {
        let text = |path: &str| pod.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let (Some(namespace), Some(name)) = (text("/metadata/namespace"), text("/metadata/name")) else {
            continue;
        };
        let containers = pod.get("containers").and_then(Value::as_array).into_iter().flatten();
        let measured = containers.filter_map(|one| {
            let container = one.get("name")?.as_str()?.to_owned();
            Some(Measured { container, used: Asked::read(one.get("usage")) })
        });
        into.insert((namespace, name), measured.collect());
    }
}

/// What it means that the source did not answer.
pub fn means(error: &CallError) -> Source {
    match error.code() {
        // The group is not served at all; or it is registered, and nobody answers for it.
        Some(404 | 503) => Source::Absent,
        _ => Source::Failing,
    }
}

/// How long to wait until the source is asked again, after so many failures in a row.
pub fn pause(interval: Duration, failures: u32) -> Duration {
    interval.saturating_mul(1 << failures.min(6)).min(LONGEST.max(interval))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::Quantity;
    use kube::core::Status;
    use serde_json::json;

    #[test]
    fn an_answer_is_read_by_container() {
        let page = [
            json!({
                "metadata": {"name": "db-0", "namespace": "customer-a"},
                "containers": [
                    {"name": "postgresql", "usage": {"cpu": "12345678n", "memory": "51200Ki"}},
                    {"name": "unmeasured"},
                ],
            }),
            json!({"metadata": {"name": "nameless"}}),
        ];
        let mut measured = ByPod::new();
        take(&page, &mut measured);
        let [one, other] = &measured[&("customer-a".to_owned(), "db-0".to_owned())][..] else {
            panic!("two containers")
        };
        assert_eq!(one.used.memory, Quantity::from_units(50 << 20));
        assert_eq!(one.used.cpu.millis(), 13, "rounded up");
        assert_eq!((measured.len(), other.used), (1, Asked::default()));
    }

    #[test]
    fn no_metrics_server_is_told_from_one_that_is_in_trouble() {
        let refused = |code| CallError::Refused(Box::new(Status { code, ..Status::default() }));
        assert_eq!([404, 503].map(|code| means(&refused(code))), [Source::Absent; 2]);
        assert_eq!([403, 500].map(|code| means(&refused(code))), [Source::Failing; 2]);
        assert_eq!(means(&CallError::TimedOut), Source::Failing);
    }

    #[test]
    fn what_is_absent_is_asked_for_ever_more_seldom() {
        let waits = (0..5).map(|failures| pause(Duration::from_mins(1), failures).as_secs() / 60);
        assert_eq!(waits.collect::<Vec<_>>(), [1, 2, 4, 8, 10]);
        assert_eq!(pause(Duration::from_hours(1), 9), Duration::from_hours(1));
    }
}
