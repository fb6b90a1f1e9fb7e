//! Plan, look, apply: what people have looked at is applied, and nothing else, and no lock is held
//! meanwhile.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::project::thing;
use crate::support::{Finished, Kind, Project, Softstop, Step, each};

const RECIPES: &str = include_str!("../docs/recipes.md");
const PLAN: &str = "softstop.tfplan";

/// softstop with these words in a directory of the project.
fn softstop(project: &Project, directory: &Path, words: &[&str]) -> Softstop {
    Softstop::in_directory(directory, project.scratch())
        .arguments(words)
        .env("TF_CLI_CONFIG_FILE", project.cli_config())
}

fn plan(project: &Project) -> Softstop {
    softstop(project, &project.directory, &["plan"])
}

/// A later clone, into which the artefacts of the plan have come.
fn clone_with_plan(project: &Project) -> PathBuf {
    let clone = project.clone_files();
    for name in [PLAN, "softstop.tfplan.txt"] {
        fs::copy(project.directory.join(name), clone.join(name)).unwrap();
    }
    clone
}

/// `softstop deploy` of the plan in a later clone.
fn apply(project: &Project) -> Softstop {
    let clone = clone_with_plan(project);
    softstop(
        project,
        &clone,
        &["deploy", "--plan-file", PLAN, "--working-dir", "."],
    )
}

fn add(project: &Project, name: &str) {
    let path = project.directory.join("main.tf");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, format!("{text}{}", thing(name, ""))).unwrap();
}

#[test]
fn just_what_was_planned_is_applied_from_another_clone_and_no_lock_is_held_meanwhile() {
    each(&[Kind::HttpStrict, Kind::S3Lockfile], |kind| {
        let project = Project::new(kind, &thing("a", ""));
        let planned = plan(&project).finish();
        planned
            .expect_code(0)
            .expect_said("✔ Plan succeeded.")
            .expect_said("It holds secrets");
        assert_eq!(project.store.lock(), None, "{planned}");
        assert_eq!(project.store.resources(), [""; 0], "{planned}");
        let text = fs::read_to_string(project.directory.join("softstop.tfplan.txt")).unwrap();
        assert!(
            text.contains("slow_thing.a will be created"),
            "{kind:?}: {text}"
        );
        for name in [PLAN, "softstop.tfplan.txt"] {
            let found = fs::metadata(project.directory.join(name)).unwrap();
            assert_eq!(found.permissions().mode() & 0o444, 0o444, "{name}");
        }
        add(&project, "later");
        let applied = apply(&project).finish();
        applied.expect_code(0).expect_said("✔ Deploy succeeded.");
        assert_eq!(project.store.resources(), ["a"], "{applied}");
        assert_eq!(project.store.lock(), None, "{applied}");
    });
}

#[test]
fn a_stale_plan_applies_nothing_and_is_said_in_plain_words() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    Softstop::deploy(&project).finish().expect_code(0);
    add(&project, "b");
    plan(&project).finish().expect_code(0);
    add(&project, "c");
    Softstop::deploy(&project).finish().expect_code(0);
    let stale = apply(&project).finish();
    stale
        .expect_code(1)
        .expect_said("Saved plan is stale")
        .expect_said("make a new plan");
    assert_eq!(project.store.resources(), ["a", "b", "c"], "{stale}");
    assert_eq!(project.store.lock(), None, "{stale}");
}

#[test]
fn an_earlier_plan_is_not_taken_for_that_of_one_that_failed() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    plan(&project).finish().expect_code(0);
    let path = project.directory.join("main.tf");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        format!("{text}output \"o\" {{ value = slow_thing.b }}\n"),
    )
    .unwrap();
    let failed = plan(&project).finish();
    failed.expect_code(1);
    assert!(!project.directory.join(PLAN).exists(), "{failed}");
    fs::write(&path, text).unwrap();
    let changed = plan(&project)
        .env("TF_CLI_ARGS_plan", "-detailed-exitcode")
        .finish();
    changed.expect_code(2);
    assert!(project.directory.join(PLAN).exists(), "{changed}");
}

