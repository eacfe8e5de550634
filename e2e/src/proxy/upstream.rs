//! The real API server, and one actor's connections to it.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Uri, header, request::Parts};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject as _};

use super::ProxyError;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Headers that concern one connection, not the request (RFC 9110 §7.6.1).
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A pool of connections of its own for each actor, over HTTP/1.1: a call given up is a connection closed,
/// which the API server notices at once.
#[derive(Clone)]
pub(super) struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    origin: Uri,
    authorization: Option<HeaderValue>,
}

/// A request that can be sent.
pub(super) struct Outgoing {
    pub(super) head: Parts,
    pub(super) body: Bytes,
}

impl Upstream {
    pub(super) fn new(origin: Uri, tls: ClientConfig, token: Option<&str>) -> Result<Self, ProxyError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let bearer = token.map(|token| HeaderValue::from_str(&format!("Bearer {token}")));
        let mut authorization = bearer.transpose().map_err(|_| ProxyError::BadToken)?;
        if let Some(header) = &mut authorization {
            header.set_sensitive(true);
        }
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(connector), origin, authorization })
    }

    /// Sends a request and waits for the head of the answer. `readable` asks for an answer that isn't
    /// compressed.
    pub(super) async fn send(
        &self,
        request: Outgoing,
        readable: bool,
    ) -> Result<http::Response<Incoming>, Error> {
        let Outgoing { mut head, body } = request;
        clean(&mut head.headers);
        head.headers.remove(header::HOST);
        head.headers.remove(header::CONTENT_LENGTH);
        if readable {
            head.headers.remove(header::ACCEPT_ENCODING);
        }
        if let Some(authorization) = &self.authorization {
            head.headers.entry(header::AUTHORIZATION).or_insert_with(|| authorization.clone());
        }
        head.version = http::Version::HTTP_11;
        head.uri = self.absolute(&head.uri);
        let mut response = self.client.request(http::Request::from_parts(head, Full::new(body))).await?;
        clean(response.headers_mut());
        Ok(response)
    }

    fn absolute(&self, uri: &Uri) -> Uri {
        let mut parts = self.origin.clone().into_parts();
        parts.path_and_query = uri.path_and_query().cloned();
        // An origin and a path are a URI; the path alone would be refused by the client.
        Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
    }
}

fn clean(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// TLS that trusts this CA alone, or nothing without one.
pub(super) fn tls(ca_pem: Option<&[u8]>) -> Result<ClientConfig, ProxyError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.unwrap_or_default()) {
        roots.add(certificate.map_err(ProxyError::BadPem)?).map_err(ProxyError::BadCa)?;
    }
    if ca_pem.is_some() && roots.is_empty() {
        return Err(ProxyError::NoCa);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ProxyError::BadCa)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
