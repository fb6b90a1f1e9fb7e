//! The pipe as Bitbucket Cloud runs it: its root is not root of the step, whose files are nobody's
//! there.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use crate::support::container::CLONE;
use crate::support::project::thing;
use crate::support::{Container, Finished, Kind, Project, Step, each};

const NOT_OURS: &str =
    "it belongs to a user who is not of this container, such as the step's own, mode";

fn project(kind: Kind) -> Project {
    let project = Project::new(kind, &thing("a", ""));
    project.open_to_all();
    project
}

fn pipe(project: &Project) -> Container<'_> {
    Container::pipe(project, &Step::of_a_new_pipeline()).remapped()
}

/// Gives a file or a directory of the clone this mode, after it was made where it is not there.
fn close(project: &Project, name: &str, mode: u32) {
    let path = project.directory.join(name);
    if name.ends_with('/') {
        fs::create_dir_all(&path).unwrap();
    } else if !path.exists() {
        fs::write(&path, "").unwrap();
    }
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
}

/// Does in the step what softstop has said to do there.
fn obey(project: &Project, finished: &Finished) {
    let said = finished.stderr.lines().filter_map(|line| {
        let (_, command) = line.split_once("in the step's script: ")?;
        Some(
            command
                .trim_end_matches('.')
                .replace(CLONE, &project.directory.display().to_string()),
        )
    });
    let commands: Vec<String> = said.collect();
    assert!(!commands.is_empty(), "{finished}");
    for command in commands {
        assert!(
            Command::new("sh")
                .args(["-ec", &command])
                .status()
                .unwrap()
                .success()
        );
    }
}

#[test]
fn a_deploy_finishes_and_one_that_was_killed_is_recovered_by_the_final_step() {
    each(&[Kind::HttpStrict, Kind::S3Lockfile], |kind| {
        let project = Project::slow(kind);
        project.open_to_all();
        let step = Step::of_a_new_pipeline();
        let mut container = Container::pipe(&project, &step).remapped().start();
        project.gate("a.gate").wait_until_reached();
        container.kill();
        container.finish().expect_code(137);
        let holder = project.store.lock_who().unwrap();
        assert!(holder.starts_with(&step.stamp()), "{holder}");
        let release = Container::later_pipe(&project, &step.sibling()).remapped();
        project.open_to_all();
        let finished = release.env("MODE", "release").finish();
        finished.expect_code(0).expect_said("✔ Locks: 1 released.");
        assert_eq!(project.store.lock(), None, "{finished}");
        project.gate("a.gate").open();
        let finished = pipe(&project).finish();
        finished.expect_code(0).expect_said("✔ Deploy succeeded");
        assert_eq!(project.store.resources(), ["a"], "{finished}");
    });
}

#[test]
fn what_the_default_command_needs_and_may_not_use_is_said_before_anything_runs() {
    each(
        &[
            ("./", 0o755, "written"),
            ("main.tf", 0o600, "read"),
            ("x.auto.tfvars", 0o600, "read"),
            ("terraform.tfvars", 0o600, "read"),
            (".terraform.lock.hcl", 0o600, "read"),
            (".terraform/", 0o700, "read"),
        ],
        |(name, mode, verb)| {
            let project = project(Kind::HttpStrict);
            close(&project, name, mode);
            let finished = pipe(&project).finish();
            let path = format!("{CLONE}/{}", name.trim_start_matches("./"));
            let path = path.trim_end_matches('/');
            finished
                .expect_code(2)
                .expect_said(&format!("{path} cannot be {verb}: {NOT_OURS} {mode:o}"));
            assert!(!finished.stdout.contains("Initializing"), "{finished}");
            assert_eq!(project.store.lock(), None, "{finished}");
            if name == ".terraform.lock.hcl" {
                fs::remove_file(project.directory.join(name)).unwrap();
            } else {
                obey(&project, &finished);
            }
            let finished = pipe(&project).finish();
            finished.expect_code(0).expect_said("✔ Deploy succeeded");
            assert!(!finished.stderr.contains("cannot be"), "{finished}");
        },
    );
}

