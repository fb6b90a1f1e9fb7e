//! In a container, root may rename the container's own user, and nobody else's.

use std::fs;

use crate::support::{Answer, Bitbucket, Container, Kind, Project, Softstop, Step};

/// What softstop prints where it cannot sign for the build.
const UNSIGNED: &str = "Locks will not say that this build holds them";

/// As another step, in a shell: the variables that set it apart.
fn variables(step: &Step) -> String {
    let variables = step.variables();
    let variables = variables
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    variables.collect::<Vec<_>>().join(" ")
}

/// Starts the deploy, and expects that its lock carries `name` and the container's id.
fn expect_signature(project: &Project, container: Container, name: &str) {
    let container = container.start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    let expected = format!("{name}@{}", container.short_id());
    assert_eq!(project.store.lock_who(), Some(expected));
    gate.open();
    container.finish().expect_code(0);
}

#[test]
fn a_pipe_signs_by_the_containers_own_passwd() {
    let project = Project::slow(Kind::HttpStrict);
    let step = Step::of_a_new_pipeline();
    let pipe = Container::deploy(&project).in_step(&step);
    expect_signature(&project, pipe, &step.stamp());
}

#[test]
fn a_wrapper_in_a_build_container_signs_too_and_takes_its_name_back() {
    let project = Project::slow(Kind::HttpStrict);
    let step = Step::of_a_new_pipeline();
    let script = "cp /etc/passwd before; softstop deploy && cmp /etc/passwd before && id -un";
    let build = Container::with_script(&project, script).in_step(&step);
    expect_signature(&project, build, &step.stamp());
}

#[test]
fn a_name_that_a_killed_run_has_left_is_replaced() {
    let project = Project::new(Kind::Local, "");
    let (step, next) = (Step::of_a_new_pipeline(), Step::of_a_new_pipeline());
    let script = format!(
        "SOFTSTOP_COMMAND='kill -KILL $PPID; sleep 60' softstop deploy
         id -un
         BITBUCKET_PIPELINE_UUID={} SOFTSTOP_COMMAND='id -un' softstop deploy
         id -un",
        next.variables()[4].1
    );
    let finished = Container::with_script(&project, &script)
        .in_step(&step)
        .finish();
    finished.expect_code(0);
    let names: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(names[0], step.stamp(), "{finished}");
    assert!(
        names[1].starts_with("acme/infra#42/") && names[1] != names[0],
        "{finished}"
    );
    assert_eq!(names[2..], ["root"], "{finished}");
}

#[test]
fn two_runs_of_one_step_share_their_name_and_another_step_runs_nothing_under_it() {
    let project = Project::new(Kind::Local, "");
    let (step, other) = (Step::of_a_new_pipeline(), Step::of_a_new_pipeline());
    let script = format!(
        "SOFTSTOP_COMMAND='{}' softstop deploy 2>/dev/null &
         until [ -e {}/first.reached ]; do sleep 0.01; done
         SOFTSTOP_COMMAND='id -un' softstop deploy
         BITBUCKET_PIPELINE_UUID={} SOFTSTOP_COMMAND='echo never' softstop deploy || echo \"$?\"
         id -un; touch {}/first.gate; wait; id -un",
        project.wait_at("first"),
        project.scratch().display(),
        other.variables()[4].1,
        project.scratch().display(),
    );
    let finished = Container::with_script(&project, &script)
        .in_step(&step)
        .finish();
    finished
        .expect_code(0)
        .expect_said("✖ Nothing was run: the user here is called acme/infra#42");
    let names: Vec<&str> = finished.stdout.lines().collect();
    let stamp = step.stamp();
    assert_eq!(names, [&stamp, "1", &stamp, "root"], "{finished}");
}

