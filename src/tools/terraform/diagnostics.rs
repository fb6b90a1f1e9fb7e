//! Reads the lock info that Terraform prints for people.

use jiff::Timestamp;
use jiff::fmt::strtime;

use super::operations::OF_A_LOOK;
use super::written::Written;
use crate::lock::LockInfo;

/// Finds the `Lock Info:` block in what Terraform said.
///
/// An S3 error before it holds `RequestID:` and `HostID:`, so both the header and the fields are
/// only taken where they begin a line as Terraform writes them. A block that is not whole shows no
/// lock: an ID or a signature that was cut short could be another one's, and what cannot be read
/// speaks against no release.
pub(super) fn lock_info(text: &str) -> Option<LockInfo> {
    let mut lines = text
        .lines()
        .skip_while(|line| *line != "Lock Info:")
        .skip(1);
    let mut field = |label| Some(lines.next()?.strip_prefix(label)?.trim().to_owned());
    let lock = Written {
        id: field("  ID:")?,
        path: field("  Path:")?,
        operation: field("  Operation:")?,
        who: field("  Who:")?,
        version: field("  Version:")?,
        created: Some(go_time(&field("  Created:")?)?),
        info: field("  Info:")?,
    };
    (!lock.id.is_empty()).then(|| lock.into())
}

/// Whether the block shows the lock that the look itself tried to take, as pg always does.
pub(super) fn is_own_look(lock: &LockInfo, look_began: Timestamp) -> bool {
    lock.operation == OF_A_LOOK && lock.created.is_none_or(|created| created >= look_began)
}

/// What is said of such a lock, all words of a row together.
const NAMELESS: [&[&str]; 3] = [
    &["unexpected end of JSON input"],
    &["ConditionalCheckFailedException"],
    // Azure's lease is taken before it is written who holds it, and given back after that is deleted.
    &[
        "state blob is already locked",
        "\"terraformlockid\" was empty",
    ],
];

/// What is said of a lock that could not be taken, and of one without which no state can be made.
const NOT_TAKEN: [&str; 2] = [
    "Error acquiring the state lock",
    "failed to lock azure state",
];

/// Whether somebody holds the lock, and what is kept of it does not say who: a lock file that is
/// empty, an item without its Info, or a lease alone.
pub(super) fn names_nobody(stderr: &str) -> bool {
    let words: Vec<&str> = stderr.split_whitespace().collect();
    let text = words.join(" ");
    let is_said = |signs: &&[&str]| signs.iter().all(|sign| text.contains(sign));
    NOT_TAKEN.iter().any(|said| text.contains(said)) && NAMELESS.iter().any(is_said)
}

/// Whether pg has nothing that could be locked: a look makes no table, and no schema.
pub(super) fn lacks_table(stderr: &str) -> bool {
    let words: Vec<&str> = stderr.split_whitespace().collect();
    let text = words.join(" ");
    text.contains("pq: relation ") && text.contains("does not exist")
}

