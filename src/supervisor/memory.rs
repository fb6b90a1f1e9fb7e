//! Whether the kernel kills processes here for lack of memory: it counts them for each control
//! group, and says nothing to anybody else.

use std::fs;
use std::path::{Path, PathBuf};

/// A count of those whom the kernel has killed for lack of memory, in our control group.
pub(super) struct Kills {
    file: PathBuf,
    before: u64,
}

impl Kills {
    /// Begins to count. Nothing where the kernel does not: in the group of the machine itself.
    pub(super) fn watch() -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let file = file_of(&groups, &mounts)?;
        let before = count_in(&file)?;
        Some(Self { file, before })
    }

    /// Whether somebody was killed since then.
    pub(super) fn is_any(&self) -> bool {
        count_in(&self.file).is_some_and(|now| now > self.before)
    }
}

fn count_in(file: &Path) -> Option<u64> {
    count(&fs::read_to_string(file).ok()?)
}

/// Reads what both versions of control groups say in the same words.
fn count(text: &str) -> Option<u64> {
    let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    kills?.trim().parse().ok()
}

/// Where the kernel counts. Where both versions are mounted, memory belongs to the first one, or to
/// the second one alone.
fn file_of(groups: &str, mounts: &str) -> Option<PathBuf> {
    let first = || {
        let group = group_of(groups, |controllers| has(controllers, "memory"))?;
        let directory = directory_of(group, mounts, |kind, options| {
            kind == "cgroup" && has(options, "memory")
        })?;
        Some(directory.join("memory.oom_control"))
    };
    let second = || {
        let group = group_of(groups, str::is_empty)?;
        let directory = directory_of(group, mounts, |kind, _| kind == "cgroup2")?;
        Some(directory.join("memory.events"))
    };
    first().or_else(second)
}

fn has(list: &str, word: &str) -> bool {
    list.split(',').any(|one| one == word)
}

/// Our group in the hierarchy that has these controllers, by a line of /proc/self/cgroup.
fn group_of(groups: &str, is_it: impl Fn(&str) -> bool) -> Option<&str> {
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        is_it(controllers).then(|| fields.next())?
    })
}

/// Where a group can be seen. A container is often shown its own group alone, as the root.
fn directory_of(group: &str, mounts: &str, is_it: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    const ROOT: usize = 3;
    const POINT: usize = 4;
    mounts.lines().find_map(|line| {
        let (place, system) = line.split_once(" - ")?;
        let [kind, _, options] = system.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        if !is_it(kind, options) {
            return None;
        }
        let place: Vec<&str> = place.split(' ').collect();
        let (root, point) = (Path::new(place.get(ROOT)?), Path::new(place.get(POINT)?));
        let below = Path::new(group).strip_prefix(root).unwrap_or(Path::new(""));
        Some(point.join(below))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST_GROUPS: &str = "9:name=systemd:/docker/19c3\n8:pids:/docker/19c3\n\
        4:cpu,memory:/docker/19c3\n0::/\n";
    const SECOND_GROUPS: &str = "0::/system.slice/runner.service\n";

    fn first_mounts(root: &str) -> String {
        format!(
            "281 280 0:46 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw,mode=755\n\
             282 281 0:29 {root} /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpuset\n\
             285 281 0:32 {root} /sys/fs/cgroup/memory ro,nosuid shared:9 - cgroup cgroup rw,cpu,memory\n\
             290 281 0:37 / /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw\n"
        )
    }

    fn second_mounts(root: &str) -> String {
        format!("29 22 0:26 {root} /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n")
    }

    fn expect(groups: &str, mounts: &str, file: &str) {
        assert_eq!(file_of(groups, mounts), Some(PathBuf::from(file)));
    }

    #[test]
    fn a_group_is_found_below_what_is_mounted() {
        let file = "/sys/fs/cgroup/memory/memory.oom_control";
        expect(FIRST_GROUPS, &first_mounts("/docker/19c3"), file);
        let file = "/sys/fs/cgroup/memory/docker/19c3/memory.oom_control";
        expect(FIRST_GROUPS, &first_mounts("/"), file);
        let file = "/sys/fs/cgroup/system.slice/runner.service/memory.events";
        expect(SECOND_GROUPS, &second_mounts("/"), file);
        expect(
            "0::/\n",
            &second_mounts("/"),
            "/sys/fs/cgroup/memory.events",
        );
    }

    #[test]
    fn a_group_that_is_shown_as_the_root_is_the_root() {
        let elsewhere = second_mounts("/../../docker/19c3");
        expect(SECOND_GROUPS, &elsewhere, "/sys/fs/cgroup/memory.events");
    }

    #[test]
    fn where_nothing_is_mounted_nothing_is_counted() {
        assert_eq!(file_of(SECOND_GROUPS, ""), None);
        assert_eq!(file_of("", &first_mounts("/")), None);
    }

    #[test]
    fn both_versions_are_read() {
        let first = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        let second = "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n";
        assert_eq!((count(first), count(second)), (Some(3), Some(1)));
        assert_eq!(
            count("oom_kill_disable 0\nunder_oom 0\n"),
            None,
            "an old kernel"
        );
    }

    #[test]
    fn only_what_is_killed_from_now_on_counts() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("memory.events");
        let write = |kills: u64| fs::write(&file, format!("oom 1\noom_kill {kills}\n")).unwrap();
        write(7);
        let kills = Kills {
            before: count_in(&file).unwrap(),
            file: file.clone(),
        };
        assert!(!kills.is_any());
        write(8);
        assert!(kills.is_any());
        fs::remove_file(&file).unwrap();
        assert!(!kills.is_any(), "nobody says so any more");
    }
}
