//! Who talks to the API: service accounts and the tokens minted for them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::kubeconfig::{self, Credential, Server};

/// How long a token is good, in seconds: longer than any `up` is left running.
const TOKEN_SECONDS: i64 = 30 * 24 * 3600;
/// Who wrote what is made here.
const MANAGER: &str = "nakhoda-dev";

/// A service account that can prove who it is.
#[derive(Clone, Debug)]
pub struct Actor {
    namespace: String,
    name: String,
    token: String,
    server: Server,
}

impl Actor {
    /// The identity of a service account that exists.
    pub async fn service_account(cluster: &Cluster, namespace: &str, name: &str) -> Result<Self> {
        let accounts: Api<ServiceAccount> = Api::namespaced(cluster.admin().await?, namespace);
        let spec =
            TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let granted = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("cannot get a token for the service account {namespace}/{name}"))?;
        let token = granted.status.context("the answer to a token request has a status")?.token;
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            token,
            server: cluster.server().clone(),
        })
    }

    /// The identity of a service account that is made when it isn't there.
    pub async fn create(cluster: &Cluster, namespace: &str, name: &str) -> Result<Self> {
        let accounts: Api<ServiceAccount> = Api::namespaced(cluster.admin().await?, namespace);
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } });
        accounts.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(account)).await?;
        Self::service_account(cluster, namespace, name).await
    }

    /// Grants a cluster role everywhere.
    pub async fn bind_everywhere(&self, cluster: &Cluster, role: &str) -> Result<()> {
        let bindings: Api<ClusterRoleBinding> = Api::all(cluster.admin().await?);
        let name = format!("{}-{role}", self.name);
        let binding = self.binding("ClusterRoleBinding", &name, role);
        bindings.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(binding)).await?;
        Ok(())
    }

    /// Grants a cluster role in one namespace.
    pub async fn bind_in(&self, cluster: &Cluster, namespace: &str, role: &str) -> Result<()> {
        let bindings: Api<RoleBinding> = Api::namespaced(cluster.admin().await?, namespace);
        let name = format!("{}-{role}", self.name);
        let binding = self.binding("RoleBinding", &name, role);
        bindings.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(binding)).await?;
        Ok(())
    }

    /// Its user name, as RBAC and the audit log know it.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// Its bearer token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Writes a kubeconfig for it; `proxy` is the address to talk to in the API server's place
    /// (`http://127.0.0.1:PORT`), with the same token.
    pub fn write_kubeconfig(&self, path: &Path, proxy: Option<&str>) -> Result<PathBuf> {
        let server = match proxy {
            Some(url) => Server { url: url.to_owned(), ca: None },
            None => self.server.clone(),
        };
        kubeconfig::write_file(path, &self.name, &server, &Credential::Token(self.token.clone()))?;
        Ok(path.to_owned())
    }

    /// A client that talks as this identity, straight or through a proxy.
    pub fn client(&self, proxy: Option<&str>) -> Result<Client> {
        let mut config = kube::Config::new(proxy.unwrap_or(&self.server.url).parse()?);
        config.auth_info.token = Some(self.token.clone().into());
        if let (None, Some(ca)) = (proxy, &self.server.ca) {
            config.root_cert = Some(kubeconfig::certificates(ca)?);
        }
        Ok(Client::try_from(config)?)
    }

    fn binding(&self, kind: &str, name: &str, role: &str) -> Value {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "kind": "ServiceAccount", "namespace": self.namespace, "name": self.name }],
        })
    }
}
