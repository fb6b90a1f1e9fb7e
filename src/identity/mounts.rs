//! What namespaces and mounts tell: whether this is a container, and what it shares with others.

use std::fs;
use std::io;

/// The PID namespace of the machine itself, whose number the kernel fixes; only from there every
/// process can be seen.
const MACHINE: &str = "pid:[4026531836]";
/// The field of a line in /proc/self/mountinfo that says where something is mounted.
const MOUNT_POINT: usize = 4;
/// The field of a line in /proc/self/mountinfo that says which part of a file system is mounted.
const MOUNT_ROOT: usize = 3;

/// Whether every process of the machine can be seen from here.
pub(super) fn sees_the_whole_machine() -> io::Result<bool> {
    Ok(fs::read_link("/proc/self/ns/pid")?.as_os_str() == MACHINE)
}

/// Whether /proc shows a user nothing but its own processes.
pub(super) fn hides_processes(mounts: &str) -> bool {
    let is_hiding = |option: &str| {
        option
            .strip_prefix("hidepid=")
            .is_some_and(|level| !matches!(level, "0" | "off"))
    };
    mounts
        .lines()
        .filter(|mount| mount.split(' ').nth(MOUNT_POINT) == Some("/proc"))
        .any(|mount| mount.split([' ', ',']).any(is_hiding))
}

/// Whether these mounts are those of a container: its root was made from an image, its engine has
/// mounted /etc/hosts, and neither /etc nor /etc/passwd is mounted from elsewhere.
///
/// A PID namespace alone makes no container: `unshare --pid` keeps the files of the machine.
pub(super) fn has_root_of_its_own(mountinfo: &str) -> bool {
    let mounts: Vec<Vec<&str>> = mountinfo
        .lines()
        .map(|line| line.split(' ').collect())
        .collect();
    let at = |place: &str| {
        mounts
            .iter()
            .rfind(|mount| mount.get(MOUNT_POINT) == Some(&place))
    };
    let is_from_an_image = at("/").is_some_and(|root| {
        let is_layered = root.contains(&"overlay") || root.contains(&"fuse.fuse-overlayfs");
        is_layered || root.get(MOUNT_ROOT).is_some_and(|place| *place != "/")
    });
    is_from_an_image
        && at("/etc/hosts").is_some()
        && at("/etc").is_none()
        && at("/etc/passwd").is_none()
}

/// Whether a host name was made for one container alone: it is the id under which the container
/// engine keeps the container's files, one of which it mounts on /etc/hostname.
pub(super) fn is_unique(host: &str, mounts: &str) -> bool {
    const SHORT_ID: usize = 12;
    let is_id = host.len() >= SHORT_ID && host.bytes().all(|byte| byte.is_ascii_hexdigit());
    let keeps_it = |root: &str| {
        root.split('/')
            .any(|part| part.len() == 64 && part.starts_with(host))
    };
    is_id && name_files(mounts).any(keeps_it)
}

/// What is mounted on /etc/hostname: the file in which a container engine says what the container is called.
pub(super) fn name_file(mounts: &str) -> Option<&str> {
    name_files(mounts).next_back()
}

/// All that is mounted there: the last one hides the others.
fn name_files(mounts: &str) -> impl DoubleEndedIterator<Item = &str> {
    mounts.lines().filter_map(|mount| {
        let mut fields = mount.split(' ').skip(MOUNT_ROOT);
        let root = fields.next()?;
        (fields.next() == Some("/etc/hostname")).then_some(root)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "611 598 254:1 /docker/containers/\
        d5c1f0a2b3c4d5c1f0a2b3c4d5c1f0a2b3c4d5c1f0a2b3c4d5c1f0a2b3c4d5c1/hostname \
        /etc/hostname rw,relatime - ext4 /dev/vda1 rw\n";
    const CONTAINER: &str = "\
        598 480 0:52 / / rw,relatime - overlay overlay rw,lowerdir=/l\n\
        611 598 254:1 /docker/containers/d5c1/hosts /etc/hosts rw,relatime - ext4 /dev/vda1 rw\n";
    const MACHINE_MOUNTS: &str = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n";

    #[test]
    fn a_proc_that_hides_processes_is_known() {
        let proc = |options| format!("25 1 0:23 / /proc rw,nosuid - proc proc rw{options}\n");
        assert!(hides_processes(&proc(",hidepid=2")));
        assert!(hides_processes(&proc(",gid=4,hidepid=invisible")));
        for shown in ["", ",hidepid=0", ",hidepid=off"] {
            assert!(!hides_processes(&proc(shown)), "{shown}");
        }
    }

    #[test]
    fn the_id_of_this_container_is_unique() {
        assert!(is_unique("d5c1f0a2b3c4", MOUNTS));
    }

    #[test]
    fn a_name_that_was_given_is_not_unique() {
        for host in ["vm", "runner-0", "d5c1f0a2b3", "ffffffffffff", "", "d"] {
            assert!(!is_unique(host, MOUNTS), "{host}");
        }
        let elsewhere = MOUNTS.replace("/etc/hostname", "/mnt");
        assert!(!is_unique("d5c1f0a2b3c4", &elsewhere));
    }

    #[test]
    fn a_container_is_known_by_the_file_of_its_name() {
        let file = name_file(MOUNTS).unwrap();
        assert!(file.starts_with("/docker/containers/d5c1"), "{file}");
        let another = MOUNTS.replace("d5c1", "e6d2");
        assert_ne!(name_file(&another), Some(file));
        let within = format!("{another}{MOUNTS}");
        assert_eq!(name_file(&within), Some(file));
        assert_eq!(name_file(MACHINE_MOUNTS), None);
    }

    #[test]
    fn a_container_has_a_root_of_its_own() {
        assert!(has_root_of_its_own(CONTAINER));
        let plain = CONTAINER.replace("0:52 / /", "254:1 /docker/vfs/dir/4711 /");
        assert!(has_root_of_its_own(&plain.replace("overlay", "ext4")));
    }

    #[test]
    fn the_files_of_a_machine_are_never_taken_for_a_containers() {
        let hosts = CONTAINER.lines().nth(1).unwrap();
        let with = |mount: &str| format!("{CONTAINER}{mount}\n");
        for mounts in [
            String::new(),
            MACHINE_MOUNTS.to_owned(),
            format!("{MACHINE_MOUNTS}{hosts}\n"),
            CONTAINER.replace(hosts, ""),
            with("612 598 254:1 /etc /etc rw - ext4 /dev/vda1 rw"),
            with("612 598 254:1 /etc/passwd /etc/passwd ro - ext4 /dev/vda1 rw"),
        ] {
            assert!(!has_root_of_its_own(&mounts), "{mounts}");
        }
    }
}
