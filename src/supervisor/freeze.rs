//! Ends a whole tree at once, though those in it go on starting others meanwhile.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getpgrp, getpid};

use super::process::{Identity, Process};
use super::send::send;

/// How often a tree is looked at before what is stopped is killed, and then all begins again.
const LOOKS: usize = 20;
/// How long to look at the most: thousands of processes take their time.
const LONGEST: Duration = Duration::from_millis(200);
/// How long those who were told to stand still are given for it, between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Stops everybody in a tree until a look shows nobody new, and all standing still, and then kills
/// them, parents before their children.
///
/// Whoever is stopped can neither start somebody nor notice that somebody was killed. The kernel
/// starts nobody for a process for which a signal waits, so after a look that shows nobody new there
/// is nobody new. But a signal that waits stops nobody: it is given to one thread, and until that one
/// has its turn, which takes a while on a busy machine, all others run on, and a Terraform would see
/// how its provider dies.
pub(super) fn kill_all(look: impl Fn() -> Vec<Process>) {
    let began = Instant::now();
    let mut seen = HashSet::new();
    let mut victims = Vec::new();
    for _ in 0..LOOKS {
        let tree = look();
        kill_groups_of_the_dead(&tree);
        let living = tree.iter().filter(|process| !process.dead);
        let new = living.clone().map(|process| process.identity);
        let new: Vec<Identity> = new.filter(|process| seen.insert(*process)).collect();
        if new.is_empty() {
            if living.clone().all(|process| process.stopped) {
                break;
            }
            thread::sleep(PAUSE);
        }
        send(&all(&new, Signal::SIGSTOP));
        victims.extend(new);
        if began.elapsed() > LONGEST {
            break;
        }
    }
    send(&all(&victims, Signal::SIGKILL));
}

fn all(processes: &[Identity], signal: Signal) -> Vec<(Identity, Signal)> {
    let processes = processes.iter();
    processes.map(|process| (*process, signal)).collect()
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
    use std::cell::Cell;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::super::process;
    use super::*;

    #[test]
    fn neither_our_own_group_nor_everybody_is_killed() {
        for group in [getpgrp(), Pid::from_raw(0), Pid::from_raw(1)] {
            assert!(!can_be_killed(group), "{group}");
        }
        assert!(can_be_killed(Pid::from_raw(getpgrp().as_raw() + 1)));
    }
    #[test]
    fn nobody_is_killed_before_all_are_seen_to_stand_still() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        let looks = Cell::new(0);
        kill_all(|| {
            looks.set(looks.get() + 1);
            let mut seen = process::one(pid).unwrap();
            assert!(!seen.dead, "it is killed after {} looks", looks.get());
            seen.stopped = looks.get() > 4;
            vec![seen]
        });
        assert_eq!(looks.get(), 5);
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGKILL as i32));
    }

    #[test]
    fn whoever_never_stands_still_is_killed_all_the_same() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        kill_all(|| {
            let mut seen = process::one(pid).unwrap();
            seen.stopped = false;
            vec![seen]
        });
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGKILL as i32));
    }
}
