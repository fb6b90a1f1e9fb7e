//! softstop makes the Stop button safe for deploys that hold a lock.

mod after_script;
mod bitbucket;
mod check;
mod cli;
mod credentials;
mod deploy;
mod docker;
mod environment;
mod evidence;
mod exit_code;
mod http_client;
mod lock;
mod lock_state;
#[cfg(test)]
mod mutation;
mod naming;
mod pace;
mod pipe;
mod place;
mod private;
mod recovery;
mod release;
mod status;
mod supervisor;
mod tools;
mod used;

use std::env;
use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::Context;
use dlmalloc::GlobalDlmalloc;
use tokio::task::LocalSet;
use tracing::{error, warn};

use bitbucket::build::Build;
use cli::{Mode, Plan, Refusal, Task};
use deploy::Story;
use docker::Daemon;
use evidence::Inquiry;
use exit_code::Exit;
use naming::Naming;
use pipe::console;
use supervisor::{
    Guarded, Outlet, Supervisor, ensure_files, guarded, hide_ourselves, hold_signals,
    let_signals_through, shell_in_between,
};
use tools::terraform::{Chosen, stand_in};

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
            Ok(()) => cli::check(*work, image),
            Err(error) => return fail(&error.into()),
        },
        Err(refusal) => Err(refusal),
    };
    let plan = match plan {
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
    match guarded(|| supervise(plan, shell.as_deref())) {
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
fn supervise(plan: Plan, shell: Option<&str>) -> anyhow::Result<Exit> {
    let build = Build::from_environment();
    // Before the first thread is started, because it changes what all of them see.
    let naming = Naming::begin(&build, plan.signs_locks);
    let stdout = Outlet::open(io::stdout().as_fd()).context("stdout cannot be used")?;
    let stderr = Outlet::open(io::stderr().as_fd()).context("stderr cannot be used")?;
    let words = stderr.clone();
    console::start(plan.debug, move |message| words.say(message));
    for misspelt in &plan.misspelt {
        warn!("{misspelt}");
    }
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
            build.unwrap_or_default(),
            plan.api,
            Daemon::from_environment(|name| env::var(name).ok()),
            !matches!(plan.task, Task::Deploy(..)),
        );
        let exit = match refused_version(plan.chosen.as_ref(), &supervisor).await {
            Some(exit) => exit,
            None => run(&plan.task, &supervisor, &inquiry, &answers).await,
        };
        supervisor.flush().await;
        Ok(exit)
    });
    // A name server that does not answer must not keep us: the look-up blocks a thread.
    runtime.shutdown_background();
    // Nobody is left who could use the step's token.
    drop(plan.federation);
    exit
}

/// Sees to it that the version is there that is chosen, and says why nothing is run without it.
async fn refused_version(chosen: Option<&Chosen>, supervisor: &Supervisor) -> Option<Exit> {
    let chosen = chosen?;
    tokio::select! {
        biased;
        interrupt = supervisor.next_interrupt() => {
            supervisor.kill_tree().await;
            error!(target: console::FAILURE, "Stopped by {} before anything was run.", interrupt.signal);
            Some(Exit::Signal(interrupt.signal as i32))
        }
        provided = chosen.provide(supervisor) => {
            let problem = provided.err()?;
            let version = &chosen.version;
            error!(
                target: console::FAILURE,
                "Nothing was run: TERRAFORM_VERSION is {version}, and {problem}."
            );
            Some(Exit::BadVariable)
        }
    }
}

async fn run(task: &Task, supervisor: &Supervisor, inquiry: &Inquiry, answers: &Outlet) -> Exit {
    match task {
        Task::Deploy(deploy, tool) => {
            let story = Story {
                supervisor,
                tool: tool.as_ref(),
                inquiry,
                deploy,
            };
            story.run().await
        }
        Task::Release(places, release) => release::run(supervisor, inquiry, places, release).await,
        Task::Status { places, json } => {
            status::run(supervisor, inquiry, places, json.then_some(answers)).await
        }
    }
}

fn fail(error: &anyhow::Error) -> Exit {
    console::fail(&format!("{error:#}"));
    Exit::Failure
}
