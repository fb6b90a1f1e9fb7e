//! The work of one run: what is prepared for all of it, the event loop, and the story that is told.

use std::env;
use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use tracing::{info, warn};

use crate::bitbucket::build::Build;
use crate::cli::{Plan, Task};
use crate::console;
use crate::docker::Daemon;
use crate::exit_code::Exit;
use crate::identity::Naming;
use crate::inquiry::Inquiry;
use crate::pipe::Image;
use crate::report::{file, json, summary, words};
use crate::story::conclusion::{Conclusion, Locks};
use crate::story::deploy::{Deploy, Story};
use crate::story::journal::Journal;
use crate::story::remains::Remains;
use crate::story::{release, resolve, status};
use crate::supervisor::{Outlet, Supervisor, are_one_file};
use crate::surroundings::Surroundings;
use crate::tools::Chosen;

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Does the work in this process: one thread for all that decides, and a few that move bytes.
pub(crate) fn supervise(mut plan: Plan, image: Image, shell: Option<&str>) -> anyhow::Result<Exit> {
    let build = Build::from_environment();
    // Both before the first thread is started, because they change what all of them see.
    let surroundings = Surroundings::prepare(image);
    let naming = Naming::begin(&build, plan.signs_locks);
    plan.task.renew_environment();
    let stdout = Outlet::open(io::stdout().as_fd()).context("stdout cannot be used")?;
    let stderr = beside(&stdout).context("stderr cannot be used")?;
    let words = stderr.clone();
    console::start(plan.debug, move |message| words.say(message));
    greet(&plan, image, shell);
    surroundings.tell();
    naming.tell()?;

    let federation = plan.federation.take();
    let runtime = event_loop().context("the event loop cannot be started")?;
    let exit = LocalSet::new().block_on(&runtime, async {
        let supervisor = Supervisor::start(plan.grace_period, stdout.clone(), stderr)
            .context("processes cannot be supervised")?;
        let work = conclude(plan, build.unwrap_or_default(), &supervisor, &stdout);
        // All that a story may ever await takes more room than a stack should give at once.
        let conclusion = Box::pin(work).await;
        words::conclude(&conclusion);
        supervisor.flush().await;
        Ok(conclusion.exit)
    });
    // A name server that does not answer must not keep us: the look-up blocks a thread.
    runtime.shutdown_background();
    // Nobody is left who could use the step's token.
    drop(federation);
    exit
}

/// The way to stderr: the same one where both lead to one file, because only what comes one after the other
/// keeps its order.
fn beside(stdout: &Outlet) -> io::Result<Outlet> {
    if are_one_file(io::stdout().as_fd(), io::stderr().as_fd())? {
        Ok(stdout.clone())
    } else {
        Outlet::open(io::stderr().as_fd())
    }
}

/// An event loop that has a thread for what blocks, and keeps it: where a deploy leaves none to be had,
/// tokio lets such work wait for the threads that it has, and panics where it has none.
fn event_loop() -> io::Result<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(FOR_EVER)
        .build()?;
    // tokio's own way would panic here as well, so the first thread shows that there is one to be had.
    let shown = thread::Builder::new().spawn(|| ())?;
    // It does nothing that could fail.
    let _ = shown.join();
    runtime.spawn_blocking(|| ());
    Ok(runtime)
}

fn greet(plan: &Plan, image: Image, shell: Option<&str>) {
    if image == Image::Pipe {
        info!("Executing the pipe...");
    }
    for misspelt in &plan.misspelt {
        warn!("{misspelt}");
    }
    if let (Task::Deploy(..), Some(shell)) = (&plan.task, shell) {
        warn!(
            "A stop may not reach this deploy: the first process of this container is a shell \
             ({shell}), which does not pass signals on. Start it by `exec softstop …`, or without a \
             shell by an init such as tini."
        );
    }
}

async fn conclude(
    plan: Plan,
    build: Option<Build>,
    supervisor: &Supervisor,
    answers: &Outlet,
) -> Conclusion {
    if let Some(refused) = refused_version(plan.chosen.as_ref(), supervisor).await {
        if let Task::Deploy(deploy, _) = &plan.task {
            tell(deploy, &refused, &Remains::of_nothing());
        }
        return refused;
    }
    let inquiry = Inquiry::new(
        supervisor,
        build,
        plan.api,
        Daemon::from_environment(|name| env::var(name).ok()),
        !matches!(plan.task, Task::Deploy(..)),
    );
    let journal = match &plan.task {
        Task::Resolve(place, _) if inquiry.build.is_none() => {
            let (directory, api) = (&place.directory, inquiry.api());
            Journal::open_elsewhere(supervisor, directory, api, plan.journal).await
        }
        _ => Journal::open(inquiry.build.as_ref(), plan.journal),
    };
    run(&plan.task, supervisor, &inquiry, &journal, answers).await
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
            let report = |conclusion: &Conclusion, remains: &Remains<'_>| {
                tell(deploy, conclusion, remains);
            };
            let story = Story {
                stage: supervisor,
                tool,
                inquiry,
                deploy,
                journal,
                report: &report,
            };
            Box::pin(story.run()).await
        }
        Task::Release(places, release) => {
            release::run(supervisor, inquiry, journal, places, release).await
        }
        Task::Resolve(place, addresses) => {
            Box::pin(resolve::run(supervisor, inquiry, journal, place, addresses)).await
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

/// Tells what a deploy has left, on the screen and in its file.
fn tell(deploy: &Deploy, conclusion: &Conclusion, remains: &Remains<'_>) {
    summary::tell(remains);
    if let Some(path) = &deploy.report_file {
        file::write(conclusion, remains, path);
    }
}