#[test]
fn the_lock_of_a_plan_that_was_killed_is_released_by_the_final_step() {
    each(&[Kind::HttpStrict, Kind::S3Lockfile], |kind| {
        let project = Project::new(kind, &thing("a", "plan_gate = \"GATES/plan.gate\""));
        let step = Step::of_a_new_pipeline();
        let run = plan(&project).in_step(&step).start();
        run.kill_all_at(&project.gate("plan.gate"));
        assert_eq!(
            project.store.lock_operation().as_deref(),
            Some("OperationTypePlan"),
            "{kind:?}"
        );
        let released = Softstop::release(&project)
            .in_step(&step.sibling())
            .env("SOFTSTOP_PLAN_FILE", PLAN)
            .finish();
        released.expect_code(0).expect_said("✔ Locks: 1 released.");
        assert_eq!(project.store.lock(), None, "{released}");
    });
}

#[test]
fn a_plan_whose_terraform_alone_was_killed_leaves_no_lock() {
    let project = Project::new(
        Kind::HttpStrict,
        &thing("a", "plan_gate = \"GATES/plan.gate\""),
    );
    let run = plan(&project).start();
    let finished = run.kill_terraform_at(&project.gate("plan.gate"));
    finished
        .expect_code(137)
        .expect_said("Plan was killed")
        .expect_said("its lock was released");
    assert_eq!(project.store.lock(), None, "{finished}");
}

#[test]
fn the_lock_that_counts_is_that_of_the_plan_whatever_the_clone_says() {
    let project = Project::slow(Kind::S3Lockfile);
    let planned = plan(&project).env("SOFTSTOP_WORKSPACE", "prod").finish();
    planned.expect_code(0);
    let prod = project.store.of_workspace("prod");
    // Somebody works in the workspace of the directory, which is not the plan's.
    let strangers = project.be_locked_by("anna@macbook");

    let refused = apply(&project).env("SOFTSTOP_WORKSPACE", "dev").finish();
    refused
        .expect_code(2)
        .expect_said("was made for the workspace \"prod\"");

    prod.set_lock(&crate::support::lock_of("berta@macbook"));
    let held = apply(&project).finish();
    held.expect_code(3).expect_said("held by berta@macbook");
    prod.remove_lock();

    let gate = project.gate("a.gate");
    let killed = apply(&project).start().kill_terraform_at(&gate);
    killed.expect_code(137).expect_said("its lock was released");
    assert_eq!(prod.lock(), None, "{killed}");

    gate.forget();
    let step = Step::of_a_new_pipeline();
    apply(&project).in_step(&step).start().kill_all_at(&gate);
    assert!(prod.lock().is_some());
    let clone = clone_with_plan(&project);
    let release = softstop(&project, &clone, &["release", "--plan-file", PLAN]);
    let released = release.in_step(&step.sibling()).finish();
    released.expect_code(0).expect_said("✔ Locks: 1 released.");
    assert_eq!(prod.lock(), None, "{released}");

    gate.open();
    apply(&project).finish().expect_code(0);
    assert_eq!(prod.resources(), ["a"]);
    assert_eq!(project.store.lock_id(), strangers);
}

#[test]
fn a_plan_or_a_deploy_that_takes_no_lock_is_not_refused_because_somebody_holds_it() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let held = project.be_locked_by("anna@macbook");
    let mine = [
        (plan(&project), "TF_CLI_ARGS_plan"),
        (Softstop::deploy(&project), "TF_CLI_ARGS_apply"),
    ];
    for (softstop, variable) in mine {
        softstop
            .env(variable, "-lock=false")
            .finish()
            .expect_code(0);
    }
    let refused = plan(&project).env("TF_CLI_ARGS_apply", "-lock=false");
    refused.finish().expect_code(3);
    assert_eq!(project.store.resources(), ["a"]);
    assert_eq!(project.store.lock_id(), held);
}

