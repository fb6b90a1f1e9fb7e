//! Who gets which signal when a tree of processes is to end.
//!
//! Every process gets at most one signal that it can act on. A deploy tool gets SIGINT, by pid, as
//! soon as it is seen: a second SIGINT or SIGTERM would make Terraform drop what is in flight. The
//! others get SIGTERM, but only while no tool lives: a `tee` that dies takes its terraform along
//! by SIGPIPE, and a plugin that dies takes its resources out of the state.

use std::collections::HashSet;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::time::Instant;

use super::process::{Identity, Process};

/// How long the rest of the tree gets to end by itself once the last tool is gone: a `tee` writes
/// its last lines, a shell passes on its status.
const SETTLE: Duration = Duration::from_millis(200);
/// How long a process that its command has left behind may take after SIGTERM.
const STRAGGLE: Duration = Duration::from_secs(1);

/// What was done so far to end one tree.
#[derive(Default)]
pub(super) struct Stop {
    signalled: HashSet<Identity>,
    /// Whether a tool was seen in this tree.
    tool_seen: bool,
    /// Since when no tool lives.
    quiet_since: Option<Instant>,
    /// When the first SIGTERM was sent.
    terminated_at: Option<Instant>,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send these signals, and look again.
    Signal(Vec<(Pid, Signal)>),
    /// Nobody left here can be expected to end by itself.
    KillAll,
}

impl Stop {
    /// Decides from the living `tree`; `is_tool` tells the deploy tools among them, and
    /// `command_lives` whether the command that softstop started is still there.
    pub(super) fn next(
        &mut self,
        tree: &[Process],
        is_tool: impl Fn(&Process) -> bool,
        command_lives: bool,
        now: Instant,
    ) -> Step {
        let tools: Vec<&Process> = tree.iter().filter(|process| is_tool(process)).collect();
        if !tools.is_empty() {
            self.tool_seen = true;
            self.quiet_since = None;
            return Step::Signal(self.signal_once(tools, Signal::SIGINT));
        }
        let quiet_since = *self.quiet_since.get_or_insert(now);
        if self.tool_seen && now < quiet_since + SETTLE {
            return Step::Signal(Vec::new());
        }
        let terminated_at = *self.terminated_at.get_or_insert(now);
        if !command_lives && now >= terminated_at + STRAGGLE {
            return Step::KillAll;
        }
        Step::Signal(self.signal_once(tree, Signal::SIGTERM))
    }

    fn signal_once<'a>(
        &mut self,
        processes: impl IntoIterator<Item = &'a Process>,
        signal: Signal,
    ) -> Vec<(Pid, Signal)> {
        let mut signals = Vec::new();
        for process in processes {
            if self.signalled.insert(process.identity) {
                signals.push((process.identity.pid, signal));
                if process.stopped {
                    signals.push((process.identity.pid, Signal::SIGCONT));
                }
            }
        }
        signals
    }
}

#[cfg(test)]
mod tests {
    use super::super::process::tests::process;
    use super::*;

    const SHELL: i32 = 10;
    const TERRAFORM: i32 = 11;
    const TEE: i32 = 12;

    fn is_tool(process: &Process) -> bool {
        process.identity.pid.as_raw() == TERRAFORM
    }

    fn tree(pids: &[i32]) -> Vec<Process> {
        pids.iter().map(|pid| process(*pid, false)).collect()
    }

    fn signals(signals: &[(i32, Signal)]) -> Step {
        Step::Signal(
            signals
                .iter()
                .map(|(pid, signal)| (Pid::from_raw(*pid), *signal))
                .collect(),
        )
    }

    #[test]
    fn a_tool_gets_one_sigint_and_nobody_else_gets_anything_while_it_lives() {
        let (mut stop, now) = (Stop::default(), Instant::now());
        let tree = tree(&[SHELL, TERRAFORM, TEE]);
        assert_eq!(
            stop.next(&tree, is_tool, true, now),
            signals(&[(TERRAFORM, Signal::SIGINT)])
        );
        for second in 1..60 {
            let later = now + Duration::from_secs(second);
            assert_eq!(stop.next(&tree, is_tool, true, later), signals(&[]));
        }
    }

    #[test]
    fn the_rest_gets_one_sigterm_once_the_tool_is_gone_and_the_pipes_have_settled() {
        let (mut stop, now) = (Stop::default(), Instant::now());
        stop.next(&tree(&[SHELL, TERRAFORM, TEE]), is_tool, true, now);
        let rest = tree(&[SHELL, TEE]);
        assert_eq!(stop.next(&rest, is_tool, true, now), signals(&[]));
        assert_eq!(
            stop.next(&rest, is_tool, true, now + SETTLE),
            signals(&[(SHELL, Signal::SIGTERM), (TEE, Signal::SIGTERM)])
        );
        assert_eq!(
            stop.next(&rest, is_tool, true, now + SETTLE * 2),
            signals(&[])
        );
    }

    #[test]
    fn a_tool_that_a_script_starts_after_the_interrupt_gets_its_sigint_too() {
        let (mut stop, now) = (Stop::default(), Instant::now());
        assert_eq!(
            stop.next(&tree(&[SHELL]), is_tool, true, now),
            signals(&[(SHELL, Signal::SIGTERM)])
        );
        assert_eq!(
            stop.next(&tree(&[SHELL, TERRAFORM]), is_tool, true, now),
            signals(&[(TERRAFORM, Signal::SIGINT)])
        );
    }

    #[test]
    fn a_process_that_became_a_tool_after_its_sigterm_is_not_signalled_again() {
        let (mut stop, now) = (Stop::default(), Instant::now());
        let tree = tree(&[TERRAFORM]);
        stop.next(&tree, |_| false, true, now);
        assert_eq!(stop.next(&tree, is_tool, true, now), signals(&[]));
    }

    #[test]
    fn stragglers_are_killed_but_a_command_that_still_ends_is_waited_for() {
        let (mut stop, now) = (Stop::default(), Instant::now());
        let rest = tree(&[SHELL, TEE]);
        stop.next(&rest, is_tool, true, now);
        assert_eq!(
            stop.next(&rest, is_tool, true, now + STRAGGLE),
            signals(&[])
        );
        assert_eq!(
            stop.next(&rest, is_tool, false, now + STRAGGLE),
            Step::KillAll
        );
    }

    #[test]
    fn a_stopped_process_is_continued_so_that_it_can_act_on_its_signal() {
        let mut stop = Stop::default();
        assert_eq!(
            stop.next(&[process(TERRAFORM, true)], is_tool, true, Instant::now()),
            signals(&[(TERRAFORM, Signal::SIGINT), (TERRAFORM, Signal::SIGCONT)])
        );
    }
}
