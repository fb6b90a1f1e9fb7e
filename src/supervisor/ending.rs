//! The end of a tree of processes: gently as long as there is time for it, and then for certain.

use std::io;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;
use tracing::{info, warn};

use super::budget::{BURIAL, UNHURRIED, UNHURRIED_BURIAL};
use super::children::none_left;
use super::freeze::kill_all;
use super::process::{self, Process, Programs};
use super::running::Running;
use super::send::send;
use super::state::Supervisor;
use super::stop::{Look, Step, Stop};
use super::tree;

/// How long the tree is left alone between two looks while it ends.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What became of a tree of processes.
pub(super) struct Tree {
    pub(super) tool_was_killed: bool,
    pub(super) is_gone: bool,
}

impl Supervisor {
    /// Ends everything below softstop, gently as long as there is time for it.
    pub(super) async fn end_tree(&self, running: &mut Running, tools: &Programs) -> Tree {
        let unhurried = Instant::now() + UNHURRIED;
        let mut stop = Stop::default();
        let mut told_twice = false;
        let mut was_blind = false;
        while !none_left() {
            // Whoever is dead costs a look as much as who lives, and there may be thousands.
            self.children.reap_the_dead();
            running.look();
            let tree = living();
            if let Err(error) = &tree
                && !was_blind
            {
                was_blind = true;
                self.has_told.set(true);
                interrupt_blindly(running, tools, error);
            }
            let kill_at = match self.budget() {
                None => unhurried,
                Some(budget) => {
                    self.wait_for_no_reader();
                    budget.tree_ends()
                }
            };
            let interrupts = *self.interrupts.borrow();
            if interrupts.count == 2 && !told_twice {
                told_twice = true;
                info!("Already stopping. A third signal kills the deploy at once.");
            }
            if interrupts.want_it_now() || Instant::now() >= kill_at {
                return self.kill_now(running, tools, tree).await;
            }
            if let Ok(tree) = &tree {
                let living_tools = tree.iter().filter(|process| is_tool(process, tools));
                let told = |process: &&Process| was_blind || process.is_being_told();
                let look = Look {
                    told: identities(living_tools.clone().filter(told)),
                    tools: identities(living_tools),
                    words: &self.words(),
                    tree,
                    command_lives: running.death.is_none(),
                };
                match stop.next(&look, Instant::now()) {
                    Step::Signal(signals) => {
                        self.has_told
                            .set(self.has_told.get() || !signals.is_empty());
                        send(&signals);
                    }
                    Step::KillAll => break,
                }
            }
            self.children.reaped_or(LOOK_AGAIN).await;
        }
        Tree {
            tool_was_killed: false,
            is_gone: self.kill_tree().await,
        }
    }

    /// Kills what a look has shown, or the command where it has shown nothing, and all that is left.
    async fn kill_now(
        &self,
        running: &Running,
        tools: &Programs,
        tree: io::Result<Vec<Process>>,
    ) -> Tree {
        let victims = tree
            .as_ref()
            .map_or_else(|_| "the command".to_owned(), |tree| count(tree.len()));
        if self.interrupts.borrow().want_it_now() {
            info!("Killing {victims}, as a third signal asks for.");
        } else {
            warn!("Still running, and out of time: killing {victims}.");
        }
        if tree.is_err() {
            running.signal_group(Signal::SIGKILL);
        }
        let is_any_a_tool = |tree: Vec<Process>| tree.iter().any(|process| is_tool(process, tools));
        Tree {
            tool_was_killed: tree.is_ok_and(is_any_a_tool),
            is_gone: self.kill_tree().await,
        }
    }

    /// Kills everything below softstop, again and again until the kernel says that nothing is left.
    pub(crate) async fn kill_tree(&self) -> bool {
        let began = Instant::now();
        // Where there are thousands, or the machine is busy, one sweep may take all the time, and the
        // kernel has to bury them still.
        let mut sweeps = 0;
        while !none_left() {
            if sweeps > 1 && Instant::now() >= began + self.burial() {
                self.tell_who_is_left();
                return false;
            }
            kill_all(|| {
                self.children.reap_the_dead();
                tree::descendants().unwrap_or_default()
            });
            sweeps += 1;
            self.children.reaped_or(LOOK_AGAIN / 4).await;
            self.children.reap_the_dead();
        }
        true
    }

    /// How long the kernel may take to bury what was killed.
    fn burial(&self) -> Duration {
        match self.budget() {
            Some(_) => BURIAL,
            None => UNHURRIED_BURIAL,
        }
    }

    fn tell_who_is_left(&self) {
        match living() {
            Ok(left) if self.unkilled.replace(left.len()) == left.len() => {}
            Ok(left) => warn!("{} cannot be killed.", count(left.len())),
            Err(error) => {
                warn!("What is left of the deploy cannot be seen, and may live on: {error}.");
            }
        }
    }

    /// Whether a tool was asked to stop: by us, or by whomever, where it was heard to say so.
    pub(crate) fn knows_of_a_stop(&self) -> bool {
        self.has_told.get() || !self.words().is_empty()
    }

    /// When tools have said that they were asked to stop.
    fn words(&self) -> Vec<u64> {
        let mut heard = self.stdout.heard();
        if !self.stdout.is(&self.stderr) {
            heard.extend(self.stderr.heard());
        }
        heard
            .into_iter()
            .filter_map(|moment| process::ago(moment.elapsed()).ok())
            .collect()
    }
}

/// Asks the command to stop where nobody can tell who belongs to it: each look needs two files. Where
/// it is no tool itself, all of it is asked, as a Ctrl-C does it.
fn interrupt_blindly(running: &Running, tools: &Programs, error: &io::Error) {
    warn!(
        "The processes of the deploy cannot be seen: {error}. Its command is interrupted as by \
         Ctrl-C. Where too many files are open, raise the limit: `ulimit -n 1024`."
    );
    if tools.include(running.pid) {
        running.signal(Signal::SIGINT);
    } else {
        running.signal_group(Signal::SIGINT);
    }
}

fn living() -> io::Result<Vec<Process>> {
    let mut tree = tree::descendants()?;
    tree.retain(|process| !process.dead);
    Ok(tree)
}

fn is_tool(process: &Process, tools: &Programs) -> bool {
    !process.only_forked && tools.include(process.identity.pid)
}

fn identities<'a, C: FromIterator<process::Identity>>(
    processes: impl Iterator<Item = &'a Process>,
) -> C {
    processes.map(|process| process.identity).collect()
}

fn count(processes: usize) -> String {
    match processes {
        1 => "1 process".to_owned(),
        processes => format!("{processes} processes"),
    }
}
