//! softstop makes the Stop button safe for deploys that hold a lock.

mod bitbucket;
mod check;
mod cli;
mod console;
mod credentials;
mod docker;
mod environment;
mod exit_code;
mod http_client;
mod identity;
mod inquiry;
mod journal;
mod lock;
#[cfg(test)]
mod mutation;
mod pipe;
mod pipelines;
mod private;
mod recovery;
mod report;
mod story;
mod supervisor;
mod surroundings;
mod tools;

use std::env;
use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::Context;
use dlmalloc::GlobalDlmalloc;
use tokio::task::LocalSet;
use tracing::{info, warn};

use bitbucket::build::Build;
use cli::{Mode, Plan, Refusal, Task};
use docker::Daemon;
use exit_code::Exit;
use identity::Naming;
use inquiry::Inquiry;
use pipe::Image;
use report::{file, json, summary, words};
use story::conclusion::{Conclusion, Locks};
use story::deploy::Story;
use story::journal::Journal;
use story::remains::Remains;
use story::{release, resolve, status};
use supervisor::{
    Guarded, Outlet, Supervisor, ensure_files, guarded, hide_ourselves, hold_signals,
    let_signals_through, shell_in_between,
};
use surroundings::Surroundings;
use tools::{Chosen, stand_in};

/// The allocator of musl asks the kernel so often that a start takes a quarter of a millisecond more.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> Exit {
    if let Some(exit) = stand_in() {
        return exit;
    }
    // Where the kernel does not do it, a signal may be lost, and nothing else.
    let _ = hold_signals();
    let plan = match cli::parse() {
        Ok((Mode::Check(options), _)) => {
            let _ = let_signals_through();
            return check::run(&options.files, options.json);
        }
        Ok((Mode::Work(work), image)) => match ensure_files() {
            Ok(()) => cli::plan(*work, image).map(|plan| (plan, image)),
            Err(error) => return fail(&error.into()),
        },
        Err(refusal) => Err(refusal),
    };
    let (plan, image) = match plan {
        Ok(plan) => plan,
        Err(Refusal::Help(text)) => {
            // There is nobody left to tell where this fails.
            let _ = text.print();
            return Exit::Done;
        }
        Err(Refusal::Version(text)) => {
            // There is nobody left to tell where this fails.
            let _ = io::stdout().write_all(text.as_bytes());
            return Exit::Done;
        }
        Err(Refusal::Invalid(reasons)) => {
            console::refuse(&reasons);
            return Exit::BadVariable;
        }
    };
    // Where the kernel does not allow it, nothing else depends on it.
    let _ = hide_ourselves();
    let shell = shell_in_between();
    match guarded(|| supervise(plan, image, shell.as_deref())) {
        Ok(Guarded::Supervisor(Ok(exit))) => exit,
        Ok(Guarded::Ended(code)) => Exit::Command(code),
        Ok(Guarded::Killed(signal)) => {
            console::fail(
                "softstop was killed, and so the deploy was killed too. It may have left a lock.",
            );
            Exit::Signal(signal)
        }
        Ok(Guarded::Supervisor(Err(error))) => fail(&error),
        Err(error) => fail(&error.into()),
    }
}

/// Does the work in this process: one thread for all that decides, and a few that move bytes.
fn supervise(plan: Plan, image: Image, shell: Option<&str>) -> anyhow::Result<Exit> {
    let build = Build::from_environment();
    // Both before the first thread is started, because they change what all of them see.
    let surroundings = Surroundings::prepare(image);
    let naming = Naming::begin(&build, plan.signs_locks);
    let stdout = Outlet::open(io::stdout().as_fd()).context("stdout cannot be used")?;
    let stderr = Outlet::open(io::stderr().as_fd()).context("stderr cannot be used")?;
    let words = stderr.clone();
    console::start(plan.debug, move |message| words.say(message));
    if image == Image::Pipe {
        info!("Executing the pipe...");
    }
    for misspelt in &plan.misspelt {
        warn!("{misspelt}");
    }
    surroundings.tell();
    naming.tell()?;
    if let (Task::Deploy(..), Some(shell)) = (&plan.task, shell) {
        warn!(
            "A stop may not reach this deploy: the first process of this container is a shell \
             ({shell}), which does not pass signals on. Start it by `exec softstop …`, or without a \
             shell by an init such as tini."
        );
    }

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the event loop cannot be started")?;
    let exit = LocalSet::new().block_on(&runtime, async {
        let answers = stdout.clone();
        let supervisor = Supervisor::start(plan.grace_period, stdout, stderr)
            .context("processes cannot be supervised")?;
        let inquiry = Inquiry::new(
            &supervisor,
            build.unwrap_or_default(),
            plan.api,
            Daemon::from_environment(|name| env::var(name).ok()),
            !matches!(plan.task, Task::Deploy(..)),
        );
        let journal = match &plan.task {
            Task::Resolve(place, _) if inquiry.build.is_none() => {
                let (directory, api) = (&place.directory, inquiry.api());
                Journal::open_elsewhere(&supervisor, directory, api, plan.journal).await
            }
            _ => Journal::open(inquiry.build.as_ref(), plan.journal),
        };
        let conclusion = match refused_version(plan.chosen.as_ref(), &supervisor).await {
            Some(conclusion) => conclusion,
            None => run(&plan.task, &supervisor, &inquiry, &journal, &answers).await,
        };
        words::conclude(&conclusion);
        supervisor.flush().await;
        Ok(conclusion.exit)
    });
    // A name server that does not answer must not keep us: the look-up blocks a thread.
    runtime.shutdown_background();
    // Nobody is left who could use the step's token.
    drop(plan.federation);
    exit
}

/// Sees to it that the version is there that is chosen, and says why nothing is run without it.
async fn refused_version(chosen: Option<&Chosen>, supervisor: &Supervisor) -> Option<Conclusion> {
    let chosen = chosen?;
    tokio::select! {
        biased;
        interrupt = supervisor.next_interrupt() => {
            supervisor.kill_tree().await;
            let when = " before anything was run";
            Some(Conclusion::stopped(interrupt.signal, when, Locks::default()))
        }
        provided = chosen.provide(supervisor) => {
            let problem = provided.err()?;
            let why = format!("TERRAFORM_VERSION is {}, and {problem}", chosen.version);
            Some(Conclusion::not_run(why))
        }
    }
}

async fn run(
    task: &Task,
    supervisor: &Supervisor,
    inquiry: &Inquiry<'_, Supervisor>,
    journal: &Journal,
    answers: &Outlet,
) -> Conclusion {
    match task {
        Task::Deploy(deploy, tool) => {
            let report = |conclusion: &Conclusion, remains: &Remains| {
                summary::tell(remains);
                if let Some(path) = &deploy.report_file {
                    file::write(conclusion, remains, path);
                }
            };
            let story = Story {
                stage: supervisor,
                tool,
                inquiry,
                deploy,
                journal,
                report: &report,
            };
            story.run().await
        }
        Task::Release(places, release) => {
            release::run(supervisor, inquiry, journal, places, release).await
        }
        Task::Resolve(place, addresses) => {
            resolve::run(supervisor, journal, place, addresses).await
        }
        Task::Status { places, json } => {
            let (looked, conclusion) = status::run(supervisor, inquiry, journal, places).await;
            if *json {
                answers.say(json::records(&looked).as_bytes());
            } else {
                looked.iter().for_each(words::tell);
            }
            conclusion
        }
    }
}

fn fail(error: &anyhow::Error) -> Exit {
    console::fail(&format!("{error:#}"));
    Exit::Failure
}
