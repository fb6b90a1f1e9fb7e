//! The images that the Dockerfile makes, at work as Bitbucket starts them.

use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use serde_yaml::Value;

use crate::support::container::{inspect, run};
use crate::support::project::thing;
use crate::support::{Container, Finished, Kind, Program, Project, Step, until};

const BINARY: &str = "softstop-test/binary";
const PIPE: &str = "softstop-test/pipe";
/// The pipe without Terraform, and the one with OpenTofu in its place.
const BARE: &str = "softstop-test/bare";
const OPENTOFU: &str = "softstop-test/opentofu";
/// The program for ARM, and an emulator of it for this machine.
const ARM: &str = "softstop-test/arm";

fn size(image: &str) -> u64 {
    inspect(image, "{{.Size}}").parse().unwrap()
}

/// Runs a shell in the pipe's image.
fn shell(script: &str) -> String {
    shell_in(PIPE, script)
}

fn shell_in(image: &str, script: &str) -> String {
    run(&[
        "--network",
        "none",
        "--entrypoint",
        "/bin/sh",
        image,
        "-ec",
        script,
    ])
}

fn label(image: &str, name: &str) -> String {
    inspect(image, &format!("{{{{index .Config.Labels \"{name}\"}}}}"))
}

#[test]
fn the_binary_is_small_and_needs_nothing_else() {
    let size = size(BINARY);
    assert!(size <= 5_500_000, "{size} bytes");
    let version = run(&["--network", "none", BINARY, "--version"]);
    assert_eq!(
        version,
        concat!("softstop ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_pipe_is_small_beside_terraform_and_debian() {
    let added = size(PIPE) - size("softstop-test/terraform") - size("softstop-test/slim");
    assert!(added <= 42_000_000, "{added} bytes");
}

#[test]
fn the_pipe_has_what_terraform_needs_to_fetch_modules_and_no_tools_to_build() {
    let said = shell(
        "terraform version | head -n 1; git --version; ssh -V 2>&1
         git submodule status 2>&1 | head -n 1; ls /usr/lib/git-core/git-remote-https
         test -s /etc/ssl/certs/ca-certificates.crt
         ! command -v cc gcc cargo rustc make
         ls -A /var/lib/apt/lists /var/cache/apt/archives/*.deb /softstop /program /began 2>/dev/null || true",
    );
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("Terraform v"), "{said}");
    assert!(lines[1].starts_with("git version"), "{said}");
    assert!(lines[2].starts_with("OpenSSH"), "{said}");
    assert!(
        lines[3].starts_with("fatal: not a git repository"),
        "{said}"
    );
    assert_eq!(lines[4], "/usr/lib/git-core/git-remote-https", "{said}");
    assert_eq!(lines.get(5..), Some(&["/var/lib/apt/lists:"][..]), "{said}");
}

#[test]
fn every_image_says_what_it_is_in_the_words_of_the_package_and_under_which_licences() {
    let pipe: Value = serde_yaml::from_str(include_str!("../pipe.yml")).unwrap();
    for (image, others) in [
        (BINARY, ""),
        (BARE, ""),
        (PIPE, " AND BUSL-1.1"),
        (OPENTOFU, " AND MPL-2.0"),
    ] {
        let label = |name: &str| label(image, &format!("org.opencontainers.image.{name}"));
        assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
        let licence = env!("CARGO_PKG_LICENSE");
        assert_eq!(label("licenses"), format!("{licence}{others}"));
        for name in [
            "title",
            "description",
            "revision",
            "created",
            "url",
            "documentation",
            "authors",
        ] {
            assert!(!label(name).is_empty(), "{image}: {name}");
        }
        assert_eq!(Some(label("source").as_str()), pipe["repository"].as_str());
        assert_eq!(
            Some(label("vendor").as_str()),
            pipe["vendor"]["name"].as_str()
        );
    }
    // An image that is built from the pipe and has an ENTRYPOINT of its own is no pipe any more.
    let entry_point = |image| inspect(image, "{{.Config.Entrypoint}}");
    assert_eq!(entry_point(BINARY), "[/usr/local/bin/softstop]");
    for image in [PIPE, BARE, OPENTOFU] {
        assert_eq!(entry_point(image), "[/usr/local/bin/softstop --pipe]");
    }
    let version = concat!(":", env!("CARGO_PKG_VERSION"));
    assert!(pipe["image"].as_str().unwrap().ends_with(version));
}

#[test]
fn each_image_has_the_one_program_that_it_names_with_its_licence() {
    const PROGRAMS: &str = "for name in terraform tofu; do command -v $name || true; done; ls /usr/share/doc/terraform \
        /usr/share/doc/opentofu 2>/dev/null || true";
    assert_eq!(shell_in(BARE, PROGRAMS), "");
    assert_eq!(
        shell_in(PIPE, PROGRAMS),
        "/usr/local/bin/terraform\n/usr/share/doc/terraform:\nLICENSE.txt\n"
    );
    assert_eq!(
        shell_in(OPENTOFU, PROGRAMS),
        "/usr/local/bin/tofu\n/usr/share/doc/opentofu:\nLICENSE\n"
    );
    for (image, name, program) in [
        (PIPE, "com.hashicorp.terraform.version", "terraform"),
        (OPENTOFU, "org.opentofu.version", "tofu"),
    ] {
        let version = shell_in(image, &format!("{program} version | head -n 1"));
        let (_, version) = version.trim().rsplit_once(" v").unwrap();
        assert_eq!(label(image, name), version);
    }
}

#[test]
fn what_is_in_the_pipe_is_listed_in_it() {
    let listed = shell("cat /usr/share/doc/softstop/softstop.cdx.json");
    let listed: Value = serde_yaml::from_str(&listed).unwrap();
    assert_eq!(listed["bomFormat"], "CycloneDX");
    assert!(listed["serialNumber"].is_null() && listed["metadata"]["timestamp"].is_null());
    assert_eq!(
        listed["metadata"]["component"]["version"],
        env!("CARGO_PKG_VERSION")
    );
    let components = listed["components"].as_sequence().unwrap();
    for name in ["rustls", "tokio"] {
        let component = components
            .iter()
            .find(|component| component["name"] == name);
        assert!(component.unwrap()["licenses"].is_sequence(), "{name}");
    }
    assert!(
        components
            .iter()
            .all(|component| component["name"] != "proptest")
    );
    let packages = shell(
        "cat /usr/share/doc/softstop/debian-packages.tsv
         ls /usr/share/doc/git/copyright /usr/share/doc/softstop/LICENSE",
    );
    for package in ["git\t", "openssh-client\t", "libc6"] {
        assert!(
            packages.lines().any(|line| line.starts_with(package)),
            "{packages}"
        );
    }
}

#[test]
fn the_pipe_has_what_debian_has_mended_and_gives_nobody_more_rights_than_he_has() {
    let version = "dpkg-query --show --showformat '${Version}' softstop-test-upgrade";
    assert_eq!(shell_in("softstop-test/slim", version), "1");
    assert_eq!(shell(version), "2");
    let with_rights = "find / -xdev -type f -perm /6000";
    assert_ne!(shell_in("softstop-test/slim", with_rights), "");
    assert_eq!(shell(with_rights), "");
}

#[test]
fn the_pipe_with_opentofu_deploys_by_it() {
    let project = Project::of(Program::OpenTofu, Kind::HttpStrict, &thing("a", ""));
    let finished = Container::pipe(&project, &Step::of_a_new_pipeline())
        .image(OPENTOFU)
        .finish();
    finished.expect_code(0).expect_said("✔ Deploy succeeded");
    assert!(
        finished.stdout.contains("OpenTofu has been successfully"),
        "{finished}"
    );
    assert_eq!(project.store.resources(), ["a"], "{finished}");
}

#[test]
fn the_program_for_arm_starts_and_reads_a_pipelines_file() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/s3:/clone:ro");
    let emulated = |arguments: &[&str]| {
        let start = [
            "--network",
            "none",
            "--volume",
            examples,
            "--workdir",
            "/clone",
            ARM,
            "/usr/local/bin/softstop",
        ];
        run(&[&start[..], arguments].concat())
    };
    assert_eq!(
        emulated(&["--version"]),
        concat!("softstop ", env!("CARGO_PKG_VERSION"), "\n")
    );
    assert_eq!(emulated(&["check", "--json"]), "[]\n");
}

#[test]
fn a_deploy_with_lists_as_bitbucket_passes_them_finishes() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let block = project.store.block();
    let settings: Vec<String> = block
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, value)| format!("{}={}", name.trim(), value.trim_matches('"')))
        .collect();
    project.write("backend.tf", "terraform {\n  backend \"http\" {}\n}\n");
    let step = Step::of_a_new_pipeline();
    let mut pipe = Container::pipe(&project, &step)
        .env(
            "AFTER_SCRIPT",
            "echo \"after: $SOFTSTOP_OUTCOME $SOFTSTOP_LOCK\"",
        )
        .env("BACKEND_CONFIG_COUNT", settings.len());
    for (index, setting) in settings.iter().enumerate() {
        pipe = pipe.env(&format!("BACKEND_CONFIG_{index}"), setting);
    }
    let finished = pipe.finish();
    finished.expect_code(0).expect_said("✔ Deploy succeeded");
    assert!(
        finished.stdout.contains("after: succeeded free"),
        "{finished}"
    );
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert_eq!(project.store.lock(), None, "{finished}");
}

/// Has the deploy stopped by this signal, or by `docker stop`, while a resource is being made, and
/// expects that it ends by itself, in time.
fn expect_gentle_end(signal: Option<Signal>, code: i32) {
    let project = Project::slow(Kind::HttpStrict);
    let container = Container::pipe(&project, &Step::of_a_new_pipeline()).start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    assert!(project.store.lock().is_some(), "the deploy holds the lock");
    let began = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| signal.map_or_else(|| container.stop(), |signal| container.send(signal)));
        container.wait_for_stdout("Stopping operation...");
        gate.open();
        container.wait();
    });
    let lasted = began.elapsed();
    let state = container.inspect("{{.State.ExitCode}} {{.State.OOMKilled}}");
    let finished = container.finish();
    assert!(lasted < Duration::from_secs(10), "{lasted:?}\n{finished}");
    assert_eq!(state, format!("{code} false"), "{finished}");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert_eq!(project.store.lock(), None, "{finished}");
}

#[test]
fn docker_stop_in_the_middle_of_a_deploy_leaves_no_lock_and_needs_no_kill() {
    expect_gentle_end(None, 143);
}

#[test]
fn a_hang_up_and_an_interrupt_leave_no_lock_either() {
    expect_gentle_end(Some(Signal::SIGHUP), 129);
    expect_gentle_end(Some(Signal::SIGINT), 130);
}

#[test]
fn the_lock_of_a_pipe_that_was_killed_is_freed_by_the_final_step_of_the_pipeline() {
    let project = Project::slow(Kind::HttpStrict);
    let step = Step::of_a_new_pipeline();
    let mut container = Container::pipe(&project, &step).start();
    project.gate("a.gate").wait_until_reached();
    container.kill();
    container.finish().expect_code(137);
    let holder = project.store.lock_who().unwrap();
    assert!(holder.starts_with(&step.stamp()), "{holder}");
    let release = || {
        Container::later_pipe(&project, &step.sibling())
            .env("MODE", "release")
            .finish()
    };
    let finished = release();
    finished.expect_code(0).expect_said("✔ Locks: 1 released.");
    assert_eq!(project.store.lock(), None, "{finished}");
    release().expect_code(0);
}

#[test]
fn orphans_are_reaped_and_nothing_but_the_first_process_is_left_when_the_lock_is_released() {
    let project = Project::slow(Kind::HttpStrict);
    // As many as an hour of one a second leaves, and two that do not want to end.
    let script = format!(
        "terraform init
         orphan=0
         while [ $orphan -lt 3600 ]; do ( : & ); orphan=$((orphan + 1)); done
         for stubborn in 1 2; do
           setsid sh -c \"trap '' TERM; while :; do sleep 60; done\" &
         done
         {}
         exec terraform apply -auto-approve",
        project.wait_at("burst")
    );
    let container = Container::pipe(&project, &Step::of_a_new_pipeline())
        .env("COMMAND", script)
        .start();
    project.gate("burst.gate").wait_until_reached();
    let processes = container.process_table();
    until("no dead process waits for its parent", || {
        processes
            .read()
            .iter()
            .all(|process| !process.ends_with(" Z"))
    });
    project.gate("burst.gate").open();
    project.gate("a.gate").wait_until_reached();
    assert!(processes.read().len() >= 7, "{:?}", processes.read());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let at_requests = Arc::clone(&seen);
    let table = container.process_table();
    project
        .store
        .http
        .as_ref()
        .unwrap()
        .watch(move |method, _| {
            let mut seen = at_requests.lock().unwrap();
            seen.push((method.to_owned(), table.read()));
        });
    kill(container.wait_for_process("terraform"), Signal::SIGKILL).unwrap();
    let finished = container.finish();
    finished
        .expect_code(137)
        .expect_said("its lock was released");
    assert_eq!(project.store.lock(), None, "{finished}");
    let seen = seen.lock().unwrap();
    assert!(
        seen.iter().any(|(method, _)| method == "UNLOCK"),
        "{seen:?}"
    );
    for (method, processes) in seen.iter() {
        // It waits for the answer, or is still on its way to that.
        let alone = [["(softstop) S"], ["(softstop) R"]];
        assert!(
            alone.iter().any(|one| processes == one),
            "at {method}: {seen:?}"
        );
    }
}

#[test]
fn the_supervisor_takes_no_more_than_five_megabytes() {
    let project = Project::slow(Kind::HttpStrict);
    let container = Container::pipe(&project, &Step::of_a_new_pipeline()).start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    let softstop = container.wait_for_process("softstop");
    let status = fs::read_to_string(format!("/proc/{softstop}/status")).unwrap();
    // The most that it has taken so far, which includes all that it takes now.
    let resident: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))
        .unwrap()
        .parse()
        .unwrap();
    gate.open();
    container.finish().expect_code(0);
    assert!(resident * 1024 <= 5_000_000, "{resident} kB\n{status}");
}

/// A deploy whose state is a file, by a pipe with these arguments of `docker create`.
fn finish_with(user: &str, arguments: &[&str]) -> Finished {
    let project = Project::new(Kind::Local, &thing("a", ""));
    let finished = Container::pipe(&project, &Step::of_a_new_pipeline())
        .docker_arguments(arguments.iter().copied())
        .user(user)
        .finish();
    finished.expect_code(0).expect_said("✔ Deploy succeeded");
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    finished
}

const NO_NETWORK: [&str; 2] = ["--network", "none"];
const NO_RIGHTS: [&str; 2] = ["--cap-drop", "ALL"];
const READ_ONLY: [&str; 3] = ["--read-only", "--tmpfs", "/tmp"];

#[test]
fn without_a_network_or_without_any_capability_nothing_is_lost() {
    for user in ["root", "1000"] {
        for arguments in [NO_NETWORK, NO_RIGHTS] {
            let finished = finish_with(user, &arguments);
            assert!(!finished.stderr.contains("WARNING"), "{finished}");
        }
    }
}

#[test]
fn on_a_read_only_file_system_a_user_without_a_name_loses_nothing_and_root_the_signature() {
    let finished = finish_with("1000", &READ_ONLY);
    assert!(!finished.stderr.contains("WARNING"), "{finished}");
    let finished = finish_with("root", &READ_ONLY);
    finished.expect_said("WARNING: Locks will not say that this build holds them: /etc/passwd");
    assert_eq!(finished.stderr.matches("WARNING").count(), 1, "{finished}");
}

#[test]
fn without_a_place_for_temporary_files_the_lock_is_not_looked_after_and_that_is_said() {
    finish_with("1000", &["--read-only"])
        .expect_said("WARNING: Whether the lock is free is not known")
        .expect_said("Point TMPDIR at a writable directory.")
        .expect_said("✔ Deploy succeeded, but the lock could not be asked about.");
}

#[test]
fn a_pipe_that_is_denied_everything_stops_gently_too() {
    let project = Project::slow(Kind::Local);
    let all = [&NO_NETWORK[..], &NO_RIGHTS, &READ_ONLY].concat();
    let container = Container::pipe(&project, &Step::of_a_new_pipeline())
        .docker_arguments(all)
        .user("1000")
        .start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    assert!(project.store.lock().is_some(), "the deploy holds the lock");
    thread::scope(|scope| {
        scope.spawn(|| container.stop());
        container.wait_for_stdout("Stopping operation...");
        gate.open();
    });
    let finished = container.finish();
    finished.expect_code(143);
    assert_eq!(project.store.resources(), ["a"], "{finished}");
    assert_eq!(project.store.lock(), None, "{finished}");
}
