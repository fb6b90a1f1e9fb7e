//! How a step gets its credentials, to be pasted into another one.

use super::document::Node;
use super::shell::quoted;

const TOKEN: &str = "BITBUCKET_STEP_OIDC_TOKEN";
/// What the names of variables begin with that hold credentials of a backend, or lead to its state.
/// That none of them is missing is held against what is known of each backend.
const BEGINNINGS: [&str; 27] = [
    "ACTIONS_ID_TOKEN_REQUEST_",
    "ALIBABA_CLOUD_",
    "ALICLOUD_",
    "ARM_",
    "AWS_",
    "AZURE_",
    "CONSUL_",
    "GOOGLE_",
    "IDENTITY_",
    "KUBE",
    "MSI_",
    "OCI_",
    "OSS_ENDPOINT",
    "PG",
    "SOFTSTOP_AWS_",
    "SOFTSTOP_AZURE_",
    "SOFTSTOP_GOOGLE_",
    "STORAGE_EMULATOR_HOST",
    "SYSTEM_ACCESSTOKEN",
    "TENCENTCLOUD_",
    "TF_HTTP_",
    // These are all that `oci` takes besides.
    "config_file_profile",
    "fingerprint",
    "obo_token",
    "private_key",
    "tenancy_ocid",
    "user_ocid",
];

/// What the names of settings have in them that hold credentials of a backend.
const IN_SETTINGS: [&str; 5] = ["access_key", "credentials", "password", "secret", "token"];

/// What a step does for its credentials.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    /// Whether it asks for a token.
    pub(crate) asks_for_token: bool,
    /// The items of its script that write the token somewhere.
    pub(crate) handing_on: Vec<String>,
    /// Those that give credentials to what runs in the script, which a pipe does not see.
    pub(crate) exports: Vec<String>,
}

/// Whether this item of BACKEND_CONFIG may hold credentials, as a file of settings may.
pub(crate) fn may_set_credentials(item: &str) -> bool {
    let name = item.split_once('=').map(|(name, _)| name);
    name.is_none_or(|name| IN_SETTINGS.iter().any(|part| name.contains(part)))
}

/// Whether a variable of this name may hold credentials, and does not only say where to use them.
pub(crate) fn may_hold_credentials(name: &str) -> bool {
    is_of_a_backend(name) && !name.ends_with("REGION")
}

fn is_of_a_backend(name: &str) -> bool {
    let mut beginnings = BEGINNINGS.iter();
    beginnings.any(|beginning| name.starts_with(beginning))
}

impl Credentials {
    pub(super) fn read(step: &Node) -> Self {
        let script = step.get("script").map(Node::items).unwrap_or_default();
        let items: Vec<&str> = script.iter().filter_map(|item| item.text()).collect();
        let pasted = |is_wanted: fn(&str) -> bool| {
            let wanted = items.iter().filter(|item| is_wanted(item));
            wanted.map(|item| format!("- {}", quoted(item))).collect()
        };
        Self {
            asks_for_token: step.get("oidc").and_then(Node::text) == Some("true"),
            handing_on: pasted(hands_on),
            exports: pasted(|item| is_export(item) && !hands_on(item)),
        }
    }
}

/// What calls softstop is no preparation.
fn hands_on(item: &str) -> bool {
    item.contains(TOKEN) && !item.contains(env!("CARGO_PKG_NAME"))
}

fn is_export(item: &str) -> bool {
    let mut names = item.strip_prefix("export ").unwrap_or_default().split(' ');
    names.any(is_of_a_backend) && !item.contains([';', '&', '\n'])
}
