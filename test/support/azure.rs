//! What a server for blobs of Azure knows. The lock is a lease of the state, and beside the state is
//! noted who has it.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use ureq::http::Response;
use ureq::{Body, RequestBuilder};

use super::prepared;

pub const ACCOUNT: &str = "softstop";

/// Where Terraform notes who holds the lock.
const LOCK_INFO: &str = "x-ms-meta-terraformlockid";

pub fn address() -> SocketAddr {
    prepared("SOFTSTOP_TEST_AZURE").parse().unwrap()
}

pub fn access_key() -> String {
    prepared("SOFTSTOP_TEST_AZURE_KEY")
}

/// Tells whoever asks, as Azure does, where the storage is: where he has asked.
///
/// Terraform puts `https://ACCOUNT.blob.` before what is said here, and no name of that kind leads to
/// this machine. Before an @, it is but the name of a user.
pub fn metadata(request: &[u8]) -> Option<String> {
    let request = String::from_utf8_lossy(request);
    let (_, head) = request.split_once("GET /metadata/endpoints?")?;
    let host = head
        .lines()
        .find_map(|line| line.strip_prefix("Host: "))
        .unwrap();
    let here = format!("https://{host}");
    let body = json!({
        "name": "test",
        "authentication": {"loginEndpoint": here, "audiences": [here]},
        "microsoftGraphResourceId": here,
        "resourceManager": here,
        "suffixes": {"storage": format!("test@{host}/{ACCOUNT}")},
    })
    .to_string();
    Some(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    ))
}

pub fn make_container(container: &str) {
    put(container, "restype=container").send_empty().unwrap();
}

pub fn state(container: &str, blob: &str) -> Option<String> {
    let name = format!("{container}/{blob}");
    let mut response = found(ureq::get(url(&name, "")).call())?;
    let state = response.body_mut().read_to_string().unwrap();
    // Whoever takes the lock of a state that is not there makes it, with nothing in it.
    Some(state).filter(|state| !state.is_empty())
}

/// What is noted of whoever has the lease, where somebody has it, and nothing where it says nothing.
pub fn lock(container: &str, blob: &str) -> Option<String> {
    let (is_leased, info) = properties(container, blob)?;
    is_leased.then(|| info.unwrap_or_default())
}

/// What is noted of whoever has the lease, whether anybody has it or not.
pub fn info(container: &str, blob: &str) -> Option<String> {
    properties(container, blob)?.1
}

fn properties(container: &str, blob: &str) -> Option<(bool, Option<String>)> {
    let name = format!("{container}/{blob}");
    let response = found(ureq::head(url(&name, "")).call())?;
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    let info = header(LOCK_INFO).map(|info| {
        let info = BASE64.decode(info).unwrap();
        String::from_utf8(info).unwrap()
    });
    Some((header("x-ms-lease-status") == Some("locked"), info))
}

/// Puts a lease with this ID in the place of whatever is there, and notes this beside it.
pub fn set_lock(container: &str, blob: &str, id: &str, info: Option<&str>) {
    let name = format!("{container}/{blob}");
    match properties(container, blob) {
        Some((true, _)) => break_lease(container, blob),
        Some((false, _)) => {}
        None => {
            let request = put(&name, "").header("x-ms-blob-type", "BlockBlob");
            request.send_empty().unwrap();
        }
    }
    put(&name, "comp=lease")
        .header("x-ms-lease-action", "acquire")
        .header("x-ms-lease-duration", "-1")
        .header("x-ms-proposed-lease-id", id)
        .send_empty()
        .unwrap();
    let mut note = put(&name, "comp=metadata").header("x-ms-lease-id", id);
    if let Some(info) = info {
        note = note.header(LOCK_INFO, BASE64.encode(info));
    }
    note.send_empty().unwrap();
}

/// As a person does, by which what is noted of its holder stays.
pub fn break_lease(container: &str, blob: &str) {
    put(&format!("{container}/{blob}"), "comp=lease")
        .header("x-ms-lease-action", "break")
        .send_empty()
        .unwrap();
}

/// As its holder does; whoever has another lease is refused.
pub fn release(container: &str, blob: &str, id: &str) {
    put(&format!("{container}/{blob}"), "comp=lease")
        .header("x-ms-lease-action", "release")
        .header("x-ms-lease-id", id)
        .send_empty()
        .unwrap();
}

pub fn remove_lock(container: &str, blob: &str) {
    let Some((is_leased, _)) = properties(container, blob) else {
        return;
    };
    if is_leased {
        break_lease(container, blob);
    }
    let name = format!("{container}/{blob}");
    put(&name, "comp=metadata").send_empty().unwrap();
}

fn put(name: &str, query: &str) -> RequestBuilder<ureq::typestate::WithBody> {
    ureq::put(url(name, query)).header("x-ms-version", "2023-11-03")
}

fn url(name: &str, query: &str) -> String {
    let signature = prepared("SOFTSTOP_TEST_AZURE_SIGNATURE");
    format!("http://{}/{ACCOUNT}/{name}?{query}&{signature}", address())
}

fn found(response: Result<Response<Body>, ureq::Error>) -> Option<Response<Body>> {
    match response {
        Ok(response) => Some(response),
        Err(ureq::Error::StatusCode(404)) => None,
        Err(error) => panic!("{error}"),
    }
}
