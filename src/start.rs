//! From the command line to a supervisor under its guard.

use std::io::{self, Write};

use crate::check;
use crate::cli::{self, Mode, Plan, Refusal};
use crate::console;
use crate::exit_code::Exit;
use crate::pipe::Image;
use crate::supervisor::{
    Guarded, ensure_files, guarded, hide_ourselves, let_signals_through, shell_in_between,
};
use crate::work;

/// What is to be done, or how it ends here: a check needs no supervisor, and a mistake is only told.
pub(crate) fn what_is_asked() -> Result<(Plan, Image), Exit> {
    let plan = match cli::parse() {
        Ok((Mode::Check(options), _)) => {
            let _ = let_signals_through();
            return Err(check::run(&options.files, options.json));
        }
        Ok((Mode::Work(work), image)) => match ensure_files() {
            Ok(()) => cli::plan(*work, image).map(|plan| (plan, image)),
            Err(error) => return Err(fail(&error.into())),
        },
        Err(refusal) => Err(refusal),
    };
    plan.map_err(tell)
}

fn tell(refusal: Refusal) -> Exit {
    // There is nobody left to tell where printing fails.
    match refusal {
        Refusal::Help(text) => {
            let _ = text.print();
            Exit::Done
        }
        Refusal::Version(text) => {
            let _ = io::stdout().write_all(text.as_bytes());
            Exit::Done
        }
        Refusal::Invalid(reasons) => {
            console::refuse(&reasons);
            Exit::BadVariable
        }
    }
}

/// Does it under a guard, which ends the deploy where the supervisor is killed.
pub(crate) fn guard(plan: Plan, image: Image) -> Exit {
    // Where the kernel does not allow it, nothing else depends on it.
    let _ = hide_ourselves();
    let shell = shell_in_between();
    match guarded(|| work::supervise(plan, image, shell.as_deref())) {
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

fn fail(error: &anyhow::Error) -> Exit {
    console::fail(&format!("{error:#}"));
    Exit::Failure
}
