//! Requests to a lock server: one answer, or why there is none.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, Response, StatusCode, Url};

use super::headers::Headers;
use crate::environment::Environment;
use crate::http_client::{self, innermost};
use crate::tools::host::Host;
use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::plain::name_in_a_query;

/// How often a request is sent on to another address; Terraform gives up there too.
const MOST_REDIRECTS: u32 = 10;

/// How long an answer may be that tells of a lock. What is longer is none: often the state is at the same
/// address.
const LONGEST_ANSWER: usize = 128 * 1024;

/// How to reach the server.
pub(super) struct Connection {
    client: Client,
    pub(super) credentials: Option<(String, String)>,
    pub(super) headers: Headers,
}

/// A request that can be repeated elsewhere.
pub(super) struct Message<'a> {
    pub(super) method: &'a Method,
    pub(super) address: &'a str,
    pub(super) body: Option<&'a str>,
}

/// Why a request has no answer.
pub(super) enum Silence {
    /// It has not reached anybody who could have carried it out.
    NotSent(String),
    /// It may have been carried out, or may be carried out yet.
    Lost(String),
}

impl Silence {
    pub(super) fn reason(self) -> String {
        match self {
            Self::NotSent(reason) | Self::Lost(reason) => reason,
        }
    }
}

impl Connection {
    pub(super) fn open(
        backend: &Backend,
        environment: &Environment,
        credentials: Option<(String, String)>,
    ) -> Result<Self, String> {
        Ok(Self {
            client: client(backend, environment)?,
            credentials,
            headers: Headers::of(backend)?,
        })
    }

    /// Sends a request, and waits for its answer as long as `limit` says.
    pub(super) async fn send(
        &self,
        host: &impl Host,
        message: Message<'_>,
        limit: Duration,
    ) -> Result<(StatusCode, String), Silence> {
        match host.limited(limit, self.exchange(message)).await {
            Some(answer) => answer,
            None => Err(Silence::Lost("it gave no answer in time".to_owned())),
        }
    }

    async fn exchange(&self, message: Message<'_>) -> Result<(StatusCode, String), Silence> {
        let mut address = Url::parse(message.address)
            .map_err(|error| Silence::NotSent(format!("its address is none: {error}")))?;
        let first = address.clone();
        for _ in 0..MOST_REDIRECTS {
            let may_know_us = may_be_told(&first, &address);
            let response = self.send_once(&message, &address, may_know_us).await?;
            let Some(next) = next_address(&response, &address) else {
                let status = response.status();
                // What cannot be read says nothing, but the status does.
                let body = http_client::body_within(LONGEST_ANSWER, response).await;
                let body = body.ok().flatten();
                return Ok((status, body.unwrap_or_default()));
            };
            address = next;
        }
        let reason = format!("it sent the request on more than {MOST_REDIRECTS} times");
        Err(Silence::NotSent(reason))
    }

    async fn send_once(
        &self,
        message: &Message<'_>,
        address: &Url,
        with_credentials: bool,
    ) -> Result<Response, Silence> {
        let mut request = self.client.request(message.method.clone(), address.clone());
        if let Some(body) = message.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_owned());
        }
        if with_credentials {
            request = request.headers(self.headers.to_send());
        }
        if let Some((username, password)) = self.credentials.as_ref().filter(|_| with_credentials) {
            request = request.basic_auth(username, Some(password));
        }
        let response = request.send().await.map_err(|error| {
            let reason = innermost(&error);
            if error.is_connect() || error.is_builder() {
                Silence::NotSent(reason)
            } else {
                Silence::Lost(reason)
            }
        })?;
        if response.status().is_redirection() && next_address(&response, address).is_none() {
            return Err(Silence::NotSent(leads_elsewhere(&response, address)));
        }
        Ok(response)
    }
}

/// Where a request is to be sent again, method and body kept: only these two say so, and Terraform
/// follows them.
fn next_address(response: &Response, from: &Url) -> Option<Url> {
    let keeps_the_request = matches!(
        response.status(),
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
    );
    keeps_the_request.then(|| location(response, from))?
}

fn location(response: &Response, from: &Url) -> Option<Url> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    from.join(location).ok()
}

fn leads_elsewhere(response: &Response, from: &Url) -> String {
    let place = location(response, from).map_or_else(
        || "nowhere".to_owned(),
        |mut place| {
            place.set_fragment(None);
            place.set_query(None);
            without_secrets(place.as_str())
        },
    );
    format!(
        "it answered with {}, which leads to {place}, and says nothing of a lock",
        response.status()
    )
}

