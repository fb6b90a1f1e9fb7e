//! The step's token in exchange for credentials of a cloud, and credentials that have expired.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use tiny_http::{Header, Response, Server};

use crate::support::project::thing;
use crate::support::proxy::{Passing, Proxy};
use crate::support::{Finished, Kind, Project, Softstop, Step, aws, each};

const ROLE: &str = "arn:aws:iam::123456789012:role/deployer";
/// What Bitbucket signs for a step.
const STEPS_TOKEN: &str = "s3cret-header.s3cret-claims.s3cret-signature";
/// When the token was over that the stand-in of a cloud refuses.
pub(crate) const OVER: &str = "2021-07-13T15:51:09Z";

/// Takes the keys out of the backend block, and leads the requests for others to `address`.
pub(crate) fn without_keys(project: &Project) {
    let block = project.store.block();
    let lines = block
        .lines()
        .filter(|line| !line.contains("_key = \"test\""));
    let block: Vec<&str> = lines.collect();
    assert!(block.len() + 2 == project.store.block().lines().count());
    project.write(
        "backend.tf",
        &format!("terraform {{\n{}\n}}\n", block.join("\n")),
    );
}

/// softstop in a step that says `oidc: true`, whose role is assumed at this address.
pub(crate) fn by_role(softstop: Softstop, project: &Project, sts: SocketAddr) -> Softstop {
    let temporary = project.scratch().join("temporary");
    fs::create_dir_all(&temporary).unwrap();
    softstop
        .env("TMPDIR", temporary)
        .env("BITBUCKET_STEP_OIDC_TOKEN", STEPS_TOKEN)
        .env("SOFTSTOP_AWS_OIDC_ROLE_ARN", ROLE)
        .env("AWS_ENDPOINT_URL_STS", format!("http://{sts}"))
}

/// All that was asked of what stands behind a proxy.
fn questions(proxy: &Proxy) -> Arc<Mutex<String>> {
    let questions = Arc::new(Mutex::new(String::new()));
    let asked = Arc::clone(&questions);
    proxy.watch(move |passing| {
        if let Passing::Question(bytes) = passing {
            asked
                .lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(bytes));
        }
    });
    questions
}

/// Expects that the token is nowhere: not in the clone, not in what is left of temporary files, and in
/// no output.
fn expect_no_trace(project: &Project, finished: &Finished) {
    for output in [&finished.stdout, &finished.stderr] {
        assert!(!output.contains("s3cret"), "{finished}");
    }
    let left: Vec<_> = fs::read_dir(project.scratch().join("temporary"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
    for entry in fs::read_dir(&project.directory).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("s3cret"), "{}", path.display());
    }
}

#[test]
fn a_deploy_and_a_late_release_each_assume_the_role_by_the_token_of_their_step() {
    let project = Project::slow(Kind::S3Lockfile);
    without_keys(&project);
    let sts = Proxy::to(aws::address());
    let asked = questions(&sts);
    let step = Step::of_a_new_pipeline();
    by_role(Softstop::deploy(&project), &project, sts.address)
        .in_step(&step)
        .start()
        .kill_all_at(&project.gate("a.gate"));
    assert!(project.store.lock().is_some(), "the deploy held the lock");
    {
        let asked = asked.lock().unwrap();
        assert!(
            asked.contains("Action=AssumeRoleWithWebIdentity"),
            "{asked}"
        );
        assert!(
            asked.contains(&format!("WebIdentityToken={STEPS_TOKEN}")),
            "{asked}"
        );
        assert!(asked.contains("RoleSessionName=softstop-"), "{asked}");
        assert!(asked.contains("role%2Fdeployer"), "{asked}");
    }
    // What was killed has left its file, in a container that is gone.
    fs::remove_dir_all(project.scratch().join("temporary")).unwrap();
    let later = "s3cret-another-token";
    let clone = project.clone_files();
    let release = Softstop::in_directory(&clone, project.scratch())
        .env("TF_CLI_CONFIG_FILE", project.cli_config())
        .arguments(["release"])
        .in_step(&step.sibling());
    let finished = by_role(release, &project, sts.address)
        .env("BITBUCKET_STEP_OIDC_TOKEN", later)
        .finish();
    finished.expect_code(0).expect_said("✔ Locks: 1 released.");
    assert_eq!(project.store.lock(), None, "{finished}");
    let asked = asked.lock().unwrap();
    assert!(
        asked.contains(&format!("WebIdentityToken={later}")),
        "{asked}"
    );
    expect_no_trace(&project, &finished);
}

