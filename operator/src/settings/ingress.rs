//! The ingress controller, and certificates.

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The annotation by which cert-manager is told who issues the certificates of an Ingress.
pub const CLUSTER_ISSUER: &str = "cert-manager.io/cluster-issuer";

/// What values of annotations may name in `{{…}}`: what the app's template says of its HTTP port, and its platform host.
pub const PLACEHOLDERS: [&str; 3] = ["maxBodyMebibytes", "readTimeoutSeconds", "host"];

/// The ingress controller.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Ingress {
    /// Its class; none: the cluster's default.
    pub class_name: Option<String>,
    /// From where its requests come, as peers of a NetworkPolicy.
    pub from: Vec<NetworkPolicyPeer>,
    /// Annotations of each Ingress. A value may name `{{maxBodyMebibytes}}`, `{{readTimeoutSeconds}}` and `{{host}}`.
    pub annotations: BTreeMap<String, String>,
    /// Certificates; none: no `tls` section.
    pub tls: Option<Tls>,
    /// The pods that answer an issuer's HTTP-01 challenges in a tenant's namespace; none: nothing is opened for them.
    pub acme_solver: Option<AcmeSolver>,
}

/// Certificates.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// The cert-manager `ClusterIssuer` of every certificate that is issued.
    pub cluster_issuer: String,
    /// Where the certificate of the platform's hosts comes from.
    #[serde(default)]
    pub platform_hosts: PlatformCertificate,
    /// How custom hosts share certificates.
    #[serde(default)]
    pub custom_hosts: CustomCertificates,
}

/// Where the certificate of the platform's hosts comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum PlatformCertificate {
    /// The controller's default certificate, which covers the whole zone: `tls` does not name the host.
    #[default]
    Default,
    /// The same, but `tls` names the host, without a Secret: for controllers that redirect to HTTPS only then.
    DefaultNamed,
    /// One is issued for each instance.
    Issued,
}

/// How custom hosts share certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum CustomCertificates {
    /// One for each host: a host whose challenge fails keeps no other from its certificate.
    #[default]
    PerHost,
    /// One for all custom hosts of an instance.
    PerInstance,
}

/// The pods that answer HTTP-01 challenges.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcmeSolver {
    /// Their labels.
    #[serde(default = "solver_labels")]
    pub pod_labels: BTreeMap<String, String>,
    /// The port that they listen on.
    #[serde(default = "solver_port")]
    pub port: u16,
}

/// The labels and the port of cert-manager's own solvers.
fn solver_labels() -> BTreeMap<String, String> {
    [("acme.cert-manager.io/http01-solver".to_owned(), "true".to_owned())].into()
}

fn solver_port() -> u16 {
    8089
}

/// The text with every `{{name}}` replaced.
///
/// # Errors
/// The first name that has no value, or what follows braces that are not closed.
pub fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, &str> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, tail) = after.split_once("}}").ok_or(after)?;
        filled.push_str(before);
        filled.push_str(&value(name.trim()).ok_or(name)?);
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

impl Ingress {
    /// What is out of its bounds.
    pub(super) fn problem(&self) -> Option<String> {
        for (key, text) in &self.annotations {
            if key.starts_with("nakhoda.dev/") {
                return Some(format!("ingress.annotations: {key} is the operator's own"));
            }
            if self.tls.is_some() && key == CLUSTER_ISSUER {
                return Some(format!("ingress.annotations: {key} follows from ingress.tls.clusterIssuer"));
            }
            let known = |name: &str| PLACEHOLDERS.contains(&name).then(String::new);
            if let Err(name) = fill(text, known) {
                return Some(format!(
                    "ingress.annotations: {key} names {{{{{name}}}}}; a value may name {}",
                    PLACEHOLDERS.map(|one| format!("{{{{{one}}}}}")).join(", ")
                ));
            }
        }
        if self.tls.as_ref().is_some_and(|tls| tls.cluster_issuer.is_empty()) {
            return Some("ingress.tls.clusterIssuer must name a ClusterIssuer".to_owned());
        }
        // An empty selector would open every pod of the tenant.
        if self.acme_solver.as_ref().is_some_and(|solver| solver.pod_labels.is_empty() || solver.port == 0) {
            return Some(
                "ingress.acmeSolver needs podLabels, or every pod of the tenant would be opened, and a port"
                    .to_owned(),
            );
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(value: &str) -> Ingress {
        Ingress {
            annotations: [("example.test/size".to_owned(), value.to_owned())].into(),
            ..Ingress::default()
        }
    }

    #[test]
    fn an_annotation_names_only_what_has_a_value() {
        assert_eq!(with("{{ maxBodyMebibytes }}m").problem(), None);
        for (value, word) in
            [("{{maxBody}}m", "{{maxBody}} is"), ("{{host", "{{host"), ("{{}}", "{{maxBodyMebibytes}}")]
        {
            let said = with(value).problem().unwrap_or_default();
            let first = word.split(' ').next().unwrap_or_default();
            assert!(said.contains(first), "{value}: {said}");
        }
    }

    #[test]
    fn a_solver_without_labels_would_open_every_pod() {
        let solver = Some(AcmeSolver { pod_labels: BTreeMap::new(), port: 8089 });
        assert!(Ingress { acme_solver: solver, ..Ingress::default() }.problem().is_some());
    }
}