/// Whether the credentials for `from` may be told to `to`: to the same host, whatever its port, as
/// Terraform does it, but not where others could read them on the way.
fn may_be_told(from: &Url, to: &Url) -> bool {
    let is_weaker = from.scheme() == "https" && to.scheme() != "https";
    from.host_str() == to.host_str() && !is_weaker
}

/// What the configuration says, or else the environment.
pub(super) fn setting(
    backend: &Backend,
    environment: &Environment,
    name: &str,
    variable: &str,
) -> Option<String> {
    backend
        .text(name)
        .map(str::to_owned)
        .or_else(|| environment.text(variable))
}

/// A client that trusts what the configuration says, beside what all our clients trust.
fn client(backend: &Backend, environment: &Environment) -> Result<Client, String> {
    let plain = |error: reqwest::Error| innermost(&error);
    let mut builder = http_client::builder().map_err(plain)?;
    let setting = |name, variable| setting(backend, environment, name, variable);
    if let Some(authority) = setting(
        "client_ca_certificate_pem",
        "TF_HTTP_CLIENT_CA_CERTIFICATE_PEM",
    ) {
        let authorities = Certificate::from_pem_bundle(authority.as_bytes()).map_err(plain)?;
        builder = builder.tls_certs_merge(authorities);
    }
    let skips_verification = skips_verification(backend, environment);
    builder = builder.tls_danger_accept_invalid_certs(skips_verification);
    if let (Some(certificate), Some(key)) = (
        setting("client_certificate_pem", "TF_HTTP_CLIENT_CERTIFICATE_PEM"),
        setting("client_private_key_pem", "TF_HTTP_CLIENT_PRIVATE_KEY_PEM"),
    ) {
        let both = format!("{certificate}\n{key}");
        let identity = reqwest::Identity::from_pem(both.as_bytes()).map_err(plain)?;
        builder = builder.identity(identity);
    }
    builder.redirect(Policy::none()).build().map_err(plain)
}

/// Whether the server may say that it is anybody.
pub(super) fn skips_verification(backend: &Backend, environment: &Environment) -> bool {
    let (name, variable) = ("skip_cert_verification", "TF_HTTP_SKIP_CERT_VERIFICATION");
    backend.is_on(name)
        || setting(backend, environment, name, variable)
            .is_some_and(|skips| skips == "true" || skips == "1")
}

/// An address may carry a user and a token; what is left out is marked, so that nobody asks about
/// another state by mistake.
pub(super) fn without_secrets(address: &str) -> String {
    match Url::parse(address) {
        Ok(mut url) => {
            // An address that can hold no user has none to hide.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            let pairs = url.query().into_iter().flat_map(|query| query.split('&'));
            let name = |pair| name_in_a_query(pair).map(|name| format!("{name}="));
            let names: Vec<String> = pairs
                .map(|pair| format!("{}…", name(pair).unwrap_or_default()))
                .collect();
            url.set_query(None);
            if names.is_empty() {
                url.to_string()
            } else {
                format!("{url}?{}", names.join("&"))
            }
        }
        Err(_) => "(not a valid address)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_host_is_told_the_credentials_and_nobody_on_the_way() {
        for (from, to, is_told) in [
            ("http://host/state", "http://host:8080/other", true),
            ("http://host/state", "https://host/state", true),
            ("https://host/state", "https://host/state", true),
            ("https://host/state", "http://host/state", false),
            ("https://host/state", "https://other/state", false),
            ("https://host/state", "https://sub.host/state", false),
        ] {
            let [first, next] = [from, to].map(|address| Url::parse(address).unwrap());
            assert_eq!(may_be_told(&first, &next), is_told, "{from} to {to}");
        }
    }

    #[test]
    fn of_a_query_nothing_is_told_but_names() {
        for (address, told) in [
            ("https://host/state", "https://host/state"),
            ("https://u:s3cret@host/state", "https://host/state"),
            (
                "https://host/state?a=s3cret&b=s3cret",
                "https://host/state?a=…&b=…",
            ),
            ("https://host/state?s3cret", "https://host/state?…"),
            ("https://host/state?a=1&s3cret", "https://host/state?a=…&…"),
            ("https://host/state?s3cret==", "https://host/state?…"),
            ("not an address: s3cret", "(not a valid address)"),
        ] {
            assert_eq!(without_secrets(address), told);
        }
    }
}
