//! The client with which the sidecar asks what lies outside: the judge, webhooks, servers of embeddings.
//!
//! This room owns TLS and the sentences in which a connection fails. It must not know what is asked, or of whom. Envoy
//! and the sidecar's own API are asked in plain HTTP, on loopback, by whoever needs them.

use std::error::Error;
use std::io;
use std::sync::Arc;

use axum::http::{Request, Response, Uri};
use bytes::Bytes;
use dragoman_core::config::Tls;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use log::warn;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};

/// Asks over HTTP or HTTPS, as the address says; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Certificates that are trusted.
    trusted: usize,
}

// === impl Client ===

impl Client {
    /// A client that trusts whom the system trusts, and whom `tls` names.
    ///
    /// # Errors
    ///
    /// A sentence: the file of `tls.ca_file` cannot be used.
    pub fn new(tls: &Tls) -> Result<Self, String> {
        let mut roots = system();
        let named = tls.ca_file.as_deref().map(read).transpose()?;
        for certificate in named.into_iter().flatten() {
            roots.add(certificate).map_err(|e| format!("tls.ca_file: a certificate cannot be used: {e}"))?;
        }
        let trusted = roots.len();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("TLS cannot be set up: {e}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
        Ok(Self { inner: legacy::Client::builder(TokioExecutor::new()).build(connector), trusted })
    }

    /// Sends `request` and gives the head of its answer.
    ///
    /// # Errors
    ///
    /// A sentence that names the host and the cause, and neither the path, which may be secret, nor the body.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
        let host = host(request.uri());
        self.inner.request(request).await.map_err(|e| match tls_fault(&e) {
            Some(fault) => format!("{host} cannot be asked over TLS: {}", self.explain(fault)),
            None => format!("{host} cannot be reached: {}", root(&e)),
        })
    }

    fn explain(&self, fault: &rustls::Error) -> String {
        use CertificateError as Bad;
        let rustls::Error::InvalidCertificate(bad) = fault else {
            return match fault {
                rustls::Error::InvalidMessage(_) => "it does not speak TLS; is it an http:// address?".into(),
                other => other.to_string(),
            };
        };
        match bad {
            // Another authority of a trusted one's name, such as one that was made anew, is found by its signature.
            Bad::UnknownIssuer | Bad::BadSignature => format!(
                "its certificate comes from an unknown issuer; if that is your own, name its certificate in \
                 tls.ca_file (trusted are {}, those of the system with it)",
                self.trusted
            ),
            Bad::Expired | Bad::ExpiredContext { .. } => format!("its certificate has expired ({bad})"),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                format!("its certificate is not valid yet; is the clock right? ({bad})")
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                format!("its certificate is for another name ({bad})")
            }
            _ => format!("its certificate cannot be used ({bad})"),
        }
    }
}

/// Whom the system trusts: what `SSL_CERT_FILE` and `SSL_CERT_DIR` name, else the store of its distribution.
fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // A store without certificates harms nobody who asks over http; who asks over https is told how many there are.
    found.errors.iter().for_each(|e| warn!("the system's certificates: {e}"));
    roots.add_parsable_certificates(found.certs);
    roots
}

/// The certificates of a PEM file.
fn read(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match certificates {
        Ok(list) if Vec::is_empty(&list) => Err(format!("tls.ca_file: {path} has no certificate (in PEM)")),
        Ok(list) => Ok(list),
        Err(e) => Err(format!("tls.ca_file: {path} cannot be read: {e}")),
    }
}

fn host(uri: &Uri) -> String {
    // Not the whole authority, which may hold a password.
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default())
}

/// Why TLS failed, if that is why. An [`io::Error`] does not name as its source what it wraps.
fn tls_fault<'a>(e: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    e.downcast_ref().or_else(|| tls_fault(inner(e)?))
}

/// What everything else follows from.
fn root<'a>(e: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    inner(e).map_or(e, root)
}

fn inner<'a>(e: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let wrapped = e.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    wrapped.map(|e| e as &(dyn Error + 'static)).or_else(|| e.source())
}
