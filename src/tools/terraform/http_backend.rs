//! The locks of Terraform's `http` backend, by requests of our own.
//!
//! Terraform's force-unlock sends an empty body up to 1.15, so a strict server refuses it even
//! with the right ID, and a lax one unlocks whatever is locked. And from 1.3 to 1.14 Terraform
//! shows the caller's own lock instead of the holder's.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Certificate, Client, Method, Request, StatusCode};
use serde_json::json;
use uuid::Uuid;

use super::backend::Backend;
use super::quoted;
use crate::environment::Environment;
use crate::http_client::{self, innermost};
use crate::lock::LockInfo;
use crate::supervisor::Supervisor;
use crate::tools::{Look, ToolError};

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(4);
/// The operation under which a look takes the lock.
pub(super) const LOOK_OPERATION: &str = "softstop-look";
/// How often a look is tried.
const TRIES: u32 = 3;

/// The lock of one `http` backend.
pub(crate) struct HttpLock {
    client: Client,
    lock: Endpoint,
    unlock: Endpoint,
    credentials: Option<(String, String)>,
    signature: String,
}

struct Endpoint {
    address: String,
    method: Method,
}

/// What the server said to a LOCK request.
enum Answer {
    Taken,
    Held(LockInfo),
    HeldBySomebody,
}

impl HttpLock {
    /// The lock that the settings, or else the variables of the environment, name; none where
    /// they name no address for locking.
    pub(super) fn open(
        backend: &Backend,
        signature: String,
        environment: &Environment,
    ) -> Result<Option<Self>, ToolError> {
        let setting = |name, variable| setting(backend, environment, name, variable);
        let Some(lock_address) = setting("lock_address", "TF_HTTP_LOCK_ADDRESS") else {
            return Ok(None);
        };
        let Some(unlock_address) = setting("unlock_address", "TF_HTTP_UNLOCK_ADDRESS") else {
            return Err(refused(
                &lock_address,
                "no unlock_address is configured, so what is locked there stays locked",
            ));
        };
        let lock_method = setting("lock_method", "TF_HTTP_LOCK_METHOD");
        let unlock_method = setting("unlock_method", "TF_HTTP_UNLOCK_METHOD");
        let username = setting("username", "TF_HTTP_USERNAME");
        let password = setting("password", "TF_HTTP_PASSWORD");
        Ok(Some(Self {
            client: client(backend, environment)
                .map_err(|reason| refused(&lock_address, &reason))?,
            lock: Endpoint::new(lock_address, lock_method.as_deref().unwrap_or("LOCK"))?,
            unlock: Endpoint::new(unlock_address, unlock_method.as_deref().unwrap_or("UNLOCK"))?,
            credentials: username.map(|username| (username, password.unwrap_or_default())),
            signature,
        }))
    }

    /// Takes the lock, and gives it back at once; where that fails, the server names the holder.
    ///
    /// The protocol has no way to ask without taking.
    pub(super) async fn look(&self, supervisor: &Supervisor) -> Result<Look, ToolError> {
        let own = LockInfo {
            id: Uuid::new_v4().to_string(),
            operation: LOOK_OPERATION.to_owned(),
            who: self.signature.clone(),
            version: concat!("softstop ", env!("CARGO_PKG_VERSION")).to_owned(),
            created: Some(Timestamp::now()),
            ..LockInfo::default()
        };
        let mut problem = None;
        for _ in 0..TRIES {
            // Where an answer was lost, the server may have done what we asked. An UNLOCK in the
            // blind could then free somebody else's lock on a lax server, so every try begins with
            // a LOCK: if the lock is still ours, the server names us.
            match self.take(supervisor, &own).await {
                Ok(Answer::Held(holder)) if holder.id != own.id => return Ok(Look::Held(holder)),
                // After a lost answer, this may be ourselves.
                Ok(Answer::HeldBySomebody) if problem.is_none() => return Ok(Look::HeldBySomebody),
                Ok(Answer::HeldBySomebody) => break,
                Ok(Answer::Taken | Answer::Held(_)) => match self.release(supervisor, &own).await {
                    Ok(()) => return Ok(Look::Free),
                    Err(error) => problem = Some(error),
                },
                Err(error) => problem = Some(error),
            }
        }
        let problem = problem.map_or_else(String::new, |error| format!("{error}. "));
        let reason = format!(
            "{problem}If the lock {} of this very question is left there, release it by hand: {}",
            own.id,
            self.release_by_hand(&own)
        );
        Err(refused(&self.lock.address, &reason))
    }

