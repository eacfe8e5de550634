//! The Ingress of HTTP apps. It stays while the app is stopped or suspended: the controller answers 503 then.

use super::{Builder, Object};
use crate::{
    digest,
    kinds::Kind,
    settings::ingress::{CLUSTER_ISSUER, CustomCertificates, PlatformCertificate, fill},
};
use crds::{labels, names, template::ExposeHttp};
use serde_json::{Map, Value, json};

impl Builder<'_> {
    /// The Ingress of the platform host and of every custom host that is the instance's; none for TCP apps.
    pub(super) fn build_ingress(&self) -> Option<Object> {
        let http = self.v.template.spec.expose.http.as_ref()?;
        let component = self.v.template.spec.components.iter().find(|c| c.name == http.component)?;
        let backend = json!({"service": {"name": self.service_name(component), "port": {"name": http.port}}});
        let hosts = std::iter::once(&self.v.host).chain(&self.v.custom_hosts);
        let rules: Vec<Value> = hosts
            .map(|host| json!({"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}))
            .collect();
        let mut body = json!({"spec": {"rules": rules}});
        if let Some(class) = &self.settings.ingress.class_name {
            body["spec"]["ingressClassName"] = json!(class);
        }
        let tls = self.build_tls();
        let mut annotations = self.ingress_annotations(http, &tls);
        annotations
            .insert(labels::INPUTS.to_owned(), json!(digest::desired_hash(&json!(self.v.custom_hosts))));
        if !tls.is_empty() {
            body["spec"]["tls"] = json!(tls);
        }
        body["metadata"]["annotations"] = Value::Object(annotations);
        let name = self.child_name("web", names::MAX_LABEL);
        Some(self.object(Kind::Ingress, &name, Some(component), body))
    }

    /// What the controller is told, and the issuer where anything is to be issued.
    fn ingress_annotations(&self, http: &ExposeHttp, tls: &[Value]) -> Map<String, Value> {
        let value = |name: &str| match name {
            "maxBodyMebibytes" => Some(http.max_body_mebibytes.to_string()),
            "readTimeoutSeconds" => Some(http.read_timeout_seconds.to_string()),
            "host" => Some(self.v.host.clone()),
            _ => None,
        };
        let settings = &self.settings.ingress;
        // The settings were refused if a value named anything else.
        let filled = settings
            .annotations
            .iter()
            .filter_map(|(key, text)| Some((key.clone(), json!(fill(text, value).ok()?))));
        let is_issued = tls.iter().any(|entry| entry.get("secretName").is_some());
        let issuer = settings.tls.as_ref().filter(|_| is_issued);
        filled.chain(issuer.map(|tls| (CLUSTER_ISSUER.to_owned(), json!(tls.cluster_issuer)))).collect()
    }

    /// Which certificate each host has: a Secret that the issuer fills, or the controller's default one.
    fn build_tls(&self) -> Vec<Value> {
        let Some(tls) = &self.settings.ingress.tls else { return Vec::new() };
        let issued = |part: &str, hosts: &[&String]| json!({"hosts": hosts, "secretName": self.child_name(part, names::MAX_LABEL)});
        let zone = format!(".{}", self.settings.zone);
        // Hosts that an administrator gave from the zone have the zone's certificate.
        let (given, custom): (Vec<&String>, Vec<&String>) =
            self.v.custom_hosts.iter().partition(|host| host.ends_with(&zone) || zone[1..] == **host);
        let platform: Vec<&String> = std::iter::once(&self.v.host).chain(given).collect();
        let mut entries = match tls.platform_hosts {
            PlatformCertificate::Default => Vec::new(),
            PlatformCertificate::DefaultNamed => vec![json!({"hosts": platform})],
            PlatformCertificate::Issued => vec![issued("tls", &platform)],
        };
        match tls.custom_hosts {
            CustomCertificates::PerHost => entries.extend(
                custom.iter().map(|host| issued(&format!("tls-{}", names::short_hash(host, 8)), &[*host])),
            ),
            CustomCertificates::PerInstance if custom.is_empty() => {}
            CustomCertificates::PerInstance => entries.push(issued("tls-custom", &custom)),
        }
        entries
    }
}
