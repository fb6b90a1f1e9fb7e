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
const HESITATE: Duration = Duration::from_millis(40);
/// How long a tool that has just forked is watched: it may pass signals on to what it starts.
const BECOME: Duration = Duration::from_millis(100);
/// How long a tool may take to end by itself once the last one below it is gone.
const GO_ON: Duration = Duration::from_millis(200);
/// How long the rest of the tree gets to end by itself once the last tool is gone: a `tee` writes
/// its last lines, a shell passes on its status.
const SETTLE: Duration = Duration::from_millis(200);
/// How long a process that its command has left behind may take after SIGTERM.
const STRAGGLE: Duration = Duration::from_secs(1);

/// What was done so far to end one tree.
#[derive(Default)]
pub(super) struct Stop {
    /// Who has got a signal, from us or from somebody else.
    signalled: HashSet<Identity>,
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
        Step::Signal(self.signal_once(look.tree, Signal::SIGTERM))
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
                signals.extend(continue_stopped(tool));
                self.signalled.insert(tool.identity);
            } else if self.was_watched_enough(tool, look.tree, now) {
                let new = self.signal_once([tool], Signal::SIGINT);
                self.interrupted |= !new.is_empty();
                signals.extend(new);
            }
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

    fn signal_once<'a>(
        &mut self,
        processes: impl IntoIterator<Item = &'a Process>,
        signal: Signal,
    ) -> Vec<(Identity, Signal)> {
        let mut signals = Vec::new();
        for process in processes {
            if self.signalled.insert(process.identity) {
                signals.push((process.identity, signal));
                signals.extend(continue_stopped(process));
            }
        }
        signals
    }
}

