//! Kubeconfig files: one for each actor.

use std::fs::{OpenOptions, create_dir_all};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

/// The context name of every kubeconfig the harness writes; a cluster of one's own has another.
pub const CONTEXT: &str = "nakhoda-dev";

/// How an actor proves who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A bearer token; it works through a proxy on plain HTTP too.
    Token(String),
    /// A client certificate and its key, as PEM texts; only straight to the API server.
    Certificate(String, String),
}

/// Where an API server is and who vouches for it.
#[derive(Clone, Debug)]
pub struct Server {
    /// The address, `https://…` or, through a proxy of ours, `http://…`.
    pub url: String,
    /// The certificate authority as PEM text; none for plain HTTP.
    pub ca: Option<String>,
}

/// Writes a kubeconfig, readable by its owner only.
pub fn write_file(path: &Path, user: &str, server: &Server, credential: &Credential) -> Result<()> {
    // JSON is YAML, and needs no thought about what to quote.
    write_private(path, &serde_json::to_string_pretty(&document(user, server, credential))?)
}

/// The same for a server that is reached by another address than those of its certificate: it is asked for by that name.
pub(crate) fn write_file_by_name(
    path: &Path,
    user: &str,
    server: &Server,
    credential: &Credential,
    name: &str,
) -> Result<()> {
    let mut document = document(user, server, credential);
    document["clusters"][0]["cluster"]["tls-server-name"] = json!(name);
    write_private(path, &serde_json::to_string_pretty(&document)?)
}

/// Writes a file with secrets in it.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    if let Some(dir) = path.parent() {
        create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// A client that talks as the kubeconfig's current user.
pub async fn client(path: &Path) -> Result<Client> {
    let kubeconfig =
        Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// The certificates of a PEM text, as clients want them: DER.
pub(crate) fn certificates(pem: &str) -> Result<Vec<Vec<u8>>> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    Ok(parsed.context("the certificate authority can't be read")?.iter().map(|der| der.to_vec()).collect())
}

fn document(user: &str, server: &Server, credential: &Credential) -> Value {
    let cluster = match &server.ca {
        Some(ca) => json!({ "server": server.url, "certificate-authority-data": STANDARD.encode(ca) }),
        None => json!({ "server": server.url }),
    };
    let auth = match credential {
        Credential::Token(token) => json!({ "token": token }),
        Credential::Certificate(certificate, key) => json!({
            "client-certificate-data": STANDARD.encode(certificate),
            "client-key-data": STANDARD.encode(key),
        }),
    };
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": CONTEXT, "cluster": cluster }],
        "users": [{ "name": user, "user": auth }],
        "contexts": [{ "name": CONTEXT, "context": { "cluster": CONTEXT, "user": user } }],
        "current-context": CONTEXT,
    })
}