#[test]
fn a_run_that_signs_nothing_keeps_its_name_beside_a_step_that_signs() {
    let project = Project::slow(Kind::HttpStrict);
    let (unsigned, signed) = (Step::of_a_new_pipeline(), Step::of_a_new_pipeline());
    let (scratch, reached) = (project.scratch().display(), project.gate("a.gate"));
    let script = format!(
        "SIGN_LOCKS=false softstop deploy -- sh -c '{}; terraform init >&2 &&
           exec terraform apply -auto-approve >&2' &
         until [ -e {scratch}/first.reached ]; do sleep 0.01; done
         mkdir {scratch}/empty; cd {scratch}/empty
         {} softstop deploy -- echo never; echo \"it ended with $?\"
         touch {scratch}/first.gate; wait $!; echo \"the other one ended with $?\"",
        project.wait_at("first"),
        variables(&signed),
    );
    let container = Container::with_script(&project, &script)
        .in_step(&unsigned)
        .start();
    reached.wait_until_reached();
    let lock = project.store.lock_who();
    assert_eq!(lock, Some(format!("root@{}", container.short_id())));
    let bitbucket = Bitbucket::start();
    signed.is_answered(&bitbucket, [Answer::Completed("SUCCESSFUL")]);
    Softstop::release(&project)
        .in_step(&Step::of_a_new_pipeline())
        .asking(&bitbucket)
        .finish()
        .expect_code(3);
    assert_eq!(project.store.lock_who(), lock);
    reached.open();
    let finished = container.finish();
    finished
        .expect_code(0)
        .expect_said("✖ Nothing was run: another run of softstop relies on the name of the user");
    assert_eq!(
        finished.stdout, "it ended with 1\nthe other one ended with 0\n",
        "{finished}"
    );
}

/// A run that begins where another one is about to end waits for it, but not for long.
#[test]
fn runs_that_begin_at_once_each_keep_their_name_to_the_end_or_run_nothing() {
    const ROUNDS: usize = 20;
    let project = Project::new(Kind::Local, "");
    let steps = [Step::of_a_new_pipeline(), Step::of_a_new_pipeline()];
    let script = format!(
        "look='id -un; sleep 0.02; id -un'
         round() {{
           {} softstop deploy -- sh -c \"$look\" >first 2>>said & {} softstop deploy -- sh -c \"$look\" >second 2>>said &
           SIGN_LOCKS=false softstop deploy -- sh -c \"$look\" >third 2>>said &
           wait; echo $(cat first) : $(cat second) : $(cat third)
         }}
         for round in $(seq {ROUNDS}); do round; done; id -un; cat said >&2",
        variables(&steps[0]),
        variables(&steps[1]),
    );
    let finished = Container::with_script(&project, &script)
        .in_step(&Step::of_a_new_pipeline())
        .finish();
    finished.expect_code(0);
    let mut lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines.pop(), Some("root"), "{finished}");
    assert_eq!(lines.len(), ROUNDS, "{finished}");
    let names = [&steps[0].stamp(), &steps[1].stamp(), "root"];
    let mut refused = 0;
    for line in lines {
        let seen: Vec<&str> = line.split(':').map(str::trim).collect();
        for (seen, name) in seen.iter().zip(names) {
            refused += usize::from(seen.is_empty());
            assert!(
                seen.is_empty() || *seen == format!("{name} {name}"),
                "{line}: {finished}"
            );
        }
        assert!(seen.len() == 3 && seen.iter().any(|seen| !seen.is_empty()));
    }
    let said = finished.stderr.matches("✖ Nothing was run: ").count();
    assert_eq!(refused, said, "{finished}");
    assert!(!finished.stderr.contains(UNSIGNED), "{finished}");
}

#[test]
fn a_run_that_cannot_know_whether_its_name_will_stay_says_so() {
    let project = Project::new(Kind::Local, "");
    let script = "flock --exclusive /etc sleep 60 & until ! flock --nonblock /etc true; do :; done
         SIGN_LOCKS=false softstop deploy -- id -un; kill $!";
    let finished = Container::with_script(&project, script)
        .in_step(&Step::of_a_new_pipeline())
        .finish();
    finished
        .expect_code(0)
        .expect_said("Another step in this container may rename the user under this run");
    assert_eq!(finished.stdout, "root\n");
}

#[test]
fn a_run_that_signs_nothing_shares_the_name_of_another_run_of_its_own_step() {
    let project = Project::new(Kind::Local, "");
    let step = Step::of_a_new_pipeline();
    let script = "softstop deploy -- sh -c 'SIGN_LOCKS=false softstop deploy -- id -un'; id -un";
    let finished = Container::with_script(&project, script)
        .in_step(&step)
        .finish();
    finished.expect_code(0);
    assert_eq!(finished.stdout, format!("{}\nroot\n", step.stamp()));
}