/// Who is stopped can act on no signal.
fn continue_stopped(process: &Process) -> Option<(Identity, Signal)> {
    process
        .stopped
        .then_some((process.identity, Signal::SIGCONT))
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

#[cfg(test)]
mod tests {
    use super::super::process::tests::{STARTED, process};
    use super::*;

    const SOFTSTOP: i32 = 1;
    const SHELL: i32 = 10;
    const TERRAFORM: i32 = 11;
    const TEE: i32 = 12;
    const INNER: i32 = 13;
    const SOON: Duration = Duration::from_millis(1);

    /// A moment of a stop, and who lives in it.
    struct Moment {
        tree: Vec<Process>,
        tools: Vec<i32>,
        told: Vec<i32>,
        words: Vec<u64>,
        command_lives: bool,
    }

    impl Moment {
        fn told(mut self, pids: &[i32]) -> Self {
            self.told = pids.to_vec();
            self
        }

        fn with_words(mut self, count: usize, at: u64) -> Self {
            self.words = vec![at; count];
            self
        }

        fn orphaned(mut self) -> Self {
            self.command_lives = false;
            self
        }

        fn with(mut self, pid: i32, change: impl FnOnce(&mut Process)) -> Self {
            let mut processes = self.tree.iter_mut();
            change(processes.find(|process| is(process, pid)).unwrap());
            self
        }

        fn next(&self, stop: &mut Stop, now: Instant) -> Step {
            let identities = |pids: &[i32]| {
                let chosen = |process: &&Process| pids.iter().any(|pid| is(process, *pid));
                let chosen = self.tree.iter().filter(chosen);
                chosen.map(|process| process.identity).collect()
            };
            let look = Look {
                tree: &self.tree,
                tools: identities(&self.tools),
                told: identities(&self.told),
                words: &self.words,
                command_lives: self.command_lives,
            };
            stop.next(&look, now)
        }
    }

    fn is(process: &Process, pid: i32) -> bool {
        process.identity.pid.as_raw() == pid
    }

    /// These processes and their parents, of which the Terraforms are tools.
    fn tree(processes: &[(i32, i32)]) -> Moment {
        let tree: Vec<Process> = processes
            .iter()
            .map(|(pid, parent)| process(*pid, *parent))
            .collect();
        Moment {
            tree,
            tools: vec![TERRAFORM, INNER],
            told: Vec::new(),
            words: Vec::new(),
            command_lives: true,
        }
    }

    fn pipeline() -> Moment {
        tree(&[(SHELL, SOFTSTOP), (TERRAFORM, SHELL), (TEE, SHELL)])
    }

    /// A Terraform that runs a shell that runs another one.
    fn nested() -> Moment {
        tree(&[(TERRAFORM, SOFTSTOP), (SHELL, TERRAFORM), (INNER, SHELL)])
    }

    fn outer_alone() -> Moment {
        tree(&[(TERRAFORM, SOFTSTOP)])
    }

    fn signals(signals: &[(i32, Signal)]) -> Step {
        let signals = signals
            .iter()
            .map(|(pid, signal)| (process(*pid, SOFTSTOP).identity, *signal));
        Step::Signal(signals.collect())
    }

    /// A stop in which nobody was told anything up to the end of the first watch, which is returned.
    fn watched(moment: &Moment) -> (Stop, Instant) {
        let (mut stop, now) = (Stop::default(), Instant::now());
        assert_eq!(moment.next(&mut stop, now), signals(&[]));
        let end = now + HESITATE;
        assert_eq!(
            moment.next(&mut stop, end.checked_sub(SOON).unwrap()),
            signals(&[])
        );
        (stop, end)
    }

    #[test]
    fn a_tool_gets_one_sigint_and_nobody_else_gets_anything_while_it_lives() {
        let (mut stop, now) = watched(&pipeline());
        assert_eq!(
            pipeline().next(&mut stop, now),
            signals(&[(TERRAFORM, Signal::SIGINT)])
        );
        for second in 1..60 {
            let later = now + Duration::from_secs(second);
            assert_eq!(pipeline().next(&mut stop, later), signals(&[]));
        }
    }

    #[test]
    fn the_rest_gets_one_sigterm_once_the_tool_is_gone_and_the_pipes_have_settled() {
        let (mut stop, now) = watched(&pipeline());
        pipeline().next(&mut stop, now);
        let rest = tree(&[(SHELL, SOFTSTOP), (TEE, SHELL)]);
        assert_eq!(rest.next(&mut stop, now), signals(&[]));
        assert_eq!(
            rest.next(&mut stop, now + SETTLE),
            signals(&[(SHELL, Signal::SIGTERM), (TEE, Signal::SIGTERM)])
        );
        assert_eq!(rest.next(&mut stop, now + SETTLE * 2), signals(&[]));
    }

    #[test]
    fn a_tool_that_a_script_starts_after_the_interrupt_gets_its_sigint_too() {
        let (mut stop, now) = (Stop::default(), Instant::now());
        let shell = tree(&[(SHELL, SOFTSTOP)]);
        assert_eq!(
            shell.next(&mut stop, now),
            signals(&[(SHELL, Signal::SIGTERM)])
        );
        assert_eq!(pipeline().next(&mut stop, now), signals(&[]));
        assert_eq!(
            pipeline().next(&mut stop, now + HESITATE),
            signals(&[(TERRAFORM, Signal::SIGINT)])
        );
    }

    #[test]
    fn a_process_that_became_a_tool_after_its_sigterm_is_not_signalled_again() {
        let (mut stop, now) = (Stop::default(), Instant::now());
        let mut shell = outer_alone();
        shell.tools.clear();
        shell.next(&mut stop, now);
        outer_alone().next(&mut stop, now);
        assert_eq!(outer_alone().next(&mut stop, now + GO_ON), signals(&[]));
    }

    #[test]
    fn stragglers_are_killed_but_a_command_that_still_ends_is_waited_for() {
        let (mut stop, now) = (Stop::default(), Instant::now());
        let rest = || tree(&[(SHELL, SOFTSTOP), (TEE, SHELL)]);
        rest().next(&mut stop, now);
        assert_eq!(rest().next(&mut stop, now + STRAGGLE), signals(&[]));
        assert_eq!(
            rest().orphaned().next(&mut stop, now + STRAGGLE),
            Step::KillAll
        );
    }

    #[test]
    fn a_stopped_process_is_continued_so_that_it_can_act_on_its_signal() {
        let stopped = outer_alone().with(TERRAFORM, |process| process.stopped = true);
        let (mut stop, now) = watched(&stopped);
        assert_eq!(
            stopped.next(&mut stop, now),
            signals(&[(TERRAFORM, Signal::SIGINT), (TERRAFORM, Signal::SIGCONT)])
        );
        let told = stopped.told(&[TERRAFORM]);
        assert_eq!(
            told.next(&mut Stop::default(), now),
            signals(&[(TERRAFORM, Signal::SIGCONT)])
        );
    }

    #[test]
    fn of_tools_below_each_other_the_innermost_alone_is_interrupted() {
        let (mut stop, now) = watched(&nested());
        assert_eq!(
            nested().next(&mut stop, now),
            signals(&[(INNER, Signal::SIGINT)])
        );
        for second in 1..60 {
            let later = now + Duration::from_secs(second);
            assert_eq!(nested().next(&mut stop, later), signals(&[]));
        }
    }

    #[test]
    fn an_outer_tool_that_goes_on_without_its_inner_one_is_interrupted_once() {
        let (mut stop, now) = watched(&nested());
        nested().next(&mut stop, now);
        let gone = now + SETTLE;
        assert_eq!(nested().next(&mut stop, gone), signals(&[]));
        let still = (gone + GO_ON).checked_sub(SOON).unwrap();
        assert_eq!(outer_alone().next(&mut stop, still), signals(&[]));
        assert_eq!(
            outer_alone().next(&mut stop, gone + GO_ON),
            signals(&[(TERRAFORM, Signal::SIGINT)])
        );
        assert_eq!(outer_alone().next(&mut stop, gone + STRAGGLE), signals(&[]));
    }

    #[test]
    fn an_outer_tool_that_was_interrupted_before_it_started_an_inner_one_is_not_again() {
        let (mut stop, now) = watched(&outer_alone());
        outer_alone().next(&mut stop, now);
        nested().next(&mut stop, now);
        assert_eq!(
            nested().next(&mut stop, now + GO_ON),
            signals(&[(INNER, Signal::SIGINT)])
        );
        outer_alone().next(&mut stop, now + GO_ON);
        assert_eq!(outer_alone().next(&mut stop, now + STRAGGLE), signals(&[]));
    }

    #[test]
    fn tools_beside_each_other_are_all_interrupted() {
        let beside = tree(&[(SHELL, SOFTSTOP), (TERRAFORM, SHELL), (INNER, SHELL)]);
        let (mut stop, now) = watched(&beside);
        assert_eq!(
            beside.next(&mut stop, now),
            signals(&[(TERRAFORM, Signal::SIGINT), (INNER, Signal::SIGINT)])
        );
    }

    #[test]
    fn what_a_tool_has_just_forked_may_become_one_and_is_waited_for() {
        let mut forking = tree(&[(TERRAFORM, SOFTSTOP), (INNER, TERRAFORM)])
            .with(INNER, |process| process.only_forked = true);
        forking.tools = vec![TERRAFORM];
        let (mut stop, end) = watched(&forking);
        assert_eq!(forking.next(&mut stop, end), signals(&[]));
        assert_eq!(
            forking.next(&mut stop, end + BECOME),
            signals(&[(TERRAFORM, Signal::SIGINT)])
        );
    }

    #[test]
    fn a_tool_that_somebody_else_has_told_gets_nothing() {
        let (mut stop, now) = (Stop::default(), Instant::now());
        let told = pipeline().told(&[TERRAFORM]);
        assert_eq!(told.next(&mut stop, now), signals(&[]));
        assert_eq!(pipeline().next(&mut stop, now + STRAGGLE), signals(&[]));
    }

    #[test]
    fn a_tool_that_says_that_it_was_told_gets_nothing() {
        let (mut stop, now) = (Stop::default(), Instant::now());
        pipeline().next(&mut stop, now);
        let said = pipeline().with_words(1, STARTED + 1);
        assert_eq!(said.next(&mut stop, now + HESITATE), signals(&[]));
        assert_eq!(said.next(&mut stop, now + STRAGGLE), signals(&[]));
    }

    #[test]
    fn words_from_before_a_tool_was_started_are_another_ones() {
        let said = pipeline().with_words(1, STARTED);
        let (mut stop, now) = watched(&said);
        assert_eq!(
            said.next(&mut stop, now),
            signals(&[(TERRAFORM, Signal::SIGINT)])
        );
    }

    #[test]
    fn the_words_of_one_of_two_tools_do_not_tell_which_one_it_was() {
        let beside = || tree(&[(SHELL, SOFTSTOP), (TERRAFORM, SHELL), (INNER, SHELL)]);
        let (mut stop, now) = watched(&beside().with_words(1, STARTED + 1));
        let both = [(TERRAFORM, Signal::SIGINT), (INNER, Signal::SIGINT)];
        assert_eq!(beside().next(&mut stop, now), signals(&both));
        let (mut stop, now) = watched(&beside().with_words(2, STARTED + 1));
        assert_eq!(beside().next(&mut stop, now), signals(&[]));
    }

    #[test]
    fn the_words_of_an_inner_tool_that_we_have_interrupted_say_nothing_of_the_outer_one() {
        let (mut stop, now) = watched(&nested());
        nested().next(&mut stop, now);
        let said = || outer_alone().with_words(1, STARTED + 1);
        said().next(&mut stop, now);
        assert_eq!(
            said().next(&mut stop, now + GO_ON),
            signals(&[(TERRAFORM, Signal::SIGINT)])
        );
    }

    #[test]
    fn where_the_inner_and_the_outer_tool_were_told_neither_gets_anything() {
        let (mut stop, now) = (Stop::default(), Instant::now());
        let said = nested().with_words(2, STARTED + 1);
        assert_eq!(said.next(&mut stop, now + HESITATE), signals(&[]));
        outer_alone().next(&mut stop, now);
        assert_eq!(outer_alone().next(&mut stop, now + STRAGGLE), signals(&[]));
    }
}