#[test]
fn a_directory_that_cannot_be_read_is_told_with_its_owner() {
    let project = project(Kind::HttpStrict);
    close(&project, "infra/", 0o700);
    for name in ["infra", "infra/network"] {
        pipe(&project)
            .env("WORKING_DIR", name)
            .finish()
            .expect_code(2)
            .expect_said(&format!(
                "WORKING_DIR is \"{name}\": {CLONE}/infra cannot be read: {NOT_OURS} 700"
            ));
    }
}

/// As `artifacts:` bring a file into the clone of another step: with its mode, and of its user.
fn pass_on(project: &Project, name: &str, to: &str) {
    let [from, to] = [name, to].map(|name| project.directory.join(name));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(&from, &to).unwrap();
    chown(to, Some(0), Some(0)).unwrap();
    fs::remove_file(from).unwrap();
}

#[test]
fn a_plan_is_applied_by_the_pipe_of_another_step_and_named_where_that_may_not_read_it() {
    let project = project(Kind::HttpStrict);
    let plan = |mode: &str| {
        let pipe = pipe(&project).env("MODE", mode);
        pipe.env("PLAN_FILE", "plans/softstop.tfplan")
    };
    let planned = pipe(&project).env("MODE", "plan").finish();
    planned.expect_code(0).expect_said("✔ Plan succeeded.");
    pass_on(&project, "softstop.tfplan", "plans/softstop.tfplan");
    for (name, mode) in [("plans/softstop.tfplan", 0o600), ("plans/", 0o700)] {
        close(&project, name, mode);
        for mode_of_softstop in ["deploy", "release"] {
            let finished = plan(mode_of_softstop).finish();
            let path = format!("{CLONE}/{}", name.trim_end_matches('/'));
            finished.expect_code(2).expect_said(&format!(
                "PLAN_FILE cannot be used: {path} cannot be read: {NOT_OURS} {mode:o}"
            ));
            assert!(project.store.resources().is_empty(), "{finished}");
            if mode_of_softstop == "release" {
                obey(&project, &finished);
            }
        }
    }
    let applied = plan("deploy").finish();
    applied.expect_code(0).expect_said("✔ Deploy succeeded.");
    assert_eq!(project.store.resources(), ["a"], "{applied}");
}

#[test]
fn what_may_do_no_harm_is_a_warning() {
    let project = project(Kind::HttpStrict);
    close(&project, ".terraform/", 0o755);
    close(&project, "notify.sh", 0o600);
    let finished = pipe(&project)
        .env("TF_CLI_ARGS_plan", "-lock=false")
        .env("AFTER_SCRIPT", "sh notify.sh || sh -c 'exit 3'")
        .finish();
    finished
        .expect_said(&format!(
            "WARNING: {CLONE}/.terraform cannot be written: {NOT_OURS} 755"
        ))
        .expect_said(&format!(
            "WARNING: {CLONE}/notify.sh cannot be read: {NOT_OURS} 600"
        ))
        .expect_said("speaks of no lock that anybody holds");
    assert!(
        finished.stderr.contains("Error acquiring the state lock"),
        "{finished}"
    );
}

#[test]
fn a_command_is_warned_and_each_place_is_looked_at_as_soon_as_it_is_seen_in_use() {
    let project = project(Kind::HttpStrict);
    for name in ["backend.tf", "main.tf"] {
        fs::create_dir_all(project.directory.join("other")).unwrap();
        let from = project.directory.join(name);
        fs::copy(from, project.directory.join("other").join(name)).unwrap();
    }
    project.open_to_all();
    close(&project, "other/", 0o755);
    let finished = pipe(&project)
        .env("TF_DATA_DIR", "/tmp/data")
        .env(
            "COMMAND",
            "cd other; terraform init -input=false -lockfile=readonly || true
             terraform plan -input=false || true; exit 7",
        )
        .finish();
    finished
        .expect_code(7)
        .expect_said(&format!(
            "WARNING: {CLONE}/other cannot be written: {NOT_OURS} 755"
        ))
        .expect_said("a state that cannot be stored is kept there, or lost");
    close(&project, "./", 0o755);
    let finished = pipe(&project).env("COMMAND", "true").finish();
    finished
        .expect_code(0)
        .expect_said(&format!("WARNING: {CLONE} cannot be written"));
}

