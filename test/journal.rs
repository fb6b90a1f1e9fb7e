//! Two clients that we did not write are served by the emulator of Code Insights on which our own is
//! tested, and refused where Bitbucket would refuse them.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::documents::repository;
use crate::support::CodeInsights;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Atlassian's own, for pipes. Without `CI` it goes by whatever proxy the environment names.
const TOOLKIT: &str = r#"
import sys
from bitbucket_pipes_toolkit import CodeInsights
import requests

commit = sys.argv[1]
client = CodeInsights("infra", "acme")
report = {"external_id": "tool-1", "title": "Title", "details": "Details", "report_type": "BUG",
          "result": "PENDING", "data": [{"title": "Safe", "type": "BOOLEAN", "value": True}]}
created = client.create_report(commit, report)
assert created["external_id"] == "tool-1" and created["uuid"], created
report["uuid"], report["result"] = created["uuid"], "PASSED"
client.create_report(commit, report)
assert client.get_report(commit, created["uuid"])["result"] == "PASSED"
assert client.get_report(commit, "tool-1")["data"] == report["data"]
assert [one["uuid"] for one in client.get_reports(commit)["values"]] == [created["uuid"]]

def annotation(number):
    return {"external_id": f"tool-1-{number}", "summary": "Summary", "annotation_type": "BUG",
            "severity": "HIGH", "result": "FAILED", "path": "main.tf", "line": 1}

assert client.create_annotation(commit, "tool-1", annotation(0))["external_id"] == "tool-1-0"
some = client.create_bulk_annotations(commit, "tool-1", [annotation(n) for n in range(100)])
assert len(some) == 100, some

def refused(do, status):
    try:
        do()
    except requests.HTTPError as error:
        assert error.response.status_code == status, error
        return
    raise AssertionError("it was not refused")

refused(lambda: client.create_report(commit, {**report, "title": "x" * 451}), 400)
refused(lambda: client.create_report(commit, {**report, "data": report["data"] * 11}), 400)
refused(lambda: client.create_bulk_annotations(
    commit, "tool-1", [annotation(n) for n in range(101)]), 400)
refused(lambda: client.get_report(commit, "tool-2"), 404)
"#;

/// Made from the published specification.
const SPECIFICATION: &str = r"
const assert = require('assert')
const { Bitbucket } = require('bitbucket')

const [baseUrl, commit] = process.argv.slice(1)
const client = new Bitbucket({ baseUrl })
const here = { workspace: 'acme', repo_slug: 'infra', commit, reportId: 'client-1' }
const refused = (promise, status) =>
  assert.rejects(promise, (error) => error.status === status)

async function main() {
  const report = { type: 'report', title: 'Title', details: 'Details', result: 'PENDING' }
  const annotation = (number) => ({
    type: 'report_annotation', external_id: `client-1-${number}`, summary: 'Summary',
    annotation_type: 'CODE_SMELL', result: 'SKIPPED',
  })
  const { reports } = client
  const created = await reports.createOrUpdateReport({ ...here, _body: report })
  assert.strictEqual(created.data.external_id, 'client-1')
  assert.strictEqual((await reports.getReport(here)).data.title, 'Title')
  const all = await reports.getReportsForCommit(here)
  assert.deepStrictEqual(all.data.values.map((one) => one.external_id), ['client-1'])
  for (let first = 0; first < 1000; first += 100) {
    const _body = Array.from({ length: 100 }, (_, number) => annotation(first + number))
    await reports.bulkCreateOrUpdateAnnotations({ ...here, _body })
  }
  const page = (await reports.getAnnotationsForReport(here)).data
  assert.strictEqual(page.size, 1000)
  assert.ok(page.next.includes('page=2'))
  await reports.deleteAnnotation({ ...here, annotationId: 'client-1-7' })
  await refused(reports.getAnnotation({ ...here, annotationId: 'client-1-7' }), 404)
  const one = { ...here, annotationId: 'client-1-7', _body: annotation(7) }
  await reports.createOrUpdateAnnotation(one)
  await refused(reports.bulkCreateOrUpdateAnnotations({ ...here, _body: [annotation(1000)] }), 400)
  await refused(reports.createOrUpdateReport({ ...here, _body: { ...report, result: 'X' } }), 400)
  await reports.deleteReport(here)
  await refused(reports.getReport(here), 404)
}

main().catch((error) => { console.error(error); process.exit(1) })
";

fn tool(path: &str) -> std::path::PathBuf {
    repository().join("target/test-tools").join(path)
}

#[track_caller]
fn expect_success(command: &mut Command) {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

#[test]
fn atlassians_own_client_is_served_through_the_proxy() {
    let server = CodeInsights::start();
    expect_success(
        Command::new(tool("pipes-toolkit/bin/python"))
            .args(["-c", TOOLKIT, COMMIT])
            .env("http_proxy", server.proxy())
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .env_remove("CI"),
    );
    let annotations = server.annotations("acme", "infra", COMMIT, "tool-1");
    assert_eq!(annotations.len(), 100, "one was written twice");
    let reports = server.reports("acme", "infra", COMMIT);
    assert_eq!(reports[0]["result"], json!("PASSED"));
}

#[test]
fn the_client_that_is_made_from_the_specification_is_served() {
    let server = CodeInsights::start();
    let modules: &Path = &tool("bitbucket-types/node_modules");
    expect_success(
        Command::new("node")
            .args(["-e", SPECIFICATION, "--"])
            .arg(format!("{}/2.0", server.proxy()))
            .arg(COMMIT)
            .env("NODE_PATH", modules),
    );
    assert_eq!(server.reports("acme", "infra", COMMIT), [json!(null); 0]);
}
