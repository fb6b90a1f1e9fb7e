//! Every lock of a build says which build holds it, and no machine's own files are changed for it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

use crate::support::project::thing;
use crate::support::{Kind, Project, Softstop, Step, each};

/// Takes away from root what containers are not given.
const WITHOUT_ADMIN: [&str; 3] = [
    "setpriv",
    "--bounding-set=-sys_admin",
    "--inh-caps=-sys_admin",
];
/// A user whom nobody has heard of.
const NOBODY_KNOWN: [&str; 4] = [
    "setpriv",
    "--reuid=54321",
    "--regid=54321",
    "--clear-groups",
];

const KINDS: [Kind; 3] = [Kind::HttpStrict, Kind::S3Lockfile, Kind::S3DynamoDb];

/// What /etc/passwd is on this machine.
fn passwd() -> (String, u64, SystemTime) {
    let metadata = fs::metadata("/etc/passwd").unwrap();
    let text = fs::read_to_string("/etc/passwd").unwrap();
    (text, metadata.ino(), metadata.modified().unwrap())
}

/// Runs a deploy, and expects that its lock carries the stamp, or else `name`, and the host.
fn expect_signature(project: &Project, softstop: Softstop, name: &str) {
    let host = softstop.host().to_owned();
    let run = softstop.start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    assert_eq!(project.store.lock_who(), Some(format!("{name}@{host}")));
    gate.open();
    run.finish().expect_code(0);
}

#[test]
fn a_lock_says_which_step_of_which_build_holds_it() {
    let before = passwd();
    each(&KINDS, |kind| {
        let project = Project::slow(kind);
        let step = Step::of_a_new_pipeline().run_again();
        let softstop = Softstop::deploy(&project).in_step(&step);
        expect_signature(&project, softstop, &step.stamp());
    });
    assert_eq!(passwd(), before, "nobody else sees the name");
}

#[test]
fn a_user_without_a_name_signs_by_the_environment() {
    each(&KINDS, |kind| {
        let project = Project::slow(kind);
        project.give_to("54321:54321");
        let step = Step::of_a_new_pipeline();
        let softstop = Softstop::deploy_by(&project, &NOBODY_KNOWN).in_step(&step);
        expect_signature(&project, softstop, &step.stamp());
    });
}

#[test]
fn a_machines_own_passwd_is_never_touched() {
    let before = passwd();
    let project = Project::slow(Kind::HttpStrict);
    let step = Step::of_a_new_pipeline();
    let softstop = Softstop::deploy_by(&project, &WITHOUT_ADMIN).in_step(&step);
    expect_signature(&project, softstop, "root");

    // Nor as the first process of a namespace that still has the machine's files.
    let mut as_pid_1 = vec!["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
    as_pid_1.extend(WITHOUT_ADMIN);
    let finished = Softstop::deploy_by(&project, &as_pid_1)
        .in_step(&step)
        .script("id -un; echo $$")
        .finish();
    finished
        .expect_code(0)
        .expect_said("Locks will not say that this build holds them")
        .expect_said("CAP_SYS_ADMIN");
    assert!(finished.stdout.starts_with("root\n"), "{finished}");
    assert_eq!(passwd(), before);
}

#[test]
fn a_step_that_cannot_be_named_is_told_which_variable_is_missing() {
    let project = Project::new(Kind::Local, "");
    let finished = Softstop::deploy(&project)
        .in_step(&Step::of_a_new_pipeline())
        .env("BITBUCKET_STEP_UUID", "")
        .script("id -un")
        .finish();
    finished
        .expect_code(0)
        .expect_said("BITBUCKET_STEP_UUID is missing or cannot be used");
    assert_eq!(finished.stdout, "root\n");
}

#[test]
fn outside_of_pipelines_the_name_stays_as_it_is() {
    let project = Project::new(Kind::Local, "");
    let finished = Softstop::deploy(&project).script("id -un").finish();
    finished.expect_code(0);
    assert_eq!(finished.stdout, "root\n");
    assert!(
        !finished.stderr.contains("Locks will not say"),
        "{finished}"
    );
}

#[test]
fn signing_can_be_switched_off() {
    let project = Project::new(Kind::Local, "");
    let finished = Softstop::deploy(&project)
        .in_step(&Step::of_a_new_pipeline())
        .env("SIGN_LOCKS", "false")
        .script("id -un")
        .finish();
    finished.expect_code(0);
    assert_eq!(finished.stdout, "root\n");
}

#[test]
fn a_database_without_a_named_user_is_still_entered_under_the_old_name() {
    let project = Project::new(Kind::Local, "");
    let finished = Softstop::deploy(&project)
        .in_step(&Step::of_a_new_pipeline())
        .script("echo $PGUSER")
        .finish();
    finished.expect_code(0);
    assert_eq!(finished.stdout, "root\n");
}

#[test]
fn a_user_without_a_name_enters_a_database_under_what_user_said() {
    let project = Project::new(Kind::Local, "");
    project.give_to("54321:54321");
    let finished = Softstop::deploy_by(&project, &NOBODY_KNOWN)
        .in_step(&Step::of_a_new_pipeline())
        .env("USER", "deployer")
        .script("echo $PGUSER")
        .finish();
    finished.expect_code(0);
    assert_eq!(finished.stdout, "deployer\n");
}

#[test]
fn git_and_programs_that_look_up_users_work_under_the_name() {
    let project = Project::new(Kind::Local, "");
    let step = Step::of_a_new_pipeline();
    let script = "id -un; touch owned; chown root:root owned; stat --format=%u owned; echo ~root
        git init --quiet clone; cd clone
        git -c user.email=a@b -c user.name=a commit --quiet --allow-empty --message=works
        git log --format=%s";
    let finished = Softstop::deploy(&project)
        .in_step(&step)
        .script(script)
        .finish();
    finished.expect_code(0);
    assert_eq!(
        finished.stdout,
        format!("{}\n0\n/root\nworks\n", step.stamp())
    );
}

#[test]
fn a_person_reads_the_build_in_terraforms_own_message() {
    let project = Project::slow(Kind::S3Lockfile);
    let step = Step::of_a_new_pipeline();
    let run = Softstop::deploy(&project).in_step(&step).start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    let refused = project
        .terraform(&["apply", "-auto-approve", "-no-color"])
        .output()
        .unwrap();
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(
        message.contains("Error acquiring the state lock"),
        "{message}"
    );
    assert!(
        message.contains(&format!("Who:       {}@", step.stamp())),
        "{message}"
    );
    gate.open();
    run.finish().expect_code(0);
}

#[test]
fn looks_are_signed_too() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let step = Step::of_a_new_pipeline();
    let (sender, bodies) = std::sync::mpsc::channel();
    project
        .store
        .http
        .as_ref()
        .unwrap()
        .watch(move |method, body| {
            // Nobody listens any more once the test has seen enough.
            let _ = sender.send((method.to_owned(), body.to_owned()));
        });
    Softstop::release(&project)
        .in_step(&step)
        .finish()
        .expect_code(0);
    let lock = bodies.iter().find(|(method, _)| method == "LOCK");
    let (_, body) = lock.unwrap();
    assert!(body.contains(&step.stamp()), "{body}");
}
