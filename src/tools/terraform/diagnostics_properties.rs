//! No text, however it is mangled, leads to the release of a lock that it does not show whole.

use jiff::Timestamp;
use proptest::prelude::*;

use super::diagnostics::lock_info;
use super::essence::Secrets;
use super::operations::OF_A_DEPLOY;
use crate::environment::Environment;
use crate::lock::{
    Answer, Evidence, Holder, LockInfo, Others, Owner, Presence, Run, Siblings, Verdict, judge,
    judge_own,
};
use crate::mutation::{at_least, mutated};

macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        &[$(include_str!(concat!("../../../test/fixtures/terraform/", $name, ".txt"))),*]
    };
}

const TEXTS: &[&str] = texts![
    "httplax/free-untaint",
    "httplax/held-plan",
    "httplax/held-plan-colour",
    "httplax/held-plan-json",
    "httplax/held-untaint",
    "httpstrict/free-untaint",
    "httpstrict/held-plan",
    "httpstrict/held-plan-colour",
    "httpstrict/held-plan-json",
    "httpstrict/held-untaint",
    "local/free-force-unlock",
    "local/free-untaint",
    "local/held-force-unlock",
    "local/held-plan",
    "local/held-plan-colour",
    "local/held-plan-json",
    "local/held-untaint",
    "postgres/free-force-unlock",
    "postgres/free-untaint",
    "postgres/held-force-unlock",
    "postgres/held-plan",
    "postgres/held-plan-colour",
    "postgres/held-plan-json",
    "postgres/held-untaint",
    "s3both/free-force-unlock",
    "s3both/free-untaint",
    "s3both/held-force-unlock",
    "s3both/held-plan",
    "s3both/held-plan-colour",
    "s3both/held-plan-json",
    "s3both/held-untaint",
    "s3dynamodb/free-force-unlock",
    "s3dynamodb/free-untaint",
    "s3dynamodb/held-force-unlock",
    "s3dynamodb/held-plan",
    "s3dynamodb/held-plan-colour",
    "s3dynamodb/held-plan-json",
    "s3dynamodb/held-untaint",
    "s3lockfile/free-force-unlock",
    "s3lockfile/free-untaint",
    "s3lockfile/held-force-unlock",
    "s3lockfile/held-plan",
    "s3lockfile/held-plan-colour",
    "s3lockfile/held-plan-json",
    "s3lockfile/held-untaint",
];

/// Who holds the locks of the texts, and is over.
const WHO: &str = "acme/infra#42/11111111-1111-4111-8111-111111111111/\
    22222222-2222-4222-8222-222222222222/1@d5c1f0a2b3c4";

/// What Bitbucket calls the next run of the step that is over.
fn next_run() -> Owner {
    let (stamp, _) = WHO.rsplit_once('@').unwrap();
    Owner::parse(&format!("{}2", &stamp[..stamp.len() - 1])).unwrap()
}

/// Whether the holder is over, by the word of its own next run, and of nothing else.
fn is_released_by_the_next_run(lock: &LockInfo) -> bool {
    let asker = next_run();
    let evidence = Evidence {
        signature: "",
        asker: Some(&asker),
        siblings: Siblings::Open { reason: None },
        began: Timestamp::MAX,
        others: Others::Hidden,
        sighting: Presence::Nothing,
    };
    matches!(
        judge(lock, &evidence, &Answer::NoToken),
        Verdict::Release(_)
    )
}

fn is_released_by_its_own_run(lock: &LockInfo) -> bool {
    let at = |time: &str| time.parse::<Timestamp>().unwrap();
    let run = Run {
        who: WHO,
        version: "1.11.4",
        started: at("2026-11-22T21:56:20Z"),
        ended: at("2026-11-22T21:56:30Z"),
        processes_gone: true,
        tool_was_killed: true,
        operations: OF_A_DEPLOY,
        others: Others::Impossible,
    };
    matches!(judge_own(lock, &run), Verdict::Release(_))
}

/// Whether the text shows exactly this lock, line by line, with all that Terraform prints of it.
fn shows(text: &str, lock: &LockInfo) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    let LockInfo {
        id,
        operation,
        who,
        version,
        more,
        ..
    } = lock;
    lines.windows(8).any(|block| {
        let is = |index: usize, name: &str, value: &str| {
            let line: &str = block[index];
            line.split_once(':')
                .is_some_and(|(label, rest)| label == format!("  {name}") && rest.trim() == value)
        };
        block[0] == "Lock Info:"
            && is(1, "ID", id)
            && is(2, "Path", &more["Path"])
            && is(3, "Operation", operation)
            && is(4, "Who", who)
            && is(5, "Version", version)
            && block[6].starts_with("  Created:")
            && is(7, "Info", &more["Info"])
    })
}

#[test]
fn a_text_that_nobody_has_touched_shows_the_holder_where_the_backend_names_it() {
    let shown: Vec<LockInfo> = TEXTS.iter().filter_map(|text| lock_info(text)).collect();
    let of_the_build: Vec<&LockInfo> = shown.iter().filter(|lock| lock.who == WHO).collect();
    assert!(
        of_the_build.len() >= 9,
        "{} of {}",
        of_the_build.len(),
        TEXTS.len()
    );
    for lock in of_the_build {
        assert!(
            is_released_by_the_next_run(lock) && is_released_by_its_own_run(lock),
            "{lock:?}"
        );
    }
}

proptest! {
    #![proptest_config(at_least(1024))]

    #[test]
    fn a_mutated_text_never_releases_what_it_does_not_show_whole(text in mutated(TEXTS)) {
        Secrets::of(&Environment::default(), None).essence(&text);
        if let Some(lock) = lock_info(&text) {
            prop_assert!(shows(&text, &lock), "{lock:?}");
            if is_released_by_the_next_run(&lock) {
                let holder = Holder::of(&lock).map(|holder| holder.owner.to_string());
                prop_assert_eq!(holder.as_deref(), WHO.split('@').next());
            }
            if is_released_by_its_own_run(&lock) {
                prop_assert_eq!(lock.who, WHO);
            }
        }
    }
}
