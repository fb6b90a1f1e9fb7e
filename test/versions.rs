//! The version that TERRAFORM_VERSION chooses, and what a directory wishes for.

mod mirror;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::project::thing;
use crate::support::{Kind, Program, Project, Softstop, Step, prepared, until};
use mirror::{Key, Mirror, VERSION};

/// What starts softstop where this keyring is the one of the image.
fn starter(keyring: Option<&Path>) -> Vec<String> {
    let copies = keyring.map_or_else(String::new, |keyring| {
        let keyring = keyring.display();
        format!("cp {keyring} $keys/hashicorp.gpg; cp {keyring} $keys/opentofu.gpg;")
    });
    let script =
        format!("keys=/usr/share/keyrings; mount -t tmpfs none $keys; {copies} exec \"$@\"");
    ["/bin/sh", "-ec", &script, "sh"]
        .map(str::to_owned)
        .to_vec()
}

/// A deploy by this version from this server, in an image with this keyring.
fn deploy(project: &Project, keyring: Option<&Path>, mirror: SocketAddr) -> Softstop {
    let starter = starter(keyring);
    let starter: Vec<&str> = starter.iter().map(String::as_str).collect();
    by_version(Softstop::deploy_by(project, &starter), project, mirror)
}

fn by_version(softstop: Softstop, project: &Project, mirror: SocketAddr) -> Softstop {
    softstop
        .env("SOFTSTOP_TERRAFORM_VERSION", VERSION)
        .env("TERRAFORM_BIN", "")
        .env("TERRAFORM_MIRROR", format!("http://{mirror}/"))
        .env("HOME", project.scratch().join("home"))
        .env("XDG_CACHE_HOME", "")
}

/// PATH, with this directory before all else.
fn path_with(directory: &Path) -> OsString {
    let path = env::var_os("PATH").unwrap();
    let places = [directory.to_owned()].into_iter();
    env::join_paths(places.chain(env::split_paths(&path))).unwrap()
}

/// The first line of a run with this program on S3.
fn introduction(program: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("INFO: softstop {version}: {program} in ., backend s3, workspace default.")
}

/// How the published program was called.
fn calls(project: &Project) -> Vec<String> {
    let notes = fs::read_to_string(project.scratch().join("notes")).unwrap_or_default();
    notes.lines().map(str::to_owned).collect()
}

#[test]
fn the_version_that_is_chosen_is_fetched_once_and_runs_in_every_mode() {
    let project = Project::slow(Kind::S3Lockfile);
    let (key, mirror) = (Key::new(&project, "key"), Mirror::start());
    mirror.publish(&project, Program::Terraform, &key);
    let keyring = key.keyring();
    let run = deploy(&project, Some(&keyring), mirror.address)
        .script("terraform init -input=false; terraform apply -auto-approve")
        .start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    project.gate("a.gate").open();
    let finished = run.finish();
    finished
        .expect_code(0)
        .expect_said("INFO: Fetching terraform 9.8.7, as TERRAFORM_VERSION says.")
        .expect_said(&introduction("Terraform 9.8.7"));
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert!(
        calls(&project).contains(&"terraform apply".to_owned()),
        "{finished}"
    );
    assert_eq!(mirror.requests(), 3, "{finished}");
    assert!(!project.directory.join(".cache").exists());

    // What was fetched is kept, and nobody is asked again.
    fs::remove_file(project.scratch().join("notes")).unwrap();
    project.be_orphaned(&Step::of_a_new_pipeline());
    for softstop in [Softstop::status(&project), Softstop::release(&project)] {
        by_version(softstop, &project, mirror.address).finish();
        assert!(calls(&project).contains(&"terraform force-unlock".to_owned()));
        fs::remove_file(project.scratch().join("notes")).unwrap();
    }
    assert_eq!(mirror.requests(), 3);
}

