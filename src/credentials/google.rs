//! Google Cloud: a configuration of workload identity federation says how the token is exchanged. It is
//! the user's, but for where the token is.

use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use super::exchange::{Exchange, Place, Variables};
use crate::private;

const NAME: &str = "GOOGLE_OIDC_CONFIG_FILE";
/// The `type` of a configuration that names no key, but a source of tokens.
const FEDERATED: &str = "external_account";

pub(super) fn variables(wanted: &Exchange, place: &Place) -> Result<Option<Variables>, String> {
    let Some(given) = &wanted.google_configuration else {
        return Ok(None);
    };
    let mut configuration = read(given)?;
    configuration.insert(
        "credential_source".to_owned(),
        json!({"file": place.token, "format": {"type": "text"}}),
    );
    private::write(&place.google, Value::from(configuration).to_string())
        .map_err(|problem| format!("what {NAME} says cannot be written to a file: {problem}"))?;
    Ok(Some(Variables {
        set: vec![(
            "GOOGLE_APPLICATION_CREDENTIALS",
            place.google.display().to_string(),
        )],
        removed: Vec::new(),
    }))
}

/// The configuration itself, in base64 or as it is, or the file that holds it. It is not quoted where
/// it is wrong, because somebody may have given a key in its place.
fn read(given: &str) -> Result<Map<String, Value>, String> {
    let plain = given.trim();
    let encoded = BASE64_STANDARD.decode(plain).ok();
    let text = if plain.starts_with('{') {
        plain.to_owned()
    } else if let Some(text) = encoded.and_then(|bytes| String::from_utf8(bytes).ok()) {
        text
    } else {
        fs::read_to_string(plain)
            .map_err(|problem| format!("the file that {NAME} names cannot be read: {problem}"))?
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(configuration))
            if configuration.get("type") == Some(&FEDERATED.into()) =>
        {
            Ok(configuration)
        }
        _ => Err(format!(
            "{NAME} holds no configuration of workload identity federation: expected JSON with the \
             type {FEDERATED:?}, as it is, in base64, or the name of a file that holds it"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const CONFIGURATION: &str = r#"{
        "type": "external_account", "audience": "//iam.googleapis.com/projects/1/x",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": "/somewhere/else"}
    }"#;

    fn laid_out(given: &str) -> Result<Value, String> {
        let scratch = tempfile::tempdir().unwrap();
        let place = Place {
            token: PathBuf::from("/private/token"),
            google: scratch.path().join("google.json"),
        };
        let wanted = Exchange {
            google_configuration: Some(given.to_owned()),
            ..Exchange::default()
        };
        let variables = variables(&wanted, &place)?.unwrap();
        let (name, file) = &variables.set[0];
        assert_eq!(*name, "GOOGLE_APPLICATION_CREDENTIALS");
        Ok(serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap())
    }

    #[test]
    fn a_configuration_in_each_form_leads_to_the_token_and_is_else_as_it_was() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("configuration.json");
        fs::write(&file, CONFIGURATION).unwrap();
        let encoded = BASE64_STANDARD.encode(CONFIGURATION);
        for given in [CONFIGURATION, &encoded, &file.display().to_string()] {
            let found = laid_out(given).unwrap();
            let source = json!({"file": "/private/token", "format": {"type": "text"}});
            assert_eq!(found["credential_source"], source);
            assert_eq!(found["token_url"], "https://sts.googleapis.com/v1/token");
            assert_eq!(found["type"], FEDERATED);
        }
    }

    #[test]
    fn what_is_no_such_configuration_is_refused_and_not_quoted() {
        let key = r#"{"type": "service_account", "private_key": "s3cret"}"#;
        for given in [key, "{}", "[1]", "{", "/nowhere/s3cret.json"] {
            let error = laid_out(given).unwrap_err();
            assert!(error.contains(NAME) && !error.contains("s3cret"), "{error}");
        }
    }
}
