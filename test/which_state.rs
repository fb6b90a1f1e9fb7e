//! However a deploy chooses its state, what is said of the lock is what the backend says: where the
//! deploy is killed with all that it has started, where Terraform alone is killed, where it is
//! interrupted, and in a release and a status in a fresh clone.

mod by_directory;
mod by_settings;
mod layouts;
mod unknown;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;
use uuid::Uuid;

use crate::support::pipelines::PIPELINES_FILE;
use crate::support::project::Gate;
use crate::support::{Finished, Kind, Project, Run, Softstop, Step, Store, each, lock_of};
use layouts::{Layout, Told, Variables};

const TOLD: &str = "echo \"lock=$SOFTSTOP_LOCK id=$SOFTSTOP_LOCK_ID\"";

/// A layout on one kind of backend.
struct Cell {
    layout: &'static Layout,
    project: Project,
    free: Store,
    laptops: Store,
    step: Step,
}

/// Does this for each layout on each kind of backend that it is for.
fn each_cell(test: impl Fn(&Cell) + Sync) {
    let layouts = by_settings::LAYOUTS.iter().chain(&by_directory::LAYOUTS);
    let cells: Vec<_> = layouts
        .flat_map(|layout| layout.kinds.iter().map(move |kind| (layout, *kind)))
        .collect();
    each(&cells, |(layout, kind)| {
        let cell = Cell::new(layout, kind);
        let laptops = cell.laptops.lock();
        test(&cell);
        assert_eq!(cell.laptops.lock(), laptops);
        assert_eq!(cell.free.lock(), None);
    });
}

/// Tells which one it is that fails.
impl Drop for Cell {
    fn drop(&mut self) {
        if thread::panicking() {
            let kind = self.project.store.kind;
            eprintln!("it fails on {kind:?} where {}", self.layout.name);
        }
    }
}

impl Cell {
    fn new(layout: &'static Layout, kind: Kind) -> Self {
        let mut project = Project::new(kind, "");
        project.store.workspace = layout.workspace;
        let [free, laptops] = [(), ()].map(|()| Store::new(kind, &project.directory));
        laptops.set_lock(&lock_of("root@macbook"));
        Self {
            layout,
            project,
            free,
            laptops,
            step: Step::of_a_new_pipeline(),
        }
    }

    /// A new directory with the files of the repository.
    fn clone_files(&self) -> PathBuf {
        let clone = self.project.scratch().join(Uuid::new_v4().to_string());
        let files = self.layout.files.iter().copied();
        for (name, text) in files.chain([("bitbucket-pipelines.yml", PIPELINES_FILE)]) {
            let path = clone.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, self.fill(text)).unwrap();
            if text.starts_with("#!") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        let prepared = Command::new("sh")
            .args(["-ec", self.layout.prepared])
            .current_dir(&clone)
            .output()
            .unwrap();
        assert!(prepared.status.success(), "{prepared:?}");
        clone
    }

    /// Puts in what the layouts only name.
    fn fill(&self, text: &str) -> String {
        let (store, free, laptops) = (&self.project.store, &self.free, &self.laptops);
        let of_the_table = |line: &str| line.starts_with("dynamodb_table");
        let of_keys = |line: &str| line.contains("_key = ");
        // One process, which Terraform kills at a stop.
        let wait = format!(
            "touch {}/a.reached; exec sleep 60",
            self.project.scratch().display()
        );
        let resource = format!(
            "resource \"terraform_data\" \"a\" {{\n  provisioner \"local-exec\" {{\n    \
             command = \"{wait}\"\n  }}\n}}\n"
        );
        let partial = format!("backend \"{}\" {{}}\n", store.backend());
        let meanings = [
            ("FREE_BACKEND", in_terraform(&free.block())),
            ("FREE_SETTINGS", settings(free, |_| true)),
            ("LAPTOPS_BACKEND", in_terraform(&laptops.block())),
            ("LAPTOPS_SETTINGS", settings(laptops, |_| true)),
            ("BACKEND", in_terraform(&store.block())),
            ("PARTIAL", in_terraform(&partial)),
            ("SETTINGS", settings(store, |_| true)),
            ("KEYLESS", settings(store, |line| !of_keys(line))),
            ("TABLELESS", settings(store, |line| !of_the_table(line))),
            ("TABLE", settings(store, of_the_table)),
            ("ADDRESS", self.address()),
            ("RESOURCE", resource),
            ("DEPLOY", "INIT && APPLY".to_owned()),
            ("INIT", "terraform init -input=false".to_owned()),
            (
                "APPLY",
                "terraform apply -input=false -auto-approve".to_owned(),
            ),
            ("LONG", "1 + ".repeat(3_000) + "1"),
            ("DEEP", "(".repeat(120) + "1" + &")".repeat(120)),
        ];
        let replace = |text: String, (word, meaning): &(&str, String)| text.replace(word, meaning);
        meanings.iter().fold(text.to_owned(), replace)
    }

    /// Where the server of the backend is.
    fn address(&self) -> String {
        let proxy = self.project.store.proxy.as_ref().unwrap();
        format!("http://{}", proxy.address)
    }

    /// softstop in this directory, as a step of the pipeline of the deploy.
    fn softstop(&self, mode: &str, directory: &Path, variables: Variables) -> Softstop {
        let softstop = Softstop::in_directory(directory, self.project.scratch())
            .env("AFTER_SCRIPT", TOLD)
            .arguments([mode]);
        variables.iter().fold(softstop, |softstop, (name, value)| {
            softstop.env(name, self.fill(value))
        })
    }