#[test]
fn a_second_first_run_leaves_the_program_of_the_first_where_it_is() {
    let project = Project::new(Kind::Local, "");
    let (key, mirror) = (Key::new(&project, "key"), Mirror::start());
    mirror.publish(&project, Program::Terraform, &key);
    mirror.hold();
    let keyring = key.keyring();
    let runs = [(), ()].map(|()| {
        deploy(&project, Some(&keyring), mirror.address)
            .script("echo ran")
            .start()
    });
    mirror.wait_until_held(2);
    mirror.answer_one();
    until("one of them has run", || {
        runs.iter().any(|run| run.has_printed("ran"))
    });
    let program = project
        .scratch()
        .join("home/.cache/softstop/terraform-9.8.7/terraform");
    let number = || fs::metadata(&program).unwrap().ino();
    let of_the_first = number();
    mirror.answer_one();
    for run in runs {
        run.finish().expect_code(0);
    }
    assert_eq!(number(), of_the_first);
    let kept = fs::read_dir(project.scratch().join("home/.cache/softstop"));
    assert_eq!(kept.unwrap().count(), 1);
}

/// The version manager under test is a link, or a program that is called like the one that it stands for
/// and heeds the file that pins a version. In both cases its default is the version that is chosen.
#[test]
fn a_version_manager_whose_default_is_that_version_is_not_what_runs() {
    for is_link in [true, false] {
        let project = Project::new(Kind::Local, "");
        let (key, mirror) = (Key::new(&project, "key"), Mirror::start());
        mirror.publish(&project, Program::Terraform, &key);
        let scratch = project.scratch();
        for name in ["default", "shims", "home"] {
            fs::create_dir(scratch.join(name)).unwrap();
        }
        project.script(
            "default/terraform",
            &format!("echo '{{\"terraform_version\": \"{VERSION}\"}}'"),
        );
        let (mise, shim) = (
            prepared("SOFTSTOP_TEST_MISE"),
            scratch.join("shims/terraform"),
        );
        if is_link {
            symlink(mise, shim).unwrap();
        } else {
            fs::copy(mise, shim).unwrap();
        }
        let defaults = scratch.join("home/mise.toml");
        let default = scratch.join("default");
        let text = format!("[tools]\nterraform = \"path:{}\"\n", default.display());
        fs::write(&defaults, text).unwrap();
        let finished = deploy(&project, Some(&key.keyring()), mirror.address)
            .env("PATH", path_with(&scratch.join("shims")))
            .env("MISE_GLOBAL_CONFIG_FILE", defaults)
            .env("MISE_OFFLINE", "1")
            .env("MISE_TRUSTED_CONFIG_PATHS", scratch)
            .env("MISE_IDIOMATIC_VERSION_FILE_ENABLE_TOOLS", "terraform")
            .script("terraform version -json")
            .finish();
        finished
            .expect_code(0)
            .expect_said("INFO: Fetching terraform 9.8.7");
        assert!(finished.stdout.contains(VERSION), "{finished}");
        assert!(
            calls(&project).contains(&"terraform version".to_owned()),
            "{finished}"
        );
    }
}

#[test]
fn a_directory_of_opentofu_gets_that_version_of_opentofu() {
    let project = Project::of(Program::OpenTofu, Kind::S3Lockfile, &thing("a", ""));
    project.write(".opentofu-version", "9.8.7\n");
    let (key, mirror) = (Key::new(&project, "key"), Mirror::start());
    mirror.publish(&project, Program::OpenTofu, &key);
    let finished = deploy(&project, Some(&key.keyring()), mirror.address).finish();
    finished
        .expect_code(0)
        .expect_said(&introduction("OpenTofu 9.8.7"));
    assert!(!finished.stderr.contains("WARNING"), "{finished}");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert!(
        calls(&project).contains(&"tofu apply".to_owned()),
        "{finished}"
    );
}

