//! What a lock says of itself, as every Terraform backend stores it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The lock info that Terraform writes into a lock.
///
/// Every field but the ID may be missing in what a foreign server answers; a missing field never
/// matches anything, so it can only lead to a refusal.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LockInfo {
    #[serde(rename = "ID")]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) operation: String,
    #[serde(default)]
    pub(crate) info: String,
    #[serde(default)]
    pub(crate) who: String,
    #[serde(default)]
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) created: Option<Timestamp>,
    #[serde(default)]
    pub(crate) path: String,
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
        let lock: LockInfo = serde_json::from_str(text).unwrap();
        assert_eq!(lock.id, "b197");
        assert_eq!(lock.who, "root@vm");
        assert_eq!(
            lock.created.unwrap().to_string(),
            "2026-11-23T00:09:13.153341218Z"
        );
    }

    proptest! {
        #![proptest_config(at_least(256))]

        #[test]
        fn a_mutated_body_is_read_as_what_it_says_or_not_at_all(body in mutated(BODIES)) {
            // What nobody asks for may be no text at all.
            let said = serde_json::from_str::<serde_json::Value>(&body).ok();
            let lock = serde_json::from_str::<LockInfo>(&body).ok();
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