#[test]
fn a_deploy_by_a_role_leaves_no_trace_of_the_token_and_keys_do_not_go_before_it() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    without_keys(&project);
    let sts = Proxy::to(aws::address());
    let asked = questions(&sts);
    let finished = by_role(Softstop::deploy(&project), &project, sts.address)
        .env("AWS_ACCESS_KEY_ID", "old")
        .env("AWS_SECRET_ACCESS_KEY", "old")
        .env("SOFTSTOP_DEBUG", "true")
        .finish();
    finished.expect_code(0).expect_said("✔ Deploy succeeded");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert!(asked.lock().unwrap().contains(STEPS_TOKEN), "{finished}");
    expect_no_trace(&project, &finished);
}

#[test]
fn the_file_of_the_token_can_be_read_by_nobody_else() {
    let project = Project::new(Kind::Local, "");
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let finished = by_role(Softstop::deploy(&project), &project, nobody)
        .script(
            "stat --format '%a %u' $(dirname $AWS_WEB_IDENTITY_TOKEN_FILE) $AWS_WEB_IDENTITY_TOKEN_FILE
             test \"$(cat $AWS_WEB_IDENTITY_TOKEN_FILE)\" = \"$BITBUCKET_STEP_OIDC_TOKEN\"",
        )
        .finish();
    finished.expect_code(0);
    assert_eq!(finished.stdout, "700 0\n600 0\n", "{finished}");
    expect_no_trace(&project, &finished);
}

#[test]
fn azure_and_google_find_the_token_where_their_sdks_look() {
    let project = Project::new(Kind::Local, "");
    let temporary = project.scratch().join("temporary");
    fs::create_dir(&temporary).unwrap();
    project.write(
        "google.json",
        r#"{"type": "external_account", "token_url": "https://sts.example/token"}"#,
    );
    let finished = Softstop::deploy(&project)
        .env("TMPDIR", &temporary)
        .env("BITBUCKET_STEP_OIDC_TOKEN", STEPS_TOKEN)
        .env("SOFTSTOP_AZURE_APP_ID", "application")
        .env("SOFTSTOP_AZURE_TENANT_ID", "tenant")
        .env("SOFTSTOP_GOOGLE_OIDC_CONFIG_FILE", "google.json")
        .env("ARM_CLIENT_ID", "another")
        .env("ARM_CLIENT_SECRET", "of another")
        .script(
            "echo $ARM_USE_OIDC $ARM_CLIENT_ID $ARM_TENANT_ID ${ARM_CLIENT_SECRET-no secret}
             cmp $ARM_OIDC_TOKEN_FILE_PATH $(dirname $GOOGLE_APPLICATION_CREDENTIALS)/token
             grep --only-matching sts.example $GOOGLE_APPLICATION_CREDENTIALS
             grep --quiet \"\\\"file\\\":\\\"$ARM_OIDC_TOKEN_FILE_PATH\" $GOOGLE_APPLICATION_CREDENTIALS",
        )
        .finish();
    finished.expect_code(0);
    assert_eq!(
        finished.stdout, "true application tenant no secret\nsts.example\n",
        "{finished}"
    );
    expect_no_trace(&project, &finished);
}

