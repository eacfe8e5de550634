//! The operator's settings: one documented file (`config/default.yaml`), checked at start.

mod images;
mod retention;
mod updates;
mod usage;
mod watching;

pub use images::Images;
pub use retention::RetentionBounds;
pub use updates::Updates;
pub use usage::Usage;
pub use watching::{MetricsDetail, Nodes};

use crds::schema;
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use schemars::JsonSchema;
use serde::Deserialize;
use std::{fs, path::Path};

/// What an administrator decides for the whole platform. Every key is explained in `config/default.yaml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The DNS zone below which every instance has its platform host.
    pub zone: String,
    /// Whether an instance without an entitlement may run.
    #[serde(default)]
    pub unsubscribed: Unsubscribed,
    /// The storage class of volumes whose plan names none; none: the cluster's default.
    #[serde(default)]
    pub storage_class_name: Option<String>,
    /// The ingress controller.
    #[serde(default)]
    pub ingress: Ingress,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unsubscribed {
    /// It does not run.
    #[default]
    Deny,
    /// It runs.
    Allow,
}

/// The ingress controller.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ingress {
    /// Its class; none: the cluster's default.
    #[serde(default)]
    pub class_name: Option<String>,
    /// From where its requests come, as peers of a NetworkPolicy.
    #[serde(default)]
    pub from: Vec<NetworkPolicyPeer>,
}

/// The network around the tenants.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Concurrency {
    /// Instances reconciled at the same time.
    #[serde(default = "sixteen")]
    pub instances: u16,
    /// Tenants reconciled at the same time.
    #[serde(default = "eight")]
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
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bounds {
    /// From the first child to Available.
    #[serde(default = "provisioning")]
    pub provisioning_seconds: u32,
    /// From asking pods to end until none is left.
    #[serde(default = "stopping")]
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
    /// The file is no settings file.
    #[error("the settings file {path} is wrong: {source}")]
    Parse {
        /// The file.
        path: String,
        /// Where and why.
        source: serde_yaml::Error,
    },
    /// A value is out of its bounds.
    #[error("the settings file {path} is wrong: {problem}")]
    Value {
        /// The file.
        path: String,
        /// What, and what to write instead.
        problem: String,
    },
}

impl Settings {
    /// Reads and checks a settings file.
    ///
    /// # Errors
    /// When it can't be read, has an unknown or ill-typed key, or a value out of its bounds.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let name = path.display().to_string();
        let text =
            fs::read_to_string(path).map_err(|source| SettingsError::Read { path: name.clone(), source })?;
        let settings: Self = serde_yaml::from_str(&text)
            .map_err(|source| SettingsError::Parse { path: name.clone(), source })?;
        match settings.problem() {
            None => Ok(settings),
            Some(problem) => Err(SettingsError::Value { path: name, problem }),
        }
    }

    fn problem(&self) -> Option<String> {
        let labels = self.zone.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        });
        if !labels || !self.zone.contains('.') || self.zone.len() > 200 {
            return Some(format!(
                "zone {:?} is not a DNS zone such as apps.example.test (pattern {})",
                self.zone,
                schema::HOST
            ));
        }
        if self.concurrency.instances == 0 || self.concurrency.tenants == 0 {
            return Some("concurrency.instances and concurrency.tenants must be at least 1".to_owned());
        }
        if self.bounds.provisioning_seconds < 30 || self.bounds.stopping_seconds < 30 {
            return Some("bounds must be at least 30 seconds".to_owned());
        }
        self.images
            .problem()
            .or_else(|| self.updates.problem())
            .or_else(|| self.usage.problem())
            .or_else(|| self.retention.problem())
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
    fn a_wrong_key_or_zone_is_named() {
        for (text, word) in [
            ("zone: a.b\nzonne: c", "zonne"),
            ("zone: UPPER.test", "zone"),
            ("zone: a.b\nconcurrency: {instances: 0}", "at least 1"),
        ] {
            let result = serde_yaml::from_str::<Settings>(text).map_err(|error| error.to_string());
            let said = result.map_or_else(|error| error, |settings| settings.problem().unwrap_or_default());
            assert!(said.contains(word), "{text}: {said}");
        }
    }
}
