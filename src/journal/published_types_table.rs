//! What is sent to Code Insights against Bitbucket's published types.

use std::env;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use softstop_test_support::CodeInsights;

use super::form::STAGES;
use super::store_table::{entry, record, store_at};

/// Whether TypeScript finds that what was sent is of the types that were made from Bitbucket's
/// published specification.
fn is_of_published_types(modules: &str, report: &Value, annotations: &Value) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sent.ts");
    let text = format!(
        "import {{ Schema }} from '{modules}/bitbucket'\n\
         export const report: Schema.Report = {report}\n\
         export const annotations: Schema.ReportAnnotation[] = {annotations}\n"
    );
    fs::write(&file, text).unwrap();
    let checked = Command::new(format!("{modules}/.bin/tsc"))
        .args(["--noEmit", "--strict", "--skipLibCheck"])
        .args(["--module", "commonjs", "--moduleResolution", "node"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8(checked.stdout).unwrap();
    let is_refused = said.contains("is not assignable to type");
    assert!(checked.status.success() != is_refused, "{said}");
    !is_refused
}

/// Started by `test/run`, which installs what it needs.
#[tokio::test]
async fn what_is_sent_is_of_the_types_that_bitbucket_publishes() {
    let Ok(modules) = env::var("SOFTSTOP_TEST_BITBUCKET_TYPES") else {
        return;
    };
    let server = CodeInsights::start();
    let entries = STAGES.map(|stage| entry(&format!("a.b[\"{stage:?}\"]"), stage));
    let store = store_at(&server.proxy());
    store.write(record(entries)).await.unwrap();
    let [report, annotations] = &server.requests()[..] else {
        panic!("a report is sent, and its annotations");
    };
    let (mut report, annotations) = (report.body.clone(), &annotations.body);
    // The specification calls every value an object, and says in words that it is none.
    for field in report["data"].as_array_mut().unwrap() {
        field["value"] = json!({});
    }
    assert!(is_of_published_types(&modules, &report, annotations));
    report["result"] = json!("STOPPED");
    assert!(!is_of_published_types(&modules, &report, annotations));
}