#[test]
fn what_cannot_be_exchanged_is_refused_before_anything_runs() {
    let project = Project::new(Kind::Local, "");
    let softstop = || Softstop::deploy(&project).arguments(["--", "echo", "ran"]);
    let token = |softstop: Softstop| softstop.env("BITBUCKET_STEP_OIDC_TOKEN", STEPS_TOKEN);
    let without = softstop().env("SOFTSTOP_AWS_OIDC_ROLE_ARN", ROLE);
    let unset = softstop()
        .env("SOFTSTOP_AWS_OIDC_ROLE_ARN", ROLE)
        .env("BITBUCKET_STEP_OIDC_TOKEN", "$BITBUCKET_STEP_OIDC_TOKEN");
    let half = token(softstop()).env("SOFTSTOP_AZURE_APP_ID", "application");
    let key = r#"{"type": "service_account", "private_key": "s3cret"}"#;
    let no_configuration = token(softstop()).env("SOFTSTOP_GOOGLE_OIDC_CONFIG_FILE", key);
    let in_clone = token(softstop())
        .env("SOFTSTOP_AWS_OIDC_ROLE_ARN", ROLE)
        .env("TMPDIR", &project.directory)
        .env("BITBUCKET_CLONE_DIR", &project.directory);
    for (softstop, said) in [
        (
            without,
            "AWS_OIDC_ROLE_ARN is set, but the step has no token to exchange: write `oidc: true`",
        ),
        (unset, "has no token to exchange"),
        (half, "AZURE_APP_ID is set, but AZURE_TENANT_ID is not"),
        (
            no_configuration,
            "GOOGLE_OIDC_CONFIG_FILE holds no configuration",
        ),
        (in_clone, "TMPDIR lies in the clone"),
    ] {
        let finished = softstop.finish();
        finished.expect_code(2).expect_said(said);
        assert_eq!(finished.stdout, "", "{finished}");
        assert!(!finished.stderr.contains("s3cret"), "{finished}");
    }
}

#[test]
fn in_an_image_of_ones_own_the_names_of_other_pipes_mean_nothing() {
    let project = Project::new(Kind::Local, "");
    let finished = Softstop::deploy(&project)
        .env("AWS_OIDC_ROLE_ARN", ROLE)
        .env("AZURE_APP_ID", "application")
        .script("echo ${AWS_WEB_IDENTITY_TOKEN_FILE-none} $AWS_OIDC_ROLE_ARN")
        .finish();
    finished.expect_code(0);
    assert_eq!(finished.stdout, format!("none {ROLE}\n"), "{finished}");
}

/// A cloud that refuses whatever comes, because it has expired.
fn refusing_cloud() -> SocketAddr {
    let server = Server::http("127.0.0.1:0").unwrap();
    let address = server.server_addr().to_ip().unwrap();
    thread::spawn(move || {
        for mut request in server.incoming_requests() {
            let mut body = String::new();
            // What is not text is no question that is told from others.
            let _ = request.as_reader().read_to_string(&mut body);
            let is_table = request
                .headers()
                .iter()
                .any(|header| header.field.equiv("X-Amz-Target"));
            let (kind, answer) = if body.contains("AssumeRoleWithWebIdentity") {
                (
                    "text/xml",
                    "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code>\
                     <Message>Token expired: current date/time 1626271164 must be before the \
                     expiration date/time1626191469</Message></Error></ErrorResponse>",
                )
            } else if is_table {
                (
                    "application/x-amz-json-1.0",
                    "{\"__type\":\"com.amazon.coral.service#ExpiredTokenException\",\"message\":\
                     \"The security token included in the request is expired\"}",
                )
            } else if request.url().contains("token") {
                (
                    "application/json",
                    "{\"error\":\"invalid_grant\",\"error_description\":\
                     \"ID Token issued at 1700000000 is stale to sign-in.\"}",
                )
            } else {
                (
                    "application/xml",
                    "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.\
                     </Message></Error>",
                )
            };
            let kind = Header::from_bytes("Content-Type", kind).unwrap();
            let answer = Response::from_string(answer)
                .with_status_code(400)
                .with_header(kind);
            // Whoever asked may be gone.
            let _ = request.respond(answer);
        }
    });
    address
}

/// Leads what the project's backend block says to another address.
fn moved_to(project: &Project, address: SocketAddr) {
    let usual = project.store.proxy.as_ref().unwrap().address.to_string();
    let block = project.store.block().replace(&usual, &address.to_string());
    project.write("backend.tf", &format!("terraform {{\n{block}}}\n"));
}