#[test]
fn a_name_that_a_killed_run_has_left_is_taken_out_where_nobody_signs() {
    let project = Project::new(Kind::Local, "");
    let script = "SOFTSTOP_COMMAND='kill -KILL $PPID; sleep 60' softstop deploy
         unset BITBUCKET_BUILD_NUMBER BITBUCKET_PIPELINE_UUID
         SOFTSTOP_COMMAND='id -un' softstop deploy";
    let finished = Container::with_script(&project, script)
        .in_step(&Step::of_a_new_pipeline())
        .finish();
    finished.expect_code(0);
    assert_eq!(finished.stdout, "root\n");
}

#[test]
fn a_user_called_softstop_outlives_a_deploy() {
    let project = Project::new(Kind::Local, "");
    let script = "useradd --comment softstop anna && softstop deploy -- true && id -un anna";
    let finished = Container::with_script(&project, script)
        .in_step(&Step::of_a_new_pipeline())
        .finish();
    finished.expect_code(0);
    assert_eq!(finished.stdout, "anna\n");
}

#[test]
fn somebody_elses_lock_on_the_directory_keeps_nobody_waiting() {
    let project = Project::new(Kind::Local, "");
    let script = "flock --exclusive /etc sleep 60 & until ! flock --nonblock /etc true; do :; done
         softstop deploy -- id -un; kill $!";
    let finished = Container::with_script(&project, script)
        .in_step(&Step::of_a_new_pipeline())
        .finish();
    finished
        .expect_code(0)
        .expect_said(UNSIGNED)
        .expect_said("another program holds a lock on the directory");
    assert_eq!(finished.stdout, "root\n");
}

#[test]
fn ssh_and_git_work_under_the_name() {
    let project = Project::new(Kind::Local, "");
    let step = Step::of_a_new_pipeline();
    let script = "id -un; ssh -T -o BatchMode=yes -p 1 git@localhost 2>&1
        git init --quiet clone; cd clone
        git -c user.email=a@b -c user.name=a commit --quiet --allow-empty --message=works
        git log --format=%s";
    let finished = Container::deploy(&project)
        .in_step(&step)
        .env("SOFTSTOP_COMMAND", format!("set +e; {script}"))
        .finish();
    finished.expect_code(0);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines[0], step.stamp());
    // It got as far as the network; for a user without a name it refuses before.
    assert!(
        lines[1].starts_with("ssh: connect to host localhost port 1:"),
        "{finished}"
    );
    assert_eq!(lines[2..], ["works"]);
}

#[test]
fn a_user_of_whom_the_container_knows_nothing_signs_by_the_environment() {
    let project = Project::slow(Kind::HttpStrict);
    let step = Step::of_a_new_pipeline();
    let pipe = Container::deploy(&project).in_step(&step).user("4711");
    expect_signature(&project, pipe, &step.stamp());
}

#[test]
fn a_user_with_a_name_and_no_rights_deploys_unsigned_and_is_told() {
    let project = Project::slow(Kind::HttpStrict);
    let step = Step::of_a_new_pipeline();
    let container = Container::deploy(&project)
        .in_step(&step)
        .user("daemon")
        .start();
    let gate = project.gate("a.gate");
    gate.wait_until_reached();
    assert_eq!(
        project.store.lock_who(),
        Some(format!("daemon@{}", container.short_id()))
    );
    gate.open();
    container.finish().expect_code(0).expect_said(UNSIGNED);
}

#[test]
fn a_passwd_that_is_mounted_into_the_container_is_never_touched() {
    let project = Project::new(Kind::Local, "");
    let machines = project.scratch().join("passwd");
    fs::copy("/etc/passwd", &machines).unwrap();
    let before = fs::read_to_string(&machines).unwrap();
    let volume = format!("{}:/etc/passwd", machines.display());
    let finished = Container::deploy(&project)
        .in_step(&Step::of_a_new_pipeline())
        .docker_arguments(["--volume", &volume])
        .env("SOFTSTOP_COMMAND", "id -un")
        .finish();
    finished.expect_code(0).expect_said(UNSIGNED);
    assert_eq!(finished.stdout, "root\n");
    assert_eq!(fs::read_to_string(&machines).unwrap(), before);
}

#[test]
fn a_read_only_container_deploys_unsigned_and_is_told() {
    let project = Project::new(Kind::Local, "");
    let finished = Container::deploy(&project)
        .in_step(&Step::of_a_new_pipeline())
        .docker_arguments(["--read-only", "--tmpfs", "/tmp"])
        .env("SOFTSTOP_COMMAND", "id -un")
        .finish();
    finished
        .expect_code(0)
        .expect_said(UNSIGNED)
        .expect_said("of this container cannot be changed: Read-only file system");
}
