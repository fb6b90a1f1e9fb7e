//! The headers that OpenTofu sends to a lock server with every request. Terraform has no such setting.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::tools::terraform::backend::Backend;
use crate::tools::terraform::quoted;

/// Headers, whose values may be secrets.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers {
    /// As they are written.
    names: Vec<String>,
    all: HeaderMap,
}

impl Headers {
    /// Those of the settings, or why they cannot be sent.
    pub(super) fn of(backend: &Backend) -> Result<Self, String> {
        let given = backend.settings.get("headers").and_then(Value::as_object);
        let mut headers = HeaderMap::new();
        for (name, value) in given.into_iter().flatten() {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let unusable = || format!("the header {name:?} of its settings cannot be sent");
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unusable())?;
            let mut value = HeaderValue::from_str(&text).map_err(|_| unusable())?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        let names = given.into_iter().flatten().map(|(name, _)| name.clone());
        Ok(Self {
            names: names.collect(),
            all: headers,
        })
    }

    pub(super) fn to_send(&self) -> HeaderMap {
        self.all.clone()
    }

    /// What a person gives to curl: each name, and a question for its value when the command is pasted.
    pub(super) fn by_hand(&self) -> String {
        let option = |name: &String| {
            let name = quoted(&format!("{name}: "));
            format!(
                "--header {name}\"$(printf %s {name} >/dev/tty; read -r value </dev/tty; printf %s \"$value\")\" "
            )
        };
        self.names.iter().map(option).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(settings: &Value) -> Result<Headers, String> {
        let backend = Backend {
            kind: "http".to_owned(),
            settings: settings.as_object().unwrap().clone(),
        };
        Headers::of(&backend)
    }

    #[test]
    fn each_header_is_sent_and_only_its_name_is_printed() {
        let headers =
            headers(&json!({"headers": {"X-State-Token": "s3cret", "X-Number": 7}})).unwrap();
        assert_eq!(headers.to_send()["x-state-token"], "s3cret");
        assert_eq!(headers.to_send()["x-number"], "7");
        let by_hand = headers.by_hand();
        assert!(by_hand.contains("--header 'X-State-Token: '\"$(printf"));
        assert!(!by_hand.contains("s3cret") && !format!("{headers:?}").contains("s3cret"));
    }

    #[test]
    fn without_the_setting_there_are_none() {
        assert_eq!(headers(&json!({})).unwrap().by_hand(), "");
    }

    #[test]
    fn a_header_that_is_none_is_named_without_its_value() {
        for name in ["", "a b", "ä"] {
            let reason = headers(&json!({"headers": {name: "s3cret"}})).unwrap_err();
            assert!(reason.contains("cannot be sent") && !reason.contains("s3cret"));
        }
        let reason = headers(&json!({"headers": {"X": "s3cret\n"}})).unwrap_err();
        assert!(reason.contains("\"X\"") && !reason.contains("s3cret"));
    }
}