    /// Unlocks `lock`, naming it, so that a server that compares can refuse.
    pub(super) async fn release(
        &self,
        supervisor: &Supervisor,
        lock: &LockInfo,
    ) -> Result<(), ToolError> {
        let (status, _) = self.send(supervisor, &self.unlock, lock).await?;
        if status.is_success() {
            Ok(())
        } else {
            Err(ToolError::NotReleased {
                command: format!(
                    "The {} of {} at {}",
                    self.unlock.method,
                    lock.id,
                    without_secrets(&self.unlock.address)
                ),
                output: status.to_string(),
            })
        }
    }

    /// The request by which a person releases the lock.
    pub(super) fn release_by_hand(&self, lock: &LockInfo) -> String {
        let user = match &self.credentials {
            Some((username, _)) => format!("--user {} ", quoted(username)),
            None => String::new(),
        };
        let body = json!({"ID": lock.id}).to_string();
        format!(
            "curl --fail --request {} {user}--json {} {}",
            self.unlock.method,
            quoted(&body),
            quoted(&without_secrets(&self.unlock.address))
        )
    }

    async fn take(&self, supervisor: &Supervisor, own: &LockInfo) -> Result<Answer, ToolError> {
        match self.send(supervisor, &self.lock, own).await? {
            (status, _) if status.is_success() => Ok(Answer::Taken),
            (StatusCode::LOCKED | StatusCode::CONFLICT, body) => {
                Ok(match serde_json::from_str::<LockInfo>(&body) {
                    Ok(holder) if !holder.id.is_empty() => Answer::Held(holder),
                    _ => Answer::HeldBySomebody,
                })
            }
            (status, _) => {
                let reason = format!("it answered a LOCK with {status}");
                Err(refused(&self.lock.address, &reason))
            }
        }
    }

    async fn send(
        &self,
        supervisor: &Supervisor,
        endpoint: &Endpoint,
        lock: &LockInfo,
    ) -> Result<(StatusCode, String), ToolError> {
        let exchange = async {
            let request = self.request(endpoint, lock)?;
            let response = self.client.execute(request).await?;
            let status = response.status();
            let body = http_client::body(response).await.ok().flatten();
            Ok((status, body.unwrap_or_default()))
        };
        match supervisor.limited(LIMIT, exchange).await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => Err(refused(&endpoint.address, &innermost(&error))),
            None => Err(refused(&endpoint.address, "it gave no answer in time")),
        }
    }

    fn request(&self, endpoint: &Endpoint, lock: &LockInfo) -> reqwest::Result<Request> {
        let body = serde_json::to_string(lock).unwrap_or_default();
        let mut request = self
            .client
            .request(endpoint.method.clone(), &endpoint.address)
            .header("Content-Type", "application/json")
            .body(body);
        if let Some((username, password)) = &self.credentials {
            request = request.basic_auth(username, Some(password));
        }
        request.build()
    }
}

impl Endpoint {
    fn new(address: String, method: &str) -> Result<Self, ToolError> {
        match Method::from_bytes(method.as_bytes()) {
            Ok(method) => Ok(Self { address, method }),
            Err(_) => Err(refused(&address, &format!("{method:?} is no HTTP method"))),
        }
    }
}

/// What the configuration says, or else the environment.
fn setting(
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
    let skips_verification = backend.is_on("skip_cert_verification")
        || setting("skip_cert_verification", "TF_HTTP_SKIP_CERT_VERIFICATION")
            .is_some_and(|skips| skips == "true" || skips == "1");
    builder = builder.tls_danger_accept_invalid_certs(skips_verification);
    if let (Some(certificate), Some(key)) = (
        setting("client_certificate_pem", "TF_HTTP_CLIENT_CERTIFICATE_PEM"),
        setting("client_private_key_pem", "TF_HTTP_CLIENT_PRIVATE_KEY_PEM"),
    ) {
        let both = format!("{certificate}\n{key}");
        let identity = reqwest::Identity::from_pem(both.as_bytes()).map_err(plain)?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(plain)
}

fn refused(address: &str, reason: &str) -> ToolError {
    ToolError::LockServer {
        address: without_secrets(address),
        reason: reason.to_owned(),
    }
}

/// An address may carry a user and a token; what is left out is marked, so that nobody asks about
/// another state by mistake.
fn without_secrets(address: &str) -> String {
    match reqwest::Url::parse(address) {
        Ok(mut url) => {
            // An address that can hold no user has none to hide.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            let names: Vec<String> = url
                .query_pairs()
                .map(|(name, _)| format!("{name}=…"))
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