#[test]
fn git_trusts_the_clone_in_the_pipe_and_what_an_image_of_ones_own_has_stays() {
    let project = project(Kind::HttpStrict);
    let script = "git init --quiet . && git -c user.name=a -c user.email=a@b.invalid commit \
        --quiet --allow-empty --message first";
    let mut repository = Command::new("sh");
    repository
        .args(["-ec", script])
        .current_dir(&project.directory);
    assert!(repository.status().unwrap().success());
    project.open_to_all();
    let ask = "git log --format=%s; git config --get-all safe.directory || true";
    let finished = pipe(&project)
        .env("COMMAND", ask)
        .env("GIT_CONFIG_COUNT", 1)
        .env("GIT_CONFIG_KEY_0", "log.abbrevCommit")
        .env("GIT_CONFIG_VALUE_0", "true")
        .finish();
    finished.expect_code(0);
    assert_eq!(
        finished.stdout,
        format!("first\n{CLONE}\n{CLONE}/*\n"),
        "{finished}"
    );
    let finished = pipe(&project)
        .docker_arguments(["--entrypoint", "/usr/local/bin/softstop"])
        .arguments(["deploy", "--", "sh", "-c", ask])
        .finish();
    finished.expect_said("dubious ownership");
    assert_eq!(finished.stdout, "", "{finished}");
}

/// A host that has a module, and lets in whoever has the key that it leaves in the directory `step`.
const SERVER: &str = "
    ssh-keygen -q -t ed25519 -N '' -f /step/id_rsa_tmp
    mkdir -p -m 700 /run/sshd /root/.ssh
    cp /step/id_rsa_tmp.pub /root/.ssh/authorized_keys
    ssh-keygen -A >/dev/null
    git init --quiet /module
    cd /module
    echo 'output \"said\" { value = \"by ssh\" }' >main.tf
    git add main.tf
    git -c user.name=a -c user.email=a@b.invalid commit --quiet --message first
    echo \"$(hostname -i) $(cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub)\" >/step/known_hosts
    chmod 644 /step/*
    echo ready
    exec /usr/sbin/sshd -D -e";

#[test]
fn a_module_is_fetched_by_ssh_with_the_key_of_the_step_unless_the_image_has_settings_of_its_own() {
    let project = project(Kind::HttpStrict);
    let step = project.scratch().join("step");
    fs::create_dir(&step).unwrap();
    project.open_to_all();
    let mut server = Container::of(&project, "softstop-test/debian", SERVER)
        .remapped()
        .volume(&format!("{}:/step", step.display()))
        .start();
    server.wait_for_stdout("ready");
    let address = server.inspect("{{.NetworkSettings.IPAddress}}");
    for entry in fs::read_dir(&step).unwrap() {
        chown(entry.unwrap().path(), Some(0), Some(0)).unwrap();
    }
    let source = format!("git::ssh://root@{address}/module");
    project.write(
        "module.tf",
        &format!(
            "module \"m\" {{ source = \"{source}\" }}\n
                 output \"said\" {{ value = module.m.said }}\n"
        ),
    );
    project.open_to_all();
    let lent = format!("{}:/opt/atlassian/pipelines/agent/ssh:ro", step.display());
    let finished = pipe(&project).volume(&lent).finish();
    finished.expect_code(0).expect_said("✔ Deploy succeeded");
    assert!(finished.stdout.contains("by ssh"), "{finished}");

    let own = project.scratch().join("own");
    fs::create_dir(&own).unwrap();
    project.open_to_all();
    fs::remove_dir_all(project.directory.join(".terraform")).unwrap();
    let finished = pipe(&project)
        .volume(&lent)
        .volume(&format!("{}:/root/.ssh", own.display()))
        .finish();
    assert_ne!(finished.code, Some(0), "{finished}");
    assert_eq!(fs::read_dir(&own).unwrap().count(), 0, "{finished}");
    server.kill();
}
