//! The settings' JSON Schema: for editors (`config/default.schema.json`), for the check at start, and for Helm.

use super::Settings;
use crate::strict;
use serde_json::{Map, Value, json};

/// What the chart decides by itself; whoever installs it must not.
const OF_THE_CHART: [&str; 2] = ["zone", "install"];

/// The schema, every object closed.
pub fn schema() -> Value {
    let mut schema = strict::closed(schemars::schema_for!(Settings).to_value());
    tidy(&mut schema);
    schema["title"] = json!("The operator's settings");
    schema
}

/// Takes out number formats that validators don't know, and line breaks that only a source file needs.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("format").is_some_and(Value::is_string) {
                map.remove("format");
            }
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = text.split("\n\n").map(|one| one.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(values) => values.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// The chart's `values.schema.json` with today's settings under `config`.
pub fn in_chart(mut values: Value) -> Value {
    let mut settings = schema();
    let shared = settings["$defs"].take();
    let mut config = Map::new();
    config.insert("type".to_owned(), json!("object"));
    config.insert("additionalProperties".to_owned(), json!(false));
    config.insert("description".to_owned(), values["properties"]["config"]["description"].take());
    config.insert("properties".to_owned(), settings["properties"].take());
    for name in OF_THE_CHART {
        config["properties"][name] = json!(false);
    }
    values["properties"]["config"] = Value::Object(config);
    let own = values["$defs"]["program"].take();
    values["$defs"] = shared;
    values["$defs"]["program"] = own;
    values
}
