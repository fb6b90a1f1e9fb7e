//! What an emulator of S3 and DynamoDB knows.

use std::net::SocketAddr;

use serde_json::Value;

use super::prepared;

/// Tells the emulator which service is meant; it checks no signature.
fn authorization(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=none"
    )
}

pub fn address() -> SocketAddr {
    prepared("SOFTSTOP_TEST_AWS").parse().unwrap()
}

/// An object, or what a query such as `?list-type=2` answers.
pub fn object(bucket: &str, key: &str) -> Option<String> {
    let request = ureq::get(url(bucket, key)).header("Authorization", authorization("s3"));
    match request.call() {
        Ok(mut response) => Some(response.body_mut().read_to_string().unwrap()),
        Err(ureq::Error::StatusCode(404)) => None,
        Err(error) => panic!("{error}"),
    }
}

/// Stores an object, or makes the bucket where the key is empty.
pub fn put_object(bucket: &str, key: &str, text: &str) {
    let request = ureq::put(url(bucket, key)).header("Authorization", authorization("s3"));
    request.send(text).unwrap();
}

pub fn delete_object(bucket: &str, key: &str) {
    let request = ureq::delete(url(bucket, key)).header("Authorization", authorization("s3"));
    request.call().unwrap();
}

/// Does this operation of DynamoDB.
pub fn dynamodb(operation: &str, body: &Value) -> Value {
    let answer = ureq::post(format!("http://{}/", address()))
        .header("X-Amz-Target", format!("DynamoDB_20120810.{operation}"))
        .header("Content-Type", "application/x-amz-json-1.0")
        .header("Authorization", authorization("dynamodb"))
        .send(body.to_string())
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    serde_json::from_str(&answer).unwrap()
}

fn url(bucket: &str, key: &str) -> String {
    format!("http://{}/{bucket}/{key}", address())
}