#[test]
fn what_is_not_what_was_published_is_not_run() {
    let project = Project::new(Kind::Local, "");
    let (key, stranger) = (Key::new(&project, "key"), Key::new(&project, "stranger"));
    let keyring = key.keyring();
    let mirror = Mirror::start();
    let expect = |keyring: Option<&Path>, said: &str| {
        let finished = deploy(&project, keyring, mirror.address)
            .arguments(["--", "echo", "ran"])
            .finish();
        finished
            .expect_code(2)
            .expect_said("✖ Nothing was run: TERRAFORM_VERSION is 9.8.7, and ")
            .expect_said(said);
        assert_eq!(finished.stdout, "", "{finished}");
        assert!(calls(&project).is_empty(), "{finished}");
        let cache = project.scratch().join("home/.cache/softstop");
        let kept = fs::read_dir(cache).map_or(0, Iterator::count);
        assert_eq!(kept, 0, "{finished}");
    };
    expect(Some(&keyring), "there is no such version at http://");

    mirror.publish(&project, Program::Terraform, &key);
    expect(
        None,
        "cannot be checked without /usr/share/keyrings/hashicorp.gpg",
    );
    mirror.change(".zip", b"changed".to_vec());
    expect(
        Some(&keyring),
        "linux_amd64.zip is not what its checksum says",
    );
    mirror.change("_SHA256SUMS", b"0000  another.zip\n".to_vec());
    expect(
        Some(&keyring),
        "is not signed by /usr/share/keyrings/hashicorp.gpg",
    );

    mirror.publish(&project, Program::Terraform, &stranger);
    expect(
        Some(&keyring),
        "is not signed by /usr/share/keyrings/hashicorp.gpg",
    );
    mirror.change(".sig", b"no signature".to_vec());
    expect(Some(&keyring), "is not signed by");

    mirror.publish(&project, Program::Terraform, &key);
    let unsigned = stranger.sign("another text");
    mirror.change(".sig", unsigned);
    expect(Some(&stranger.keyring()), "is not signed by");
}

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn without_a_network_nothing_is_run_and_it_is_said_what_to_do() {
    let project = Project::new(Kind::Local, "");
    let key = Key::new(&project, "key");
    let finished = deploy(&project, Some(&key.keyring()), nobody())
        .arguments(["--", "echo", "ran"])
        .finish();
    finished
        .expect_code(2)
        .expect_said("could not be reached: Connection refused")
        .expect_said("name a server that holds a copy by TERRAFORM_MIRROR");
    assert_eq!(finished.stdout, "", "{finished}");
}

#[test]
fn a_stop_while_a_version_is_fetched_ends_at_once() {
    let project = Project::new(Kind::Local, "");
    let key = Key::new(&project, "key");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut run = deploy(&project, Some(&key.keyring()), silent.local_addr().unwrap())
        .arguments(["--", "echo", "ran"])
        .start();
    let (_asking, _) = silent.accept().unwrap();
    run.signal(Signal::SIGTERM);
    let finished = run.finish();
    finished
        .expect_code(143)
        .expect_said("✖ Stopped by SIGTERM before anything was run.");
    assert_eq!(finished.stdout, "", "{finished}");
    assert!(
        finished.stopped_in.unwrap() < Duration::from_secs(8),
        "{finished}"
    );
}

/// The version of the Terraform that is installed.
fn installed(project: &Project) -> String {
    let said: serde_json::Value =
        serde_json::from_str(&project.run_terraform(&["version", "-json"])).unwrap();
    said["terraform_version"].as_str().unwrap().to_owned()
}

#[test]
fn the_version_that_is_installed_anyway_needs_no_network() {
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    let version = installed(&project);
    let finished = by_version(Softstop::deploy(&project), &project, nobody())
        .env("SOFTSTOP_TERRAFORM_VERSION", &version)
        .finish();
    finished
        .expect_code(0)
        .expect_said(&introduction(&format!("Terraform {version}")));
    assert_eq!(project.store.resources(), ["a"], "{finished}");
}