/// Reads a time as Go prints it: `2026-11-22 21:56:25.422332792 +0000 UTC`.
fn go_time(text: &str) -> Option<Timestamp> {
    let (time, _zone_name) = text.rsplit_once(' ')?;
    strtime::parse("%Y-%m-%d %H:%M:%S%.f %z", time)
        .and_then(|parsed| parsed.to_timestamp())
        .ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S3_HELD: &str = "
Error: Error acquiring the state lock

Error message: operation error S3: PutObject, https response error
StatusCode: 412, RequestID:
AAAABBBBCCCC, HostID:
  ID: not-this-one
api error PreconditionFailed: At least one of the pre-conditions you
specified did not hold
Lock Info:
  ID:        0b1c2d3e-0001-0002-0003-000000000004
  Path:      bucket/deploy/state.tfstate
  Operation: OperationTypeApply
  Who:       root@d5c1f0a2
  Version:   1.11.4
  Created:   2026-11-22 21:56:25.422332792 +0000 UTC
  Info:      


Terraform acquires a state lock to protect the state from being written
by multiple users at the same time.
";

    #[test]
    fn the_block_is_found_behind_an_error_of_s3() {
        let lock = lock_info(S3_HELD).unwrap();
        assert_eq!(lock.id, "0b1c2d3e-0001-0002-0003-000000000004");
        assert_eq!(lock.more["Path"], "bucket/deploy/state.tfstate");
        assert_eq!(lock.operation, "OperationTypeApply");
        assert_eq!(lock.who, "root@d5c1f0a2");
        assert_eq!(lock.version, "1.11.4");
        assert_eq!(
            lock.created.unwrap().to_string(),
            "2026-11-22T21:56:25.422332792Z"
        );
        assert_eq!(lock.more["Info"], "");
    }

    #[test]
    fn no_block_is_no_lock() {
        assert_eq!(lock_info(""), None);
        assert_eq!(lock_info("Lock Info:"), None);
        assert_eq!(lock_info("Lock Info:\n  ID:        \n"), None);
        assert_eq!(lock_info("The Lock Info:\n  ID:  x"), None);
        assert_eq!(lock_info("Failed: RequestID: x\n  ID: y"), None);
    }

    #[test]
    fn a_signature_may_hold_colons_and_blanks() {
        let text = S3_HELD.replace("root@d5c1f0a2", "a b: c@d");
        assert_eq!(lock_info(&text).unwrap().who, "a b: c@d");
    }

    #[test]
    fn a_block_that_was_cut_off_or_spliced_shows_no_lock() {
        let block = &S3_HELD[..S3_HELD.find("  Info:").unwrap()];
        for length in 0..block.len() {
            assert_eq!(lock_info(&block[..length]), None, "{length}");
        }
        let lines: Vec<&str> = S3_HELD.lines().collect();
        let id = lines.iter().position(|line| line.contains("0b1c2d3e"));
        for place in id.unwrap()..id.unwrap() + 6 {
            let mut doubled = lines.clone();
            doubled.insert(place, lines[place]);
            assert_eq!(lock_info(&doubled.join("\n")), None, "{place}");
            let mut dropped = lines.clone();
            dropped.remove(place);
            assert_eq!(lock_info(&dropped.join("\n")), None, "{place}");
        }
    }

    #[test]
    fn a_lock_that_names_nobody_is_told_from_one_that_could_not_be_asked_for() {
        const NOT_TAKEN: &str = "Error: Error acquiring the state lock\n\nError message: ";
        let rows = [
            ("unexpected end of JSON input", true),
            (
                "operation error DynamoDB: PutItem,\nConditionalCheckFailedException: x",
                true,
            ),
            // As Terraform and OpenTofu join the two.
            (
                "state blob is already locked\nblob metadata \"terraformlockid\" was\nempty",
                true,
            ),
            (
                "2 errors occurred:\n\t* state blob is already locked\n\t* blob metadata \
                 \"terraformlockid\" was empty\n",
                true,
            ),
            // Whoever may not take the lease of a blob finds nothing there either.
            (
                "unexpected status 403\nblob metadata \"terraformlockid\" was empty",
                false,
            ),
            ("state blob is already locked\nunexpected status 403", false),
            ("dial tcp: connection refused", false),
        ];
        for (said, expected) in rows {
            let stderr = format!("{NOT_TAKEN}{said}\n");
            assert_eq!(names_nobody(&stderr), expected, "{stderr}");
            assert!(!names_nobody(said), "{said}");
        }
        // As Terraform and OpenTofu say it of a state that is not there yet.
        for said in [
            "Failed to load state: failed to lock azure state: state blob is already locked\nblob \
             metadata \"terraformlockid\" was empty\n",
            "Error: Error loading the state\n\nFailed to load the state: failed to lock azure state: \
             state blob is already\nlocked\nblob metadata \"terraformlockid\" was empty\n",
        ] {
            assert!(names_nobody(said), "{said}");
        }
    }

    #[test]
    fn a_time_in_another_zone_is_the_same_instant() {
        assert_eq!(
            go_time("2026-11-22 22:56:25.4 +0100 CET"),
            go_time("2026-11-22 21:56:25.4 +0000 UTC")
        );
        assert_eq!(go_time("yesterday"), None);
    }

    #[test]
    fn the_lock_of_the_look_itself_is_told_from_an_older_one() {
        let created = |text: &str| Some(text.parse().unwrap());
        let lock = LockInfo {
            operation: OF_A_LOOK.to_owned(),
            created: created("2026-11-22T21:00:10Z"),
            ..LockInfo::default()
        };
        assert!(is_own_look(&lock, "2026-11-22T21:00:09Z".parse().unwrap()));
        assert!(!is_own_look(&lock, "2026-11-22T21:00:11Z".parse().unwrap()));
        let apply = LockInfo {
            operation: "OperationTypeApply".to_owned(),
            ..lock
        };
        assert!(!is_own_look(
            &apply,
            "2026-11-22T21:00:09Z".parse().unwrap()
        ));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(?s).*") {
            let _ = lock_info(&text);
            let _ = lock_info(&S3_HELD.replace("2026-11-22 21:56:25.422332792 +0000", &text));
        }
    }
}
