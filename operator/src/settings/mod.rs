//! The operator's settings: one documented file (`config/default.yaml`), checked at start.

pub mod access;
mod check;
pub mod command;
pub mod domains;
mod images;
pub mod ingress;
mod retention;
pub mod schema;
mod updates;
mod usage;
mod watching;

pub use images::Images;
pub use retention::RetentionBounds;
pub use updates::Updates;
pub use usage::Usage;
pub use watching::{MetricsDetail, Nodes};

use crate::strict;
use access::Access;
use domains::Domains;
use ingress::Ingress;
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fs, path::Path};

/// What an administrator decides for the whole platform. Every key is explained in `config/default.yaml`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The DNS zone below which every instance has its platform host.
    #[schemars(length(min = 3, max = 200))]
    pub zone: String,
    /// Whether an instance without an entitlement may run.
    #[serde(default)]
    pub unsubscribed: Unsubscribed,
    /// The storage class of volumes whose plan names none; none: the cluster's default.
    #[serde(default)]
    #[schemars(length(min = 1, max = 253))]
    pub storage_class_name: Option<String>,
    /// The ingress controller.
    #[serde(default)]
    pub ingress: Ingress,
    /// Custom domains.
    #[serde(default)]
    pub domains: Domains,
    /// Access from outside for apps that speak TCP.
    #[serde(default)]
    pub access: Access,
    /// The network around the tenants.
    #[serde(default)]
    pub network: Network,
    /// The namespace and service accounts that the chart made.
    #[serde(default)]
    pub install: Install,
    /// How much is done at once.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// How long something may take before it is called stalled.
    #[serde(default)]
    pub bounds: Bounds,
    /// How long data is kept, and what its destruction waits for.
    #[serde(default)]
    pub retention: RetentionBounds,
    /// Where images are pulled from.
    #[serde(default)]
    pub images: Images,
    /// When changes that are not an owner's own are rolled out.
    #[serde(default)]
    pub updates: Updates,
    /// How the use of CPU and memory is read.
    #[serde(default)]
    pub usage: Usage,
    /// What is watched of the nodes.
    #[serde(default)]
    pub nodes: Nodes,
    /// What the metrics show in detail.
    #[serde(default)]
    pub metrics: MetricsDetail,
}

/// What happens to an instance that nobody pays for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unsubscribed {
    /// It does not run.
    #[default]
    Deny,
    /// It runs.
    Allow,
}

/// The network around the tenants.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Network {
    /// Where DNS is, as peers of a NetworkPolicy.
    #[serde(default = "cluster_dns")]
    pub dns_to: Vec<NetworkPolicyPeer>,
    /// Address ranges that stay closed to tenants that may reach the internet.
    #[serde(default = "private_ranges")]
    pub closed_ranges: Vec<String>,
}

impl Default for Network {
    fn default() -> Self {
        Self { dns_to: cluster_dns(), closed_ranges: private_ranges() }
    }
}

fn cluster_dns() -> Vec<NetworkPolicyPeer> {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
    let labelled = |key: &str, value: &str| LabelSelector {
        match_labels: Some([(key.to_owned(), value.to_owned())].into()),
        ..LabelSelector::default()
    };
    vec![NetworkPolicyPeer {
        namespace_selector: Some(labelled("kubernetes.io/metadata.name", "kube-system")),
        pod_selector: Some(labelled("k8s-app", "kube-dns")),
        ip_block: None,
    }]
}

/// RFC 1918, shared address space (RFC 6598), link-local with the clouds' metadata service, loopback.
fn private_ranges() -> Vec<String> {
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"]
        .map(str::to_owned)
        .to_vec()
}

/// What the chart made.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Install {
    /// The operator's service account.
    #[serde(default = "operator_account")]
    pub operator_account: String,
    /// The API server's service account.
    #[serde(default = "api_account")]
    pub api_server_account: String,
}

impl Default for Install {
    fn default() -> Self {
        Self { operator_account: operator_account(), api_server_account: api_account() }
    }
}

fn operator_account() -> String {
    "nakhoda-operator".to_owned()
}

fn api_account() -> String {
    "nakhoda-api-server".to_owned()
}

/// How much is done at once.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Concurrency {
    /// Instances reconciled at the same time.
    #[serde(default = "sixteen")]
    #[schemars(range(min = 1, max = 256))]
    pub instances: u16,
    /// Tenants reconciled at the same time.
    #[serde(default = "eight")]
    #[schemars(range(min = 1, max = 256))]
    pub tenants: u16,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { instances: sixteen(), tenants: eight() }
    }
}

fn sixteen() -> u16 {
    16
}

