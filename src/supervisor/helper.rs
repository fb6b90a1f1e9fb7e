//! Helper processes: short commands whose output we read, each with a deadline.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use thiserror::Error;
use tokio::time::Instant;

use super::budget::{BURIAL, Budget};
use super::children::Death;
use super::state::Supervisor;

/// How much of a helper's output is read; what we look for comes early.
const OUTPUT_LIMIT: u64 = 1024 * 1024;

/// What a helper did, and its output, as a text or, where that may be long, as a file.
#[derive(Debug)]
pub(crate) struct Helped<O = String> {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: O,
    pub(crate) stderr: String,
}

/// Why a helper did nothing.
#[derive(Debug, Error)]
pub(crate) enum HelperError {
    #[error("{program} cannot be started: {source}")]
    Start { program: String, source: io::Error },
    #[error(
        "{program} said nothing within {seconds:.1} s and was killed. Check that it can reach from here what it asks"
    )]
    TimedOut { program: String, seconds: f32 },
    #[error(
        "{program} was killed by signal {signal}, and not by softstop. Check that there is memory enough"
    )]
    Killed { program: String, signal: i32 },
    #[error("the output of {program} cannot be kept: {source}")]
    Output { program: String, source: io::Error },
}

impl Supervisor {
    /// Runs `command` to its end, or kills it when `limit` or the grace period is over.
    ///
    /// Terraform ignores SIGINT and SIGTERM for ever while a backend hangs, so a late helper gets
    /// SIGKILL at once. Its output goes to files, not to pipes, so that nothing it leaves behind
    /// can keep us waiting.
    pub(crate) async fn run_helper(
        &self,
        command: Command,
        limit: Duration,
    ) -> Result<Helped, HelperError> {
        self.run_and_read(Budget::helpers_end, command, limit).await
    }

    /// Runs a helper whose output may be long: whoever needs it reads it from a file.
    pub(crate) async fn run_helper_that_shows(
        &self,
        command: Command,
        limit: Duration,
    ) -> Result<Helped<File>, HelperError> {
        self.run_until(Budget::helpers_end, command, limit).await
    }

    /// Runs a helper that makes good what another one has left that was killed. Where nothing comes after
    /// it, there is time until the dead must be buried.
    pub(crate) async fn run_amends(
        &self,
        command: Command,
        limit: Duration,
    ) -> Result<Helped, HelperError> {
        self.run_and_read(Budget::amends_end, command, limit).await
    }

    async fn run_and_read(
        &self,
        end: fn(Budget) -> Instant,
        command: Command,
        limit: Duration,
    ) -> Result<Helped, HelperError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let Helped {
            status,
            stdout,
            stderr,
        } = self.run_until(end, command, limit).await?;
        let stdout = text_of_output(stdout, OUTPUT_LIMIT)
            .map_err(|source| HelperError::Output { program, source })?;
        Ok(Helped {
            status,
            stdout,
            stderr,
        })
    }

    async fn run_until(
        &self,
        end: fn(Budget) -> Instant,
        mut command: Command,
        limit: Duration,
    ) -> Result<Helped<File>, HelperError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let output_error = |source| HelperError::Output {
            program: program.clone(),
            source,
        };
        let mut stdout = tempfile::tempfile().map_err(output_error)?;
        let stderr = tempfile::tempfile().map_err(output_error)?;
        command
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().map_err(output_error)?)
            .stderr(stderr.try_clone().map_err(output_error)?);

        let started = Instant::now();
        let mut child = self
            .children
            .spawn(&mut command)
            .map_err(|source| HelperError::Start {
                program: program.clone(),
                source,
            })?;
        let death = self.limited_by(end, limit, &mut child.death).await;
        let Some(Ok(Death { status, .. })) = death else {
            // The helper leads a session, and so a group, of its own, and is not reaped yet.
            let _ = killpg(child.pid, Signal::SIGKILL);
            let _ = tokio::time::timeout(BURIAL, child.death).await;
            let seconds = started.elapsed().as_secs_f32();
            return Err(HelperError::TimedOut { program, seconds });
        };
        if let Some(signal) = status.signal() {
            return Err(HelperError::Killed { program, signal });
        }
        stdout.rewind().map_err(output_error)?;
        Ok(Helped {
            status,
            stdout,
            stderr: text_of_output(stderr, OUTPUT_LIMIT).map_err(output_error)?,
        })
    }

    /// Does `work`, but for no longer than `limit`, and not beyond the grace period, less what is
    /// kept of it for what comes later.
    ///
    /// Work that is done counts as done also where the time is over: the pid of a child that was
    /// reaped may be somebody else's by now, and must not be killed.
    pub(crate) async fn limited<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        self.limited_by(Budget::helpers_end, limit, work).await
    }

    async fn limited_by<T>(
        &self,
        end: fn(Budget) -> Instant,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut interrupts = self.interrupts.clone();
        tokio::pin!(work);
        loop {
            let end = self
                .budget()
                .map_or(deadline, |budget| end(budget).min(deadline));
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = tokio::time::sleep_until(end) => return None,
                _ = interrupts.changed() => {}
            }
        }
    }
}

/// The output in this file, as far as so much of it is wanted.
pub(crate) fn text_of_output(mut file: File, limit: u64) -> io::Result<String> {
    // One that grows by itself takes twice as much, and a state may be large.
    let length = file.metadata()?.len().min(limit);
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.rewind()?;
    file.take(limit).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes);
    Ok(text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