    /// Starts a deploy, and waits until it makes its resource and has its lock.
    fn start_deploy(&self, directory: &Path) -> (Run, String) {
        let run = self
            .softstop("deploy", directory, self.layout.variables)
            .in_step(&self.step)
            .script(&self.fill(self.layout.command))
            .start();
        self.gate().wait_until_reached();
        let warned = self.layout.warned;
        let is_warned = run.has_said("WARNING");
        assert_eq!(is_warned, !warned.is_empty(), "of {warned:?}");
        assert!(run.has_said(warned), "of {warned:?}");
        let id = self.project.store.lock_id();
        (run, id.expect("the deploy uses this lock"))
    }

    fn gate(&self) -> Gate {
        self.project.gate("a.gate")
    }

    /// Expects that a status and a release say this of the lock that a killed deploy has left, which is
    /// there again afterwards.
    fn expect_told(&self, directory: &Path, variables: Variables, told: Told) {
        let store = &self.project.store;
        let (lock, id) = (store.lock().unwrap(), store.lock_id().unwrap());
        let ask = |mode| {
            self.softstop(mode, directory, variables)
                .in_step(&self.step.sibling())
        };
        let status = ask("status").arguments(["--json"]).finish();
        assert_eq!(store.lock().as_ref(), Some(&lock), "{status}");
        let release = ask("release").finish();
        let (code, states, words): (_, &[&str], _) = match told {
            Told::Found => (0, &[], "1 released"),
            Told::AnotherFree(name) => (0, &["free"], name),
            Told::Unknown(words) => (4, &["unknown"], words),
            Told::Refused(words) => (2, &[], words),
        };
        expect_no_secret(&status);
        expect_no_secret(&release);
        status.expect_code(code);
        release.expect_code(code).expect_said(words);
        let records: Vec<Value> = serde_json::from_str(&status.stdout).unwrap_or_default();
        match told {
            Told::Found => {
                let is_this = |record: &&Value| record["lock"]["ID"] == id.as_str();
                let found = records.iter().find(is_this).expect("it is told");
                assert_eq!(found["state"], "held", "{status}");
                assert_eq!(store.lock(), None, "{release}");
                expect_lock(&release, &format!("released id={id}"));
                store.set_lock(&serde_json::from_str(&lock).unwrap());
            }
            Told::AnotherFree(_) | Told::Unknown(_) | Told::Refused(_) => {
                let told: Vec<&Value> = records.iter().map(|record| &record["state"]).collect();
                assert_eq!(told, states, "{status}");
                assert_eq!(release.stdout, "", "{release}");
                assert_eq!(store.lock().as_ref(), Some(&lock), "{release}");
            }
        }
    }
}

fn in_terraform(block: &str) -> String {
    format!("terraform {{\n{block}}}\n")
}

/// Those of the settings of a store that are meant, a line each.
fn settings(store: &Store, is_meant: impl Fn(&str) -> bool) -> String {
    let block = store.block();
    let lines: Vec<&str> = block.lines().collect();
    let settings = lines[1..lines.len() - 1].iter().copied();
    let meant: Vec<&str> = settings.filter(|line| is_meant(line)).collect();
    meant.join("\n") + "\n"
}

/// Expects that AFTER_SCRIPT was told this.
#[track_caller]
fn expect_lock(finished: &Finished, told: &str) {
    let line = format!("lock={told}\n");
    assert!(
        finished.stdout.ends_with(&line),
        "expected {line:?}:\n{finished}"
    );
}

#[track_caller]
fn expect_no_secret(finished: &Finished) {
    for output in [&finished.stdout, &finished.stderr] {
        assert!(!output.contains("s3cret"), "{finished}");
    }
}

#[test]
fn the_lock_of_a_deploy_that_was_killed_is_found_or_nothing_is_called_free() {
    each_cell(|cell| {
        let clone = cell.clone_files();
        let (run, _) = cell.start_deploy(&clone);
        run.kill_all();
        for (variables, told) in cell.layout.elsewhere {
            cell.expect_told(&cell.clone_files(), variables, *told);
        }
        cell.expect_told(&clone, cell.layout.there, Told::Found);
    });
}

#[test]
fn the_lock_of_a_deploy_whose_terraform_was_killed_is_released_by_it() {
    each_cell(|cell| {
        let (run, id) = cell.start_deploy(&cell.clone_files());
        let finished = run.kill_terraform_at(&cell.gate());
        finished.expect_code(cell.layout.code);
        assert_eq!(cell.project.store.lock(), None, "{finished}");
        expect_lock(&finished, &format!("released id={id}"));
        expect_no_secret(&finished);
    });
}

#[test]
fn the_lock_of_a_deploy_that_was_interrupted_is_called_free_when_it_is() {
    each_cell(|cell| {
        let (run, _) = cell.start_deploy(&cell.clone_files());
        let finished = run.interrupt_at(&cell.gate(), Signal::SIGTERM);
        finished.expect_code(143);
        assert_eq!(cell.project.store.lock(), None, "{finished}");
        assert_eq!(cell.project.store.resources(), ["a"], "{finished}");
        expect_lock(&finished, "free id=");
        expect_no_secret(&finished);
    });
}
