//! What Terraform prints of locks, recorded from the real one. Other tests read these texts, and
//! mutate them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use nix::unistd::gethostname;
use uuid::Uuid;

use crate::support::project::thing;
use crate::support::{Kind, Project, each};

const TEXTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/test/fixtures/terraform");
const RECORD: &str = "SOFTSTOP_TEST_RECORD";

/// A signature as a container of a build writes it.
const WHO: &str = "acme/infra#42/11111111-1111-4111-8111-111111111111/\
    22222222-2222-4222-8222-222222222222/1@d5c1f0a2b3c4";

const UNTAINT: &[&str] = &[
    "untaint",
    "-no-color",
    "-allow-missing",
    "-lock-timeout=0s",
    "softstop_look.none",
];
/// Never to be used on `http`, where it really unlocks.
const FORCE_UNLOCK: &[&str] = &["force-unlock", "-no-color", "-force", "0"];
/// How each command is recorded while somebody holds the lock.
const HELD: &[(&str, &[&str])] = &[
    ("held-untaint", UNTAINT),
    (
        "held-plan",
        &["plan", "-no-color", "-input=false", "-refresh=false"],
    ),
    (
        "held-plan-colour",
        &["plan", "-input=false", "-refresh=false"],
    ),
    (
        "held-plan-json",
        &["plan", "-json", "-input=false", "-refresh=false"],
    ),
];

#[test]
fn terraform_prints_what_the_fixtures_say() {
    // The words of the others are met in `lifecycle` and `stateless_locks`.
    let recorded: Vec<Kind> = Kind::ALL
        .into_iter()
        .filter(|kind| !kind.has_a_state_from_init())
        .collect();
    each(&recorded, |kind| {
        let project = Project::new(kind, &thing("a", ""));
        project.run_terraform(&["init", "-input=false"]);
        project.run_terraform(&["apply", "-input=false", "-auto-approve"]);
        let is_http = matches!(kind, Kind::HttpStrict | Kind::HttpLax);
        let check = |name: &str, arguments: &[&str]| check(&project, name, arguments);

        check("free-untaint", UNTAINT);
        if !is_http {
            check("free-force-unlock", FORCE_UNLOCK);
        }
        let rival = if kind.outlives_its_holder() {
            project.be_locked_by(WHO);
            None
        } else {
            Some(project.start_rival())
        };
        for (name, arguments) in HELD {
            check(name, arguments);
        }
        if !is_http {
            check("held-force-unlock", FORCE_UNLOCK);
        }
        if let Some(rival) = rival {
            rival.finish();
        }
    });
}

/// Compares what is printed now with what was recorded, or records it.
fn check(project: &Project, name: &str, arguments: &[&str]) {
    let output = project.terraform(arguments).output().unwrap();
    let text = with_stand_ins(&essential(&output), &project.directory);
    let path = Path::new(TEXTS).join(format!("{:?}", project.store.kind).to_lowercase());
    let file = path.join(format!("{name}.txt"));
    if std::env::var_os(RECORD).is_some() {
        fs::create_dir_all(&path).unwrap();
        fs::write(&file, &text).unwrap();
    }
    let recorded = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        text,
        recorded,
        "{} says something else. Where that is right, record it: {RECORD}=1 test/run recorded",
        file.display()
    );
}

/// Without what is only printed where the machine is slow.
fn essential(output: &Output) -> String {
    let printed = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let lines = printed.iter().flat_map(|text| text.split_inclusive('\n'));
    lines
        .filter(|line| !line.contains("state lock. This may take") && !line.contains(r#""info""#))
        .collect()
}

/// Puts something fixed in the place of what differs from run to run.
fn with_stand_ins(text: &str, directory: &Path) -> String {
    let host = gethostname().unwrap().into_string().unwrap();
    let text = text
        .replace(&format!("@{host}"), "@d5c1f0a2b3c4")
        .replace(&directory.display().to_string(), "/repository");
    let text = replace_after(&text, "Version:   ", |c| !"\\\n".contains(c), "1.11.4");
    let text = replace_after(
        &text,
        "Created:   ",
        |c| c != '+',
        "2026-11-22 21:56:25.422332792 ",
    );
    let text = replace_after(
        &text,
        "@timestamp\":\"",
        |c| c != '"',
        "2026-11-22T21:56:25.4Z",
    );
    let text = replace_after(&text, "127.0.0.1:", |c| c.is_ascii_digit(), "40000");
    with_fixed_uuids(&with_fixed_requests(&text))
}

/// Replaces what follows `mark`, as far as it `belongs`.
fn replace_after(text: &str, mark: &str, belongs: impl Fn(char) -> bool, by: &str) -> String {
    let mut parts = text.split(mark);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        replaced += mark;
        replaced += by;
        replaced += part.trim_start_matches(&belongs);
    }
    replaced
}

/// A request of S3 is named by so many letters and digits that nothing else is taken for one. The
/// end of a colour may stand before them.
fn with_fixed_requests(text: &str) -> String {
    const LENGTH: usize = 52;
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    words
        .map(|word| {
            let run = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            match run.len().checked_sub(LENGTH) {
                Some(begin) => word.replace(&run[begin..], &"A".repeat(LENGTH)),
                None => word.to_owned(),
            }
        })
        .collect()
}

/// Numbers the UUIDs in the order in which they appear, and leaves those of [`WHO`].
fn with_fixed_uuids(text: &str) -> String {
    const LENGTH: usize = 36;
    let mut known = HashMap::new();
    let mut fixed = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let uuid = rest
            .get(..LENGTH)
            .filter(|text| Uuid::try_parse(text).is_ok());
        match uuid {
            Some(uuid) if !WHO.contains(uuid) => {
                let number = known.len() + 1;
                let number = *known.entry(uuid).or_insert(number);
                fixed += "00000000-0000-4000-8000-";
                fixed.extend(format!("{number:012}").chars());
                rest = &rest[LENGTH..];
            }
            _ => {
                fixed.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    fixed
}
