//! Who gets which signal when a tree of processes is to end.
//!
//! Every process gets at most one signal that it can act on. A deploy tool gets SIGINT, by pid, as
//! soon as it is sure to be the first one: a second SIGINT or SIGTERM would make Terraform drop what
//! is in flight. Of tools below each other only the innermost gets it, because those around it may
//! pass it on. The others get SIGTERM, but only while no tool lives: a `tee` that dies takes its
//! terraform along by SIGPIPE, and a plugin that dies takes its resources out of the state.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::time::Instant;

use super::process::{Identity, Process};

/// How long a tool is watched before its SIGINT: whoever signals softstop may signal everybody.
/// Terraform was seen to say within 3 ms that it stops, and within 22 ms on a busy machine.
pub(super) const HESITATE: Duration = Duration::from_millis(40);
/// How long a tool that has just forked is watched: it may pass signals on to what it starts.
pub(super) const BECOME: Duration = Duration::from_millis(100);
/// How long a tool may take to end by itself once the last one below it is gone.
pub(super) const GO_ON: Duration = Duration::from_millis(200);
/// How long the rest of the tree gets to end by itself once the last tool is gone: a `tee` writes
/// its last lines, a shell passes on its status.
pub(super) const SETTLE: Duration = Duration::from_millis(200);
/// How long a process that its command has left behind may take after SIGTERM.
pub(super) const STRAGGLE: Duration = Duration::from_secs(1);

/// What was done so far to end one tree.
#[derive(Default)]
pub(super) struct Stop {
    /// Who has got a signal as a tool, from us or from somebody else.
    signalled: HashSet<Identity>,
    /// Who has got our SIGTERM and was no tool then. A shell that traps it may still become one by `exec`,
    /// which keeps the identity.
    terminated: HashSet<Identity>,
    /// Whether a tool has got one from us: what tools say from then on is no news.
    interrupted: bool,
    /// For how long each tool is watched.
    watched: HashMap<Identity, Watch>,
    /// Whether a tool was seen in this tree.
    tool_seen: bool,
    /// Since when no tool lives.
    quiet_since: Option<Instant>,
    /// When the first SIGTERM was sent.
    terminated_at: Option<Instant>,
}

/// What one look has shown.
pub(super) struct Look<'a> {
    /// Who lives below softstop.
    pub(super) tree: &'a [Process],
    /// Which of them are deploy tools, and have become a program of their own.
    pub(super) tools: HashSet<Identity>,
    /// Which tools have a signal of somebody else's waiting for them.
    pub(super) told: HashSet<Identity>,
    /// When tools have said that they were asked to stop, as the start of a process is told.
    pub(super) words: &'a [u64],
    /// Whether the command that softstop started is still there.
    pub(super) command_lives: bool,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send these signals, and look again.
    Signal(Vec<(Identity, Signal)>),
    /// Nobody left here can be expected to end by itself.
    KillAll,
}

/// Since when and how long a tool is watched before it gets its SIGINT.
struct Watch {
    since: Instant,
    time: Duration,
}

impl Stop {
    /// Decides from what a look at this moment has shown.
    pub(super) fn next(&mut self, look: &Look, now: Instant) -> Step {
        let is_tool = |process: &&Process| look.tools.contains(&process.identity);
        let tools: Vec<&Process> = look.tree.iter().filter(is_tool).collect();
        if !tools.is_empty() {
            self.tool_seen = true;
            self.quiet_since = None;
            return Step::Signal(self.interrupt(&tools, look, now));
        }
        let quiet_since = *self.quiet_since.get_or_insert(now);
        if self.tool_seen && now < quiet_since + SETTLE {
            return Step::Signal(Vec::new());
        }
        let terminated_at = *self.terminated_at.get_or_insert(now);
        if !look.command_lives && now >= terminated_at + STRAGGLE {
            return Step::KillAll;
        }
        Step::Signal(self.terminate(look.tree))
    }

    /// Interrupts the tools that have no tool below them, and have not been told by anybody else.
    fn interrupt(
        &mut self,
        tools: &[&Process],
        look: &Look,
        now: Instant,
    ) -> Vec<(Identity, Signal)> {
        let ancestors = ancestors(tools, look.tree);
        let (outer, inner): (Vec<&Process>, Vec<&Process>) = tools
            .iter()
            .partition(|tool| ancestors.contains(&tool.identity.pid));
        self.heed_words(&inner, look.words);
        self.heed_words(tools, look.words);
        for tool in outer {
            let (since, time) = (now, GO_ON);
            self.watched.insert(tool.identity, Watch { since, time });
        }
        let mut signals = Vec::new();
        for tool in inner {
            if look.told.contains(&tool.identity) {
                self.signalled.insert(tool.identity);
            } else if self.was_watched_enough(tool, look.tree, now)
                && self.signalled.insert(tool.identity)
            {
                self.interrupted = true;
                signals.push((tool.identity, Signal::SIGINT));
            }
        }
        let is_asked = |tool: &&Process| self.signalled.contains(&tool.identity);
        if tools.iter().any(is_asked) {
            // A tool waits for its plugin, which gets no signal, and may be stopped as well.
            signals.extend(continue_stopped(look.tree));
        }
        signals
    }

    fn was_watched_enough(&mut self, tool: &Process, tree: &[Process], now: Instant) -> bool {
        let watch = self.watched.entry(tool.identity).or_insert(Watch {
            since: now,
            time: HESITATE,
        });
        let has_just_forked = tree
            .iter()
            .any(|process| process.only_forked && process.parent == tool.identity.pid);
        let time = if has_just_forked {
            watch.time.max(BECOME)
        } else {
            watch.time
        };
        now >= watch.since + time
    }

    /// Takes note where all of these tools have said that they were asked to stop. Where fewer have
    /// said it, nobody knows which.
    fn heed_words(&mut self, tools: &[&Process], words: &[u64]) {
        let have_all_said_it = tools.iter().all(|tool| {
            let since = words
                .iter()
                .filter(|word| tool.identity.started_before(**word));
            since.count() >= tools.len()
        });
        if have_all_said_it && !self.interrupted {
            self.signalled
                .extend(tools.iter().map(|tool| tool.identity));
        }
    }

    /// Asks everybody to end who was not asked before.
    fn terminate(&mut self, tree: &[Process]) -> Vec<(Identity, Signal)> {
        let mut signals = Vec::new();
        for process in tree {
            let identity = process.identity;
            if !self.signalled.contains(&identity) && self.terminated.insert(identity) {
                signals.push((identity, Signal::SIGTERM));
            }
        }
        signals.extend(continue_stopped(tree));
        signals
    }
}

/// Who is stopped can act on no signal.
fn continue_stopped(tree: &[Process]) -> impl Iterator<Item = (Identity, Signal)> {
    let stopped = tree.iter().filter(|process| process.stopped);
    stopped.map(|process| (process.identity, Signal::SIGCONT))
}

/// Everybody above these tools.
fn ancestors(tools: &[&Process], tree: &[Process]) -> HashSet<Pid> {
    let parents: HashMap<Pid, Pid> = tree
        .iter()
        .map(|process| (process.identity.pid, process.parent))
        .collect();
    let mut found = HashSet::new();
    for tool in tools {
        let mut next = tool.parent;
        while found.insert(next)
            && let Some(parent) = parents.get(&next)
        {
            next = *parent;
        }
    }
    found
}
