//! The backend block of a shadow, by which the program is asked about a lock.

use serde_json::{Value, json};

use super::backend::Backend;

/// The shadow's whole configuration, each value on a line of its own: of a line that it does not like,
/// Terraform quotes all.
///
/// In a backend block's JSON, OpenTofu takes `${` and `%{` in a text for the begin of a template, and
/// Terraform takes every text as it stands, `$${` too.
pub(super) fn document(backend: &Backend, is_tofu: bool) -> String {
    let mut settings = Value::Object(backend.settings.clone());
    if is_tofu {
        escape_templates(&mut settings);
    }
    let document = json!({"terraform": {"backend": {backend.kind.as_str(): settings}}});
    format!("{document:#}")
}

fn escape_templates(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace("${", "$${").replace("%{", "%%{"),
        Value::Array(values) => values.iter_mut().for_each(escape_templates),
        Value::Object(values) => values.values_mut().for_each(escape_templates),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs;
    use std::process::Command;

    use super::super::backend::tests::backend;
    use super::super::configuration::read_initialised;
    use super::*;

    #[test]
    fn the_scratch_directory_holds_the_backend_as_the_program_reads_it() {
        let settings = json!({"conn_str": "postgres://u:${p}%{q}@h", "assume_role": [{"x": "${"}]});
        let backend = backend("pg", &settings);
        let escaped = json!({
            "conn_str": "postgres://u:$${p}%%{q}@h", "assume_role": [{"x": "$${"}]
        });
        for (is_tofu, expected) in [(false, settings), (true, escaped)] {
            let document: Value = serde_json::from_str(&document(&backend, is_tofu)).unwrap();
            assert_eq!(
                document,
                json!({"terraform": {"backend": {"pg": expected}}})
            );
        }
    }

    #[test]
    fn the_real_terraform_reads_a_document_of_ours_as_it_is_meant() {
        let Ok(terraform) = env::var("SOFTSTOP_TEST_TERRAFORM") else {
            return;
        };
        let settings = json!({"path": "a${b}$${c}%{d}%%{e}\\\"'", "workspace_dir": "${"});
        let backend = Backend {
            kind: "local".to_owned(),
            settings: settings.as_object().unwrap().clone(),
        };
        let scratch = tempfile::tempdir().unwrap();
        fs::write(
            scratch.path().join("main.tf.json"),
            document(&backend, false),
        )
        .unwrap();
        let output = Command::new(terraform)
            .args(["init", "-input=false"])
            .current_dir(scratch.path())
            .env_clear()
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let kept = read_initialised(&scratch.path().join(".terraform/terraform.tfstate")).unwrap();
        assert_eq!(kept.settings, backend.settings);
    }
}
