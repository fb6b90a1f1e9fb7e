//! The run that is hit: where it runs, which processes it has, and how it is hit.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::drawn::{Blow, Place, Target};
use super::reader::Reader;
use super::truth::Truth;
use crate::support::container::RunningContainer;
use crate::support::run::{marked, name_of};
use crate::support::{Finished, Run, until};

/// How long to wait between two looks at the processes of the whole machine.
const LOOK_AGAIN: Duration = Duration::from_millis(15);

/// A run of softstop's, wherever it runs.
pub(super) struct Subject {
    place: Place,
    running: Running,
    /// Who reads its output, where that is not a file.
    reader: Option<Reader>,
}

enum Running {
    Process(Run),
    Container(Box<RunningContainer>),
}

impl Subject {
    pub(super) fn of_process(place: Place, run: Run) -> Self {
        Self {
            place,
            running: Running::Process(run),
            reader: None,
        }
    }

    pub(super) fn read_by(self, reader: Option<Reader>) -> Self {
        Self { reader, ..self }
    }

    /// Lets the reader be as it is drawn.
    pub(super) fn is_read_no_more(&self) {
        if let Some(reader) = &self.reader {
            reader.has_enough();
        }
    }

    pub(super) fn of_container(container: RunningContainer) -> Self {
        Self {
            place: Place::Container,
            running: Running::Container(Box::new(container)),
            reader: None,
        }
    }

    pub(super) fn run(&mut self) -> &mut Run {
        match &mut self.running {
            Running::Process(run) => run,
            Running::Container(container) => container.run(),
        }
    }

    /// Whether nothing of it is left.
    fn is_over(&mut self) -> bool {
        self.run().has_ended() && marked(self.run().mark()).is_empty()
    }

    /// Waits until this happens; false where the run is over first, or the time is.
    pub(super) fn wait_for(
        &mut self,
        at_most: Duration,
        mut happens: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        let deadline = Instant::now() + at_most;
        while Instant::now() < deadline && !self.run().has_ended() {
            if happens(self) {
                return true;
            }
            thread::sleep(LOOK_AGAIN);
        }
        false
    }

    /// Hits the target, and tells when; nothing where there is none any more.
    pub(super) fn hit(&mut self, target: Target, blow: Blow, truth: &Truth) -> Option<Instant> {
        const TO_APPEAR: Duration = Duration::from_secs(3);
        let mut pids = Vec::new();
        let is_there = self.wait_for(TO_APPEAR, |subject| {
            pids = subject.pids(target);
            !pids.is_empty()
        });
        if !is_there {
            truth.note(format_args!("there is no {target:?} to hit"));
            return None;
        }
        let began = Instant::now();
        let strike = |signal| {
            truth.note(format_args!("{signal} to {target:?} {pids:?}"));
            send(&pids, signal);
        };
        match blow {
            Blow::Once(signal) => strike(signal),
            Blow::StopThenKill(pause) => {
                strike(Signal::SIGSTOP);
                thread::sleep(pause);
                strike(Signal::SIGKILL);
            }
            Blow::TermTwice(pause) => {
                strike(Signal::SIGTERM);
                thread::sleep(pause);
                strike(Signal::SIGTERM);
            }
            Blow::TermThenKill(pause) => {
                strike(Signal::SIGTERM);
                thread::sleep(pause);
                strike(Signal::SIGKILL);
            }
        }
        if target == Target::Tree && blow.kills() {
            // What was started meanwhile is killed too, as with a container.
            until("the whole tree is killed", || {
                let left = self.pids(Target::Tree);
                send(&left, Signal::SIGKILL);
                left.is_empty()
            });
        }
        Some(began)
    }

    /// Waits for its end, and before that, where others may outlive the process that was started, for
    /// theirs.
    pub(super) fn finish(mut self, may_leave_others: bool) -> Finished {
        if may_leave_others {
            until("nothing of the run is left", || {
                thread::sleep(LOOK_AGAIN);
                self.is_over()
            });
        }
        let mut finished = match self.running {
            Running::Process(run) => run.finish(),
            Running::Container(container) => container.finish(),
        };
        if let Some(reader) = self.reader {
            finished.stdout = reader.finish();
        }
        finished
    }

    /// Whether the first process of a namespace has this directory open.
    pub(super) fn reads(&mut self, directory: &Path) -> bool {
        let outside = self.run().pid();
        let first = fs::read_to_string(format!("/proc/{outside}/task/{outside}/children"));
        let first = first.unwrap_or_default();
        let files = fs::read_dir(format!("/proc/{}/fd", first.trim()));
        let mut files = files.into_iter().flatten().flatten();
        let is_read =
            files.any(|file| fs::read_link(file.path()).is_ok_and(|file| file == directory));
        // It is read again when all is over.
        is_read && self.run().is_silent()
    }

    fn pids(&mut self, target: Target) -> Vec<Pid> {
        let (first, place) = (self.run().pid(), self.place);
        let mut all = marked(self.run().mark());
        all.sort();
        let named = |is_meant: &dyn Fn(&str) -> bool| -> Vec<Pid> {
            let all = all.iter().copied();
            all.filter(|pid| is_meant(&name_of(*pid))).collect()
        };
        let softstops = || named(&|name| name == "softstop");
        match target {
            Target::Softstop if place == Place::Host => vec![first],
            Target::Supervisor if place == Place::Host => {
                let others = softstops().into_iter().filter(|pid| *pid != first);
                others.take(1).collect()
            }
            Target::Softstop | Target::Supervisor => softstops().into_iter().take(1).collect(),
            Target::Terraform => named(&|name| matches!(name, "terraform" | "tofu")),
            Target::Plugin => named(&|name| name.starts_with("terraform-pro")),
            Target::Shell => {
                let shells = named(&|name| matches!(name, "sh" | "bash" | "dash"));
                let shells = shells.into_iter().filter(|pid| *pid != first);
                shells.take(1).collect()
            }
            Target::Tree => named(&|name| name != "unshare"),
        }
    }
}

fn send(pids: &[Pid], signal: Signal) {
    for pid in pids {
        // A process that has just ended needs no signal.
        let _ = kill(*pid, signal);
    }
}
