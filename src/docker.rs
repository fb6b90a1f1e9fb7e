//! Asks the Docker daemon, where one is in reach, whether a container is running.

#[cfg(test)]
mod docker_table;

use std::fmt::{self, Display};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dns_lookup::{LookupErrorKind, lookup_host};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::http_client::{self, causes, innermost};

/// How long the question may take.
const LIMIT_OF_A_LOOK: Duration = Duration::from_secs(3);
/// Where the daemon listens if nothing else is said.
const SOCKET: &str = "/var/run/docker.sock";
/// The port of a daemon that listens in the clear.
const PORT: u16 = 2375;

/// The daemon that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Daemon {
    Socket(PathBuf),
    /// By its address, as http.
    Tcp(String),
    /// There is one, but we do not speak its language.
    Foreign(String),
    Nowhere,
}

/// What is known of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Running,
    /// It is over, or this daemon does not know it. That proves nothing, because another machine
    /// may run it; it only means that nothing speaks against a proof.
    NotRunning,
    /// The daemon gave no answer to go by, for this reason.
    Unknown(String),
    NoDaemon,
}

impl Display for Container {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => formatter.write_str("it runs"),
            Self::NotRunning => formatter.write_str("it does not run there"),
            Self::Unknown(reason) => write!(formatter, "no answer: {reason}"),
            Self::NoDaemon => formatter.write_str("there is no daemon"),
        }
    }
}

impl Daemon {
    /// The daemon that Docker's own client would ask.
    pub(crate) fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let given = |name| variable(name).filter(|value| !value.trim().is_empty());
        let Some(host) = given("DOCKER_HOST") else {
            return Self::listening_at(Path::new(SOCKET));
        };
        let host = host.trim();
        match host.split_once("://") {
            Some(("unix", path)) => Self::Socket(path.into()),
            Some(("tcp", _)) if given("DOCKER_TLS_VERIFY").is_some() => {
                Self::Foreign("DOCKER_TLS_VERIFY asks for TLS, which is not supported".to_owned())
            }
            Some(("tcp", _)) => tcp(host).map_or_else(
                || Self::Foreign("DOCKER_HOST is no valid address".to_owned()),
                Self::Tcp,
            ),
            Some((scheme, _)) => Self::Foreign(format!(
                "DOCKER_HOST begins with {scheme}://, which is not supported"
            )),
            None => Self::Foreign("DOCKER_HOST names no protocol, such as unix://".to_owned()),
        }
    }

    fn listening_at(socket: &Path) -> Self {
        if socket.exists() {
            Self::Socket(socket.to_owned())
        } else {
            Self::Nowhere
        }
    }

    /// Asks what has become of a container, by its ID, the beginning of it, or its name.
    pub(crate) async fn look_for(&self, container: &str) -> Container {
        self.look_within(LIMIT_OF_A_LOOK, container).await
    }

    async fn look_within(&self, limit: Duration, container: &str) -> Container {
        let (socket, address) = match self {
            Self::Socket(path) => (Some(path.as_path()), "http://localhost"),
            Self::Tcp(address) => (None, address.as_str()),
            Self::Foreign(reason) => return Container::Unknown(reason.clone()),
            Self::Nowhere => return Container::NoDaemon,
        };
        // The name becomes part of a path, and must not lead anywhere else.
        if !can_be_a_container(container) {
            return Container::Unknown(format!("{container:?} is no name of a container"));
        }
        let end = Instant::now() + limit;
        let host = match socket {
            Some(_) => None,
            // A name server that does not know for now is asked again and again.
            None => match timeout_at(end, resolve(address)).await {
                Ok(Ok(host)) => host,
                Ok(Err(unresolved)) => return unresolved,
                Err(_) => return unresolved(address, "nobody has answered in time"),
            },
        };
        match timeout_at(end, ask(socket, host, address, container)).await {
            Ok(Ok(container)) => container,
            // DOCKER_HOST is often set where no daemon was started.
            Ok(Err(error)) if is_nobody_there(&error) => Container::NoDaemon,
            Ok(Err(error)) => Container::Unknown(format!(
                "the Docker daemon gave no answer: {}",
                innermost(&error)
            )),
            Err(_) => Container::Unknown("the Docker daemon gave no answer in time".to_owned()),
        }
    }
}

