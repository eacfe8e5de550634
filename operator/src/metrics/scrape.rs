//! What a scrape gets: the counters, and what the caches say at this moment.

use super::{PREFIX, instances, nodes, page::Page, process::OfProcess, tenants, usage, work};
use crate::context::Context;
use prometheus_client::{
    collector::Collector, encoding::DescriptorEncoder, encoding::text, registry::Registry,
};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

/// Measurements count until they are this many intervals old.
const MISSED: u32 = 3;

/// Answers scrapes.
#[derive(Debug)]
pub struct Scrape {
    context: Arc<Context>,
    present: Registry,
    process: Registry,
}

impl Scrape {
    /// Works out what there is from the context's caches.
    pub fn new(context: Arc<Context>) -> Self {
        let mut present = Registry::with_prefix(PREFIX);
        present.register_collector(Box::new(Present(Arc::clone(&context))));
        let mut process = Registry::default();
        process.register_collector(Box::new(OfProcess));
        Self { context, present, process }
    }

    /// The text that a scrape gets.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let written = [&self.context.metrics.registry, &self.present, &self.process]
            .into_iter()
            .try_for_each(|registry| text::encode_registry(&mut out, registry))
            .and_then(|()| text::encode_eof(&mut out));
        if written.is_err() {
            tracing::error!("the metrics could not be written");
        }
        out
    }
}

/// What there is.
#[derive(Debug)]
struct Present(Arc<Context>);

impl Collector for Present {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let (context, mut page) = (&*self.0, Page(encoder));
        let (now, instant) = (context.clock.now(), Instant::now());
        let instances = context.caches.instances.state();
        let plans = context.caches.plans.state();
        let tenants = context.caches.tenants.state();
        instances::write(&mut page, &instances, &plans, now)?;
        tenants::write(&mut page, &tenants, context.settings.metrics.per_tenant, now)?;
        work::write(&mut page, context, instant)?;
        nodes::write(&mut page, &context.nodes.seen(instant), now)?;
        let settings = context.settings.usage;
        let longest = Duration::from_secs(u64::from(settings.interval_seconds)).saturating_mul(MISSED);
        let read = usage::Read {
            source: context.usage.source(),
            newest: context.usage.newest(now, longest),
            pods: context.nodes.pods.of_instances(),
            instances,
            plans,
        };
        usage::write(&mut page, &read, settings.per_instance_metrics, now)
    }
}
