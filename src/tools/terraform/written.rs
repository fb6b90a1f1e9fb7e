//! What Terraform writes into a lock, and asks lock servers to keep.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::operations::{OF_A_LOOK, OF_A_LOOK_BY_REQUESTS};
use crate::lock::LockInfo;

/// A lock, field by field as Terraform writes it. In what a foreign server answers, every field but
/// the ID may be missing.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Written {
    #[serde(rename = "ID")]
    pub(super) id: String,
    #[serde(default)]
    pub(super) operation: String,
    #[serde(default)]
    pub(super) info: String,
    #[serde(default)]
    pub(super) who: String,
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) created: Option<Timestamp>,
    #[serde(default)]
    pub(super) path: String,
}

const INFO: &str = "Info";
const PATH: &str = "Path";

impl Written {
    /// The lock that a server tells of, if it does.
    pub(super) fn read(body: &str) -> Option<LockInfo> {
        serde_json::from_str::<Self>(body).ok().map(LockInfo::from)
    }
}

impl From<Written> for LockInfo {
    fn from(written: Written) -> Self {
        let looks = [OF_A_LOOK, OF_A_LOOK_BY_REQUESTS];
        Self {
            is_of_a_look: looks.contains(&written.operation.as_str()),
            id: written.id,
            who: written.who,
            created: written.created,
            version: written.version,
            operation: written.operation,
            more: BTreeMap::from([(INFO, written.info), (PATH, written.path)]),
        }
    }
}

impl From<&LockInfo> for Written {
    fn from(lock: &LockInfo) -> Self {
        let more = |name| lock.more.get(name).cloned().unwrap_or_default();
        Self {
            id: lock.id.clone(),
            operation: lock.operation.clone(),
            info: more(INFO),
            who: lock.who.clone(),
            version: lock.version.clone(),
            created: lock.created,
            path: more(PATH),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mutation::{at_least, mutated};

    const BODIES: &[&str] = &[
        r#"{"ID":"b197","Operation":"OperationTypeApply","Info":"","Who":"root@vm","Version":"1.11.4",
            "Created":"2026-11-23T00:09:13.153341218Z","Path":""}"#,
        r#"{"ID":"b198","Operation":"OperationTypePlan","Info":"","Version":"1.11.4","Path":"",
            "Who":"acme/infra#42/11111111-1111-4111-8111-111111111111/22222222-2222-4222-8222-222222222222/1@vm",
            "Created":"2026-11-23T00:09:13.1Z"}"#,
        r#"{"ID":"7"}"#,
    ];

    #[test]
    fn the_lock_info_of_an_http_server_is_read() {
        let text = r#"{"ID":"b197","Operation":"OperationTypeApply","Info":"","Who":"root@vm",
            "Version":"1.11.4","Created":"2026-11-23T00:09:13.153341218Z","Path":""}"#;
        let lock = Written::read(text).unwrap();
        assert_eq!(lock.id, "b197");
        assert_eq!(lock.who, "root@vm");
        assert_eq!(
            lock.created.unwrap().to_string(),
            "2026-11-23T00:09:13.153341218Z"
        );
    }

    #[test]
    fn what_is_read_is_sent_again_as_it_was() {
        let sent = Written::read(BODIES[0]).map(|lock| Written::from(&lock));
        let sent = serde_json::to_value(sent.unwrap()).unwrap();
        let body: serde_json::Value = serde_json::from_str(BODIES[0]).unwrap();
        assert_eq!(sent, body);
    }

    proptest! {
        #![proptest_config(at_least(256))]

        #[test]
        fn a_mutated_body_is_read_as_what_it_says_or_not_at_all(body in mutated(BODIES)) {
            // What nobody asks for may be no text at all.
            let said = serde_json::from_str::<serde_json::Value>(&body).ok();
            let lock = Written::read(&body);
            if let Some((said, lock)) = said.zip(lock) {
                let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
                prop_assert_eq!(&lock.id, &text("ID"));
                prop_assert_eq!(&lock.who, &text("Who"));
                prop_assert_eq!(lock.created, text("Created").parse().ok());
                let _ = lock.to_string();
            }
        }
    }
}
