//! The stories from top to bottom, with a tool, a host and a stage that are played.

mod claims_table;
mod deploys_table;
mod doubts_table;
mod gaps_table;
mod journals_table;
mod looks_table;
mod moved_table;
mod past_table;
mod remains_table;
mod unlisted_table;

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use nix::libc::SIGKILL;

use crate::bitbucket::build::Build;
use crate::docker::Daemon;
use crate::exit_code::{Exit, Outcome};
use crate::identity::{Left, Neighbours};
use crate::inquiry::Inquiry;
use crate::journal::Shelf;
use crate::journal::fake::{FakeShelf, Mood};
use crate::lock::{LockInfo, Owner};
use crate::report::json;
use crate::story::conclusion::{Conclusion, LockState, Locks};
use crate::story::deploy::{Deploy, Runs, Story};
use crate::story::journal::{Journal, Kept, Own};
use crate::story::places::Place;
use crate::story::release::{self, Release};
use crate::story::remains::Remains;
use crate::story::stage::Stage;
use crate::story::unfinished::OnUnfinished;
use crate::story::{resolve, status};
use crate::supervisor::{Audience, Ending, Grounds, Phase, Programs, Seen};
use crate::tools::fake::{
    FakeBackend, FakeHost, FakePlace, FakeTool, Moments, SIGNATURE, Slip, VERSION, not_given_back,
    seen,
};
use crate::tools::{Host, Job, Look, Tool, ToolError, Unstored};

/// The step that asks, in its second run.
const ASKER: &str = "acme/infra#42/11111111-1111-4111-8111-111111111111/\
    22222222-2222-4222-8222-222222222222/2";
/// The commit of its pipeline.
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// Somebody of whom nobody can tell whether he is over.
const PERSON: &str = "anna@macbook";

impl Stage for FakeHost {
    async fn run_deploy(
        &self,
        _: Command,
        _: &Programs,
        _: Grounds,
        note: impl FnMut(Seen),
        _: Option<&Audience>,
    ) -> io::Result<Ending> {
        self.pass().await;
        self.seen.iter().cloned().for_each(note);
        if let Some(act) = self.act.take() {
            act();
        }
        let ending = self.ending.take().unwrap_or(Ok(ended(0)));
        Ok(Ending {
            interrupt: self.interrupt(),
            ..ending?
        })
    }

    async fn run_cleanup(&self, command: Command) -> io::Result<ExitStatus> {
        self.pass().await;
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        let variables = command.get_envs();
        let variables = variables.filter_map(|(name, value)| Some((text(name), value.map(text)?)));
        self.cleanups.borrow_mut().push(variables.collect());
        Ok(ExitStatus::default())
    }

    async fn kill_tree(&self) -> bool {
        self.pass().await;
        true
    }

    fn knows_of_a_stop(&self) -> bool {
        false
    }

    fn enter(&self, _: Phase) {}
}

/// A lock that its own run has not left: an earlier run's of the asker's step, or of anybody's.
fn lock(who: &str) -> LockInfo {
    LockInfo {
        id: "4711".to_owned(),
        who: who.to_owned(),
        created: Some(Timestamp::UNIX_EPOCH),
        version: VERSION.to_owned(),
        operation: "deploy".to_owned(),
        ..LockInfo::default()
    }
}

fn held(who: &str) -> Look {
    Look::Held(lock(who))
}

/// Whose lock the second run of the step may release.
fn earlier_run() -> String {
    format!("{}1@vm-1", &ASKER[..ASKER.len() - 1])
}

fn ended(status: i32) -> Ending {
    Ending {
        status: Some(ExitStatus::from_raw(status)),
        interrupt: None,
        tool_was_killed: false,
        tree_gone: true,
        lacked_memory: false,
    }
}

fn killed() -> Ending {
    Ending {
        tool_was_killed: true,
        ..ended(SIGKILL)
    }
}

/// A world with one place and one lock in it.
struct World {
    moments: Rc<Moments>,
    host: FakeHost,
    backend: Rc<FakeBackend>,
    place: FakePlace,
    deploy: Deploy,
    /// Where records lie; nobody can reach it where no test says so.
    shelf: Rc<FakeShelf>,
}

impl World {
    fn showing(look: Look) -> Self {
        Self::interrupted_at(None, look)
    }

