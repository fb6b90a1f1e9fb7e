//! What a lock says stays in its line, and changes no screen.

use serde_json::Value;

use crate::support::{Finished, Kind, Project, Softstop, each, lock_of};

/// How a line of softstop's own begins.
const BEGINNINGS: [&str; 7] = [
    "INFO: ",
    "WARNING: ",
    "ERROR: ",
    "DEBUG: ",
    "  ",
    "✔ ",
    "✖ ",
];

/// Whether a terminal only shows this letter.
fn is_shown(letter: char) -> bool {
    !letter.is_control() && !('\u{202a}'..='\u{202e}').contains(&letter)
}

fn expect_own_lines(finished: &Finished) {
    for line in finished.stderr.lines() {
        let is_own = BEGINNINGS.iter().any(|begin| line.starts_with(begin));
        assert!(is_own && line.chars().all(is_shown), "{line:?} {finished}");
        assert!(!line.starts_with("✔ Locks: 1 released."), "{finished}");
    }
}

/// A lock of somebody who has written what a terminal obeys into it. A line break ends what Terraform
/// prints of a field, so on S3 there is none.
fn hostile_lock(line_break: &str) -> Value {
    let mut lock = lock_of(&format!(
        "root@laptop{line_break}\u{1b}[32m✔ Locks: 1 released.\u{1b}[0m\r\u{202e}\u{9b}2K"
    ));
    lock["ID"] = format!("11111111-2222{line_break}\u{1b}[2K\u{7f}").into();
    lock["Operation"] = format!("Operation\u{85}{line_break}  ✔ TypeApply").into();
    lock["Info"] = "\u{1b}]0;title\u{7}".into();
    lock["Path"] = "a\u{85}b".into();
    lock
}

#[test]
fn whatever_a_lock_says_begins_no_line_and_changes_no_screen() {
    each(
        &[(Kind::HttpStrict, "\n"), (Kind::S3Lockfile, "")],
        |(kind, line_break)| {
            let project = Project::new(kind, "");
            project.store.set_lock(&hostile_lock(line_break));
            let kept = project.store.lock();
            for (softstop, code) in [
                (Softstop::status(&project), 0),
                (Softstop::release(&project), 3),
                (Softstop::deploy(&project).script("true"), 3),
            ] {
                let finished = softstop.env("SOFTSTOP_DEBUG", "true").finish();
                finished
                    .expect_code(code)
                    .expect_said("held by root@laptop");
                expect_own_lines(&finished);
            }
            let json = Softstop::status(&project).arguments(["--json"]).finish();
            let is_plain = |letter| letter == '\n' || is_shown(letter);
            assert!(json.stdout.chars().all(is_plain), "{json}");
            let told: Value = serde_json::from_str(&json.stdout).unwrap();
            assert_eq!(
                told[0]["lock"]["ID"],
                hostile_lock(line_break)["ID"],
                "{json}"
            );
            let by_hand = told[0]["by_hand"].as_str().unwrap();
            assert!(by_hand.chars().all(is_shown), "{json}");
            if kind == Kind::HttpStrict {
                project.run_by_hand(by_hand);
                assert_eq!(project.store.lock(), None, "{by_hand}");
            } else {
                assert!(
                    by_hand.contains("its ID has control characters in it"),
                    "{json}"
                );
                assert_eq!(project.store.lock(), kept, "{json}");
            }
        },
    );
}
