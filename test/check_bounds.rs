//! What a pipelines file can cost that somebody has made to hurt.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::check::{check, holding, words};

/// Files that somebody makes to hurt, of so many lines.
fn hostile(kind: &str, count: usize) -> String {
    let lines = |line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let script = |text: String| {
        format!("pipelines:\n  default:\n    - step:\n        script:\n          - |\n{text}")
    };
    match kind {
        "pipelines on one line" => format!(
            "{{pipelines: {{branches: {{{}}}}}}}",
            lines(&|n| format!("b{n}: [{{step: {{script: [{{pipe: softstop:1}}]}}}}], "))
        ),
        "exports and calls" => script(lines(&|n| {
            format!("            export N{n}=v\n            terraform version\n")
        })),
        "shells that export" => script(lines(&|n| {
            format!("            export N{n}=v\n            (export M=v)\n")
        })),
        "aliases of a step" => format!(
            "a: &a {{step: {{script: [softstop deploy]}}}}\npipelines: {{default: [{}]}}",
            lines(&|_| "*a, ".to_owned())
        ),
        "variables of a pipe" => format!(
            "pipelines:\n  default:\n    - step:\n        script:\n          - pipe: softstop:1\n            \
             variables:\n{}",
            lines(&|n| format!("              V{n}: x\n"))
        ),
        "deploys side by side" => format!(
            "pipelines: {{default: [{{parallel: [{}]}}]}}",
            lines(&|n| format!("{{step: {{script: [softstop deploy --workspace d{n}]}}}}, "))
        ),
        "pairs of deploys and releases" => format!(
            "pipelines:\n  custom:\n{}",
            lines(&|n| format!(
                "    d{n}: [{{step: {{script: [softstop deploy --workspace d{n}]}}}}]\n    \
                 r{n}: [{{step: {{script: [softstop release --workspace r{n}]}}}}]\n"
            ))
        ),
        _ => script(lines(&|_| "            tofu apply; tofu plan\n".to_owned())),
    }
}

/// The check may hold so much address space, in KiB: itself, and what is read, which is 64 MiB.
const ADDRESS_SPACE: usize = 65_536 + 131_072;

#[test]
fn a_hostile_file_takes_memory_and_time_in_proportion_to_its_length() {
    for (kind, count) in [
        ("pipelines on one line", 12_000),
        ("exports and calls", 15_000),
        ("shells that export", 15_000),
        ("aliases of a step", 20_000),
        ("pairs of deploys and releases", 7_000),
        ("calls", 16_000),
        ("variables of a pipe", 40_000),
        ("deploys side by side", 16_000),
    ] {
        let seconds = |count: usize| {
            let directory = holding(&hostile(kind, count));
            let limited = format!(
                "ulimit -v {ADDRESS_SPACE}; {} check >out 2>&1; echo $?; times",
                env!("CARGO_BIN_EXE_softstop")
            );
            let run = Command::new("bash")
                .args(["-c", &limited])
                .current_dir(directory.path())
                .output()
                .unwrap();
            let told = String::from_utf8(run.stdout).unwrap();
            let shown = fs::read_to_string(directory.path().join("out")).unwrap();
            assert!(told.starts_with(['0', '1']), "{kind}: {told}{shown}");
            assert!(shown.len() < 200_000, "{kind}: {}", shown.len());
            // The last line is the time of the children: of the user, then of the system.
            let times = told.lines().last().unwrap().split_whitespace();
            times
                .map(|time| {
                    let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
                    minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
                })
                .sum::<f64>()
        };
        let (quarter, whole) = (seconds(count / 4), seconds(count));
        assert!(
            whole < 8.0 * quarter + 0.5,
            "{kind}: {quarter} s, {whole} s"
        );
    }
}

#[test]
fn of_very_many_findings_the_console_shows_some_and_machines_get_all() {
    let directory = holding(&hostile("calls", 300));
    let shown = words(&check(directory.path(), &["check"]));
    assert_eq!(
        shown.matches("takes the lock too").count()
            + shown.matches("changes infrastructure here").count(),
        50
    );
    assert!(shown.contains("550 more findings not shown; `--json` prints all."));
    let found = check(directory.path(), &["check", "--json"]);
    let findings: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(findings.as_array().unwrap().len(), 600);
}

/// What a file is made of: how it begins, what it has many of, and how it ends.
type Parts = (&'static str, fn(usize) -> String, &'static str);

/// As many of these parts as so many bytes have room for.
fn filled((begin, item, end): Parts, length: usize) -> String {
    let mut text = begin.to_owned();
    for item in (0..).map(item) {
        if text.len() + item.len() + end.len() > length {
            break;
        }
        text += &item;
    }
    text + end
}