    fn interrupted_at(moment: Option<u32>, look: Look) -> Self {
        let moments = Moments::interrupted_at(moment);
        let backend = FakeBackend::showing(&moments, look);
        let host = FakeHost::with(&moments);
        host.ending.replace(Some(Ok(ended(0))));
        Self {
            place: FakePlace::with(&moments, &[&backend]),
            host: FakeHost {
                seen: vec![seen("apply", "here")],
                ..host
            },
            backend,
            moments,
            shelf: FakeShelf::that_is(Mood::NotThere),
            deploy: Deploy {
                runs: Runs::Command("fake".to_owned(), Vec::new()),
                directory: PathBuf::from("/"),
                after_script: Some("true".to_owned()),
                lock_timeout: Duration::ZERO,
                report_file: None,
                on_unfinished: OnUnfinished::Report,
            },
        }
    }

    /// Lets the deploy leave a lock that it has taken itself.
    fn leave_a_lock(&self) {
        let backend = Rc::clone(&self.backend);
        self.host.act.replace(Some(Box::new(move || {
            backend.look.replace(Look::Held(LockInfo {
                created: Some(Timestamp::now()),
                ..lock(SIGNATURE)
            }));
        })));
    }

    fn ending(&self, ending: io::Result<Ending>) {
        self.host.ending.replace(Some(ending));
    }

    fn inquiry(&self) -> Inquiry<'_, FakeHost> {
        self.inquiry_of(ASKER)
    }

    /// Of the step with this stamp.
    fn inquiry_of(&self, stamp: &str) -> Inquiry<'_, FakeHost> {
        let build = Build {
            owner: Owner::parse(stamp).unwrap(),
            commit: None,
            is_parallel: false,
            clone: None,
            sections: &[],
        };
        Inquiry::new(&self.host, Some(build), None, Daemon::Nowhere, true)
    }

    fn journal(&self) -> Journal {
        Journal::Kept(Box::new(Kept {
            shelf: Shelf::Fake(Rc::clone(&self.shelf)),
            own: Some(Own {
                owner: Owner::parse(ASKER).unwrap(),
                commit: COMMIT.to_owned(),
            }),
        }))
    }

    async fn deploy(&mut self) -> Conclusion {
        self.deploy_as(ASKER).await
    }

    /// As the step with this stamp.
    async fn deploy_as(&mut self, stamp: &str) -> Conclusion {
        self.deploy_telling(stamp, &|_, _| {}).await
    }

    async fn deploy_telling(
        &mut self,
        stamp: &str,
        report: &dyn Fn(&Conclusion, &Remains<'_>),
    ) -> Conclusion {
        let nothing = FakePlace::with(&self.moments, &[]);
        let tool = tool(std::mem::replace(&mut self.place, nothing));
        let (inquiry, journal) = (self.inquiry_of(stamp), self.journal());
        let story = Story {
            stage: &self.host,
            tool: &tool,
            inquiry: &inquiry,
            deploy: &self.deploy,
            journal: &journal,
            report,
        };
        story.run().await
    }

    fn has_deployed(&self) -> bool {
        self.host.ending.borrow().is_none()
    }

    fn places(&self, backends: &[&Rc<FakeBackend>]) -> Vec<Place> {
        self.places_sharing(false, backends)
    }

    /// Places of which each may share its name with other states.
    fn places_sharing(&self, shares_its_name: bool, backends: &[&Rc<FakeBackend>]) -> Vec<Place> {
        let place = |backend: &&Rc<FakeBackend>| Place {
            name: "here".to_owned(),
            directory: PathBuf::from("/"),
            tool: tool(FakePlace {
                shares_its_name,
                ..FakePlace::with(&self.moments, &[*backend])
            }),
        };
        backends.iter().map(place).collect()
    }

    async fn release(&self, backends: &[&Rc<FakeBackend>]) -> Conclusion {
        self.release_at(&self.places(backends)).await
    }

    async fn release_at(&self, places: &[Place]) -> Conclusion {
        let release = Release {
            after_script: Some("true".to_owned()),
            lock_timeout: Duration::ZERO,
        };
        let (inquiry, journal) = (self.inquiry(), self.journal());
        release::run(&self.host, &inquiry, &journal, places, &release).await
    }
}

fn tool(place: FakePlace) -> Tool {
    Tool::from(FakeTool(Rc::new(place)))
}

fn silent() -> ToolError {
    ToolError::Malformed {
        path: PathBuf::from("backend"),
        reason: "it is silent".to_owned(),
    }
}

fn free() -> Locks {
    Locks(vec![LockState::Free])
}

fn released() -> Locks {
    Locks(vec![LockState::Released("4711".to_owned())])
}

fn left_held() -> Locks {
    Locks(vec![LockState::Held(Some("4711".to_owned()))])
}
