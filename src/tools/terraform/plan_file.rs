//! Which backend and workspace a saved plan was made for: `apply PLAN` uses those, and not the ones
//! of the directory.

use std::io::Read;
use std::path::Path;

use prost::Message;
use serde_json::{Map, Value};
use zip::ZipArchive;

use super::backend::Backend;
use super::files::open;

/// No plan that says no more than this is larger.
const MOST_OF_A_PLAN: u64 = 256 * 1024 * 1024;

/// The part of a plan that says where its state is. The numbers are those of Terraform's format.
#[derive(Message)]
struct Plan {
    #[prost(message, optional, tag = "13")]
    backend: Option<PlannedBackend>,
}

#[derive(Message)]
struct PlannedBackend {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(message, optional, tag = "2")]
    settings: Option<Packed>,
    #[prost(string, tag = "3")]
    workspace: String,
}

#[derive(Message)]
struct Packed {
    #[prost(bytes = "vec", tag = "1")]
    msgpack: Vec<u8>,
}

/// The backend and the workspace of the plan in this file, which is applied in this directory: relative
/// paths count from there.
pub(super) fn backend(path: &Path, directory: &Path) -> Result<(Backend, String), String> {
    let file = open(path).map_err(|error| error.to_string())?;
    let mut archive = ZipArchive::new(file).map_err(|_| "it is no plan in the clear".to_owned())?;
    let entry = archive.by_name("tfplan");
    let entry = entry.map_err(|_| "it holds no plan".to_owned())?;
    let mut bytes = Vec::new();
    let read = entry.take(MOST_OF_A_PLAN).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    let (mut backend, workspace) = parse(&bytes).ok_or("it names no backend")?;
    backend.anchor_paths(directory);
    Ok((backend, workspace))
}

fn parse(bytes: &[u8]) -> Option<(Backend, String)> {
    let planned = Plan::decode(bytes).ok()?.backend?;
    let packed = planned.settings?.msgpack;
    let settings: Map<String, Value> = rmp_serde::from_slice(&packed).ok()?;
    if planned.kind.is_empty() || planned.workspace.is_empty() {
        return None;
    }
    let backend = Backend {
        kind: planned.kind,
        settings: settings
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect(),
    };
    Some((backend, planned.workspace))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plan_names_its_backend_and_its_workspace() {
        let settings = serde_json::json!({"bucket": "states", "key": null, "use_lockfile": true});
        let plan = Plan {
            backend: Some(PlannedBackend {
                kind: "s3".to_owned(),
                settings: Some(Packed {
                    msgpack: rmp_serde::to_vec(&settings).unwrap(),
                }),
                workspace: "prod".to_owned(),
            }),
        };
        let (backend, workspace) = parse(&plan.encode_to_vec()).unwrap();
        assert_eq!((backend.kind.as_str(), workspace.as_str()), ("s3", "prod"));
        assert_eq!(backend.text("bucket"), Some("states"));
        assert!(backend.is_on("use_lockfile"));
        assert_eq!(backend.settings.len(), 2);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_fail(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }
    }
}
