//! Ends a whole tree at once, though those in it go on starting others meanwhile.

use std::collections::HashSet;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgrp, getpid};

use super::process::{Identity, Process};
use super::send::send;

/// How often a tree is looked at before what is stopped is killed, and then all begins again.
const LOOKS: usize = 20;

/// Stops everybody in a tree until a look shows nobody new, and then kills them.
///
/// Whoever is stopped can neither start somebody nor notice that somebody was killed. The kernel
/// starts nobody for a process for which a signal waits, so after a look that shows nobody new there
/// is nobody new.
pub(super) fn kill_all(look: impl Fn() -> Vec<Process>) {
    let mut stopped = HashSet::new();
    for _ in 0..LOOKS {
        let tree = look();
        kill_groups_of_the_dead(&tree);
        let is_new = |process: &&Process| !process.dead && stopped.insert(process.identity);
        let new = tree.iter().filter(is_new).map(|process| process.identity);
        let new: Vec<Identity> = new.collect();
        if new.is_empty() {
            break;
        }
        send(&all(new, Signal::SIGSTOP));
    }
    send(&all(stopped, Signal::SIGKILL));
}

fn all(processes: impl IntoIterator<Item = Identity>, signal: Signal) -> Vec<(Identity, Signal)> {
    let processes = processes.into_iter();
    processes.map(|process| (process, signal)).collect()
}

/// Kills the groups of those dead children of ours that are not reaped yet.
///
/// Who starts somebody and ends, again and again, is gone before a look has told of it. But its group
/// stays, which the kernel signals as a whole, and until the dead are reaped, which we alone do, the
/// group's number is nobody else's.
fn kill_groups_of_the_dead(tree: &[Process]) {
    let us = getpid();
    let is_kept = |process: &&Process| process.dead && process.parent == us;
    let groups: HashSet<Pid> = tree.iter().filter(is_kept).map(|dead| dead.group).collect();
    for group in groups.into_iter().filter(|group| can_be_killed(*group)) {
        // All of it may be dead.
        let _ = killpg(group, Signal::SIGKILL);
    }
}

/// Whether this is the number of a group, and not of our own: 0 stands for one that cannot be seen
/// from here, and 1 would stand for everybody.
fn can_be_killed(group: Pid) -> bool {
    group != getpgrp() && group.as_raw() > 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_our_own_group_nor_everybody_is_killed() {
        for group in [getpgrp(), Pid::from_raw(0), Pid::from_raw(1)] {
            assert!(!can_be_killed(group), "{group}");
        }
        assert!(can_be_killed(Pid::from_raw(getpgrp().as_raw() + 1)));
    }
}
