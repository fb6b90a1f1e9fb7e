//! Whatever a file says, `check` has something to say of it, in bounded time and memory.

use proptest::prelude::*;

use super::examine;
use crate::mutation::{at_least, mutated};
use crate::pipelines::document;
use crate::pipelines::shell::quoted;

const FILES: &[&str] = &[
    include_str!("../../bitbucket-pipelines.yml"),
    include_str!("../../examples/build-image/bitbucket-pipelines.yml"),
    include_str!("../../examples/http/bitbucket-pipelines.yml"),
    include_str!("../../examples/monorepo/bitbucket-pipelines.yml"),
    include_str!("../../examples/s3/bitbucket-pipelines.yml"),
];

fn check(text: &str) {
    // Whatever it says, it says something.
    drop(examine(text));
}

proptest! {
    #![proptest_config(at_least(256))]

    #[test]
    fn no_mutated_file_makes_the_check_panic(text in mutated(FILES)) {
        check(&text);
    }

    #[test]
    fn no_aliases_of_aliases_make_the_check_panic_or_fill_the_memory(
        levels in prop::collection::vec((1..12_usize, 0..3_usize), 1..12),
        opening in prop::sample::select(vec!["", "pipelines:\n  default: *a0\n", "pipelines: {custom: *a1}\n"]),
    ) {
        let mut text = "a: &a0 [{step: {script: [softstop deploy]}}]\n".to_owned();
        for (level, (many, kind)) in levels.iter().enumerate() {
            let alias = format!("*a{level}");
            let value = match kind {
                0 => format!("[{}]", vec![alias; *many].join(", ")),
                1 => format!("{{<<: [{}], step: {alias}}}", vec![alias.clone(); *many].join(", ")),
                _ => (0..*many).fold(String::new(), |text, key| format!("{text}\n  k{key}: {alias}")),
            };
            text = format!("{text}b{level}: &a{} {value}\n", level + 1);
        }
        check(&(text + opening));
    }

    #[test]
    fn no_text_makes_the_check_panic(text in "\\PC*") {
        check(&text);
    }

    #[test]
    fn no_script_makes_the_check_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "softstop", "deploy", "release", "terraform", "apply", "-chdir=", "--", "--working-dir",
                "cd", "export", "A=", "WORKING_DIR_COUNT=9", " ", " ", "\n", "'", "\"", "$(", "(", ")",
                "<<", "|", "&", ";", "\\", "#", "`", "é", "f()", "{", "}", "<(", "bash -c", "eval", "xargs",
                "docker run", "if", "fi", "find", "-exec", "function", "terragrunt", "init",
            ]),
            0..40,
        )
    ) {
        let script = quoted(&pieces.concat());
        check(&format!("pipelines: {{default: [{{step: {{script: [{script}]}}}}]}}"));
    }

    #[test]
    fn no_lines_of_yaml_make_the_check_panic(
        lines in prop::collection::vec(
            (0..6_usize, prop::sample::select(vec![
                "pipelines:", "default:", "- step:", "step: &a", "- *a", "<<: *a", "script:", "- final:",
                "- parallel:", "steps:", "- pipe: softstop", "variables:", "MODE: release", "- |",
                "softstop deploy", "- terraform apply", "custom: &b", "x: *b", "import: y", "- [", "]}",
            ])),
            0..30,
        )
    ) {
        let indented = lines.iter().map(|(depth, line)| "  ".repeat(*depth) + line);
        check(&indented.collect::<Vec<_>>().join("\n"));
    }
}

/// The reader takes at most [`document::LARGEST`], and has to be done with that in reasonable time.
#[test]
fn a_file_that_is_nothing_but_nesting_is_read_or_refused_soon() {
    for open in [
        "[",
        "{",
        "- ",
        "? ",
        "a: {b: ",
        "[a, ",
        "&a ",
        "!!a ",
        "'",
        "\"",
        "a: |\n ",
        "- - ",
        "*a ",
        "{a, ",
        "# \n",
        "--- ",
        "%",
        "a: &a [*a, ",
        "<<: ",
        "[[]], ",
        "\n ",
    ] {
        let text = open.repeat(document::LARGEST / open.len());
        let begin = std::time::Instant::now();
        check(&text);
        check(&format!("pipelines: {text}"));
        let indented = (0..1400).map(|depth| " ".repeat(depth) + open.trim_end() + "\n");
        check(&indented.collect::<String>());
        assert!(
            begin.elapsed().as_secs() < 30,
            "{open:?}: {:?}",
            begin.elapsed()
        );
    }
    for piece in [
        "$(",
        "\"$(",
        "`",
        "(",
        "${",
        "'",
        "\\",
        "<<",
        "softstop ",
        "terraform -chdir=",
        "|",
        "&& ",
        "a;",
    ] {
        let script = quoted(&piece.repeat(100_000));
        let begin = std::time::Instant::now();
        check(&format!(
            "pipelines: {{default: [{{step: {{script: [{script}]}}}}]}}"
        ));
        assert!(
            begin.elapsed().as_secs() < 30,
            "{piece:?}: {:?}",
            begin.elapsed()
        );
    }
}
