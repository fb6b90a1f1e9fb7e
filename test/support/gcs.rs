//! What a server for GCS knows.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::prepared;

pub fn address() -> SocketAddr {
    prepared("SOFTSTOP_TEST_GCS").parse().unwrap()
}

pub fn make_bucket(bucket: &str) {
    let body = json!({"name": bucket}).to_string();
    let request = ureq::post(format!("http://{}/storage/v1/b", address()));
    request.send(body).unwrap();
}

pub fn object(bucket: &str, name: &str) -> Option<String> {
    get(&format!("{}?alt=media", url(bucket, name)))
}

/// The number that each change of an object changes; Terraform takes it for the ID of a lock.
pub fn generation(bucket: &str, name: &str) -> Option<String> {
    generation_at(&url(bucket, name))
}

/// What GCS answers to whoever wants to delete another generation of an object than there is. The
/// server deletes it.
pub fn objection(request: &[u8]) -> Option<String> {
    let request = String::from_utf8_lossy(request);
    let (target, _) = request.strip_prefix("DELETE ")?.split_once(' ')?;
    let (path, query) = target.split_once('?')?;
    let mut conditions = query.split('&');
    let meant = conditions.find_map(|pair| pair.strip_prefix("ifGenerationMatch="))?;
    let found = generation_at(&format!("http://{}{path}", address()))?;
    (found != meant).then(|| {
        "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            .to_owned()
    })
}

fn generation_at(url: &str) -> Option<String> {
    let object: Value = serde_json::from_str(&get(url)?).unwrap();
    object["generation"].as_str().map(str::to_owned)
}

pub fn put_object(bucket: &str, name: &str, text: &str) {
    let name = name.replace('/', "%2F");
    let url = format!(
        "http://{}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}",
        address()
    );
    ureq::post(url).send(text).unwrap();
}

pub fn delete_object(bucket: &str, name: &str) {
    ureq::delete(url(bucket, name)).call().unwrap();
}

fn get(url: &str) -> Option<String> {
    match ureq::get(url).call() {
        Ok(mut response) => Some(response.body_mut().read_to_string().unwrap()),
        Err(ureq::Error::StatusCode(404)) => None,
        Err(error) => panic!("{error}"),
    }
}

fn url(bucket: &str, name: &str) -> String {
    let name = name.replace('/', "%2F");
    format!("http://{}/storage/v1/b/{bucket}/o/{name}", address())
}