/// Asks in every way, and expects to hear that the credentials have expired.
fn expect_expired(project: &Project, prepare: impl Fn(Softstop) -> Softstop, since: &str) {
    let said = format!("the credentials for the backend have expired{since}, so terraform ");
    for softstop in [
        Softstop::status(project),
        Softstop::release(project),
        Softstop::deploy(project).script(": terraform"),
    ] {
        let finished = prepare(softstop).finish();
        finished.expect_said(&said);
        assert!(!finished.stderr.contains("gave no answer"), "{finished}");
        assert!(!finished.stderr.contains("s3cret"), "{finished}");
        assert_ne!(finished.code, Some(1), "{finished}");
    }
}

#[test]
fn keys_and_tokens_that_have_expired_are_called_so() {
    each(
        &[Kind::S3Lockfile, Kind::S3DynamoDb, Kind::S3Both],
        |kind| {
            let project = Project::new(kind, "");
            moved_to(&project, refusing_cloud());
            expect_expired(&project, |softstop| softstop, "");
        },
    );
}

#[test]
fn a_token_of_the_step_that_has_expired_is_called_so_with_its_time() {
    let project = Project::new(Kind::S3Lockfile, "");
    without_keys(&project);
    let sts = refusing_cloud();
    let with_role = |softstop| by_role(softstop, &project, sts);
    expect_expired(&project, with_role, &format!(" since {OVER}"));
}

/// A service that gives an access token to whoever asks, and notes what it was asked.
fn exchange() -> (SocketAddr, Arc<Mutex<String>>) {
    let server = Server::http("127.0.0.1:0").unwrap();
    let address = server.server_addr().to_ip().unwrap();
    let asked = Arc::new(Mutex::new(String::new()));
    let notes = Arc::clone(&asked);
    thread::spawn(move || {
        for mut request in server.incoming_requests() {
            // What is not text is no question.
            let _ = request
                .as_reader()
                .read_to_string(&mut notes.lock().unwrap());
            let kind = Header::from_bytes("Content-Type", "application/json").unwrap();
            let answer = r#"{"access_token": "access", "token_type": "Bearer", "expires_in": 3600,
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}"#;
            // Whoever asked may be gone.
            let _ = request.respond(Response::from_string(answer).with_header(kind));
        }
    });
    (address, asked)
}

/// A configuration of workload identity federation that exchanges tokens at this address.
fn google_configuration(address: SocketAddr) -> String {
    format!(
        r#"{{"type": "external_account", "token_url": "http://{address}/token",
            "audience": "//iam.googleapis.com/projects/1/locations/global/pool",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}}"#
    )
}

/// A project on Google Cloud Storage whose backend block holds no token.
fn on_google() -> Project {
    let project = Project::new(Kind::Gcs, &thing("a", ""));
    let block = project
        .store
        .block()
        .replace("access_token = \"test\"\n", "");
    project.write("backend.tf", &format!("terraform {{\n{block}}}\n"));
    project
}

fn by_federation(softstop: Softstop, project: &Project, configuration: &str) -> Softstop {
    let temporary: &Path = &project.scratch().join("temporary");
    fs::create_dir_all(temporary).unwrap();
    softstop
        .env("TMPDIR", temporary)
        .env("BITBUCKET_STEP_OIDC_TOKEN", STEPS_TOKEN)
        .env("SOFTSTOP_GOOGLE_OIDC_CONFIG_FILE", configuration)
}

#[test]
fn a_deploy_to_google_exchanges_the_token_of_the_step() {
    let project = on_google();
    let (address, asked) = exchange();
    let configuration = google_configuration(address);
    let finished = by_federation(Softstop::deploy(&project), &project, &configuration).finish();
    finished.expect_code(0).expect_said("✔ Deploy succeeded");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert!(asked.lock().unwrap().contains(STEPS_TOKEN), "{finished}");
    expect_no_trace(&project, &finished);
}

#[test]
fn a_token_that_is_too_old_for_google_is_called_so() {
    let project = on_google();
    let configuration = google_configuration(refusing_cloud());
    let federated = |softstop| by_federation(softstop, &project, &configuration);
    expect_expired(&project, federated, "");
}
