//! The names in the text are those in the documents, and what is gone is gone from the text.

use super::*;
use crate::{
    cache::ChildCache,
    clock::SystemClock,
    context::{Context, Shared},
    leader::Lease,
    nodes::Nodes,
    reflect::Caches,
    settings::Settings,
};
use kube::Client;
use std::{collections::BTreeSet, path::Path, sync::Arc};
use tower_test::mock;

fn context() -> Arc<Context> {
    let (service, _) = mock::pair::<http::Request<kube::client::Body>, http::Response<kube::client::Body>>();
    let client = Client::new(service, "default");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let settings = Settings::load(&root.join("../config/default.yaml")).unwrap();
    let shared = Shared {
        clock: Arc::new(SystemClock::default()),
        caches: Arc::new(Caches::new().0),
        children: Arc::new(ChildCache::default()),
        metrics: Arc::new(Metrics::default()),
        nodes: Arc::new(Nodes::default()),
    };
    let lease = Arc::new(Lease::default());
    Arc::new(Context::new(&client, lease, settings, ("nakhoda-system", "tested"), shared))
}

/// The names of a text: those of its `# TYPE` lines.
fn names(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
}

/// The names that docs/METRICS.md explains: a heading each.
fn explained() -> BTreeSet<String> {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/METRICS.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next())
        .map(|name| name.strip_suffix("_total").or(name.strip_suffix("_info")).unwrap_or(name).to_owned())
        .collect()
}

#[tokio::test]
async fn every_metric_is_explained_and_nothing_else_is() {
    let context = context();
    let metrics = &context.metrics;
    metrics.reconciled("instance", false, Duration::ZERO);
    metrics.failed("instance", "conflict");
    metrics.called(&Called { verb: "get", resource: "pods".into(), code: "200".into() }, Duration::ZERO);
    metrics.listed("Pod");
    metrics.watch_failed("Pod");
    metrics.domain_lookups.get_or_create(&LookedUp { outcome: "found" }).inc();
    let said = names(&Scrape::new(Arc::clone(&context)).text());
    let explained = explained();
    assert!(said.len() > 40, "{said:?}");
    let unexplained: Vec<_> = said.difference(&explained).collect();
    assert!(unexplained.is_empty(), "docs/METRICS.md does not explain {unexplained:?}");
    let gone: Vec<_> = explained.difference(&said).collect();
    assert!(gone.is_empty(), "docs/METRICS.md explains what is not there: {gone:?}");
}

#[tokio::test]
async fn a_node_that_is_gone_is_gone_from_the_metrics() {
    let context = context();
    let scrape = Scrape::new(Arc::clone(&context));
    let node = serde_json::from_value(serde_json::json!({"metadata": {"name": "n-1", "uid": "u"}})).unwrap();
    context.nodes.node_seen("n-1", &node);
    let text = scrape.text();
    assert!(text.contains(r#"nakhoda_operator_node_state{node="n-1",state="PENDING"} 1.0"#), "{text}");
    context.nodes.node_gone("n-1");
    assert!(!scrape.text().contains("n-1"));
}

#[tokio::test]
async fn the_text_ends_as_open_metrics_does_and_tells_of_the_process() {
    let text = Scrape::new(context()).text();
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
    let memory = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")).unwrap();
    assert!(memory.parse::<f64>().unwrap() > 1_000_000.0, "{memory}");
}

#[test]
fn leadership_is_counted_by_its_changes() {
    let metrics = Metrics::default();
    for leads in [false, true, true, false] {
        metrics.leads(leads);
    }
    assert_eq!(metrics.leader_changes.get(), 2);
}

#[test]
fn every_metric_that_an_alert_asks_for_is_explained() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/monitoring/alerts.yaml");
    let rules: serde_json::Value = serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (explained, mut alerts) = (explained(), 0);
    for rule in
        rules["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap())
    {
        alerts += 1;
        let name = rule["alert"].as_str().unwrap();
        let expr = rule["expr"].as_str().unwrap();
        let said = ["summary", "description"].map(|field| rule["annotations"][field].is_string());
        assert_eq!(said, [true, true], "{name} says what is wrong and what to do");
        assert!(rule["labels"]["severity"].is_string(), "{name} has a severity");
        let asked: Vec<String> = metrics_in(expr);
        assert!(!asked.is_empty(), "{name} asks for nothing of ours");
        let unknown: Vec<_> = asked.iter().filter(|metric| !explained.contains(base(metric))).collect();
        assert!(unknown.is_empty(), "{name} asks for {unknown:?}, which are not there");
    }
    assert!(alerts >= 10, "{alerts} alerts");
}

#[test]
fn every_metric_that_the_dashboard_shows_is_explained() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/monitoring/dashboard.json");
    let text = std::fs::read_to_string(path).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let variable = &dashboard["templating"]["list"][0];
    assert_eq!((&variable["type"], &variable["name"]), (&"datasource".into(), &"datasource".into()));
    let explained = explained();
    let (mut ids, mut places, mut shown) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title} has an id of its own");
        let place = &panel["gridPos"];
        assert!(places.insert((place["y"].as_u64(), place["x"].as_u64())), "{title} lies upon another");
        if panel["type"] == "row" {
            continue;
        }
        assert!(panel["description"].is_string(), "{title} says what it shows");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title} asks what was chosen");
            let asked = metrics_in(target["expr"].as_str().unwrap());
            assert!(!asked.is_empty(), "{title} asks for nothing of ours");
            let unknown: Vec<_> = asked.iter().filter(|metric| !explained.contains(base(metric))).collect();
            assert!(unknown.is_empty(), "{title} asks for {unknown:?}, which are not there");
            shown.extend(asked.iter().map(|metric| base(metric).to_owned()));
        }
    }
    assert!(shown.len() > 25, "{shown:?}");
}

/// The name of a metric as docs/METRICS.md is read: without what queries write behind it.
fn base(metric: &str) -> &str {
    let ends = ["_total", "_bucket", "_count", "_sum", "_info"];
    ends.iter().find_map(|end| metric.strip_suffix(end)).unwrap_or(metric)
}

/// Our own metrics that an expression names.
fn metrics_in(expr: &str) -> Vec<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = expr.split(|c: char| !is_word(c));
    words.filter(|word| word.starts_with(PREFIX) || word.starts_with("process_")).map(str::to_owned).collect()
}
