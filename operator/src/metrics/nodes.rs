//! The cluster's nodes.

use super::page::{Page, Row, cores, count, units};
use crate::nodes::{Seen, state::Room};
use crds::{NodeState, Quantity};
use jiff::Timestamp;
use std::{collections::BTreeMap, fmt};

fn amount(resource: &str, amount: Quantity) -> f64 {
    if resource == "cpu" { cores(amount) } else { units(amount) }
}

fn rows<'a>(
    nodes: &'a BTreeMap<String, Seen>,
    room: impl Fn(&'a Seen) -> &'a Room + 'a,
) -> impl Iterator<Item = Row> + 'a {
    nodes.iter().flat_map(move |(name, node)| {
        let each = room(node).iter();
        each.map(|(resource, of)| (labels(name, resource), amount(resource, *of)))
    })
}

fn labels(node: &str, resource: &str) -> Vec<(&'static str, String)> {
    vec![("node", node.to_owned()), ("resource", resource.to_owned())]
}

#[expect(clippy::cast_precision_loss, reason = "a sample is a float")]
fn requested(nodes: &BTreeMap<String, Seen>) -> impl Iterator<Item = Row> {
    nodes.iter().flat_map(|(name, node)| {
        [
            (labels(name, "cpu"), cores(node.requested.cpu)),
            (labels(name, "memory"), units(node.requested.memory)),
            (labels(name, "pods"), node.pods as f64),
        ]
    })
}

/// Writes them.
pub(super) fn write(page: &mut Page<'_>, nodes: &BTreeMap<String, Seen>, now: Timestamp) -> fmt::Result {
    let of = |state: NodeState| nodes.values().filter(|node| node.state == state).count();
    page.gauges(
        "nodes",
        "Nodes by state",
        NodeState::ALL.map(|state| (vec![("state", state.name().to_owned())], count(of(state)))),
    )?;
    page.gauges(
        "node_state",
        "1 for the state that a node is in",
        nodes
            .iter()
            .map(|(name, node)| (vec![("node", name.clone()), ("state", node.state.name().to_owned())], 1.0)),
    )?;
    page.gauges(
        "node_heartbeat_age_seconds",
        "How long ago a node renewed its lease, by the two clocks",
        nodes.iter().filter_map(|(name, node)| {
            let age = now.duration_since(node.renewed?).as_secs_f64().max(0.0);
            Some((vec![("node", name.clone())], age))
        }),
    )?;
    page.gauges("node_capacity", "What a node has", rows(nodes, |node| &node.capacity))?;
    page.gauges("node_allocatable", "What pods may ask of a node", rows(nodes, |node| &node.allocatable))?;
    page.gauges("node_requested", "What pods ask of a node", requested(nodes))
}
