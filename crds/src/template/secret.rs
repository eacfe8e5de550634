//! What is generated once per data.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is generated once.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(
    validation = Rule::new("(self.type == 'Bcrypt') == has(self.of)")
        .message("of goes with type Bcrypt, and Bcrypt needs it: the name of the secret to hash"),
)]
#[serde(rename_all = "camelCase")]
pub struct GeneratedSecret {
    /// What the template calls it.
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub name: String,
    /// How it is made.
    #[serde(rename = "type", default)]
    pub type_: SecretType,
    /// How many characters (Alphanumeric, Hex).
    #[serde(default = "default_length")]
    #[schemars(range(min = 16, max = 128))]
    pub length: i32,
    /// Bcrypt: the secret that it is the hash of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub of: Option<String>,
}

fn default_length() -> i32 {
    32
}

/// How a secret is made.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretType {
    /// a–z, A–Z, 0–9: safe in every shell, URL and SQL string.
    #[default]
    Alphanumeric,
    /// 0–9, a–f.
    Hex,
    /// The bcrypt hash of another secret.
    Bcrypt,
}
