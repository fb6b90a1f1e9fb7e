//! What an API server of Kubernetes knows of states, which are secrets, and of locks, which are
//! leases. A lease stays when its lock goes.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::prepared;

/// What clients want to be given besides an address: who they are, which here is nobody.
pub const CONFIG: &str = "\
apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test}}]
clusters: [{name: test, cluster: {server: \"http://127.0.0.1\"}}]
";

/// Where Terraform notes in a lease who holds the lock.
const LOCK_INFO: &str = "app.terraform.io/lock-info";

pub fn address() -> SocketAddr {
    prepared("SOFTSTOP_TEST_KUBERNETES").parse().unwrap()
}

/// Makes a namespace, where it is not there already.
pub fn make_namespace(namespace: &str) {
    let url = format!(
        "http://{}/api/v1/namespaces/{namespace}?fieldManager=test&force=true",
        address()
    );
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    patch(&url, "apply-patch+yaml", &body);
}

pub fn state(namespace: &str, name: &str) -> Option<String> {
    let secret = get(&format!(
        "{}/tfstate-{name}",
        url(namespace, "api/v1", "secrets")
    ))?;
    // Terraform makes the secret first, and then writes the state into it.
    Some(unpack(secret["data"]["tfstate"].as_str()?))
}

pub fn lock(namespace: &str, name: &str) -> Option<String> {
    let lease = get(&lease_url(namespace, name))?;
    lease["spec"]["holderIdentity"].as_str()?;
    let info = lease["metadata"]["annotations"][LOCK_INFO].as_str();
    Some(info.unwrap_or_default().to_owned())
}

/// The number that each change of a lease changes.
pub(crate) fn lock_version(namespace: &str, name: &str) -> Option<String> {
    let lease = get(&lease_url(namespace, name))?;
    let version = lease["metadata"]["resourceVersion"].as_str();
    version.map(str::to_owned)
}

/// Puts this lock in the place of whatever is there.
pub fn set_lock(namespace: &str, name: &str, id: &Value, info: &str) {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": lease(name), "annotations": {LOCK_INFO: info}},
        "spec": {"holderIdentity": id},
    });
    let url = format!(
        "{}?fieldManager=test&force=true",
        lease_url(namespace, name)
    );
    patch(&url, "apply-patch+yaml", &lease);
}

pub fn remove_lock(namespace: &str, name: &str) {
    let lease = json!({"metadata": {"annotations": null}, "spec": {"holderIdentity": null}});
    patch(&lease_url(namespace, name), "merge-patch+json", &lease);
}

fn patch(url: &str, kind: &str, body: &Value) {
    let request = ureq::patch(url).header("Content-Type", format!("application/{kind}"));
    request.send(body.to_string()).unwrap();
}

fn get(url: &str) -> Option<Value> {
    match ureq::get(url).call() {
        Ok(mut response) => {
            let text = response.body_mut().read_to_string().unwrap();
            Some(serde_json::from_str(&text).unwrap())
        }
        Err(ureq::Error::StatusCode(404)) => None,
        Err(error) => panic!("{error}"),
    }
}

fn lease_url(namespace: &str, name: &str) -> String {
    let leases = url(namespace, "apis/coordination.k8s.io/v1", "leases");
    format!("{leases}/{}", lease(name))
}

fn lease(name: &str) -> String {
    format!("lock-tfstate-{name}")
}

fn url(namespace: &str, group: &str, kind: &str) -> String {
    format!("http://{}/{group}/namespaces/{namespace}/{kind}", address())
}

/// The state as it is stored: packed, and written in base64.
fn unpack(data: &str) -> String {
    let mut unpack = Command::new("sh")
        .args(["-c", "base64 --decode | gzip --decompress"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    unpack
        .stdin
        .take()
        .unwrap()
        .write_all(data.as_bytes())
        .unwrap();
    let output = unpack.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
