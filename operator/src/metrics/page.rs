//! Writing what was worked out for a scrape.

use prometheus_client::{
    encoding::{DescriptorEncoder, NoLabelSet},
    metrics::MetricType,
};
use std::fmt;

/// Labels of one sample, and its value.
pub(super) type Row = (Vec<(&'static str, String)>, f64);

/// A page that metrics are written on.
pub(super) struct Page<'a>(pub(super) DescriptorEncoder<'a>);

impl Page<'_> {
    /// A gauge with labels; its name and help appear even where it has no sample now.
    pub(super) fn gauges(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = Row>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in rows {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A gauge without labels, where it has a value.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        value.map_or(Ok(()), |value| metric.encode_gauge(&value))
    }

    /// A counter without labels, where it has a value.
    pub(super) fn counter(&mut self, name: &str, help: &str, value: Option<f64>) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        value.map_or(Ok(()), |value| metric.encode_counter::<NoLabelSet, _, f64>(&value, None))
    }
}

/// A count as a sample's value.
#[expect(clippy::cast_precision_loss, reason = "a sample is a float; counts stay far below 2^52")]
pub(super) fn count(number: usize) -> f64 {
    number as f64
}

/// CPU in cores.
#[expect(clippy::cast_precision_loss, reason = "a sample is a float")]
pub(super) fn cores(amount: crds::Quantity) -> f64 {
    amount.millis() as f64 / 1000.0
}

/// Bytes, or pieces.
#[expect(clippy::cast_precision_loss, reason = "a sample is a float")]
pub(super) fn units(amount: crds::Quantity) -> f64 {
    amount.units() as f64
}
