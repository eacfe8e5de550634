//! What the customer may set.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the customer may set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("self.type == 'Enum' ? has(self.values) && self.values.size() > 0 : !has(self.values) || self.values.size() == 0")
        .message("values goes with type Enum, and Enum needs them"),
    validation = Rule::new("self.type == 'Integer' || (!has(self.minimum) && !has(self.maximum))")
        .message("minimum and maximum go with type Integer"),
    validation = Rule::new("self.type == 'String' || (!has(self.minLength) && !has(self.maxLength) && !has(self.pattern))")
        .message("minLength, maxLength and pattern go with type String"),
    validation = Rule::new("!(has(self.default) && self.required)")
        .message("a parameter is either required or has a default"),
    validation = Rule::new("!has(self.minimum) || !has(self.maximum) || self.minimum <= self.maximum")
        .message("minimum is above maximum"),
    validation = Rule::new("!has(self.minLength) || !has(self.maxLength) || self.minLength <= self.maxLength")
        .message("minLength is above maxLength"),
)]
#[serde(rename_all = "camelCase")]
pub struct Parameter {
    /// What an instance calls it.
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub name: String,
    /// What a form calls it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 80))]
    pub display_name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 500))]
    pub description: String,
    /// What its text must be.
    #[serde(rename = "type", default)]
    pub type_: ParameterType,
    /// Its value where the instance gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub default: Option<String>,
    /// Whether the instance must give it.
    #[serde(default)]
    pub required: bool,
    /// Whether it is fixed once the instance was made.
    #[serde(default)]
    pub immutable: bool,
    /// String: the fewest characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4096))]
    pub min_length: Option<i32>,
    /// String: the most characters (4096 where absent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4096))]
    pub max_length: Option<i32>,
    /// String: a regular expression that the whole text must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 500))]
    pub pattern: Option<String>,
    /// Integer: the smallest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<i64>,
    /// Integer: the largest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<i64>,
    /// Enum: what may be chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 200)))]
    pub values: Vec<String>,
}

/// What a parameter's text must be.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParameterType {
    /// Any text without control characters.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// One of `values`.
    Enum,
}
