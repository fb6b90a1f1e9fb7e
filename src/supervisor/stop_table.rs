//! Which signals a stop sends, moment by moment.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use super::process::Process;
use super::process::tests::{STARTED, process};
use super::stop::{BECOME, GO_ON, HESITATE, Look, SETTLE, STRAGGLE, Step, Stop};

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

/// A process that has got its SIGTERM as a shell.
fn terminated_shell() -> (Stop, Instant) {
    let (mut stop, now) = (Stop::default(), Instant::now());
    let mut shell = outer_alone();
    shell.tools.clear();
    let sigterm = signals(&[(TERRAFORM, Signal::SIGTERM)]);
    assert_eq!(shell.next(&mut stop, now), sigterm);
    assert_eq!(shell.next(&mut stop, now), signals(&[]));
    (stop, now)
}

#[test]
fn a_process_that_became_a_tool_before_it_took_its_sigterm_is_not_signalled_again() {
    let (mut stop, now) = terminated_shell();
    outer_alone().told(&[TERRAFORM]).next(&mut stop, now);
    assert_eq!(outer_alone().next(&mut stop, now + GO_ON), signals(&[]));
    let (mut stop, now) = terminated_shell();
    let said = outer_alone().with_words(1, STARTED + 1);
    said.next(&mut stop, now);
    assert_eq!(said.next(&mut stop, now + GO_ON), signals(&[]));
}

#[test]
fn a_process_that_became_a_tool_after_its_trap_took_the_sigterm_is_interrupted_once() {
    let (mut stop, now) = terminated_shell();
    assert_eq!(outer_alone().next(&mut stop, now), signals(&[]));
    assert_eq!(
        outer_alone().next(&mut stop, now + HESITATE),
        signals(&[(TERRAFORM, Signal::SIGINT)])
    );
    assert_eq!(outer_alone().next(&mut stop, now + GO_ON), signals(&[]));
}

#[test]
fn whoever_is_stopped_beside_a_tool_is_continued_so_that_the_tool_can_end() {
    let stop_all = |mut moment: Moment| {
        for process in &mut moment.tree {
            process.stopped = true;
        }
        moment
    };
    let plugin = || stop_all(tree(&[(TERRAFORM, SOFTSTOP), (TEE, TERRAFORM)]));
    let both = [(TERRAFORM, Signal::SIGCONT), (TEE, Signal::SIGCONT)];
    let (mut stop, now) = watched(&plugin());
    let asked = [(TERRAFORM, Signal::SIGINT), both[0], both[1]];
    assert_eq!(plugin().next(&mut stop, now), signals(&asked));
    let told = plugin().told(&[TERRAFORM]);
    assert_eq!(told.next(&mut Stop::default(), now), signals(&both));
    let said = plugin().with_words(1, STARTED + 1);
    assert_eq!(said.next(&mut Stop::default(), now), signals(&both));
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