#[test]
fn a_local_state_that_a_plan_names_is_found_from_everywhere() {
    let project = Project::new(Kind::Local, &thing("a", ""));
    Softstop::deploy(&project).finish().expect_code(0);
    add(&project, "b");
    plan(&project).finish().expect_code(0);
    let rival = project.start_rival();
    let above = project.directory.parent().unwrap();
    let release = || {
        softstop(
            &project,
            above,
            &["release", "--working-dir", "repository", "--plan-file"],
        )
    };
    let held = release().arguments([PLAN]).finish();
    held.expect_code(0).expect_said("Its holder is alive");
    // What applies the plan of another directory uses the state of that one.
    let script = format!("cd repository; terraform apply -input=false {PLAN}; true");
    let deploy = Softstop::in_directory(above, project.scratch())
        .env("TF_CLI_CONFIG_FILE", project.cli_config())
        .env("AFTER_SCRIPT", "echo lock=$SOFTSTOP_LOCK")
        .arguments(["deploy"]);
    let refused = deploy.script(&script).finish();
    assert!(refused.stdout.contains("lock=held"), "{refused}");
    rival.finish();
    let free = release().arguments([PLAN]).finish();
    free.expect_code(0).expect_said("The lock is free");
}

#[test]
fn a_plan_that_is_missing_or_is_none_or_is_not_meant_is_refused_before_anything_runs() {
    let project = Project::new(Kind::HttpStrict, &thing("a", ""));
    let expect_refused = |softstop: Softstop, words: &str| {
        softstop.finish().expect_code(2).expect_said(words);
    };
    let deploy = || Softstop::deploy(&project);
    let named = || deploy().env("SOFTSTOP_PLAN_FILE", PLAN);
    expect_refused(named(), "there is no such file");
    expect_refused(
        deploy().env("PLAN_FILE", PLAN),
        "call it SOFTSTOP_PLAN_FILE, give --plan-file",
    );
    project.write(PLAN, "no plan");
    expect_refused(named(), "its backend cannot be read");
    expect_refused(
        named().script("terraform apply"),
        "PLAN_FILE and a command are both given",
    );
    let own = deploy().env("PLAN_FILE", PLAN).script("echo $PLAN_FILE");
    let finished = own.finish();
    assert!(finished.stdout.contains(PLAN), "{finished}");
    assert_eq!(project.store.state(), None);
}

/// A recipe as `docs/recipes.md` has it: this variable of the step that plans or deploys.
fn in_recipe(variable: &str, option: &str) {
    let line = format!("{variable}: {option}");
    assert!(RECIPES.contains(&line), "{line}");
}

fn expect_resources(project: &Project, finished: &Finished, names: &[&str]) {
    finished.expect_code(0);
    assert_eq!(project.store.resources(), names, "{finished}");
}

#[test]
fn everything_is_destroyed_by_a_plan_that_says_so() {
    in_recipe("TF_CLI_ARGS_plan", "-destroy");
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    Softstop::deploy(&project).finish().expect_code(0);
    let planned = plan(&project).env("TF_CLI_ARGS_plan", "-destroy").finish();
    expect_resources(&project, &planned, &["a"]);
    expect_resources(&project, &apply(&project).finish(), &[]);
}

#[test]
fn only_a_target_is_planned_or_deployed() {
    in_recipe("TF_CLI_ARGS_apply", "-target=module.network");
    let both = format!("{}{}", thing("a", ""), thing("b", ""));
    let target = "-target=slow_thing.a";
    let project = Project::new(Kind::HttpStrict, &both);
    let deploy = Softstop::deploy(&project).env("TF_CLI_ARGS_apply", target);
    expect_resources(&project, &deploy.finish(), &["a"]);
    let project = Project::new(Kind::HttpStrict, &both);
    let planned = plan(&project).env("TF_CLI_ARGS_plan", target).finish();
    planned.expect_code(0);
    expect_resources(&project, &apply(&project).finish(), &["a"]);
}