/// The files that have cost the most, of more than a hundred kinds.
const WORST: [Parts; 19] = [
    (
        "{pipelines: {b: {",
        |n| format!("{n:x}: [step: {{script: [softstop deploy]}}],"),
        "}}}",
    ),
    (
        "pipelines: {b: {",
        |n| {
            format!(
                "{n:x}: [step: {{script: [softstop]}},final: {{script: [softstop release --workspace a]}}],"
            )
        },
        "}}",
    ),
    (
        "pipelines: {default: [parallel: [",
        |_| "step: {script: [softstop]},".to_owned(),
        "]]}",
    ),
    (
        "pipelines: {default: [parallel: [",
        |_| "step: {script: [tofu apply]},".to_owned(),
        "]]}",
    ),
    (
        "pipelines: {default: [step: {script: [",
        |_| "tofu apply,".to_owned(),
        "]}]}",
    ),
    (
        "pipelines: {default: [step: {script: [\"",
        |_| "tofu apply;".to_owned(),
        "\"]}]}",
    ),
    (
        "pipelines: {default: [step: {script: [{pipe: softstop:1,variables: {",
        |_| "WORKSPACES: ,".to_owned(),
        "}}]}]}",
    ),
    (
        "pipelines: {default: [step: {script: [softstop deploy ",
        |_| "a ".to_owned(),
        "]}]}",
    ),
    (
        "pipelines: {default: [step: {script: [softstop deploy ",
        |_| "aaa ".to_owned(),
        "]}]}",
    ),
    (
        "pipelines: {default: [step: {script: [export ",
        |n| format!("{n:x}= "),
        "]}]}",
    ),
    (
        "pipelines: {default: [step: {script: [softstop deploy,",
        |n| format!("export PG{n:x},"),
        "]}]}",
    ),
    (
        "pipelines: {default: [parallel: [step: {script: [mode=deploy ",
        |_| "-softstop ".to_owned(),
        "]}]]}",
    ),
    (
        "pipelines: {custom: {a: [step: {script: [softstop]}]}}\n\
         triggers: {pipeline-completed: [{condition: \"",
        |n| match n {
            0..8000 => "'b' == 'c' || ".to_owned(),
            8000 => "'b' == 'c'\",pipelines: [".to_owned(),
            _ => "a,".to_owned(),
        },
        "]}]}",
    ),
    ("pipelines: [", |_| "a,".to_owned(), "]"),
    (
        "pipelines: {default: [parallel: [",
        |_| "[],".to_owned(),
        "]]}",
    ),
    ("pipelines: [", |n| format!("&{n:x} ,"), "]"),
    (
        "pipelines: {default: [{",
        |_| "step: ,name: ,".to_owned(),
        "}]}",
    ),
    (
        "a: &a {b: , c: }\npipelines: {b: [",
        |_| "{<<: *a},".to_owned(),
        "]}",
    ),
    (
        "pipelines: [",
        |_| "[".repeat(200) + &"]".repeat(200) + ",",
        "]",
    ),
];

/// Runs a program, and writes down how many KiB it has used at most, and how many seconds.
const WEIGH: &str = "
import resource, subprocess, sys
ended = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_maxrss, used.ru_utime + used.ru_stime, ended.returncode)
print(ended.stderr.decode())
";

/// How many KiB a check of this file needs, how many seconds, how it ends, and what it says.
fn weigh(text: &str) -> (u32, f64, i32, String) {
    let directory = holding(text);
    let softstop = env!("CARGO_BIN_EXE_softstop");
    let run = Command::new("python3")
        .args(["-c", WEIGH, softstop, "check", "--json"])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let told = String::from_utf8(run.stdout).unwrap();
    let (used, said) = told.split_once('\n').unwrap();
    let used: Vec<&str> = used.split(' ').collect();
    (
        used[0].parse().unwrap(),
        used[1].parse().unwrap(),
        used[2].parse().unwrap(),
        said.to_owned(),
    )
}

/// A whole MiB, and what is left of it where no other limit is passed.
const LENGTHS: [usize; 3] = [1 << 20, 1 << 19, 5 << 16];

/// What a file may cost in KiB, besides what softstop itself needs, which is up to 10 MiB.
const MOST_MEMORY: u32 = 54 * 1024;
/// This is a build for tests, which takes many times as long as the released one.
const MOST_SECONDS: f64 = 20.0;

#[test]
fn the_worst_files_of_1_mib_are_checked_within_64_mib_or_refused_in_plain_words() {
    let (itself, ..) = weigh("pipelines: {default: [step: {script: [make]}]}");
    for (parts, length) in WORST
        .iter()
        .flat_map(|parts| LENGTHS.map(|length| (*parts, length)))
    {
        let (begin, ..) = parts;
        let (memory, seconds, code, said) = weigh(&filled(parts, length));
        let needed = memory.saturating_sub(itself);
        assert!(needed <= MOST_MEMORY, "{begin}: {needed} KiB");
        assert!(seconds < MOST_SECONDS, "{begin}: {seconds} s");
        assert!((0..=2).contains(&code), "{begin}: {said}");
        // Bitbucket takes few of these files either, and that is known only of one that was checked.
        let is_told = said.contains("; split it") || said.contains("Bitbucket refuses it");
        assert_eq!(code == 2, is_told, "{begin}: {said}");
    }
}
