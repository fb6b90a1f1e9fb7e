//! The tree of processes below softstop.

use std::collections::HashMap;
use std::fs;
use std::io::{self, ErrorKind};

use nix::unistd::{Pid, getpid, getppid};

use super::process::{self, Identity, Process};

/// Every process below this one, however deep, in whatever session.
///
/// As softstop adopts orphans, no process of the deploy can leave this tree. One that moves while
/// this looks may be missed, so only the kernel's word that there are no children proves that
/// nothing is left.
pub(super) fn descendants() -> io::Result<Vec<Process>> {
    match children_of_all_threads(getpid()) {
        Ok(children) => Ok(below(getpid(), children)),
        // A kernel that does not list children.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(below_among(getpid(), process::all()?))
        }
        Err(error) => Err(error),
    }
}

/// Every process but us, our guard, and what we have started since `started`.
///
/// Who is the first process of a container by `exec` has children that it did not start.
pub(super) fn others(started: u64) -> io::Result<Vec<Process>> {
    let own: Vec<Pid> = descendants()?
        .iter()
        .map(|own| own.identity)
        .filter(|own| !own.started_before(started))
        .map(|own| own.pid)
        .chain([getpid(), getppid()])
        .collect();
    let mut others = process::all()?;
    others.retain(|process| !own.contains(&process.identity.pid));
    Ok(others)
}

/// A tree without these processes and all below them.
pub(super) fn without(tree: Vec<Process>, strangers: &[Identity]) -> Vec<Process> {
    let strangers: Vec<Process> = tree
        .iter()
        .filter(|process| strangers.contains(&process.identity))
        .cloned()
        .collect();
    let mut tree = tree;
    for stranger in strangers {
        let below = below_among(stranger.identity.pid, tree.clone());
        tree.retain(|process| *process != stranger && !below.contains(process));
    }
    tree
}

/// These children of `ancestor` and all below them. Nobody else is read: there may be thousands of
/// others, and a Terraform that stores its state needs the processor.
fn below(ancestor: Pid, children: Vec<Pid>) -> Vec<Process> {
    let mut found = Vec::new();
    let mut families = vec![(ancestor, children)];
    while let Some((parent, children)) = families.pop() {
        // A process may end between the listing and the look; then there is nothing to tell.
        for process in children.into_iter().filter_map(process::one) {
            // Its number may be a stranger's by now, and its parent may be gone, so that it is ours.
            if process.parent != parent && process.parent != ancestor {
                continue;
            }
            let pid = process.identity.pid;
            let children = match process.threads {
                0 | 1 => children_of_thread(pid, pid),
                _ => children_of_all_threads(pid),
            };
            families.push((pid, children.unwrap_or_default()));
            found.push(process);
        }
    }
    found
}

fn children_of_all_threads(pid: Pid) -> io::Result<Vec<Pid>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let name = entry?.file_name();
        let Some(thread) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        match children_of_thread(pid, Pid::from_raw(thread)) {
            Ok(more) => children.extend(more),
            // A thread may end too; only that of the first one must be there.
            Err(_) if thread != pid.as_raw() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(children)
}

fn children_of_thread(pid: Pid, thread: Pid) -> io::Result<Vec<Pid>> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children"))?;
    let pids = list.split_ascii_whitespace();
    Ok(pids
        .filter_map(|pid| pid.parse().ok())
        .map(Pid::from_raw)
        .collect())
}

/// Everybody in `all` who is below `ancestor`.
fn below_among(ancestor: Pid, all: Vec<Process>) -> Vec<Process> {
    let mut children: HashMap<Pid, Vec<Process>> = HashMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        for process in children.remove(&parent).unwrap_or_default() {
            parents.push(process.identity.pid);
            found.push(process);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::process::tests::process;
    use super::*;

    fn pids(processes: &[Process]) -> Vec<i32> {
        let mut pids: Vec<i32> = processes
            .iter()
            .map(|process| process.identity.pid.as_raw())
            .collect();
        pids.sort_unstable();
        pids
    }

    #[test]
    fn all_who_are_below_one_are_found_among_all() {
        let all = [(1, 0), (10, 1), (11, 10), (12, 11), (20, 1), (21, 20)];
        let all = all.map(|(pid, parent)| process(pid, parent)).to_vec();
        assert_eq!(pids(&below_among(Pid::from_raw(10), all)), [11, 12]);
    }

    #[test]
    fn strangers_and_all_below_them_are_no_part_of_a_tree() {
        let tree = [(10, 1), (11, 10), (12, 11), (20, 1), (21, 20)];
        let tree = tree.map(|(pid, parent)| process(pid, parent)).to_vec();
        let stranger = tree[0].identity;
        assert_eq!(pids(&without(tree, &[stranger])), [20, 21]);
    }

    #[test]
    fn both_ways_to_read_the_tree_find_a_child_of_another_thread_and_its_child() {
        // The tests themselves are threads, none of which is the first one.
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & echo; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0];
        io::Read::read_exact(shell.stdout.as_mut().unwrap(), &mut line).unwrap();
        let pid = Pid::from_raw(shell.id().cast_signed());
        let listed = below(getpid(), vec![pid]);
        let scanned = below_among(pid, process::all().unwrap());
        let is_found = children_of_all_threads(getpid()).unwrap().contains(&pid);
        for process in &listed {
            nix::sys::signal::kill(process.identity.pid, nix::sys::signal::Signal::SIGKILL)
                .unwrap();
        }
        shell.wait().unwrap();
        assert!(is_found);
        assert_eq!(listed.len(), 2);
        assert_eq!(listed[0].identity.pid, pid);
        assert_eq!(pids(&listed[1..]), pids(&scanned));
    }
}