#[test]
fn what_cannot_be_chosen_is_refused_and_a_name_of_the_repository_chooses_nothing() {
    let project = Project::new(Kind::Local, "");
    let deploy = || Softstop::deploy(&project).script("echo ran");
    for (name, value, said) in [
        (
            "SOFTSTOP_TERRAFORM_VERSION",
            "latest",
            "TERRAFORM_VERSION is \"latest\": expected a version",
        ),
        (
            "SOFTSTOP_TERRAFORM_VERSION",
            "~> 1.9",
            "expected a version, such as 1.11.4",
        ),
        (
            "TERRAFORM_MIRROR",
            "mirror",
            "TERRAFORM_MIRROR is \"mirror\": expected an address",
        ),
        (
            "TERRAFORM_BIN",
            "terraform",
            "TERRAFORM_VERSION and TERRAFORM_BIN are both set",
        ),
    ] {
        let finished = deploy()
            .env("SOFTSTOP_TERRAFORM_VERSION", VERSION)
            .env(name, value)
            .finish();
        finished.expect_code(2).expect_said(said);
        assert_eq!(finished.stdout, "", "{finished}");
    }
    let finished = deploy().env("TERRAFORM_VERSION", "1.0.0").finish();
    finished.expect_code(0);
    assert_eq!(finished.stdout, "ran\n", "{finished}");
}

#[test]
fn what_a_directory_wishes_for_is_warned_about_before_anything_runs_and_chooses_nothing() {
    let project = Project::new(Kind::Local, "");
    let version = installed(&project);
    let deploy = || {
        Softstop::deploy(&project)
            .script("echo ran; exec >&2; echo ran")
            .finish()
    };
    project.write(".terraform-version", "1.0.11\n");
    project.write(
        "versions.tf",
        "terraform {\n  required_version = \"~> 0.12\"\n}\n",
    );
    let finished = deploy();
    let wished = format!(
        ".terraform-version says 1.0.11, and this is Terraform {version}. The file chooses nothing"
    );
    let required =
        format!("requires version \"~> 0.12\", so Terraform {version} will refuse to run");
    finished
        .expect_code(0)
        .expect_said(&wished)
        .expect_said(&required);
    let warned = finished.stderr.find(&required).unwrap();
    assert!(
        finished.stderr.find("\nran\n").unwrap() > warned,
        "{finished}"
    );

    project.write(".terraform-version", &version);
    project.write(
        "versions.tf",
        "terraform {\n  required_version = \">= 1.0\"\n}\n",
    );
    let finished = deploy();
    finished.expect_code(0);
    for word in ["says", "requires"] {
        assert!(!finished.stderr.contains(word), "{finished}");
    }
}

#[test]
fn the_pipe_says_its_own_version_and_that_of_terraform() {
    let version = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_softstop"));
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let ours = concat!("softstop ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(version(&["--version"]), ours);
    let of_the_pipe = version(&["--pipe", "--version"]);
    let rest = of_the_pipe.strip_prefix(ours).unwrap();
    assert!(rest.starts_with("Terraform v"), "{of_the_pipe}");
}

#[test]
fn the_keyrings_hold_the_keys_of_those_who_publish() {
    for (name, fingerprint) in [
        ("hashicorp", "C874011F0AB405110D02105534365D9472D7468F"),
        ("opentofu", "E3E6E43D84CB852EADB0051D0C0AF313E5FD9F80"),
    ] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("keyrings/{name}.gpg"));
        let home = tempfile::tempdir().unwrap();
        let shown = Command::new("gpg")
            .arg("--homedir")
            .arg(home.path())
            .args(["--batch", "--with-colons", "--show-keys"])
            .arg(file)
            .output()
            .unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        let keys = shown
            .lines()
            .filter(|line| line.starts_with("pub:"))
            .count();
        assert_eq!(keys, 1, "{shown}");
        let main = shown.lines().find(|line| line.starts_with("fpr:")).unwrap();
        assert!(main.contains(fingerprint), "{shown}");
    }
}
