//! What the customer is shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the customer is shown.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// The key in the Secret.
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub name: String,
    /// What a page calls it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 80))]
    pub display_name: String,
    /// Its text, *filled* with facts, parameters and secrets.
    #[schemars(length(max = 1000))]
    pub value: String,
    /// Whether a page hides it until asked.
    #[serde(default)]
    pub sensitive: bool,
}