fn eight() -> u16 {
    8
}

/// How long something may take, in seconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bounds {
    /// From the first child to Available.
    #[serde(default = "provisioning")]
    #[schemars(range(min = 30, max = 86_400))]
    pub provisioning_seconds: u32,
    /// From asking pods to end until none is left.
    #[serde(default = "stopping")]
    #[schemars(range(min = 30, max = 86_400))]
    pub stopping_seconds: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { provisioning_seconds: provisioning(), stopping_seconds: stopping() }
    }
}

fn provisioning() -> u32 {
    900
}

fn stopping() -> u32 {
    900
}

/// Why the settings can't be used; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file can't be read.
    #[error("can't read the settings file {path}: {source}; name another with --config")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no YAML.
    #[error("the settings file {path} is no YAML: {source}")]
    Parse {
        /// The file.
        path: String,
        /// Where and why.
        source: Box<serde_saphyr::Error>,
    },
    /// Keys or values are wrong.
    #[error("the settings file {path} is wrong:\n{}", list(problems))]
    Values {
        /// The file.
        path: String,
        /// Each with its path, and what to write instead.
        problems: Vec<String>,
    },
    /// The schema of the settings can't be used, which is a bug.
    #[error(transparent)]
    Schema(#[from] strict::SchemaError),
}

fn list(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("- {problem}")).collect::<Vec<_>>().join("\n")
}

impl Settings {
    /// Reads and checks a settings file.
    ///
    /// # Errors
    /// When it can't be read, or is wrong; everything that is wrong is named at once.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let name = path.display().to_string();
        let text =
            fs::read_to_string(path).map_err(|source| SettingsError::Read { path: name.clone(), source })?;
        Self::parse(&name, &text)
    }

    /// Reads and checks the text of the settings file called `name`.
    ///
    /// # Errors
    /// When it is no YAML, has unknown or ill-typed keys, or values out of their bounds.
    pub fn parse(name: &str, text: &str) -> Result<Self, SettingsError> {
        let options = serde_saphyr::options! { with_snippet: false };
        let document: Value = serde_saphyr::from_str_with_options(text, options)
            .map_err(|source| SettingsError::Parse { path: name.to_owned(), source: Box::new(source) })?;
        let said = strict::problems(&schema::schema(), &document)?;
        let mut problems: Vec<String> =
            said.into_iter().map(|one| format!("{} {}", one.path, one.what).trim().to_owned()).collect();
        // Values are looked at also where a key is unknown, as far as the rest can be read.
        match serde_path_to_error::deserialize::<_, Self>(&document) {
            Ok(settings) => {
                problems.extend(settings.problems());
                if problems.is_empty() {
                    return Ok(settings);
                }
            }
            Err(error) if problems.is_empty() => {
                problems.push(format!("{}: {}", error.path(), error.inner()));
            }
            Err(_) => {}
        }
        Err(SettingsError::Values { path: name.to_owned(), problems })
    }

    /// What the schema can't say, of every section.
    fn problems(&self) -> Vec<String> {
        let mut problems = check::problems(self);
        let sections = [
            self.ingress.problem(),
            self.domains.problem(),
            self.access.problem(),
            self.images.problem(),
            self.updates.problem(),
            self.usage.problem(),
            self.retention.problem(),
        ];
        problems.extend(sections.into_iter().flatten());
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_is_accepted() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/default.yaml");
        let settings = Settings::load(&path).unwrap();
        assert_eq!(settings.unsubscribed, Unsubscribed::Deny);
    }

    #[test]
    fn what_a_section_says_is_named() {
        for (text, word) in [
            ("zone: a.b\ndomains: {nameservers: [dns.example.com]}", "no address"),
            ("zone: a.b\naccess: {type: NodePort}", "nodeHost"),
            ("zone: a.b\ningress: {annotations: {a/b: '{{size}}'}}", "maxBodyMebibytes"),
        ] {
            let said = Settings::parse("x.yaml", text).unwrap_err().to_string();
            assert!(said.contains(word), "{text}: {said}");
        }
    }

    #[test]
    fn everything_wrong_is_named_at_once() {
        let text =
            "zone: UPPER.test\nzonne: c\nconcurrency: {instances: 0, tenants: 1000}\nunsubscribed: perhaps";
        let said = Settings::parse("x.yaml", text).unwrap_err().to_string();
        for word in [
            "zonne",
            "concurrency.instances must be at least 1",
            "tenants must be at most 256",
            "deny, allow",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_no_yaml() {
        assert!(matches!(Settings::parse("x", "zone: a.b\nzone: c.d"), Err(SettingsError::Parse { .. })));
    }
}
