//! What all our HTTP clients have in common.

use std::error::Error;
use std::iter;

use reqwest::{Certificate, Client, ClientBuilder, Response};

/// How long an answer may be: no server shall fill our memory.
const BODY_LIMIT: usize = 1024 * 1024;

/// Begins a client that trusts the machine's certificates and, where there are none, Mozilla's.
pub(crate) fn builder() -> reqwest::Result<ClientBuilder> {
    provide_encryption();
    let mut roots = Vec::new();
    for root in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        roots.push(Certificate::from_der(root)?);
    }
    Ok(Client::builder().tls_certs_merge(roots))
}

/// Begins a client for servers to which nothing is encrypted. It trusts nobody, and so reads no
/// certificates, which takes longer than all the rest.
pub(crate) fn plain_builder() -> ClientBuilder {
    provide_encryption();
    Client::builder().tls_certs_only([])
}

/// A client cannot be built without it, whatever it is for.
fn provide_encryption() {
    // Only a second provider could be refused, and this is the one we want.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Reads an answer; there is none where it is too long, since half an answer can mislead.
pub(crate) async fn body(response: Response) -> reqwest::Result<Option<String>> {
    body_within(BODY_LIMIT, response).await
}

/// The same, where an answer may be longer.
pub(crate) async fn body_within(
    limit: usize,
    mut response: Response,
) -> reqwest::Result<Option<String>> {
    // A state may be there, and more of it than anybody needs would be on its way at once.
    let length = response.content_length();
    if length.is_some_and(|length| length > limit as u64) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(bytes);
    let text = text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Ok(Some(text))
}

/// The outer errors of reqwest only say that a request failed; the innermost says why.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// What has led to an error, the innermost last.
pub(crate) fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    iter::successors(error.source(), |&cause| cause.source())
}
