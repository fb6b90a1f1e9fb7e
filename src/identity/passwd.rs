//! The text of /etc/passwd, and our entry in it.

/// Marks an entry as ours, where others keep a person's full name.
const MARK: &str = "softstop";

/// The fields of an entry.
const NAME: usize = 0;
const UID: usize = 2;
const COMMENT: usize = 4;
const FIELDS: usize = 7;

/// The name of the first entry with this uid.
pub(super) fn name_of(passwd: &str, uid: u32) -> Option<&str> {
    entries(passwd)
        .find(|entry| entry[UID] == uid.to_string())
        .map(|entry| entry[NAME])
}

/// The file with another entry for `uid` before the ones that are there.
pub(super) fn with_name(passwd: &str, uid: u32, name: &str) -> String {
    let others = without_name(passwd);
    let uid = uid.to_string();
    let Some(mut entry) = entries(&others).find(|entry| entry[UID] == uid) else {
        return others;
    };
    entry[NAME] = name;
    entry[COMMENT] = MARK;
    format!("{}\n{others}", entry.join(":"))
}

/// The file without any entry of ours.
pub(super) fn without_name(passwd: &str) -> String {
    // No user whom anybody else has made has a slash in its name.
    let is_ours = |line: &str| {
        let entry: Vec<&str> = line.split(':').collect();
        entry.get(COMMENT) == Some(&MARK) && entry[NAME].contains('/')
    };
    passwd
        .split_inclusive('\n')
        .filter(|line| !is_ours(line))
        .collect()
}

fn entries(passwd: &str) -> impl Iterator<Item = Vec<&str>> {
    passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .filter(|entry| entry.len() == FIELDS && !entry[NAME].starts_with(['#', '+', '-']))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::identity) const FILE: &str = "# users\nbroken\nroot:x:0:0:root:/root:/bin/bash\n\
        toor:x:0:0::/root:/bin/sh\nbuild:x:1000:1000:Build:/home/build:/bin/sh";
    pub(in crate::identity) const STAMP: &str = "acme/infra#42/1/2/1";

    #[test]
    fn the_first_entry_of_a_uid_gives_the_name() {
        assert_eq!(name_of(FILE, 0), Some("root"));
        assert_eq!(name_of(FILE, 1000), Some("build"));
        assert_eq!(name_of(FILE, 4711), None);
    }

    #[test]
    fn a_new_name_leaves_the_old_one_known_and_everything_else_as_it_was() {
        let changed = with_name(FILE, 0, STAMP);
        assert_eq!(name_of(&changed, 0), Some(STAMP));
        assert_eq!(name_of(&changed, 1000), Some("build"));
        assert!(changed.ends_with(FILE));
        assert!(changed.starts_with("acme/infra#42/1/2/1:x:0:0:softstop:/root:/bin/bash\n"));
    }

    #[test]
    fn the_name_of_an_earlier_run_is_replaced() {
        let earlier = with_name(FILE, 0, "acme/infra#41/1/2/1");
        assert_eq!(with_name(&earlier, 0, STAMP), with_name(FILE, 0, STAMP));
        assert_eq!(without_name(&earlier), FILE);
    }

    #[test]
    fn a_user_who_happens_to_be_called_softstop_stays() {
        let file = "softstop:x:7:7:softstop:/:/bin/sh\n";
        assert_eq!(without_name(file), file);
    }
}
