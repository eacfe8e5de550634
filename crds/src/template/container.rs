//! Containers, and the files that they mount.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file that containers mount.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// What mounts call it.
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub name: String,
    /// Its text, *filled* with facts and with parameters other than String; never with secrets, which belong into
    /// environment variables.
    #[schemars(length(max = 65536))]
    pub content: String,
    /// Whether it can be executed.
    #[serde(default)]
    pub executable: bool,
}

/// A container: image, command, environment, mounted files.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// The image by exact tag or digest.
    #[schemars(length(min = 1, max = 300))]
    #[x_kube(
        validation = Rule::new("self.matches('^[a-z0-9]+([._-]+[a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[a-zA-Z0-9_][a-zA-Z0-9._-]*|@sha256:[0-9a-f]{64})$')")
            .message("must be an image with an exact tag or digest, such as postgres:17.11-bookworm"),
        validation = Rule::new("!self.matches(':(latest|stable|main|master|edge|nightly|dev)$')")
            .message("must be an exact version: this tag is moved by its makers"),
    )]
    pub image: String,
    /// Instead of the image's entry point; *filled* with facts and parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50), inner(length(max = 4096)))]
    pub command: Vec<String>,
    /// Instead of the image's arguments; *filled* with facts and parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 4096)))]
    pub args: Vec<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub env: Vec<Env>,
    /// Files that it sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub files: Vec<FileMount>,
}

/// An environment variable: a value or a secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[x_kube(validation = Rule::new("has(self.value) != has(self.secret)").message("give either value or secret"))]
#[serde(rename_all = "camelCase")]
pub struct Env {
    /// Its name.
    #[schemars(regex(pattern = crate::schema::ENV))]
    pub name: String,
    /// Its text, *filled* with facts and parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8192))]
    pub value: Option<String>,
    /// The generated secret that it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub secret: Option<String>,
}

/// Where a file is seen.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FileMount {
    /// The file's name in `files`.
    #[schemars(regex(pattern = crate::schema::KEY))]
    pub file: String,
    /// The absolute path of the file in the container.
    #[schemars(length(max = 300), regex(pattern = r"^(/([A-Za-z0-9_-]|\.[A-Za-z0-9_-])[A-Za-z0-9._-]*)+$"))]
    pub path: String,
}

/// A container that runs to its end before the component starts. It shares volumes, user and limits.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct InitContainer {
    /// Its name within the pod.
    #[schemars(length(min = 1, max = 20), regex(pattern = crate::schema::NAME))]
    pub name: String,
    /// The container.
    #[serde(flatten)]
    pub container: Container,
}
