//! softstop makes the Stop button safe for deploys that hold a lock.

mod after_script;
mod bitbucket;
mod cli;
mod deploy;
mod docker;
mod exit_code;
mod http_client;
mod lock;
mod pipe;
mod recovery;
mod supervisor;
mod tools;

use std::io;
use std::time::Duration;

use anyhow::Context;
use tokio::task::LocalSet;

use cli::{DeployOptions, Mode, Refusal};
use deploy::Deploy;
use exit_code::Exit;
use pipe::console;
use supervisor::{Guarded, Outlet, Supervisor, guarded};
use tools::terraform::Terraform;

fn main() -> Exit {
    let checked = cli::parse().and_then(|cli| match cli.mode {
        Mode::Deploy(options) => check(options),
    });
    let plan = match checked {
        Ok(plan) => plan,
        Err(Refusal::Help(text)) => {
            // There is nobody left to tell where this fails.
            let _ = text.print();
            return Exit::Done;
        }
        Err(Refusal::Invalid(reasons)) => {
            console::refuse(&reasons);
            return Exit::BadVariable;
        }
    };
    match guarded(|| supervise(&plan)) {
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

/// All that is known before anything runs.
struct Plan {
    deploy: Deploy,
    terraform: Terraform,
    grace_period: Duration,
    debug: bool,
}

fn check(options: DeployOptions) -> Result<Plan, Refusal> {
    let (grace_period, debug) = (options.grace_period, options.debug);
    let (deploy, terraform) = options.check()?;
    Ok(Plan {
        deploy,
        terraform,
        grace_period,
        debug,
    })
}

/// Runs the deploy in this process: one thread for all that decides, and a few that move bytes.
fn supervise(plan: &Plan) -> anyhow::Result<Exit> {
    use std::os::fd::AsFd;
    let stdout = Outlet::open(io::stdout().as_fd()).context("stdout cannot be used")?;
    let stderr = Outlet::open(io::stderr().as_fd()).context("stderr cannot be used")?;
    let words = stderr.clone();
    console::start(plan.debug, move |message| words.say(message));

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the event loop cannot be started")?;
    let exit = LocalSet::new().block_on(&runtime, async {
        let supervisor = Supervisor::start(plan.grace_period, stdout, stderr)
            .context("processes cannot be supervised")?;
        let exit = deploy::run(&supervisor, &plan.terraform, &plan.deploy).await;
        supervisor.flush().await;
        Ok(exit)
    });
    // A name server that does not answer must not keep us: the look-up blocks a thread.
    runtime.shutdown_background();
    exit
}

fn fail(error: &anyhow::Error) -> Exit {
    console::fail(&format!("{error:#}"));
    Exit::Failure
}