#[test]
fn a_file_of_variables_reaches_the_plan_or_the_deploy() {
    in_recipe("TF_CLI_ARGS_apply", "-var-file=production.tfvars");
    let resources = "variable \"count_of_b\" {}\nresource \"slow_thing\" \"b\" {\n  \
                     count = var.count_of_b\n  name = \"b\"\n}\n";
    let file = "-var-file=production.tfvars";
    let project = Project::new(Kind::HttpStrict, resources);
    project.write("production.tfvars", "count_of_b = 1\n");
    let planned = plan(&project).env("TF_CLI_ARGS_plan", file).finish();
    planned.expect_code(0);
    expect_resources(&project, &apply(&project).finish(), &["b"]);
    project.write("production.tfvars", "count_of_b = 0\n");
    let deploy = Softstop::deploy(&project).env("TF_CLI_ARGS_apply", file);
    expect_resources(&project, &deploy.finish(), &[]);
}

#[test]
fn a_workspace_is_torn_down_and_nothing_of_it_is_left_to_look_at() {
    let (_, script) = RECIPES.split_once("COMMAND: |\n").unwrap();
    let (script, _) = script.split_once("    release-locks:").unwrap();
    let project = Project::new(Kind::S3Lockfile, &thing("a", ""));
    for arguments in [
        &["init"][..],
        &["workspace", "new", "review"],
        &["apply", "-auto-approve"],
    ] {
        project.run_terraform(arguments);
    }
    let review = project.store.of_workspace("review");
    assert_eq!(review.resources(), ["a"]);
    let torn_down = Softstop::deploy(&project)
        .script(script)
        .env("AFTER_SCRIPT", "echo \"lock=$SOFTSTOP_LOCK\"")
        .finish();
    torn_down.expect_code(0);
    assert_eq!(review.state(), None, "{torn_down}");
    assert!(torn_down.stdout.contains("lock=none\n"), "{torn_down}");
    assert!(!torn_down.stderr.contains("WARNING"), "{torn_down}");
}

/// The pipelines files of the recipes.
fn recipes() -> impl Iterator<Item = &'static str> {
    let blocks = RECIPES.split("```yaml\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap())
}

/// What `check` says of this file.
fn check(text: &str) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bitbucket-pipelines.yml");
    fs::write(&file, text).unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_softstop"))
        .arg("check")
        .arg(file)
        .output()
        .unwrap();
    let words = String::from_utf8(checked.stderr).unwrap();
    (checked.status.code(), words)
}

#[test]
fn every_recipe_is_safe_to_stop_and_without_its_release_none_is() {
    assert_eq!(recipes().count(), 5);
    for recipe in recipes() {
        let (code, words) = check(recipe);
        assert_eq!(code, Some(0), "{words}");
        assert!(
            words.contains("nothing is missing for a safe stop"),
            "{words}"
        );
        // Bitbucket has no `final:` in custom pipelines, whose lock the next deploy releases too.
        let (last, worst, lacks) = if recipe.contains("custom:") {
            ("    release-locks:", 0, "release-locks:")
        } else {
            ("      - final:", 1, "- final:")
        };
        let (without, _) = recipe.split_once(last).unwrap();
        let (code, words) = check(without);
        assert_eq!(code, Some(worst), "{words}");
        assert!(words.contains(lacks), "{words}");
    }
    // A plan takes a lock too.
    let (plan_alone, _) = recipes()
        .next()
        .unwrap()
        .split_once("          name: Apply")
        .unwrap();
    let plan_alone = plan_alone.trim_end().trim_end_matches("- step:");
    let (code, words) = check(plan_alone);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("MODE: release"), "{words}");
}