/// A host by its name, and where it is.
type Host = (String, Vec<SocketAddr>);

/// Looks the host of an address up where it has a name.
///
/// The client would say why it has no address in words that are the C library's own, and whether the
/// name does not exist or nobody could be asked for it makes all the difference.
async fn resolve(address: &str) -> Result<Option<Host>, Container> {
    let Some(name) = Url::parse(address)
        .ok()
        .and_then(|url| url.domain().map(str::to_owned))
    else {
        return Ok(None);
    };
    let asked = name.clone();
    let found = spawn_blocking(move || {
        lookup_host(&asked).map(|addresses| addresses.map(|ip| SocketAddr::new(ip, 0)).collect())
    });
    match found.await {
        Ok(Ok(addresses)) => Ok(Some((name, addresses))),
        Ok(Err(error)) if matches!(error.kind(), LookupErrorKind::NoName) => {
            debug!("There is no host {name:?}, so DOCKER_HOST names no daemon.");
            Err(Container::NoDaemon)
        }
        Ok(Err(error)) => Err(unresolved(&name, io::Error::from(error))),
        Err(error) => Err(unresolved(&name, error)),
    }
}

fn unresolved(host: &str, reason: impl Display) -> Container {
    Container::Unknown(format!(
        "the host {host} of DOCKER_HOST could not be resolved: {reason}"
    ))
}

async fn ask(
    socket: Option<&Path>,
    host: Option<Host>,
    address: &str,
    container: &str,
) -> reqwest::Result<Container> {
    let mut builder = http_client::builder()?.no_proxy().redirect(Policy::none());
    if let Some(socket) = socket {
        builder = builder.unix_socket(socket);
    } else if let Some((name, addresses)) = host {
        builder = builder.resolve_to_addrs(&name, &addresses);
    }
    let question = format!("{address}/containers/{container}/json");
    let response = builder.build()?.get(question).send().await?;
    let status = response.status();
    let body = http_client::body(response).await?.unwrap_or_default();
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    Ok(match status {
        StatusCode::OK => read(&answer),
        // Any server can lack a page; a daemon says so in a message.
        StatusCode::NOT_FOUND if answer["message"].is_string() => Container::NotRunning,
        status => Container::Unknown(format!("the Docker daemon answered with {status}")),
    })
}

/// Whether nothing listens at the address. A daemon that we may not ask is there all the same.
fn is_nobody_there(error: &reqwest::Error) -> bool {
    causes(error)
        .find_map(|cause| cause.downcast_ref::<io::Error>())
        .is_some_and(|error| {
            matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused
            )
        })
}

/// A container that is paused or about to start again can still do something.
fn read(answer: &Value) -> Container {
    let is = |state| answer["State"][state].as_bool();
    if [is("Running"), is("Paused"), is("Restarting")].contains(&Some(true)) {
        return Container::Running;
    }
    match is("Running") {
        Some(false) => Container::NotRunning,
        _ => Container::Unknown(
            "the Docker daemon does not say whether the container is running".to_owned(),
        ),
    }
}

fn can_be_a_container(name: &str) -> bool {
    name.starts_with(|character: char| character.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Makes an http address of a `tcp` one.
fn tcp(host: &str) -> Option<String> {
    let host = Url::parse(host).ok()?;
    let (name, port) = (host.host_str()?, host.port().unwrap_or(PORT));
    let path = host.path().trim_end_matches('/');
    Some(format!("http://{name}:{port}{path}"))
}
